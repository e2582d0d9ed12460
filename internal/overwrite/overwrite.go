// Package overwrite puts a new text in the place of a file that people and other programs edit too: whole or not at all,
// where its links lead, with its owner and mode.
package overwrite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// How says how a file is overwritten.
type How struct {
	Modes   fs.FileMode  // the permissions that the old file may hand on; a new one is its owner's alone
	TempEnd string       // ends the names of files that a kill may leave half written: ".NAME.*"+TempEnd
	Last    func() error // called when all is ready; its error leaves the old file in place
}

// File puts text in the place of the file at target, which is no symbolic link, see [Target]. A folder that is missing is
// made, for its owner alone. After an error the file is as it was; one of how.Last is given as it is.
func File(target string, text []byte, how How) error {
	dir, base := filepath.Split(target)
	dir = filepath.Clean(dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, "."+base+".*"+how.TempEnd)
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // fails once it has become the file
	err = writeLike(tmp, target, text, how.Modes)
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = how.Last()
	}
	if err == nil {
		err = moveOver(tmp.Name(), target)
	}
	return err
}

// writeLike fills a new file and gives it the owner and mode of the one that it will replace.
func writeLike(f *os.File, old string, b []byte, modes fs.FileMode) error {
	if _, err := f.Write(b); err != nil {
		return err
	}
	mode := fs.FileMode(0o600)
	switch info, err := os.Stat(old); {
	case err == nil:
		mode = info.Mode().Perm() & modes
		if err := keepOwner(f, info); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := f.Chmod(mode); err != nil {
		return err
	}
	return f.Sync()
}

// Target follows symbolic links, also to a file that is not there yet.
func Target(path string) (string, error) {
	const mostLinks = 40
	for range mostLinks {
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return path, nil
		}
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			return path, nil
		}
		to, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	return "", errors.New("too many symbolic links")
}
