package cli_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"mcp-valet/keyring"
)

const (
	// settleTime is when what a start leaves behind is over: the first answers are noted, the Go runtime frees memory.
	settleTime = 12 * time.Second
	idleTime   = 20 * time.Second
	// mostWakeUps is for idleTime, and all threads together. By design there is the renewal's look at the clock, once a minute.
	// What wakes a Go program wakes more than one thread: the one that waits for timers, one that goes on with the goroutine,
	// and the runtime's monitor (sysmon), which then sleeps in growing steps until it finds that nothing is left to do. So one
	// tick is five to twelve switches; between two of them there is none at all. A ticker of a second would be 90 or more.
	mostWakeUps = 30
)

// TestIdle holds a launcher that has nothing to do, with a server that is idle too, to doing nothing.
func TestIdle(t *testing.T) {
	needRelease(t)
	for _, tt := range []struct {
		name  string
		setUp func(*builtLauncher, *testing.T)
		calls int
	}{
		{"serving", (*builtLauncher).signIn, 3},
		{"at the gate", (*builtLauncher).keyOnly, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := buildLauncher(t)
			tt.setUp(l, t)
			got := l.wakeUps(t, tt.calls)
			t.Logf("%d wake-ups in %s", got, idleTime)
			if got > mostWakeUps {
				t.Errorf("%d wake-ups in %s; no more than %d are to be", got, idleTime, mostWakeUps)
			}
		})
	}
}

// keyOnly is signIn for somebody who has never signed in.
func (l *builtLauncher) keyOnly(t *testing.T) {
	t.Helper()
	key := filepath.Join(l.home, "key")
	l.configure(t, `, "auth": { "account": "work" }`, fmt.Sprintf(`, "store": { "kind": "file", "keyFile": %q }`, key))
	if err := keyring.NewKeyFile(key); err != nil {
		t.Fatal(err)
	}
}

// wakeUps runs the launcher for a client that makes some calls and then asks for nothing, and tells how often a thread of it
// was woken then.
func (l *builtLauncher) wakeUps(t *testing.T, calls int) int {
	t.Helper()
	cmd := exec.Command(l.program, l.args...)
	cmd.Env = l.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	answers, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		cmd.Wait() // at the gate its end is a failure
		if t.Failed() {
			t.Logf("stderr: %s", &stderr)
		}
	}()
	if err := makeCalls(in, bufio.NewReader(answers), calls); err != nil {
		t.Fatal(err)
	}
	time.Sleep(settleTime)
	before := switches(t, cmd.Process.Pid)
	time.Sleep(idleTime)
	return switches(t, cmd.Process.Pid) - before
}

// switches are the voluntary context switches of all threads of a process: each is followed by a wake-up.
func switches(t *testing.T, pid int) (all int) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(files) == 0 {
		t.Fatalf("the threads of %d: %q, %v", pid, files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err) // no thread of a Go program ends, as a rule
		}
		_, count, _ := strings.Cut(string(text), "\nvoluntary_ctxt_switches:")
		count, _, _ = strings.Cut(count, "\n")
		n, err := strconv.Atoi(strings.TrimSpace(count))
		if err != nil {
			t.Fatal(err)
		}
		all += n
	}
	return all
}
