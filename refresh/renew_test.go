package refresh_test

import (
	"context"
	"errors"
	"net/http"
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
	onRead       func(n int) error                            // before the nth read; an error takes its place
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
	return s.Store.Credential(ctx, account)
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

func TestRenew(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	c := i.longExpired("ada")
	v.save(t, c)
	wantError(t, v.renew(t.Context()), nil)
	got := v.stored(t)
	if got.Serial != c.Serial+1 || !got.RefreshToken.Equal(keyring.NewSecret("ada 1")) {
		t.Errorf("stored serial %d, want %d and the rotated token", got.Serial, c.Serial+1)
	}
	if s := v.state(t); s.Outcome != refresh.OutcomeOK || s.Serial != got.Serial {
		t.Errorf("remembered %+v", s)
	}
	// Whoever comes next finds the work done.
	wantError(t, v.renew(t.Context()), nil)
	wantError(t, v.renewNow(t.Context()), nil)
	if n := i.granted(); n != 1 {
		t.Errorf("%d grants, want 1", n)
	}
}

func TestRenewWithoutSignIn(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	err := v.renew(t.Context())
	wantError(t, err, refresh.ErrSignedOut)
	wantError(t, err, keyring.ErrNotFound)

	c := i.longExpired("ada")
	c.RefreshToken = keyring.Secret{}
	v.save(t, c)
	wantError(t, v.renew(t.Context()), refresh.ErrSignedOut)
	if n := i.askedAtAll(); n != 0 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

// A dead refresh token is asked with once; a person may ask again; a new sign-in is another matter.
func TestRenewDead(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	c := i.longExpired("ada")
	v.save(t, c)
	i.set(func(i *rotatingIssuer) { delete(i.live, "ada") })
	for range 3 {
		wantError(t, v.renew(t.Context()), refresh.ErrSignedOut)
	}
	if n := i.asked("/token"); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
	if s := v.state(t); s.Outcome != refresh.OutcomeSignedOut || s.Code != "invalid_grant" {
		t.Errorf("remembered %+v", s)
	}
	if got := v.stored(t); got.Serial != c.Serial || !got.RefreshToken.Equal(c.RefreshToken) {
		t.Error("the failure changed the stored credential")
	}
	wantError(t, v.renewNow(t.Context()), refresh.ErrSignedOut)
	if n := i.asked("/token"); n != 2 {
		t.Errorf("asked %d times, want twice", n)
	}
	v.save(t, i.longExpired("ada again"))
	i.set(func(i *rotatingIssuer) { i.live["ada"] = 0 })
	v.save(t, i.longExpired("ada"))
	wantError(t, v.renew(t.Context()), nil)
}

// After a sign-out the record's numbers begin anew; what is remembered of the old ones must not be taken for the new.
func TestRenewAfterSignOutAndIn(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	v.save(t, i.longExpired("ada"))
	i.set(func(i *rotatingIssuer) { delete(i.live, "ada") })
	wantError(t, v.renew(t.Context()), refresh.ErrSignedOut)
	if err := v.store.Delete(t.Context(), keyring.AccountKey("work")); err != nil {
		t.Fatal(err)
	}
	v.save(t, i.longExpired("bob"))
	if n := v.stored(t).Serial; n != 1 {
		t.Fatalf("serial %d, want 1 again", n)
	}
	wantError(t, v.renew(t.Context()), nil)
}

// Another process, or another version of this program, saved a newer credential while ours was refused.
func TestRenewDeadButSuperseded(t *testing.T) {
	for _, tt := range []struct {
		name   string
		newer  func(*rotatingIssuer) *keyring.Credential
		want   error
		grants int
	}{
		{"by a good one", func(i *rotatingIssuer) *keyring.Credential {
			return i.signedIn("bob", time.Now(), time.Now().Add(time.Hour))
		}, nil, 0},
		{"by one that is due", func(i *rotatingIssuer) *keyring.Credential { return i.longExpired("bob") }, nil, 1},
		{"by one that is dead", func(i *rotatingIssuer) *keyring.Credential {
			c := i.longExpired("bob")
			i.set(func(i *rotatingIssuer) { delete(i.live, "bob") })
			return c
		}, refresh.ErrSignedOut, 0},
		{"by one of another client", func(i *rotatingIssuer) *keyring.Credential {
			c := i.longExpired("bob")
			c.ClientID = "other"
			return c
		}, refresh.ErrForeign, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := newRotatingIssuer(t)
			v := newValet(t, i)
			v.save(t, i.longExpired("ada"))
			i.set(func(i *rotatingIssuer) {
				i.answer = func(w http.ResponseWriter, _ *http.Request) {
					i.set(answerNormally)
					if err := v.store.SaveCredential(context.Background(), tt.newer(i)); err != nil {
						t.Error(err)
					}
					replyJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
				}
			})
			wantError(t, v.renew(t.Context()), tt.want)
			if n := i.granted(); n != tt.grants {
				t.Errorf("%d grants, want %d", n, tt.grants)
			}
			if got := v.stored(t); got.Serial < 2 {
				t.Error("the newer credential is lost")
			}
			if s := v.state(t); tt.want == nil && s.Outcome == refresh.OutcomeSignedOut {
				t.Errorf("remembered %+v", s)
			}
		})
	}
}

// An issuer that refuses without saying why is believed the third time in a row, if it is there at all.
func TestBareRefusals(t *testing.T) {
	unreachable, signedOut := refresh.ErrUnreachable, refresh.ErrSignedOut
	bare := answerWith(400, "", "")
	for _, tt := range []struct {
		name    string
		prepare func(*rotatingIssuer, *valet)
		answers []func(*rotatingIssuer)
		want    []error
	}{
		{"three in a row", nil,
			[]func(*rotatingIssuer){bare, bare, bare}, []error{unreachable, unreachable, signedOut}},
		{"interrupted by a 503", nil,
			[]func(*rotatingIssuer){bare, bare, answerWith(503, "", ""), bare, bare, bare},
			[]error{unreachable, unreachable, unreachable, unreachable, unreachable, signedOut}},
		{"no description to be had", func(i *rotatingIssuer, _ *valet) {
			i.set(func(i *rotatingIssuer) { i.noDocument = true })
		}, []func(*rotatingIssuer){bare, bare, bare, bare, bare}, []error{unreachable, unreachable, unreachable, unreachable, unreachable}},
		{"no keys to be had", func(i *rotatingIssuer, v *valet) {
			v.account.Endpoints = refresh.Endpoints{Token: i.URL + "/token", JWKS: i.URL + "/jwks"}
			i.set(func(i *rotatingIssuer) { i.keysDown = true })
		}, []func(*rotatingIssuer){bare, bare, bare, bare}, []error{unreachable, unreachable, unreachable, unreachable}},
		{"keys to be had", func(i *rotatingIssuer, v *valet) {
			v.account.Endpoints = refresh.Endpoints{Token: i.URL + "/token", JWKS: i.URL + "/jwks"}
		}, []func(*rotatingIssuer){bare, bare, bare}, []error{unreachable, unreachable, signedOut}},
		{"nothing else to ask for", func(i *rotatingIssuer, v *valet) {
			v.account.Endpoints = refresh.Endpoints{Token: i.URL + "/token"}
		}, []func(*rotatingIssuer){bare, bare, bare}, []error{unreachable, unreachable, signedOut}},
		{"other bare answers never count", nil,
			[]func(*rotatingIssuer){answerWith(403, "", ""), answerWith(401, "", ""), answerWith(404, "", ""), answerWith(403, "", "")},
			[]error{unreachable, unreachable, unreachable, unreachable}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := newRotatingIssuer(t)
			v := newValet(t, i)
			v.save(t, i.longExpired("ada"))
			if tt.prepare != nil {
				tt.prepare(i, v)
			}
			for n, answer := range tt.answers {
				i.set(answer)
				if err := v.renewNow(t.Context()); !errors.Is(err, tt.want[n]) {
					t.Fatalf("attempt %d: %v, want %v", n+1, err, tt.want[n])
				}
			}
		})
	}
}

