package proc

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// killedCode is the exit code of a child that Kill ended; Windows has no signals to tell it by.
const killedCode = 1

// tree is a Job Object. Its only handle is ours and not inheritable: however we die, the kernel
// closes it and kills all members. Members cannot break away.
type tree struct {
	mu     sync.Mutex
	job    windows.Handle // 0 once end has run
	leader *os.Process
}

func (t *tree) start(s Spec, files []*os.File) error {
	job, err := newJob()
	if err != nil {
		return err
	}
	leader, err := startProcess(s, files, windows.CREATE_SUSPENDED|windows.CREATE_NO_WINDOW)
	if err != nil {
		_ = windows.CloseHandle(job) // empty
		return err
	}
	if err := enterJob(leader, job); err != nil {
		_ = leader.Kill() // still suspended: it has done nothing
		_, _ = leader.Wait()
		_ = windows.CloseHandle(job)
		return err
	}
	t.leader, t.job = leader, job
	return nil
}

func newJob() (windows.Handle, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return 0, os.NewSyscallError("CreateJobObject", err)
	}
	var limits windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	limits.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)))
	if err != nil {
		_ = windows.CloseHandle(job) // empty
		return 0, os.NewSyscallError("SetInformationJobObject", err)
	}
	return job, nil
}

// startProcess starts batch files by cmd.exe, which CreateProcess would do on its own, but with a
// command line that nobody checked.
func startProcess(s Spec, files []*os.File, flags uint32) (*os.Process, error) {
	attr := &os.ProcAttr{Dir: s.Dir, Env: s.Env, Files: files, Sys: &syscall.SysProcAttr{CreationFlags: flags}}
	if attr.Env == nil {
		attr.Env = []string{} // os.StartProcess would hand on ours
	}
	if !isBatch(s.Path) {
		return os.StartProcess(s.Path, append([]string{s.Path}, s.Args...), attr)
	}
	system, err := windows.GetSystemDirectory()
	if err != nil {
		return nil, os.NewSyscallError("GetSystemDirectory", err)
	}
	shell := filepath.Join(system, "cmd.exe")
	if attr.Sys.CmdLine, err = batchCommandLine(shell, s.Path, s.Args); err != nil {
		return nil, err
	}
	return os.StartProcess(shell, nil, attr)
}

// enterJob puts a suspended process into the job and lets it run: so no moment is left in which it
// could start something outside.
func enterJob(p *os.Process, job windows.Handle) error {
	var assignErr error
	err := p.WithHandle(func(h uintptr) {
		assignErr = os.NewSyscallError("AssignProcessToJobObject", windows.AssignProcessToJobObject(job, windows.Handle(h)))
	})
	if err = errors.Join(err, assignErr); err != nil {
		return err
	}
	return resume(uint32(p.Pid))
}

// resume starts a suspended process. os.StartProcess closes the handle of its first thread, so the
// thread is looked up among all of the system's.
func resume(pid uint32) error {
	snapshot, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPTHREAD, 0)
	if err != nil {
		return os.NewSyscallError("CreateToolhelp32Snapshot", err)
	}
	defer windows.CloseHandle(snapshot)

	resumed := 0
	entry := windows.ThreadEntry32{Size: uint32(unsafe.Sizeof(windows.ThreadEntry32{}))}
	for err = windows.Thread32First(snapshot, &entry); err == nil; err = windows.Thread32Next(snapshot, &entry) {
		if entry.OwnerProcessID != pid {
			continue
		}
		if err := resumeThread(entry.ThreadID); err != nil {
			return err
		}
		resumed++
	}
	if !errors.Is(err, windows.ERROR_NO_MORE_FILES) {
		return os.NewSyscallError("Thread32Next", err)
	}
	if resumed == 0 {
		return fmt.Errorf("suspended child %d has no thread", pid)
	}
	return nil
}

func resumeThread(id uint32) error {
	thread, err := windows.OpenThread(windows.THREAD_SUSPEND_RESUME, false, id)
	if err != nil {
		return os.NewSyscallError("OpenThread", err)
	}
	defer windows.CloseHandle(thread)
	_, err = windows.ResumeThread(thread)
	return os.NewSyscallError("ResumeThread", err)
}

func (t *tree) wait() int {
	state, err := t.leader.Wait()
	if err != nil {
		return 255
	}
	return state.ExitCode()
}

func (p *Process) terminate() error { return p.stdin.Close() }

func (t *tree) kill() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.job == 0 {
		return nil
	}
	return os.NewSyscallError("TerminateJobObject", windows.TerminateJobObject(t.job, killedCode))
}

// end kills what is left in the job and gives it up.
func (t *tree) end() {
	_ = t.kill() // closing the job kills, too
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = windows.CloseHandle(t.job) // nothing left to do about a handle that cannot be closed
	t.job = 0
}
