package keyring

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"filippo.io/age"
)

// records keeps each record in one keychain item, and a record too large for
// one in a sealed file beside it, to which the item holds the key. Setting the
// item is the only switch from one generation to the next: the file is written
// before, the old one removed after.
type records struct {
	items  backend // takes up to maxItem bytes
	dir    string
	write  func(path string, b []byte) error
	remove func(path string) error
}

func openRecords(o Options, items backend) (*records, error) {
	dir := filepath.Join(o.StateDir, "records")
	if err := EnsureDir(dir); err != nil {
		return nil, err
	}
	return &records{items: items, dir: dir, write: WriteFile, remove: os.Remove}, nil
}

// get takes no lock: when a writer removes the sealed file between our look at
// the item and at the file, the item has changed, and we look again.
func (r *records) get(ctx context.Context, k Key) (Secret, error) {
	const tries = 5
	var before item
	var missed error
	for range tries {
		it, err := r.current(ctx, k)
		if err != nil {
			return Secret{}, err
		}
		if it.gen == 0 {
			return it.inline, nil
		}
		if missed != nil && it.gen == before.gen && it.identity.Equal(before.identity) {
			return Secret{}, missed
		}
		v, err := r.unsealFile(k, it)
		if !errors.Is(err, ErrCorrupt) {
			return v, err
		}
		before, missed = it, err
	}
	return Secret{}, missed
}

func (r *records) current(ctx context.Context, k Key) (item, error) {
	s, err := r.items.get(ctx, k)
	if err != nil {
		return item{}, err
	}
	return parseItem(s)
}

func (r *records) unsealFile(k Key, it item) (Secret, error) {
	id, err := parseIdentity(it.identity)
	if err != nil {
		return Secret{}, fail(ErrCorrupt, err)
	}
	b, err := readPrivate(r.path(k, it.gen), maxSealed)
	if errors.Is(err, fs.ErrNotExist) {
		return Secret{}, fail(ErrCorrupt, err)
	}
	if err != nil {
		return Secret{}, err
	}
	v, err := unseal(id, k, b)
	if errors.Is(err, ErrWrongKey) { // the item's key is the right one by definition
		return Secret{}, fail(ErrCorrupt, errors.New("the sealed file does not fit the keychain item"))
	}
	return v, err
}

func (r *records) set(ctx context.Context, k Key, v Secret) error {
	old, err := r.current(ctx, k)
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrCorrupt) {
		return err
	}
	fresh, err := r.prepare(k, v, old.gen)
	if err != nil {
		return err
	}
	if err := r.items.set(ctx, k, fresh.encode()); err != nil {
		if fresh.gen != 0 && !errors.Is(err, ErrUnknown) {
			r.remove(r.path(k, fresh.gen)) // nothing points at it; a later sweep gets what is left
		}
		return err
	}
	r.tidy(k, old.gen, fresh.gen)
	return nil
}

// prepare makes the new item, and for a large record writes its file.
func (r *records) prepare(k Key, v Secret, oldGen uint64) (item, error) {
	if fitsInline(v) {
		return item{inline: v}, nil
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return item{}, err
	}
	sealed, err := seal(id.Recipient(), k, v)
	if err != nil {
		return item{}, err
	}
	gen, err := r.nextGeneration(k, oldGen)
	if err != nil {
		return item{}, err
	}
	if err := r.write(r.path(k, gen), sealed); err != nil {
		return item{}, err
	}
	return item{gen: gen, identity: NewSecret(id.String())}, nil
}

func (r *records) delete(ctx context.Context, k Key) error {
	old, err := r.current(ctx, k)
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrCorrupt) {
		return err
	}
	err = r.items.delete(ctx, k)
	if err == nil || errors.Is(err, ErrNotFound) {
		r.tidy(k, old.gen, 0)
	}
	return err
}

// nextGeneration is above every generation that a file, or an item whose file
// is gone, has used.
func (r *records) nextGeneration(k Key, oldGen uint64) (uint64, error) {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return 0, err
	}
	last := oldGen
	for _, e := range entries {
		if gen, ok := generation(e.Name(), k); ok {
			last = max(last, gen)
		}
	}
	if last+1 == 0 {
		return 0, fail(ErrFull, fmt.Errorf("no generation number is left"))
	}
	return last + 1, nil
}

// tidy removes the file the item pointed at until now, and what crashes left
// behind long ago. A young file that is neither stays: a change whose outcome
// is unknown may yet make the item point at it.
func (r *records) tidy(k Key, oldGen, newGen uint64) {
	if oldGen != 0 && oldGen != newGen {
		r.remove(r.path(k, oldGen)) // a later sweep gets what is left
	}
	sweep(r.dir, func(name string) bool {
		gen, ok := generation(name, k)
		return ok && gen != newGen || strings.HasPrefix(name, "."+k.fileName()+".")
	}, staleAfter)
}

func (r *records) path(k Key, gen uint64) string {
	return filepath.Join(r.dir, k.fileName()+"."+strconv.FormatUint(gen, 10))
}

// generation is what path put at the end of a file's name.
func generation(name string, k Key) (uint64, bool) {
	digits, ok := strings.CutPrefix(name, k.fileName()+".")
	if !ok {
		return 0, false
	}
	gen, err := parseGeneration(digits)
	return gen, err == nil
}
