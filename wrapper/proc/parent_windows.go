package proc

import (
	"context"
	"os"

	"golang.org/x/sys/windows"
)

// watchParent holds a handle of the parent. Windows gives an orphan no new parent, and gives the dead
// parent's number to others: a "parent" that is younger than we are is one of those.
func watchParent() (p parent, ok bool) {
	const access = windows.SYNCHRONIZE | windows.PROCESS_QUERY_LIMITED_INFORMATION
	process, err := windows.OpenProcess(access, false, uint32(os.Getppid()))
	if err != nil {
		return p, false
	}
	p.release = func() { _ = windows.CloseHandle(process) } // nothing to do about a failure
	if born(process) > born(windows.CurrentProcess()) {
		p.release()
		return p, false
	}
	p.dead = func() bool {
		state, err := windows.WaitForSingleObject(process, 0)
		return err == nil && state == windows.WAIT_OBJECT_0
	}
	p.await = func(ctx context.Context) { awaitProcess(ctx, process) }
	return p, true
}

// awaitProcess waits for the end of a process, or of ctx. It takes a thread.
func awaitProcess(ctx context.Context, process windows.Handle) {
	over, err := windows.CreateEvent(nil, 1, 0, nil)
	if err != nil {
		return
	}
	told := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(told)
		_ = windows.SetEvent(over) // it is ours: it cannot fail
	})
	_, _ = windows.WaitForMultipleObjects([]windows.Handle{process, over}, false, windows.INFINITE) // who asks looks by itself
	if !stop() {
		<-told
	}
	_ = windows.CloseHandle(over)
}

// born is when a process started, in nanoseconds; 0 if that is not to be known.
func born(process windows.Handle) int64 {
	var created, exited, kernel, user windows.Filetime
	if windows.GetProcessTimes(process, &created, &exited, &kernel, &user) != nil {
		return 0
	}
	return created.Nanoseconds()
}
