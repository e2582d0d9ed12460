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
	var f *os.File
	err = untilFree(func() (err error) { f, err = os.Open(path); return err })
	return f, err
}

func rename(from, to string) error { return untilFree(func() error { return os.Rename(from, to) }) }

// untilFree tries again for two seconds: a virus scanner, a reader that has the
// file open, or a writer that is just replacing or removing it makes Windows
// refuse for a moment.
func untilFree(do func() error) error {
	const wait, tries = 20 * time.Millisecond, 100
	var err error
	for range tries {
		err = do()
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
