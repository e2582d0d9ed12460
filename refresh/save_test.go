package refresh_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"mcp-valet/keyring"
	"mcp-valet/refresh"
)

// flakyStore is a store whose reads and saves a test may hook into.
type flakyStore struct {
	*keyring.Store
	reads, saves int
	onRead       func(n int) error // before the nth read; an error takes its place
	afterRead    func()
	onSave       func(n int, save func() error) error         // in place of the nth save
	onLock       func(context.Context) (*keyring.Lock, error) // in place of taking a lock
}

func (s *flakyStore) Credential(ctx context.Context, account string) (*keyring.Credential, error) {
	s.reads++
	if s.onRead != nil {
		if err := s.onRead(s.reads); err != nil {
			return nil, err
		}
	}
	c, err := s.Store.Credential(ctx, account)
	if s.afterRead != nil {
		s.afterRead()
	}
	return c, err
}

func (s *flakyStore) SaveCredential(ctx context.Context, c *keyring.Credential) error {
	s.saves++
	save := func() error { return s.Store.SaveCredential(ctx, c) }
	if s.onSave != nil {
		return s.onSave(s.saves, save)
	}
	return save()
}

func (s *flakyStore) Lock(ctx context.Context, kind keyring.LockKind, account string) (*keyring.Lock, error) {
	if s.onLock != nil {
		return s.onLock(ctx)
	}
	return s.Store.Lock(ctx, kind, account)
}

func TestSaveIsRetried(t *testing.T) {
	unknown := &keyring.Error{Op: "saving", Err: keyring.ErrUnknown}
	for _, tt := range []struct {
		name  string
		save  func(n int, save func() error) error
		want  error
		saves int
		took  time.Duration
	}{
		{"at once", func(_ int, save func() error) error { return save() }, nil, 1, 0},
		{"the third time", func(n int, save func() error) error {
			if n < 3 {
				return keyring.ErrTimeout
			}
			return save()
		}, nil, 3, 3 * time.Second},
		{"unknown, and it was saved", func(_ int, save func() error) error {
			if err := save(); err != nil {
				return err
			}
			return unknown
		}, nil, 1, 0},
		{"unknown, and it was not saved", func(n int, save func() error) error {
			if n == 1 {
				return unknown
			}
			return save()
		}, nil, 2, time.Second},
		{"never", func(int, func() error) error { return keyring.ErrLocked }, keyring.ErrLocked, 5, 10 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := newRotatingIssuer(t)
			v := newValet(t, i)
			synctest.Test(t, func(t *testing.T) {
				// Obtained this very second, as the renewed one will be: their times do not tell them apart.
				c := i.signedIn("ada", time.Now(), time.Now())
				v.save(t, c)
				store := &flakyStore{Store: v.store, onSave: tt.save}
				start := time.Now()
				wantError(t, refresh.Renew(t.Context(), store, v.account, v.dir), tt.want)
				if took := time.Since(start); took != tt.took || store.saves != tt.saves {
					t.Errorf("%d saves in %v, want %d in %v", store.saves, took, tt.saves, tt.took)
				}
				got := v.stored(t)
				if tt.want == nil {
					if got.Serial != c.Serial+1 || !got.RefreshToken.Equal(keyring.NewSecret("ada 1")) {
						t.Error("the renewed credential is not stored")
					}
					return
				}
				if got.Serial != c.Serial {
					t.Error("the failure changed the stored credential")
				}
				// Fail closed: no token, and no further grant that could not be saved either.
				if s := v.state(t); s.Outcome != refresh.OutcomeUnsaved {
					t.Errorf("remembered %+v", s)
				}
				_, err := v.ladder().Token(t.Context())
				wantError(t, err, keyring.ErrUnavailable)
				if n := i.granted(); n != 1 {
					t.Errorf("%d grants, want 1", n)
				}
				// The refresh token is spent: that costs one sign-in, said once and for all.
				time.Sleep(5 * time.Minute)
				for range 3 {
					wantError(t, v.renew(t.Context()), refresh.ErrSignedOut)
				}
				if n := i.asked("/token"); n != 2 {
					t.Errorf("asked %d times, want 2", n)
				}
			})
		})
	}
}

// Nothing but the store learns of a renewed token before it is saved.
func TestSaveComesFirst(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	v.save(t, i.longExpired("ada"))
	store := &flakyStore{Store: v.store, onSave: func(_ int, save func() error) error {
		if s := v.state(t); s != (refresh.State{}) {
			t.Errorf("an outcome is remembered before it is saved: %+v", s)
		}
		if _, err := v.store.Lock(shortly(t), keyring.RefreshLock, "work"); !errors.Is(err, keyring.ErrBusy) {
			t.Errorf("the lock is not held while saving: %v", err)
		}
		return save()
	}}
	wantError(t, refresh.Renew(t.Context(), store, v.account, v.dir), nil)
}

// shortly is a context that gives a lock 50 ms.
func shortly(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func TestLockWaitIsBounded(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	synctest.Test(t, func(t *testing.T) {
		v.save(t, i.longExpired("ada"))
		lock, err := v.store.Lock(t.Context(), keyring.RefreshLock, "work")
		if err != nil {
			t.Fatal(err)
		}
		defer lock.Unlock()
		start := time.Now()
		wantError(t, v.renew(t.Context()), keyring.ErrBusy)
		if took := time.Since(start); took < 29*time.Second || took > 31*time.Second {
			t.Errorf("waited %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		wantError(t, v.renew(ctx), keyring.ErrBusy)
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("waited %v though ctx had ended", took)
		}
		if n := i.askedAtAll(); n != 0 {
			t.Errorf("the issuer was asked %d times", n)
		}
	})
}

// A refresh token is not spent while its successor could not be saved: a folder where the lock is to be, no room. When
// that is over, the same token still renews.
func TestNoGrantWithoutRoom(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	v.save(t, i.longExpired("ada"))
	full := &fullStore{Store: v.store, full: true}
	for range 2 {
		wantError(t, refresh.RenewNow(t.Context(), full, v.account, v.dir), keyring.ErrFull)
	}
	if n := i.asked("/token"); n != 0 {
		t.Errorf("the refresh token was sent %d times", n)
	}
	full.full = false
	wantError(t, refresh.RenewNow(t.Context(), full, v.account, v.dir), nil)
	if n := i.granted(); n != 1 {
		t.Errorf("%d grants, want 1", n)
	}
}

// fullStore has no room for a save.
type fullStore struct {
	*keyring.Store
	full bool
}

func (s *fullStore) CheckSave(ctx context.Context, account string) error {
	if s.full {
		return keyring.ErrFull
	}
	return s.Store.CheckSave(ctx, account)
}
