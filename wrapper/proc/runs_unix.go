//go:build unix

package proc

import "golang.org/x/sys/unix"

// Runs tells whether there is a process with this id, as far as that can be told.
func Runs(pid int) bool { return pid > 0 && unix.Kill(pid, 0) != unix.ESRCH }
