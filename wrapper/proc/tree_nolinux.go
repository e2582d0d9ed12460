//go:build unix && !linux

package proc

import (
	"syscall"

	"golang.org/x/sys/unix"
)

func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// wait blocks until the leader has ended. It reaps it, as macOS has no reliable way to wait without
// (waitid returns for a stopped child, golang/go#19314), and looks at once whether the group still has
// members: only those keep its number from being given away.
func (t *tree) wait() int {
	state, err := t.leader.Wait()

	t.mu.Lock()
	defer t.mu.Unlock()
	t.gone = unix.Kill(-t.leader.Pid, 0) == unix.ESRCH
	if err != nil {
		return 255
	}
	return exitCode(state.Sys().(syscall.WaitStatus))
}

// end kills what is left of the group.
func (t *tree) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = t.signalLocked(unix.SIGKILL) // fails for members that changed their user: beyond our power
	t.gone = true
}
