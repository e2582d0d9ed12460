package install

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mcp-valet/internal/overwrite"
)

// Update changes a client's config: edit is given the file's text, nil when there is no file, and returns the text to put
// in its place. When another program writes the file meanwhile, edit is asked again with the new text, a few times, so
// that nobody's change is lost. Nothing is written when edit fails or changes nothing. A symbolic link stays one: the
// file that it leads to is replaced, whole or not at all, and keeps its owner and mode; a new file is its owner's alone.
func Update(path string, edit func([]byte) ([]byte, error)) error {
	const attempts = 5
	for range attempts {
		before, err := Read(path)
		if errors.Is(err, fs.ErrNotExist) {
			before, err = nil, nil
		}
		if err != nil {
			return err
		}
		after, err := edit(bytes.Clone(before))
		if err != nil {
			return err
		}
		if after == nil || before != nil && bytes.Equal(before, after) {
			return nil
		}
		if err = replace(path, before, after); !errors.Is(err, errChanged) {
			return err
		}
	}
	return &Error{Path: path, Msg: "another program keeps changing this file; nothing was written"}
}

// Read gets the text of a client's config. It is an error that wraps [fs.ErrNotExist] when there is none.
func Read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading the client's config: %w", err)
	}
	if !info.Mode().IsRegular() { // before it is opened: a pipe would wait for its writer
		return nil, &Error{Path: path, Msg: "is not a regular file"}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the client's config: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading the client's config: %w", err)
	}
	if b == nil {
		b = []byte{}
	}
	return b, nil
}

// CheckWritable finds out, before anything else is changed, that the client's config will take a change.
func CheckWritable(path string) error {
	target, err := overwrite.Target(path)
	if err != nil {
		return saving(path, err)
	}
	return checkWritable(path, target)
}

// checkWritable refuses a file that somebody has made read-only: that says to leave it alone, although another file could
// be moved over it.
func checkWritable(path, target string) error {
	info, err := os.Stat(target)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return saving(path, err)
	}
	readOnly := &Error{Path: path, Msg: "is read-only; nothing was written to it"}
	if info.Mode().Perm()&0o222 == 0 {
		return readOnly
	}
	f, err := os.OpenFile(target, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrPermission) {
		return readOnly
	}
	if err != nil {
		return saving(path, err)
	}
	return f.Close()
}

var errChanged = errors.New("changed meanwhile")

// replace writes a file beside the old one and moves it over that, unless that is no longer what it was.
func replace(path string, before, after []byte) error {
	target, err := overwrite.Target(path)
	if err != nil {
		return saving(path, err)
	}
	if err := checkWritable(path, target); err != nil {
		return err
	}
	sweep(filepath.Split(target))
	err = overwrite.File(target, after, overwrite.How{
		Modes: fs.ModePerm, TempEnd: tempEnd, Last: func() error { return unchanged(path, before) },
	})
	if err != nil && !errors.Is(err, errChanged) {
		return saving(path, err)
	}
	return err
}

func saving(path string, err error) error {
	return fmt.Errorf("writing the client's config %s (it is as it was): %w", path, err)
}

func unchanged(path string, before []byte) error {
	now, err := Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		now, err = nil, nil
	}
	if err != nil {
		return err
	}
	if (now == nil) != (before == nil) || !bytes.Equal(now, before) {
		return errChanged
	}
	return nil
}

// tempEnd ends the names of files that are to replace a config.
const tempEnd = ".mcp-valet.tmp"

// sweep removes what a kill in the middle of a write has left.
func sweep(dir, base string) {
	const old = 10 * time.Minute // no write takes that long
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // it will be known soon enough
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "."+base+".") || !strings.HasSuffix(e.Name(), tempEnd) {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > old {
			_ = os.Remove(filepath.Join(dir, e.Name())) // the next write tries again
		}
	}
}
