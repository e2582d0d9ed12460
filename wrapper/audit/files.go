package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
)

const (
	lockName   = "audit.lock"
	filePrefix = "audit-"
	fileSuffix = ".jsonl"
)

// fileName is the name of the file whose first record is seq. Names in order are records in order.
func fileName(seq uint64) string { return fmt.Sprintf("%s%012d%s", filePrefix, seq, fileSuffix) }

// firstOf is the first record that a file of this name holds; 0 for any other file.
func firstOf(name string) uint64 {
	digits, ok := strings.CutPrefix(name, filePrefix)
	digits, ok2 := strings.CutSuffix(digits, fileSuffix)
	seq, err := strconv.ParseUint(digits, 10, 63)
	if !ok || !ok2 || err != nil || name != fileName(seq) {
		return 0
	}
	return seq
}

// listFiles names the log's files, oldest first.
func listFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if firstOf(e.Name()) > 0 {
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int { // numbers of 13 digits are after those of 12
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return names, nil
}

// ensureDir makes the folder or checks the one that is there.
func ensureDir(dir string) error {
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return spaceError(err)
		}
	}
	return checkDir(dir)
}

func checkDir(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return insecure("%s is a symbolic link", dir)
	case !info.IsDir():
		return insecure("%s is not a folder", dir)
	}
	return checkAccess(dir, info, 0o700)
}

// openPrivate opens a file of ours: regular, no link, of this user, closed to others.
func openPrivate(path string, flag int) (*os.File, error) {
	f, err := openNoFollow(path, flag)
	if err != nil {
		return nil, spaceError(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = insecure("%s is not a regular file", path)
	}
	if err == nil {
		err = checkAccess(path, info, 0o600)
	}
	if err != nil {
		f.Close() // nothing was written
		return nil, err
	}
	return f, nil
}

func insecure(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInsecure, fmt.Sprintf(format, args...))
}

func spaceError(err error) error {
	if noSpace(err) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}
