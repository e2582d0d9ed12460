//go:build unix

package proc_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDetachSurvives: we, all of our group and all else that we started are killed.
func TestDetachSurvives(t *testing.T) {
	file := filepath.Join(t.TempDir(), "here")
	p := start(t, "detacher", file)
	starter := number(readLine(t, p.Stdout()))
	var pid, session int
	var dir string
	var null bool
	if _, err := fmt.Sscan(waitFile(t, file), &pid, &session, &dir, &null); err != nil {
		t.Fatal(err)
	}
	if session != pid || dir != "/" || !null {
		t.Errorf("process %d: session %d, directory %q, null streams %v; want its own session, / and true", pid, session, dir, null)
	}

	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	waitDone(t, p)
	within(t, "Close", func() { p.Close() })
	gone(t, starter)
	if !alive(pid) {
		t.Fatal("the detached child died with the one that started it")
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	gone(t, pid)
}

// TestParentGone: the parent is killed while everything it had open stays open.
func TestParentGone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gone")
	p := start(t, "between", file)
	parent := number(readLine(t, p.Stdout()))
	readLine(t, p.Stdout()) // the watch is on
	if _, err := os.Stat(file); err == nil {
		t.Fatal("the parent lives")
	}
	if err := unix.Kill(parent, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitFile(t, file)
}
