package keyring

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// staleAfter is how old a file nobody points at must be before it is swept
// away: a slow writer in another process, or a keychain call whose outcome is
// still unknown, may yet need a younger one.
const staleAfter = 10 * time.Minute

// WriteFile puts b in the file at path, readable by this user only (0600), so
// that a crash at any moment leaves either the old or the new content whole.
// The folder is made with [EnsureDir] when it is missing. No space left is
// [ErrFull]. On Windows, privacy rests on the access list a file inherits in
// the user's profile.
func WriteFile(path string, b []byte) error {
	dir, base := filepath.Split(path)
	dir = filepath.Clean(dir)
	if err := EnsureDir(dir); err != nil {
		return err
	}
	temp, err := writeTemp(dir, base, b)
	if err != nil {
		return spaceError(err)
	}
	if err := rename(temp, path); err != nil {
		os.Remove(temp) // the rename's error is the one worth reporting
		return spaceError(err)
	}
	sweep(dir, func(name string) bool { return isTemp(name, base) }, staleAfter)
	return syncDir(dir)
}

func writeTemp(dir, base string, b []byte) (string, error) {
	f, err := os.CreateTemp(dir, "."+base+".*.tmp") // 0600
	if err != nil {
		return "", err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		os.Remove(f.Name()) // the write's error is the one worth reporting
		return "", err
	}
	return f.Name(), nil
}

// isTemp reports whether name is what a crash in writeTemp leaves of base.
func isTemp(name, base string) bool {
	return strings.HasPrefix(name, "."+base+".") && strings.HasSuffix(name, ".tmp")
}

// sweep removes the files of dir that match and are older than age. It reports
// nothing: what it misses, the next one gets.
func sweep(dir string, match func(name string) bool, age time.Duration) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !match(e.Name()) {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) >= age {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// EnsureDir makes the folder at path, 0700, parents included, or checks the
// one that is there: a symbolic link, another owner or access for others is
// [ErrInsecure]. On Windows owner and access are left to the access list that
// folders inherit in the user's profile.
func EnsureDir(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return spaceError(err)
		}
		info, err = os.Lstat(path)
	}
	if err != nil {
		return err
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return insecure("%s is a symbolic link", path)
	case !info.IsDir():
		return insecure("%s is not a folder", path)
	}
	return checkAccess(path, info, 0o700)
}

// readPrivate reads a file of at most limit bytes that must be a regular file
// of this user, without access for others and no symbolic link.
func readPrivate(path string, limit int64) ([]byte, error) {
	f, err := openNoFollow(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, insecure("%s is not a regular file", path)
	}
	if err := checkAccess(path, info, 0o600); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fail(ErrCorrupt, fmt.Errorf("%s is larger than %d bytes", path, limit))
	}
	return b, nil
}

func insecure(format string, args ...any) error {
	return fail(ErrInsecure, fmt.Errorf(format, args...))
}

func spaceError(err error) error {
	if noSpace(err) {
		return fail(ErrFull, err)
	}
	return err
}
