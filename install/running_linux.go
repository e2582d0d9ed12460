package install

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// processes lists what this user runs, from /proc.
func processes() ([]process, error) {
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("listing the processes: %w", err)
	}
	var all []process
	for _, d := range dirs {
		if d.Name()[0] < '1' || d.Name()[0] > '9' {
			continue
		}
		if p, ok := readProcess(filepath.Join("/proc", d.Name())); ok {
			all = append(all, p)
		}
	}
	return all, nil
}

// readProcess reads one folder of /proc; a process that has ended meanwhile, or is another user's, is none.
func readProcess(dir string) (process, bool) {
	info, err := os.Stat(dir)
	if err != nil {
		return process{}, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) != os.Getuid() {
		return process{}, false
	}
	comm, err := os.ReadFile(filepath.Join(dir, "comm"))
	if err != nil {
		return process{}, false
	}
	exe, err := os.Readlink(filepath.Join(dir, "exe"))
	if err != nil {
		return process{}, false // a zombie, or a thread of the kernel: it has no program
	}
	return process{strings.TrimSuffix(string(comm), "\n"), strings.TrimSuffix(exe, " (deleted)")}, true
}
