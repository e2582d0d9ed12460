package proc_test

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mcp-valet/wrapper/proc"
)

// TestLauncherKilled: we die by SIGKILL, and our child with us although it heeds nothing.
func TestLauncherKilled(t *testing.T) {
	p := start(t, "launcher")
	launcher, child := number(readLine(t, p.Stdout())), number(readLine(t, p.Stdout()))
	if err := unix.Kill(launcher, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	gone(t, launcher, child)
}

// TestThreadEnds: the death signal is bound to the thread that forked, which must not be the caller's
// (golang/go#27505). The goroutine here takes its thread with it when it ends.
func TestThreadEnds(t *testing.T) {
	var p *proc.Process
	ended := make(chan int)
	go func() {
		runtime.LockOSThread()
		p = must(proc.Start(spec("echo")))
		ended <- unix.Gettid()
	}()
	thread := <-ended
	defer p.Close()
	task := fmt.Sprintf("/proc/self/task/%d", thread)
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(task); err != nil || thread == os.Getpid() {
			break // the main thread never ends
		}
		if time.Now().After(deadline) {
			t.Fatal("the thread does not end")
		}
	}
	if _, err := io.WriteString(p.Stdin(), "alive\n"); err != nil {
		t.Fatal(err)
	}
	if got := readLine(t, p.Stdout()); got != "alive" {
		t.Errorf("got %q", got)
	}
	p.Stdin().Close()
	if got := waitDone(t, p); got != 0 {
		t.Errorf("exit code %d: the child was killed when a thread of ours ended", got)
	}
}

// TestNothingLeft: no descriptor, goroutine, zombie or process stays behind.
func TestNothingLeft(t *testing.T) {
	var pids []int
	once := func() {
		p, err := proc.Start(spec("family"))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, number(readLine(t, p.Stdout())), number(readLine(t, p.Stdout())))
		p.Stdin().Close()
		waitDone(t, p)
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	once() // what the runtime opens for itself at the first child is there now
	files, goroutines := openFiles(t), runtime.NumGoroutine()
	for range 50 {
		once()
	}
	for range 50 {
		if _, err := proc.Start(proc.Spec{Path: "/nowhere/at/all"}); err == nil {
			t.Fatal("started nothing")
		}
	}
	settle(t, "goroutines", goroutines, runtime.NumGoroutine)
	if got := openFiles(t); got > files {
		t.Errorf("%d descriptors are open, %d were before", got, files)
	}
	for i, pid := range pids {
		if i%2 == 0 { // children are ours to reap, grandchildren init's
			if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil {
				t.Errorf("child %d was not reaped", pid)
			}
		}
	}
	gone(t, pids...)
}

// TestZombieUntilClose: the group's number stays ours to signal until Close.
func TestZombieUntilClose(t *testing.T) {
	p := start(t, "sleep")
	pid := number(readLine(t, p.Stdout()))
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	waitDone(t, p)
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil || !strings.Contains(string(stat), ") Z ") {
		t.Errorf("want a zombie, got %q, %v", stat, err)
	}
	p.Close()
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil {
		t.Error("still there after Close")
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// settle waits for a count that may lag behind, as goroutines end a moment after they were joined.
func settle(t *testing.T, what string, most int, count func() int) {
	t.Helper()
	for deadline := time.Now().Add(patience); count() > most; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("%d %s, %d before", count(), what, most)
			return
		}
	}
}
