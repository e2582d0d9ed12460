//go:build unix

package proc

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// tree is a process group led by the direct child.
//
// The kernel gives a number to a new process only when no process and no group has it. As long as the
// leader has not been reaped, or a member lives, a signal to the group cannot hit a stranger.
type tree struct {
	mu     sync.Mutex
	leader *os.Process
	gone   bool // the group's number may belong to somebody else: no more signals
}

func (t *tree) start(s Spec, files []*os.File) error {
	leader, err := startProcess(s, files, childAttr())
	if err != nil {
		return err
	}
	t.leader = leader
	return nil
}

// startProcess runs a script without "#!" line by the shell, as execvp(3), and so every client, does.
func startProcess(s Spec, files []*os.File, attr *syscall.SysProcAttr) (*os.Process, error) {
	pa := &os.ProcAttr{Dir: s.Dir, Env: s.Env, Files: files, Sys: attr}
	if pa.Env == nil {
		pa.Env = []string{} // os.StartProcess would hand on ours
	}
	argv := append([]string{s.Path}, s.Args...)
	p, err := os.StartProcess(s.Path, argv, pa)
	if errors.Is(err, unix.ENOEXEC) && isText(s.Path) {
		return os.StartProcess("/bin/sh", append([]string{"sh"}, argv...), pa)
	}
	return p, err
}

// isText tells a script from a program for another machine.
func isText(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 256)
	n, err := io.ReadFull(f, head)
	return (err == nil || errors.Is(err, io.ErrUnexpectedEOF)) && bytes.IndexByte(head[:n], 0) < 0
}

func (p *Process) terminate() error { return p.tree.signal(unix.SIGTERM) }

func (t *tree) kill() error { return t.signal(unix.SIGKILL) }

func (t *tree) signal(sig unix.Signal) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.signalLocked(sig)
}

func (t *tree) signalLocked(sig unix.Signal) error {
	if t.gone {
		return nil
	}
	err := unix.Kill(-t.leader.Pid, sig)
	if err == unix.ESRCH { // nobody left
		return nil
	}
	return os.NewSyscallError("kill", err)
}

// exitCode is a shell's view of how a process ended.
func exitCode(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}
