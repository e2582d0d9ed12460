package proc

import (
	"context"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// awaitParent waits for a descriptor of the parent, which can be read once it has ended (pidfd_open(2), Linux 5.3).
func awaitParent(ctx context.Context) {
	fd, err := unix.PidfdOpen(parentAtStart, 0)
	if err != nil {
		return
	}
	if unix.SetNonblock(fd, true) != nil { // or the runtime does not wait for it
		_ = unix.Close(fd)
		return
	}
	pidfd := os.NewFile(uintptr(fd), "parent process")
	defer pidfd.Close()
	conn, err := pidfd.SyscallConn()
	if err != nil || pidfd.SetReadDeadline(time.Time{}) != nil {
		return
	}
	defer context.AfterFunc(ctx, func() { _ = pidfd.SetReadDeadline(time.Now()) })()
	if orphaned() { // before the descriptor was there, which may be another process's
		return
	}
	_ = conn.Read(func(fd uintptr) bool { // an error is the deadline
		ended := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(ended, 0)
		return n > 0 || err != nil && err != unix.EINTR
	})
}
