package keyring

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// A LockKind says what a lock is for. Locks of different kinds do not exclude
// each other.
type LockKind string

// The locks an account has, and the local issuer.
const (
	RefreshLock LockKind = "refresh" // held by the one process that renews the account's credential
	SignInLock  LockKind = "signin"  // held by the one process that signs a person in
	IssuerLock  LockKind = "issuer"  // held by the one process that changes what the local issuer has issued
	AuditLock   LockKind = "audit"   // held by the one process that makes the audit log's key, or counts its records
)

// The store's own locks, taken inside those above and held for moments.
const (
	recordLock LockKind = "record"
	indexLock  LockKind = "index"
)

// Waits between two tries for a lock grow from firstWait to lastWait, with
// jitter so that waiting processes do not march in step.
const (
	firstWait = 5 * time.Millisecond
	lastWait  = 100 * time.Millisecond
)

// A Lock is held until Unlock, or until the process ends in whatever way.
type Lock struct {
	path string
	file *os.File
	once sync.Once
	err  error
}

// Lock waits until no other process, and nobody else in this one, holds the
// account's lock of that kind, and takes it. When ctx ends first the error is
// [ErrBusy]; without an end to ctx the wait has none.
func (s *Store) Lock(ctx context.Context, kind LockKind, account string) (*Lock, error) {
	if kind != RefreshLock && kind != SignInLock && kind != IssuerLock && kind != AuditLock {
		return nil, fmt.Errorf("unknown kind of lock %.40q", string(kind))
	}
	if !ValidName(account) {
		return nil, fmt.Errorf("invalid account name %.80q", account)
	}
	l, err := acquire(ctx, s.lockPath(account, kind))
	return l, during("locking", AccountKey(account), err)
}

// Unlock gives the lock back. Further calls do nothing and return the same.
func (l *Lock) Unlock() error {
	l.once.Do(func() {
		// Closing the file releases the lock in the system. The file itself is
		// never deleted: a process that opened it before would then hold a lock
		// on a file nobody else can find, beside the holder of its successor.
		l.err = l.file.Close()
		release(l.path)
	})
	return l.err
}

func (s *Store) lockPath(name string, kind LockKind) string {
	file := name + "." + string(kind) + ".lock"
	if !filepath.IsLocal(file) { // on Windows "nul.refresh.lock" is a device
		file = Key(name).fileName() + "." + string(kind) + ".lock"
	}
	return filepath.Join(s.dir, "locks", file)
}

func acquire(ctx context.Context, path string) (*Lock, error) {
	for wait := firstWait; ; wait = min(wait*2, lastWait) {
		if ctx.Err() != nil {
			return nil, fail(ErrBusy, context.Cause(ctx))
		}
		l, err := tryLock(path)
		if l != nil || err != nil {
			return l, err
		}
		pause(ctx, wait/2+rand.N(wait/2))
	}
}

// tryLock returns nil and no error when somebody else holds the lock.
func tryLock(path string) (*Lock, error) {
	if !claim(path) {
		return nil, nil
	}
	f, err := lockedFile(path)
	if f == nil {
		release(path)
		return nil, err
	}
	return &Lock{path: path, file: f}, nil
}

func lockedFile(path string) (*os.File, error) {
	f, err := openLockFile(path)
	if err != nil {
		return nil, err
	}
	got, err := lockFile(f)
	if err != nil || !got || !sameFile(f, path) {
		f.Close() // was never written
		return nil, err
	}
	return f, nil
}

// sameFile reports whether path still leads to f: somebody who tidied the
// folder up meanwhile left us with a lock that excludes nobody.
func sameFile(f *os.File, path string) bool {
	mine, err1 := f.Stat()
	theirs, err2 := os.Lstat(path)
	return err1 == nil && err2 == nil && os.SameFile(mine, theirs)
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// held are the locks of this process. The system's locks exclude within a
// process too on local disks, but not on every network file system.
var held = struct {
	sync.Mutex
	paths map[string]bool
}{paths: map[string]bool{}}

func claim(path string) bool {
	held.Lock()
	defer held.Unlock()
	if held.paths[path] {
		return false
	}
	held.paths[path] = true
	return true
}

func release(path string) {
	held.Lock()
	defer held.Unlock()
	delete(held.paths, path)
}
