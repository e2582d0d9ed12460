package keyring

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// maxRecord is the largest record kept, in bytes. It bounds what a read has to
// hold in memory; tokens are far smaller.
const maxRecord = 1 << 20

const (
	defaultTimeout = 3 * time.Second
	defaultService = "mcp-valet"

	// recordWait is how long a change waits for another process's change of
	// the same record, at least.
	recordWait = 10 * time.Second
)

// The kinds of store.
const (
	KindKeychain = "keychain"
	KindFile     = "file"
)

// Options say which store to open and how long it may take. Only StateDir has
// no default.
type Options struct {
	Kind     string        // "" or "keychain": the system's keychain; "file": sealed files
	StateDir string        // absolute; locks/, records/, store/ and index.json live here
	KeyFile  string        // file store: a file made by NewKeyFile
	Key      Secret        // file store: the age identity itself; wins over KeyFile
	Timeout  time.Duration // for each call of the keychain; 0 = 3 s
	Service  string        // the keychain items' service name; "" = "mcp-valet"
	Keychain Keychain      // nil: the system's
}

// A Store keeps records: one secret text under each Key. It is safe for
// concurrent use, also by several processes over the same StateDir. A record
// is replaced as a whole or not at all, whenever a process is killed.
type Store struct {
	dir     string
	wait    time.Duration // for a record's lock
	backend backend
	index   *index
}

// A backend keeps whole records. Its errors wrap the package's sentinels. The
// store never changes the same record twice at a time.
type backend interface {
	get(ctx context.Context, k Key) (Secret, error)
	set(ctx context.Context, k Key, v Secret) error
	delete(ctx context.Context, k Key) error
}

// Open makes or checks the state folder and returns its store. It does not
// touch the keychain. A folder or key file open to other users is
// [ErrInsecure].
func Open(o Options) (*Store, error) {
	o, err := o.complete()
	if err != nil {
		return nil, during("opening the store", "", err)
	}
	for _, dir := range []string{o.StateDir, filepath.Join(o.StateDir, "locks")} {
		if err := EnsureDir(dir); err != nil {
			return nil, during("opening the store", "", err)
		}
	}
	b, err := openBackend(o)
	if err != nil {
		return nil, during("opening the store", "", err)
	}
	return newStore(o, b), nil
}

func newStore(o Options, b backend) *Store {
	s := &Store{dir: o.StateDir, wait: max(recordWait, o.Timeout), backend: b}
	s.index = &index{
		path: filepath.Join(o.StateDir, "index.json"),
		lock: s.lockPath("index", indexLock),
		kind: o.Kind,
	}
	return s
}

func (o Options) complete() (Options, error) {
	if o.Kind == "" {
		o.Kind = KindKeychain
	}
	if o.Service == "" {
		o.Service = defaultService
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	switch {
	case o.Kind != KindKeychain && o.Kind != KindFile:
		return o, fmt.Errorf("unknown kind of store %.40q", o.Kind)
	case !filepath.IsAbs(o.StateDir):
		return o, fmt.Errorf("state folder %.200q is not an absolute path", o.StateDir)
	case !ValidName(o.Service):
		return o, fmt.Errorf("invalid service name %.80q", o.Service)
	case o.Timeout < 0:
		return o, fmt.Errorf("negative time limit %s", o.Timeout)
	}
	return o, nil
}

func openBackend(o Options) (backend, error) {
	if o.Kind == KindFile {
		return openSealedFiles(o)
	}
	items := &keychain{service: o.Service, limit: o.Timeout, line: keychainLine, calls: system{}}
	if o.Keychain != nil {
		items.calls, items.line = o.Keychain, newLine(func() (func(), error) { return nil, nil })
	}
	return openRecords(o, items)
}

// Get returns the record. It waits for no lock.
func (s *Store) Get(ctx context.Context, k Key) (Secret, error) {
	if err := k.check(); err != nil {
		return Secret{}, err
	}
	v, err := s.backend.get(ctx, k)
	if err == nil {
		s.index.add(ctx, k)
	}
	return v, during("reading", k, err)
}

// Set puts the record in the place of what is there, be it damaged; one that
// is too new or sealed with another key is left alone. After [ErrUnknown]
// either of the two may be found, now or a little later; both are whole.
func (s *Store) Set(ctx context.Context, k Key, v Secret) error {
	return s.change(ctx, "saving", k, func(ctx context.Context) error {
		return s.put(ctx, k, v)
	})
}

// Delete removes the record. One that is too new or sealed with another key
// is left alone.
func (s *Store) Delete(ctx context.Context, k Key) error {
	return s.change(ctx, "deleting", k, func(ctx context.Context) error {
		err := s.backend.delete(ctx, k)
		if err == nil || errors.Is(err, ErrNotFound) {
			s.index.remove(ctx, k)
		}
		return err
	})
}

// Index lists the records known to be in the store, sorted. A keychain cannot
// be listed, so this is a file kept beside it: a record made elsewhere appears
// once it is read, and after an interrupted Set one may be listed that was
// never saved.
func (s *Store) Index() ([]Key, error) {
	keys, err := s.index.read()
	return keys, during("reading the index", "", err)
}

// put saves under the lock taken by change. The index comes first, so that no
// secret is ever in the keychain without being listed.
func (s *Store) put(ctx context.Context, k Key, v Secret) error {
	if n := v.size(); n > maxRecord {
		return fail(ErrFull, fmt.Errorf("%d bytes, at most %d are kept", n, maxRecord))
	}
	added := s.index.add(ctx, k)
	err := s.backend.set(ctx, k, v)
	if err != nil && added && !errors.Is(err, ErrUnknown) {
		s.index.remove(ctx, k)
	}
	return err
}

// change runs f with the record's lock held.
func (s *Store) change(ctx context.Context, op string, k Key, f func(context.Context) error) error {
	if err := k.check(); err != nil {
		return err
	}
	waitCtx, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	l, err := acquire(waitCtx, s.lockPath(k.fileName(), recordLock))
	if err != nil {
		return during(op, k, err)
	}
	defer l.Unlock() // closing a lock file loses nothing
	return during(op, k, f(ctx))
}