// The sign-out that bare refusals come to was a guess: it is tried again, slowly, and ends by itself if it was wrong.
func TestBareRefusalsHeal(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	i.set(answerWith(400, "", ""))
	synctest.Test(t, func(t *testing.T) {
		v.save(t, i.longExpired("ada"))
		for _, want := range []error{refresh.ErrUnreachable, refresh.ErrUnreachable, refresh.ErrSignedOut} {
			wantError(t, v.renew(t.Context()), want)
			time.Sleep(10 * time.Second)
		}
		asked := i.asked("/token")
		i.set(answerNormally)
		wantError(t, v.renew(t.Context()), refresh.ErrSignedOut)
		if i.asked("/token") != asked {
			t.Error("asked at once again")
		}
		time.Sleep(5 * time.Minute)
		wantError(t, v.renew(t.Context()), nil)
	})
}

// A day without the issuer, in every way it can be missing, while launchers ask every few minutes: nobody is signed out.
func TestDayOfPassingFailures(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	troubles := []func(*rotatingIssuer){
		answerWith(503, "", ""), answerWith(500, "text/html", "<h1>oops</h1>"), answerWith(429, "application/json", `{"error":"slow_down"}`),
		answerWith(200, "text/html", "<html>hotel</html>"), answerWith(403, "text/html", "<html>firewall</html>"),
		answerWith(400, "text/html", "<html>firewall</html>"), hangUp, answerWith(302, "", ""), answerWith(400, "application/json", `{"error":"server_error"}`),
	}
	synctest.Test(t, func(t *testing.T) {
		v.save(t, i.longExpired("ada"))
		for n, end := 0, time.Now().Add(24*time.Hour); time.Now().Before(end); n++ {
			i.set(troubles[n%len(troubles)])
			l := v.ladder()
			_, err := l.Token(t.Context())
			wantError(t, err, refresh.ErrUnreachable)
			if errors.Is(err, refresh.ErrSignedOut) {
				t.Fatalf("signed out: %v", err)
			}
			time.Sleep(3 * time.Minute)
		}
		if n := i.asked("/token"); n < 24*60/6 || n > 24*60/3+1 {
			t.Errorf("the issuer was asked %d times in a day", n)
		}
		i.set(answerNormally)
		time.Sleep(5 * time.Minute)
		wantToken(t, v.ladder(), "access-1")
	})
}

