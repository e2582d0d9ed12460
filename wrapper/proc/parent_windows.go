package proc

import (
	"os"

	"golang.org/x/sys/windows"
)

// watchParent holds a handle of the parent. Windows gives an orphan no new parent, and gives the dead
// parent's number to others: a "parent" that is younger than we are is one of those.
func watchParent() (dead func() bool, release func(), ok bool) {
	const access = windows.SYNCHRONIZE | windows.PROCESS_QUERY_LIMITED_INFORMATION
	parent, err := windows.OpenProcess(access, false, uint32(os.Getppid()))
	if err != nil {
		return nil, nil, false
	}
	release = func() { _ = windows.CloseHandle(parent) } // nothing to do about a failure
	if born(parent) > born(windows.CurrentProcess()) {
		release()
		return nil, nil, false
	}
	dead = func() bool {
		state, err := windows.WaitForSingleObject(parent, 0)
		return err == nil && state == windows.WAIT_OBJECT_0
	}
	return dead, release, true
}

// born is when a process started, in nanoseconds; 0 if that is not to be known.
func born(process windows.Handle) int64 {
	var created, exited, kernel, user windows.Filetime
	if windows.GetProcessTimes(process, &created, &exited, &kernel, &user) != nil {
		return 0
	}
	return created.Nanoseconds()
}
