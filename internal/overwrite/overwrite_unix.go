//go:build unix

package overwrite

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// keepOwner gives a new file the owner of the one that it replaces: an administrator who edits a person's config must
// not lock that person out of it.
func keepOwner(f *os.File, old fs.FileInfo) error {
	stat, ok := old.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) == os.Geteuid() {
		return nil // a group that we cannot give it is no loss
	}
	return f.Chown(int(stat.Uid), int(stat.Gid))
}

// moveOver renames a file over another and makes that last.
func moveOver(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(to))
	if err != nil {
		return nil // the rename is done; on a folder that cannot be read there is nothing more to do
	}
	defer dir.Close()
	_ = dir.Sync() // some file systems refuse it
	return nil
}
