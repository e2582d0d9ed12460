package overwrite

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// keepOwner gives a new file the owner of the one that it replaces: on Windows it is the folder's affair.
func keepOwner(*os.File, fs.FileInfo) error { return nil }

// moveOver renames a file over another. A virus scanner or an editor may hold that one for a moment.
func moveOver(from, to string) error {
	const sharingViolation = syscall.Errno(32)
	deadline := time.Now().Add(2 * time.Second)
	for {
		err := os.Rename(from, to)
		held := errors.Is(err, syscall.ERROR_ACCESS_DENIED) || errors.Is(err, sharingViolation)
		if !held || time.Now().After(deadline) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}
