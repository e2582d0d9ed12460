//go:build unix

package install

import (
	"os"
	"syscall"
)

// Links counts the names that a file has; 0 for one that cannot be looked at.
func Links(path string) int {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	return int(stat.Nlink)
}
