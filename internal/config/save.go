package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"mcp-valet/internal/overwrite"
)

// Update changes a config file: edit is given the file's text, nothing when there is no file, and returns the text to
// put in its place. When another program writes the file meanwhile, edit is asked again with the new text, a few times,
// so that nobody's change is lost. Nothing is written when edit fails or changes nothing.
func Update(path string, edit func([]byte) ([]byte, error)) error {
	const attempts = 5
	for range attempts {
		before, err := read(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		after, err := edit(bytes.Clone(before))
		if err != nil {
			return named(err, path)
		}
		if bytes.Equal(before, after) {
			return nil
		}
		if err = replace(path, after, func() error { return unchanged(path, before) }); !errors.Is(err, errChanged) {
			return err
		}
	}
	return &Error{Path: path, Msg: "another program keeps changing this file; nothing was saved"}
}

// Save puts b in the place of a config file, whole or not at all. A symbolic link stays one: the file that it leads to is
// replaced. That file keeps its owner and its mode, less leave for others to write; a new one is for its owner only, as
// is the folder, if that has to be made.
func Save(path string, b []byte) error {
	return replace(path, b, func() error { return nil })
}

var errChanged = errors.New("changed meanwhile")

func unchanged(path string, before []byte) error {
	now, err := read(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if !bytes.Equal(now, before) {
		return errChanged
	}
	return nil
}

// replace writes a file beside the old one and moves it over that, unless check, called last thing before, fails.
func replace(path string, b []byte, check func() error) error {
	target, err := overwrite.Target(path)
	if err != nil {
		return saving(path, err)
	}
	err = overwrite.File(target, b, overwrite.How{Modes: 0o755, TempEnd: ".tmp", Last: check})
	if err != nil {
		return saving(path, err)
	}
	return nil
}

func saving(path string, err error) error { return fmt.Errorf("saving config %s: %w", path, err) }

// read gets the text of a config file, which must be one that only its owner and the system's administrator can write.
func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading config: %w", err)
	}
	if !info.Mode().IsRegular() { // before it is opened: a pipe would wait for its writer
		return nil, &Error{Path: path, Msg: "is not a regular file"}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading config: %w", err)
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, fmt.Errorf("reading config: %w", err)
	}
	if msg := othersMayWrite(path, info); msg != "" {
		return nil, &Error{Path: path, Msg: msg}
	}
	b, err := io.ReadAll(io.LimitReader(f, int64(len(byteOrderMark)+maxSize+1)))
	if err != nil {
		return nil, fmt.Errorf("reading config: %w", err)
	}
	return b, nil
}
