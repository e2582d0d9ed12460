package proc

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// childAttr: the group is for us to kill, the death signal for when we cannot any more.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// siginfoChild is the part of siginfo_t that waitid(2) fills; x/sys names only its head.
type siginfoChild struct {
	_      [3]int32   // si_signo, si_errno, si_code: in an order that differs by architecture
	_      [0]uintptr // the union that follows has the alignment of a pointer
	_, _   int32      // si_pid, si_uid
	Status int32
}

// wait blocks until the leader has ended and leaves it a zombie, so that the group keeps its number.
func (t *tree) wait() int {
	var info unix.Siginfo
	for {
		err := unix.Waitid(unix.P_PID, t.leader.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			return t.lostExit()
		}
	}
	const cldExited = 1 // CLD_EXITED; the others that can come here are CLD_KILLED and CLD_DUMPED
	status := int((*siginfoChild)(unsafe.Pointer(&info)).Status)
	if info.Code == cldExited {
		return status
	}
	return 128 + status
}

// lostExit ends the wait for a leader that somebody else reaped.
func (t *tree) lostExit() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gone = true
	return 255
}

// end kills the group and only then gives its number up.
func (t *tree) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = t.signalLocked(unix.SIGKILL) // fails for members that changed their user: beyond our power
	t.gone = true
	_, _ = t.leader.Wait() // reaps; how it ended is known
}
