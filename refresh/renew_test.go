package refresh_test

import (
	"context"
	"encoding/json"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"mcp-valet/keyring"
	"mcp-valet/refresh"
)

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

// What is remembered of a refusal is a file, and no proof: somebody may have written it. It is believed for an hour, and
// not at all when it is of a time to come.
func TestRememberedSignOutEnds(t *testing.T) {
	for _, tt := range []struct {
		name  string
		age   time.Duration
		asked int
	}{
		{"just now", time.Minute, 0},
		{"long ago", 2 * time.Hour, 1},
		{"in the future", -time.Hour, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := newRotatingIssuer(t)
			v := newValet(t, i)
			c := i.longExpired("ada")
			v.save(t, c)
			note, err := json.Marshal(refresh.State{Outcome: refresh.OutcomeSignedOut, Code: "invalid_grant", At: time.Now().Add(-tt.age), Serial: c.Serial, ObtainedAt: c.ObtainedAt})
			if err != nil {
				t.Fatal(err)
			}
			if err := keyring.WriteFile(filepath.Join(v.dir, "accounts", "work.json"), note); err != nil {
				t.Fatal(err)
			}
			v.renew(t.Context())
			if n := i.granted(); n != tt.asked {
				t.Errorf("%d grants, want %d", n, tt.asked)
			}
		})
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
	store := &flakyStore{Store: v.store, afterRead: cancel}
	wantError(t, refresh.Renew(ctx, store, v.account, v.dir), context.Canceled)
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
