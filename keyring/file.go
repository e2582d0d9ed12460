package keyring

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"filippo.io/age"
)

// sealedFiles keeps each record in one file, sealed with the age key that the
// person chose for machines without a keychain.
type sealedFiles struct {
	dir    string
	id     *age.X25519Identity
	write  func(path string, b []byte) error
	remove func(path string) error
}

func openSealedFiles(o Options) (*sealedFiles, error) {
	id, err := storeKey(o)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(o.StateDir, "store")
	if err := EnsureDir(dir); err != nil {
		return nil, err
	}
	return &sealedFiles{dir: dir, id: id, write: WriteFile, remove: os.Remove}, nil
}

func (f *sealedFiles) get(ctx context.Context, k Key) (Secret, error) {
	if ctx.Err() != nil {
		return Secret{}, context.Cause(ctx)
	}
	b, err := readPrivate(f.path(k), maxSealed)
	if errors.Is(err, fs.ErrNotExist) {
		return Secret{}, fail(ErrNotFound, nil)
	}
	if err != nil {
		return Secret{}, err
	}
	v, err := unseal(f.id, k, b)
	if errors.Is(err, ErrWrongKey) {
		return Secret{}, fail(ErrWrongKey, errors.New(f.path(k)))
	}
	return v, err
}

func (f *sealedFiles) set(ctx context.Context, k Key, v Secret) error {
	if err := f.replaceable(ctx, k); err != nil {
		return err
	}
	sealed, err := seal(f.id.Recipient(), k, v)
	if err != nil {
		return err
	}
	return f.write(f.path(k), sealed)
}

func (f *sealedFiles) delete(ctx context.Context, k Key) error {
	if err := f.replaceable(ctx, k); err != nil {
		return err
	}
	err := f.remove(f.path(k))
	if errors.Is(err, fs.ErrNotExist) {
		return fail(ErrNotFound, nil)
	}
	if err != nil {
		return err
	}
	return syncDir(f.dir)
}

// replaceable refuses where something readable would be lost: with another
// key, or to a newer version. A damaged file is readable to nobody.
func (f *sealedFiles) replaceable(ctx context.Context, k Key) error {
	_, err := f.get(ctx, k)
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt) {
		return nil
	}
	return err
}

func (f *sealedFiles) path(k Key) string {
	return filepath.Join(f.dir, k.fileName()+".age")
}

func storeKey(o Options) (*age.X25519Identity, error) {
	if !o.Key.IsZero() {
		id, err := parseIdentity(o.Key)
		if err != nil {
			return nil, fmt.Errorf("the store key given is %w", err)
		}
		return id, nil
	}
	if o.KeyFile == "" {
		return nil, errors.New("the file store needs a key or a key file")
	}
	return readKeyFile(o.KeyFile)
}
