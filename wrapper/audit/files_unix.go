//go:build !windows

package audit

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func checkAccess(path string, info fs.FileInfo, want fs.FileMode) error {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return insecure("%s belongs to user %d, want %d", path, st.Uid, os.Geteuid())
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return insecure("%s has mode %04o, want %04o", path, mode, want)
	}
	return nil
}

// openNoFollow adds O_NONBLOCK, since a named pipe in the file's place must not hang us, and O_APPEND, since not even a
// mistake of ours may overwrite a record.
func openNoFollow(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, flag|unix.O_NOFOLLOW|unix.O_NONBLOCK|os.O_APPEND, 0o600)
	if errors.Is(err, unix.ELOOP) {
		return nil, insecure("%s is a symbolic link", path)
	}
	if errors.Is(err, unix.EISDIR) || errors.Is(err, unix.ENXIO) {
		return nil, insecure("%s is not a regular file", path)
	}
	return f, err
}

// writeEnd writes b behind the file's end, in one call of the system unless space runs out.
func writeEnd(f *os.File, b []byte, _ int64) error {
	_, err := f.Write(b)
	return err
}

// tryLock uses flock, which goes with the process however it ends.
func tryLock(f *os.File) (bool, error) {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EINTR) {
		return false, nil
	}
	return err == nil, err
}

func unlock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_UN) }

// removed tells whether the file has no name any more.
func removed(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Nlink == 0
}

// moved tells whether another file, or none, is where f was opened.
func moved(f *os.File, info fs.FileInfo) bool { return !stillThere(f, info, f.Name()) }

func noSpace(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// stillThere tells whether path still leads to f.
func stillThere(f *os.File, mine fs.FileInfo, path string) bool {
	theirs, err := os.Lstat(path)
	return err == nil && os.SameFile(mine, theirs)
}
