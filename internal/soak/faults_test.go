//go:build linux

package soak

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// happen does what happens to processes and files, at its time.
func (s *schedule) happen(f machineFault) {
	time.Sleep(f.at)
	met("machine: %s", f.kind)
	switch f.kind {
	case "kill-launcher":
		if c := s.currentOf(f.target); c != nil && c.runs() {
			s.mustDie(c, s.killLauncher(c))
		}
	case "kill-agent":
		s.catchAgent(f.length, func(p process) {
			s.excuse(killedAgent) // before it is done, as others may notice at once
			syscall.Kill(p.pid, syscall.SIGKILL)
			met("agents killed")
		})
	case "stop-agent":
		s.catchAgent(f.length, func(p process) {
			s.note("stopped: %s", p.command)
			syscall.Kill(p.pid, syscall.SIGSTOP)
			time.Sleep(f.length)
			syscall.Kill(p.pid, syscall.SIGCONT)
			s.note("continued: %d", p.pid)
			met("agents stopped")
		})
	case "corrupt-record":
		s.corrupt(f.target, filepath.Join(s.state(), "store", fileName("account/"+account)+".age"))
	case "corrupt-state":
		s.corrupt(f.target, filepath.Join(s.state(), "accounts", account+".json"))
	case "corrupt-signin":
		s.corrupt(f.target, filepath.Join(s.state(), "accounts", account+".signin"))
	case "corrupt-index":
		s.corrupt(f.target, filepath.Join(s.state(), "index.json"))
	case "corrupt-snapshot":
		files, _ := filepath.Glob(filepath.Join(s.state(), "snapshots", "*.json"))
		for _, file := range files {
			s.corrupt(f.target, file)
		}
	case "disk-full":
		s.fillDisk(f.length)
	}
}

// catchAgent does something to the first agent that shows up within a time.
func (s *schedule) catchAgent(within time.Duration, do func(process)) {
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		for _, p := range s.processes() {
			if p.isAgent() {
				do(p)
				return
			}
		}
	}
}

// fileName is how the store names the file of a record.
func fileName(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}

// corrupt damages a file in one of several ways.
func (s *schedule) corrupt(way int, path string) {
	b, err := os.ReadFile(path)
	if err != nil {
		return
	}
	s.excuse(corrupted)
	s.note("corrupt (%d): %s", way%3, path)
	met("files corrupted")
	switch way % 3 {
	case 0:
		b = b[:len(b)/2]
	case 1:
		b = nil
	case 2:
		for i := range b {
			b[i] ^= byte(i)
		}
	}
	os.WriteFile(path, b, 0o600)
}

// fillDisk leaves no room in the state folder for a while; where it is no disk of its own, its folders take no file.
func (s *schedule) fillDisk(d time.Duration) {
	s.excuse(diskFull)
	if !s.tmpfs {
		folders := []string{s.state()}
		for _, name := range []string{"accounts", "store"} {
			folders = append(folders, filepath.Join(s.state(), name))
		}
		for _, f := range folders {
			os.Chmod(f, 0o500)
		}
		time.Sleep(d)
		for _, f := range folders {
			os.Chmod(f, 0o700)
		}
		return
	}
	met("disks filled")
	path := filepath.Join(s.state(), "filler")
	f, err := os.Create(path)
	if err != nil {
		return
	}
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	time.Sleep(d)
	f.Close()
	os.Remove(path)
	s.note("the disk has room again")
}

// shiftClock has the issuer's clock be wrong for a while.
func (s *schedule) shiftClock() {
	time.Sleep(s.shift.at)
	met("clock jumps")
	s.setShift(s.shiftBy)
	time.Sleep(s.shift.length)
	s.setShift(0)
}

func (s *schedule) setShift(by time.Duration) {
	s.note("the issuer's clock is wrong by %s", by)
	s.issuer.mu.Lock()
	defer s.issuer.mu.Unlock()
	s.issuer.shift = by
}

// killLauncher kills a launcher, and gives the servers that it leaves.
func (s *schedule) killLauncher(c *client) (direct []process) {
	for _, p := range s.processes() {
		if p.parent == c.cmd.Process.Pid && !p.isAgent() {
			direct = append(direct, p)
		}
	}
	s.excuse(killLauncher)
	s.note("%s: killed", c.label)
	met("launchers killed")
	c.kill()
	return direct
}

// mustDie makes sure that the servers of a launcher that was killed, or has ended, are gone.
func (s *schedule) mustDie(c *client, direct []process) {
	for _, p := range direct {
		met("invariant 6: servers of killed launchers watched")
		for deadline := time.Now().Add(3 * time.Second); p.runs() && !p.again().isAgent(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				s.breach(nothingLeft, "%s: its server %d runs on, 3 s after the launcher was killed", c.label, p.pid)
				break
			}
		}
	}
}
