package cli_test

import (
	"bytes"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

// initCost is what packages do before main begins, in each run of the program.
type initCost struct {
	milliseconds  float64
	bytes, allocs int
}

// The most that all packages, and those of this module, may allocate; the slack is for what differs between machines.
var (
	mostOfAll  = initCost{bytes: 100_100, allocs: 679}
	mostOfOurs = initCost{bytes: 18_350, allocs: 147}
)

const initSlack = 1.05

// TestInit holds the work that packages do at the beginning of each run to what it is now. Time is only told: a regular
// expression that is compiled when nobody needs it shows in what it allocates.
func TestInit(t *testing.T) {
	needRelease(t)
	all, ours, said := buildLauncher(t).initTrace(t)
	t.Logf("all packages: %.2f ms, %d bytes, %d allocations; ours: %.2f ms, %d bytes, %d allocations",
		all.milliseconds, all.bytes, all.allocs, ours.milliseconds, ours.bytes, ours.allocs)
	for _, tt := range []struct {
		who       string
		got, most initCost
	}{{"all packages", all, mostOfAll}, {"our packages", ours, mostOfOurs}} {
		if float64(tt.got.bytes) > initSlack*float64(tt.most.bytes) || float64(tt.got.allocs) > initSlack*float64(tt.most.allocs) {
			t.Errorf("%s allocate %d bytes in %d pieces, more than %d in %d:\n%s", tt.who, tt.got.bytes, tt.got.allocs, tt.most.bytes, tt.most.allocs, said)
		}
		if float64(tt.got.bytes) < 0.8*float64(tt.most.bytes) {
			t.Errorf("%s allocate %d bytes, which is better than %d: lower the number in this file", tt.who, tt.got.bytes, tt.most.bytes)
		}
	}
}

// initTrace runs the program with the Go runtime telling what each package's init does.
func (l *builtLauncher) initTrace(t *testing.T) (all, ours initCost, said string) {
	t.Helper()
	cmd := exec.Command(l.program, "version")
	cmd.Env = append(l.env, "GODEBUG=inittrace=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	for line := range strings.Lines(stderr.String()) {
		var name string
		var at float64
		var c initCost
		_, err := fmt.Sscanf(line, "init %s @%f ms, %f ms clock, %d bytes, %d allocs", &name, &at, &c.milliseconds, &c.bytes, &c.allocs)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all.add(c)
		if strings.HasPrefix(name, module+"/") {
			ours.add(c)
		}
	}
	if ours.allocs == 0 {
		t.Fatalf("none of our packages is in:\n%s", &stderr)
	}
	return all, ours, stderr.String()
}

func (c *initCost) add(more initCost) {
	c.milliseconds += more.milliseconds
	c.bytes += more.bytes
	c.allocs += more.allocs
}

// needRelease skips a test whose figures are those of one release of Go.
func needRelease(t *testing.T) {
	t.Helper()
	if !strings.HasPrefix(runtime.Version(), "go1.26") {
		t.Skip("the figures are those of Go 1.26")
	}
}
