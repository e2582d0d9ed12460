package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// startCost is what a launcher does before its server runs.
type startCost struct {
	Files     int // opened in its home, or tried to be
	Foreign   int // and elsewhere, but for /proc and /sys, where the Go runtime looks for its limits
	Processes int // started: the server, and one by which package os finds out what the system can do
	Threads   int // started; how many the Go runtime takes is a matter of luck
	Programs  int // run, the launcher itself not counted
}

// mostAtStart is what a start takes now, but for threads, of which it takes six on two processors. Whoever saves some lowers the numbers.
var mostAtStart = map[string]startCost{
	"none":   {Files: 1, Foreign: 0, Processes: 2, Threads: 16, Programs: 1},
	"sealed": {Files: 6, Foreign: 0, Processes: 2, Threads: 16, Programs: 1},
}

// TestStartup holds the start of a server, with a good token at hand, to what it takes now.
func TestStartup(t *testing.T) {
	needTool(t, "strace")
	l := buildLauncher(t)
	for _, store := range []string{"none", "sealed"} {
		t.Run(store, func(t *testing.T) {
			if store == "sealed" {
				l.signIn(t)
			}
			got, opened := l.trace(t)
			most := mostAtStart[store]
			t.Logf("%+v; opened:\n%s", got, strings.Join(opened, "\n"))
			if got.Files > most.Files || got.Foreign > most.Foreign || got.Processes > most.Processes || got.Threads > most.Threads || got.Programs > most.Programs {
				t.Errorf("more than %+v", most)
			}
			if got.Files < most.Files || got.Foreign < most.Foreign || got.Processes < most.Processes || got.Programs < most.Programs {
				t.Errorf("better than %+v: lower the numbers in this file", most)
			}
		})
	}
}

var (
	openCall  = regexp.MustCompile(`^\d+ +(?:open|openat|openat2|creat)\((?:[^",]+, )?"([^"]*)"`)
	cloneCall = regexp.MustCompile(`^\d+ +(?:clone|clone3|fork|vfork)\(`)
	execCall  = regexp.MustCompile(`^\d+ +execve\("([^"]*)"`)
)

// trace runs the launcher and tells what it does up to the server's first instruction, and which files it opens.
func (l *builtLauncher) trace(t *testing.T) (cost startCost, opened []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command("strace", append([]string{"-f", "-s", "4096", "-o", file,
		"-e", "trace=open,openat,openat2,creat,clone,clone3,fork,vfork,execve", "--", l.program}, l.args...)...)
	cmd.Env, cmd.Stdin = l.env, strings.NewReader(firstMessage)
	if said, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(said), `"id":0,"result"`) {
		t.Fatalf("%v\n%s", err, said)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cost.Programs = -1 // the launcher
	for line := range strings.Lines(string(text)) {
		if path := openCall.FindStringSubmatch(line); path != nil {
			opened = append(opened, path[1])
			cost.open(path[1], l.home)
		}
		switch {
		case !cloneCall.MatchString(line):
		case strings.Contains(line, "CLONE_THREAD"):
			cost.Threads++
		default:
			cost.Processes++
		}
		if run := execCall.FindStringSubmatch(line); run != nil {
			cost.Programs++
			if run[1] == l.server {
				return cost, opened
			}
		}
	}
	t.Fatalf("the server was not started:\n%s", text)
	return cost, nil
}

func (c *startCost) open(path, home string) {
	switch {
	case strings.HasPrefix(path, home):
		c.Files++
	case !strings.HasPrefix(path, "/proc/") && !strings.HasPrefix(path, "/sys/"):
		c.Foreign++
	}
}
