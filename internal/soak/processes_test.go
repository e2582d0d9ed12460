//go:build linux

package soak

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is one of the system's.
type process struct {
	pid, parent int
	started     string // since the system's start, as the kernel has it
	zombie      bool
	command     string // its arguments, between blanks
}

func (p process) isAgent() bool { return strings.Contains(p.command, " agent ") }

func (p process) isGrandchild() bool {
	env, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.pid))
	return bytes.Contains(env, []byte(roleVar+"=grandchild"))
}

// runs tells whether the very process is still there, and not yet dead.
func (p process) runs() bool {
	now, ok := look(p.pid)
	return ok && now.started == p.started && !now.zombie
}

func look(pid int) (p process, ok bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return p, false
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 {
		return p, false
	}
	p = process{pid: pid, started: fields[19], zombie: fields[0] == "Z" || fields[0] == "X"}
	p.parent, _ = strconv.Atoi(fields[1])
	return p, true
}

// again is the process with its arguments as they are now: one that has just been forked still has its parent's.
func (p process) again() process {
	args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid))
	p.command = strings.ReplaceAll(string(args), "\x00", " ")
	return p
}

func allPids() (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// processes are those of the schedule: whoever has its home, in the environment or, as only root sees that of mcp-valet,
// among the arguments.
func (s *schedule) processes() (all []process) {
	for _, pid := range allPids() {
		p, ok := look(pid)
		if !ok || p.zombie {
			continue
		}
		env, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)) // it may be gone, or not ours
		if p = p.again(); bytes.Contains(env, []byte("HOME="+s.dir+"\x00")) || strings.Contains(p.command, s.dir+"/") {
			all = append(all, p)
		}
	}
	return all
}

// sweep ends what a failed schedule has left, and gives its disk back.
func (s *schedule) sweep() {
	for _, p := range s.processes() {
		syscall.Kill(p.pid, syscall.SIGKILL)
	}
	if s.tmpfs {
		syscall.Unmount(s.state(), 2) // MNT_DETACH
	}
	filepath.Walk(s.dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.IsDir() {
			os.Chmod(path, 0o700)
		}
		return nil
	})
}

// watchArguments looks at the arguments of all processes until stop, which gives those that held a secret.
func watchArguments() (stop func() []string) {
	done := make(chan struct{})
	var watching sync.WaitGroup
	var found []string
	watching.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(100 * time.Millisecond):
			}
			for _, pid := range allPids() {
				args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
				if err != nil || len(args) == 0 {
					continue
				}
				met("invariant 5: looks at arguments")
				if hasSecret(string(args)) {
					found = append(found, secretText.ReplaceAllString(string(args), "[secret]"))
				}
			}
		}
	})
	return func() []string {
		close(done)
		watching.Wait()
		return found
	}
}
