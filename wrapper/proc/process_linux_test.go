package proc_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mcp-valet/wrapper/proc"
)

func init() {
	// tty tells by its exit code whether it has a terminal, and waits for its file's end like "detached".
	roles["tty"] = func(args []string) {
		answer := "no terminal"
		if f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0); err == nil {
			f.Close()
			answer = "a terminal"
		}
		writeFile(args[0], answer)
		roles["detached"](args[1:])
	}

	// tty owner has a terminal and detaches a child.
	roles["tty owner"] = func(args []string) {
		must(os.OpenFile("/dev/tty", os.O_RDWR, 0)) // else this tests nothing
		must(proc.Detach(spec("tty", args...)))
		time.Sleep(longer) // the terminal's end ends it
	}
}

// TestShortLivedStarters: each goroutine takes the thread that called Start with it.
func TestShortLivedStarters(t *testing.T) {
	const many = 24
	var children [many]*proc.Process
	var threads [many]int
	var errs [many]error
	var all sync.WaitGroup
	stop := endThreads()
	for i := range many {
		all.Go(func() {
			runtime.LockOSThread()
			children[i], errs[i] = proc.Start(spec("echo"))
			threads[i] = unix.Gettid()
		})
	}
	within(t, "Start", all.Wait)
	stop()
	for _, p := range children {
		if p != nil {
			defer p.Close()
		}
	}
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	settle(t, "threads", 0, func() int { return running(threads[:]) })
	for i, p := range children {
		if _, err := fmt.Fprintln(p.Stdin(), i); err != nil {
			t.Fatal(err)
		}
		if got := readLine(t, p.Stdout()); got != fmt.Sprint(i) {
			t.Errorf("got %q, want %d", got, i)
		}
		p.Stdin().Close()
		if got := waitDone(t, p); got != 0 {
			t.Errorf("child %d: exit code %d: it was killed when a thread of ours ended", i, got)
		}
	}
}

// endThreads makes goroutines that take their thread along, one after the other, until it is told to
// stop: a thread that only happens to be the right one will not last.
func endThreads() (stop func()) {
	stopped := make(chan struct{})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-stopped:
					return
				default:
				}
				var one sync.WaitGroup
				one.Go(runtime.LockOSThread)
				one.Wait()
			}
		})
	}
	return func() { close(stopped); all.Wait() }
}

// running counts those of our threads that have not ended. The main thread never does.
func running(threads []int) int {
	n := 0
	for _, tid := range threads {
		if _, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", tid)); err == nil && tid != os.Getpid() {
			n++
		}
	}
	return n
}

// TestDetachLeavesTerminal: the window is closed, and takes along all that has its terminal.
func TestDetachLeavesTerminal(t *testing.T) {
	dir := t.TempDir()
	answer, here := filepath.Join(dir, "answer"), filepath.Join(dir, "here")
	window, terminal := openTerminal(t)
	s := spec("tty owner", answer, here)
	owner, err := os.StartProcess(s.Path, append([]string{s.Path}, s.Args...), &os.ProcAttr{
		Env: s.Env, Files: []*os.File{terminal, terminal, os.Stderr},
		Sys: &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		t.Fatal(err)
	}
	terminal.Close()
	if got := waitFile(t, answer); got != "no terminal" {
		t.Errorf("the detached child has %s", got)
	}
	var pid int
	fmt.Sscan(waitFile(t, here), &pid)

	window.Close()
	within(t, "the owner of the terminal", func() {
		state, err := owner.Wait()
		if err != nil || state.Sys().(syscall.WaitStatus).Signal() != syscall.SIGHUP {
			t.Errorf("the owner of the terminal ended by %v, %v; want SIGHUP, or this tests nothing", state, err)
		}
	})
	if !alive(pid) {
		t.Error("the detached child ended with the terminal")
	}
	if err := os.Remove(here); err != nil {
		t.Fatal(err)
	}
	gone(t, pid)
}

// openTerminal makes a pseudo terminal (pty(7)).
func openTerminal(t *testing.T) (window, terminal *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal(err)
	} else if err != nil {
		t.Skip("needs /dev/ptmx: mount devpts")
	}
	window = os.NewFile(uintptr(fd), "window")
	t.Cleanup(func() { window.Close() })
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("/dev/pts/%d", must(unix.IoctlGetInt(fd, unix.TIOCGPTN)))
	terminal, err = os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return window, terminal
}

// TestDetachLeavesNothing: no descriptor, goroutine or zombie stays once the child has ended.
func TestDetachLeavesNothing(t *testing.T) {
	once := func() {
		d, err := proc.Detach(proc.Spec{Path: "/bin/sh", Args: []string{"-c", "exit 0"}})
		if err != nil {
			t.Fatal(err)
		}
		must(d.Wait(t.Context()))
	}
	once() // what the runtime opens for itself at the first child is there now
	settle(t, "children", 0, children)
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collected file is closed: the collector would hide a leak
	files, goroutines := openFiles(t), runtime.NumGoroutine()
	for range 50 {
		once()
		if _, err := proc.Detach(proc.Spec{Path: "/nowhere/at/all"}); err == nil {
			t.Fatal("started nothing")
		}
	}
	settle(t, "children", 0, children)
	settle(t, "goroutines", goroutines, runtime.NumGoroutine)
	if got := openFiles(t); got > files {
		t.Errorf("%d descriptors are open, %d were before", got, files)
	}
}

// children counts our children, zombies too.
func children() int {
	n := 0
	for _, process := range must(filepath.Glob("/proc/[0-9]*/stat")) {
		stat, err := os.ReadFile(process)
		if err != nil {
			continue // ended meanwhile
		}
		var state string
		var parent int
		_, after, _ := strings.Cut(string(stat), ") ")
		fmt.Sscan(after, &state, &parent)
		if parent == os.Getpid() {
			n++
		}
	}
	return n
}
