package keyring

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// checkAccess has nothing to look at: mode bits are made up on Windows, and
// the folders we use inherit an access list for this user, SYSTEM and
// Administrators from the profile.
func checkAccess(string, fs.FileInfo, fs.FileMode) error { return nil }

func openNoFollow(path string) (*os.File, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode()&(fs.ModeSymlink|fs.ModeIrregular) != 0 {
		return nil, insecure("%s is a link", path)
	}
	return os.Open(path)
}

// rename tries again for two seconds: a virus scanner or a reader that has the
// target open makes Windows refuse for a moment.
func rename(from, to string) error {
	const wait, tries = 20 * time.Millisecond, 100
	var err error
	for range tries {
		err = os.Rename(from, to)
		if !errors.Is(err, windows.ERROR_ACCESS_DENIED) && !errors.Is(err, windows.ERROR_SHARING_VIOLATION) {
			return err
		}
		time.Sleep(wait)
	}
	return err
}

// syncDir has no counterpart: NTFS journals its folders.
func syncDir(string) error { return nil }

func noSpace(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}
