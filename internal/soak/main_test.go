//go:build linux

package soak

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

var (
	schedules = flag.Int("soak", 8, "how many schedules TestSoak runs")
	firstSeed = flag.Uint64("soak.seed", 0, "the seed of the first schedule, and the only one unless -soak says more; 0 is a random one")
	atOnce    = flag.Int("soak.parallel", 8, "how many schedules run at the same time: they wait more than they work")
	withRace  = flag.Bool("soak.race", false, "build mcp-valet with the race detector")
)

// roleVar has this program, started again, play a part.
const roleVar = "SOAK_ROLE"

// valetPath is the program under test, made once.
var valetPath string

func TestMain(m *testing.M) {
	switch os.Getenv(roleVar) {
	case "server":
		serveClient()
		return
	case "grandchild":
		stayBehind()
		return
	}
	flag.Parse()
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "mcp-valet-soak-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		if valetPath, err = build(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

func build(dir string) (path string, err error) {
	path = filepath.Join(dir, "mcp-valet")
	args := []string{"build", "-o", path}
	if *withRace {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, ".")...)
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building mcp-valet: %w\n%s", err, out)
	}
	return path, nil
}

// seeds are those of the schedules to run.
func seeds() []uint64 {
	given := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	n, first := *schedules, *firstSeed
	if given["soak.seed"] && !given["soak"] {
		n = 1
	}
	if first == 0 {
		first = uint64(rand.Uint32())
	}
	all := make([]uint64, n)
	for i := range all {
		all[i] = first + uint64(i)
	}
	return all
}

// TestSoak runs schedules of faults against real processes, and checks after each one what must hold whatever happened.
// A schedule that breaks it prints its seed: go test ./internal/soak -run Soak -soak.seed SEED replays its faults.
func TestSoak(t *testing.T) {
	all := seeds()
	began := time.Now()
	stop := watchArguments()
	var workers sync.WaitGroup
	next := make(chan uint64)
	for range min(*atOnce, len(all)) {
		workers.Go(func() {
			for seed := range next {
				t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { runSchedule(t, planOf(seed)) })
			}
		})
	}
	for _, seed := range all {
		next <- seed
	}
	close(next)
	workers.Wait()
	for _, line := range stop() {
		t.Errorf("no secret in arguments: %s", line)
	}
	t.Logf("%d schedules from seed %d on, in %s", len(all), all[0], time.Since(began).Round(time.Second))
	tally.Lock()
	defer tally.Unlock()
	for _, what := range slices.Sorted(maps.Keys(tally.counts)) {
		t.Logf("%8d  %s", tally.counts[what], what)
	}
}

// tally is how often each thing was met.
var tally = struct {
	sync.Mutex
	counts map[string]int
}{counts: map[string]int{}}

// met counts; what is checked and was never met, was not checked.
func met(format string, args ...any) {
	tally.Lock()
	defer tally.Unlock()
	tally.counts[fmt.Sprintf(format, args...)]++
}