// hangUp makes the token endpoint break the connection.
func hangUp(i *rotatingIssuer) {
	i.answer = func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }
}

// The machine is offline for a day: not even a connection comes about.
func TestDayOffline(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	c := i.longExpired("ada")
	i.Close()
	synctest.Test(t, func(t *testing.T) {
		c.ObtainedAt, c.Expiry = time.Now().Add(-time.Hour), time.Now()
		v.save(t, c)
		for end := time.Now().Add(24 * time.Hour); time.Now().Before(end); time.Sleep(7 * time.Minute) {
			wantError(t, v.renew(t.Context()), refresh.ErrUnreachable)
		}
		if s := v.state(t); s.Outcome != refresh.OutcomeUnreachable || s.Failures < 100 {
			t.Errorf("remembered %+v", s)
		}
		if got := v.stored(t); got.Serial != c.Serial {
			t.Error("the failures changed the stored credential")
		}
	})
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
				c := i.longExpired("ada")
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

// A grant that was sent is seen through and saved, though whoever wanted it has gone.
func TestRenewSeesGrantThrough(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	v.save(t, i.longExpired("ada"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	i.set(func(i *rotatingIssuer) { i.afterward = cancel })
	wantError(t, v.renew(ctx), nil)
	if got := v.stored(t); !got.RefreshToken.Equal(keyring.NewSecret("ada 1")) {
		t.Error("the rotated token is lost")
	}
}

func TestRenewCancelledBefore(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	v.save(t, i.longExpired("ada"))
	ctx, cancel := context.WithCancel(t.Context())
	store := &flakyStore{Store: v.store, onRead: func(int) error { cancel(); return nil }}
	if err := refresh.Renew(ctx, store, v.account, v.dir); err == nil {
		t.Error("no error")
	}
	if n := i.askedAtAll(); n != 0 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

// Audience and resource of the configuration have changed: the stored token is not the one wanted.
func TestRenewForAnotherAudience(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	v.save(t, i.signedIn("ada", time.Now(), time.Now().Add(time.Hour)))
	v.account.Resource = "https://kb.example.com/"
	wantToken(t, v.ladder(), "access-1")
	wantToken(t, v.ladder(), "access-1")
	if got := v.stored(t); got.Resource != v.account.Resource || i.lastForm().Get("resource") != v.account.Resource {
		t.Errorf("recorded resource %q, sent %q", got.Resource, i.lastForm().Get("resource"))
	}
}

func TestRenewForeign(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	v.save(t, i.longExpired("ada"))
	v.account.ClientID = "other"
	wantError(t, v.renew(t.Context()), refresh.ErrForeign)
	wantError(t, v.renewNow(t.Context()), refresh.ErrForeign)
	if n := i.askedAtAll(); n != 0 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

// An answer that brings a token of no life does not make every call renew again without end.
func TestRenewTokenWithoutLife(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	key := newSigner(t, "k", "ES256")
	stale := key.sign(t, nil, map[string]any{"exp": time.Now().Add(-time.Hour).Unix()})
	i.set(func(i *rotatingIssuer) { i.life, i.mint = 0, func(int) string { return stale } })
	v.save(t, i.longExpired("ada"))
	for range 5 {
		wantToken(t, v.ladder(), stale)
	}
	if n := i.granted(); n != 1 {
		t.Errorf("%d grants, want 1", n)
	}
}
