//go:build unix

package proc_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mcp-valet/wrapper/proc"
)

func TestExitCodeOfSignal(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGHUP} {
		p := start(t, "signal", fmt.Sprint(int(sig)))
		if got, want := waitDone(t, p), 128+int(sig); got != want {
			t.Errorf("%v: got %d, want %d", sig, got, want)
		}
	}
}

func TestTerminate(t *testing.T) {
	p := start(t, "polite")
	readLine(t, p.Stdout())
	if err := p.Terminate(); err != nil {
		t.Fatal(err)
	}
	if got := waitDone(t, p); got != 7 {
		t.Errorf("exit code %d, want 7, the child's own", got)
	}
}

func TestOwnGroup(t *testing.T) {
	p := start(t, "deaf")
	pid := number(readLine(t, p.Stdout()))
	if group := must(unix.Getpgid(pid)); group != pid {
		t.Errorf("process %d is in group %d, not its own", pid, group)
	}
}

// TestGrandchildDies: by Kill while the child lives.
func TestGrandchildDies(t *testing.T) {
	p := start(t, "family")
	child, grandchild := number(readLine(t, p.Stdout())), number(readLine(t, p.Stdout()))
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	waitDone(t, p)
	gone(t, child, grandchild)
	if got := readAll(t, "stdout", p.Stdout()); got != "" {
		t.Errorf("stdout %q", got)
	}
}

// TestGrandchildLeftBehind: the child has ended, a grandchild holds its stdout open and heeds nothing.
func TestGrandchildLeftBehind(t *testing.T) {
	p := start(t, "family")
	readLine(t, p.Stdout())
	grandchild := number(readLine(t, p.Stdout()))
	p.Stdin().Close()
	if got := waitDone(t, p); got != 5 {
		t.Errorf("exit code %d, want 5", got)
	}
	if !alive(grandchild) {
		t.Fatal("the grandchild should outlive its parent until Close")
	}
	end := make(chan error, 1)
	go func() {
		_, err := io.ReadAll(p.Stdout())
		end <- err
	}()
	within(t, "Close", func() { p.Close() })
	within(t, "stdout", func() {
		if err := <-end; err != nil {
			t.Error(err)
		}
	})
	gone(t, grandchild)
}

// TestStdoutHeldByStranger: a process that left the group keeps the pipe open; we end all the same.
func TestStdoutHeldByStranger(t *testing.T) {
	shell := proc.Spec{Path: "/bin/sh", Args: []string{"-c", `setsid "$0" & exec "$0"`, spec("").Path}, Env: spec("sleep").Env}
	if _, err := exec.LookPath("setsid"); err != nil {
		t.Skip("needs setsid (util-linux)")
	}
	p := startSpec(t, shell)
	pids := []int{number(readLine(t, p.Stdout())), number(readLine(t, p.Stdout()))}
	var reading atomic.Int64
	end := make(chan error, 1)
	go func() {
		reading.Add(1)
		_, err := p.Stdout().Read(make([]byte, 1))
		end <- err
	}()
	settled(&reading)
	within(t, "Close", func() { p.Close() })
	within(t, "the read", func() {
		if err := <-end; err != io.EOF {
			t.Errorf("the read gave %v, want io.EOF", err)
		}
	})
	left := 0
	for _, pid := range pids {
		if pgid, err := unix.Getpgid(pid); err == nil && pgid == pid && alive(pid) {
			left++
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
	if left != 1 {
		t.Errorf("%d processes were left; the one in a session of its own should have been, or this tests nothing", left)
	}
}

// TestNoShebang: clients start such a script by execvp(3), and so it works without us.
func TestNoShebang(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("echo \"$1\"\nexit 4\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	p := startSpec(t, proc.Spec{Path: script, Args: []string{"an argument"}})
	if got := readAll(t, "stdout", p.Stdout()); got != "an argument\n" {
		t.Errorf("stdout %q", got)
	}
	if got := waitDone(t, p); got != 4 {
		t.Errorf("exit code %d, want 4", got)
	}

	for name, content := range map[string]string{
		"foreign":     "\x00\x01\x02\x03 a program for another machine",
		"interpreter": "#!/nowhere/python\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := proc.Start(proc.Spec{Path: path}); !errors.Is(err, proc.ErrNotExecutable) {
			t.Errorf("%s: got %v, want ErrNotExecutable", name, err)
		}
	}
}

// TestBlockingStreams: Python gives up on a stdin that does not block.
func TestBlockingStreams(t *testing.T) {
	p := start(t, "flags")
	if got := readAll(t, "stdout", p.Stdout()); got != "" {
		t.Errorf("not blocking: descriptors%s", got)
	}
}

func init() {
	roles["flags"] = func([]string) {
		for fd := range 3 {
			if must(unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0))&unix.O_NONBLOCK != 0 {
				fmt.Print(" ", fd)
			}
		}
	}
}

// alive says whether a process runs; a zombie does not.
func alive(pid int) bool {
	if unix.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !errors.Is(err, os.ErrNotExist) || !hasProc()
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}

func hasProc() bool {
	_, err := os.Stat("/proc/self/stat")
	return err == nil
}

// gone waits until none of the processes runs.
func gone(t testing.TB, pids ...int) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for _, pid := range pids {
		for alive(pid) {
			if time.Now().After(deadline) {
				_ = unix.Kill(pid, unix.SIGKILL)
				t.Fatalf("process %d lives", pid)
			}
			time.Sleep(5 * time.Millisecond) // no event tells of the end of somebody else's child
		}
	}
}
