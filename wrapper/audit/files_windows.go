package audit

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// checkAccess has nothing to look at: mode bits are made up on Windows, and the state folder inherits an access list for
// this user, SYSTEM and Administrators from the profile.
func checkAccess(string, fs.FileInfo, fs.FileMode) error { return nil }

// openNoFollow opens without append mode, in which Windows lets nobody take an unfinished line back.
func openNoFollow(path string, flag int) (*os.File, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode()&(fs.ModeSymlink|fs.ModeIrregular) != 0 {
		return nil, insecure("%s is a link", path)
	}
	return os.OpenFile(path, flag, 0o600)
}

// writeEnd writes b at the file's end, which the caller knows under the lock.
func writeEnd(f *os.File, b []byte, end int64) error {
	_, err := f.WriteAt(b, end)
	return err
}

// tryLock locks the first byte of the lock file; the system releases it with the handle.
func tryLock(f *os.File) (bool, error) {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return false, nil
	}
	return err == nil, err
}

func unlock(f *os.File) error {
	return windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, new(windows.Overlapped))
}

// removed and moved have nothing to find: Windows keeps a file that is open where it is.
func removed(fs.FileInfo) bool         { return false }
func moved(*os.File, fs.FileInfo) bool { return false }

func noSpace(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}
