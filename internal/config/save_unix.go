//go:build unix

package config

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// othersMayWrite says what to do about a config file that somebody else could have written: whoever writes it decides
// which programs get our tokens. Others may read it, since it holds no secret. "" means that all is well.
func othersMayWrite(path string, info fs.FileInfo) string {
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Sprintf("other users may write this file (mode %#o); do: chmod go-w %s", info.Mode().Perm(), path)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if us := os.Geteuid(); ok && us != 0 && int(stat.Uid) != us && stat.Uid != 0 {
		return "this file belongs to another user"
	}
	for _, dir := range foldersOf(path) {
		info, err := os.Stat(dir)
		if err == nil && info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
			return fmt.Sprintf("every user may replace this file; do: chmod o-w %s", dir)
		}
	}
	return ""
}

// foldersOf gives the folder that a file is named in, and the one it is really in.
func foldersOf(path string) []string {
	dirs := []string{filepath.Dir(path)}
	if real, err := filepath.EvalSymlinks(path); err == nil && filepath.Dir(real) != dirs[0] {
		dirs = append(dirs, filepath.Dir(real))
	}
	return dirs
}
