package keyring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// Bounds of the index: more keys than a person ever makes, and the size in
// bytes at which its file is taken for damaged.
const (
	maxIndexKeys = 4096
	maxIndexFile = 4 << 20
	indexVersion = 1
	indexWait    = time.Second
)

// An index is the list of a store's keys, in a file that holds no secret. It
// is a help, not a truth: whatever goes wrong with it, records are still read
// and saved, and their keys are listed again as they are used.
type index struct {
	path, lock string
	kind       string
}

type indexFile struct {
	Version int              `json:"version"`
	Keys    map[string][]Key `json:"keys"` // by kind of store
}

// add lists the key and reports whether it was not listed before.
func (x *index) add(ctx context.Context, k Key) bool {
	if keys, err := x.read(); err == nil && slices.Contains(keys, k) {
		return false // the common case needs no lock
	}
	return x.update(ctx, func(keys []Key) []Key {
		if slices.Contains(keys, k) || len(keys) >= maxIndexKeys {
			return nil
		}
		return append(keys, k)
	})
}

func (x *index) remove(ctx context.Context, k Key) bool {
	return x.update(ctx, func(keys []Key) []Key {
		i := slices.Index(keys, k)
		if i < 0 {
			return nil
		}
		return slices.Delete(keys, i, i+1)
	})
}

// update writes what edit returns and reports whether it did; nil changes
// nothing. A damaged index is started afresh, a newer version's left alone.
func (x *index) update(ctx context.Context, edit func([]Key) []Key) bool {
	ctx, cancel := context.WithTimeout(ctx, indexWait)
	defer cancel()
	l, err := acquire(ctx, x.lock)
	if err != nil {
		return false
	}
	defer l.Unlock() // closing a lock file loses nothing
	file, err := x.load()
	if err != nil && !errors.Is(err, ErrCorrupt) {
		return false
	}
	keys := edit(file.Keys[x.kind])
	if keys == nil {
		return false
	}
	slices.Sort(keys)
	file.Keys[x.kind] = keys
	b, err := json.MarshalIndent(file, "", "\t")
	return err == nil && WriteFile(x.path, append(b, '\n')) == nil
}

func (x *index) read() ([]Key, error) {
	file, err := x.load()
	return file.Keys[x.kind], err
}

// load always returns a file that can be filled and written.
func (x *index) load() (indexFile, error) {
	empty := indexFile{Version: indexVersion, Keys: map[string][]Key{}}
	b, err := readPrivate(x.path, maxIndexFile)
	if errors.Is(err, fs.ErrNotExist) {
		return empty, nil
	}
	if err != nil {
		return empty, err
	}
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return empty, fail(ErrCorrupt, err)
	}
	if head.Version > indexVersion {
		return empty, fail(ErrTooNew, fmt.Errorf("index version %d, this program knows %d", head.Version, indexVersion))
	}
	var file indexFile
	if err := json.Unmarshal(b, &file); err != nil {
		return empty, fail(ErrCorrupt, err)
	}
	if err := file.check(); err != nil {
		return empty, fail(ErrCorrupt, err)
	}
	return file, nil
}

func (f *indexFile) check() error {
	if f.Version != indexVersion || f.Keys == nil {
		return errors.New("not an index")
	}
	for kind, keys := range f.Keys {
		if len(keys) > maxIndexKeys {
			return fmt.Errorf("%d keys, at most %d are kept", len(keys), maxIndexKeys)
		}
		for _, k := range keys {
			if err := k.check(); err != nil {
				return err
			}
		}
		slices.Sort(keys)
		f.Keys[kind] = slices.Compact(keys)
	}
	return nil
}
