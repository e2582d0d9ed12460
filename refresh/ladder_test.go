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

// A good stored token costs one read of the store, and neither network nor agent.
func TestLadderFirstRung(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	v.save(t, i.signedIn("ada", time.Now(), time.Now().Add(time.Hour)))
	store := &flakyStore{Store: v.store}
	l := v.ladder()
	l.Store = store
	l.Agent = func(context.Context, string) error { t.Error("the agent was asked"); return nil }
	wantToken(t, l, "access-0")
	if store.reads != 1 || store.saves != 0 || i.askedAtAll() != 0 {
		t.Errorf("%d reads, %d saves, %d requests; want one read", store.reads, store.saves, i.askedAtAll())
	}
}

// Stored gives the first rung alone: what is due is not renewed, and not given out either.
func TestLadderStored(t *testing.T) {
	for _, tt := range []struct {
		name   string
		record func(*rotatingIssuer) *keyring.Credential
		want   string
		err    error
	}{
		{"good", func(i *rotatingIssuer) *keyring.Credential {
			return i.signedIn("ada", time.Now(), time.Now().Add(time.Hour))
		}, "access-0", nil},
		{"due", func(i *rotatingIssuer) *keyring.Credential { return i.inMargin("ada") }, "", nil},
		{"ended", func(i *rotatingIssuer) *keyring.Credential {
			return i.signedIn("ada", time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour))
		}, "", nil},
		{"foreign", func(i *rotatingIssuer) *keyring.Credential {
			c := i.signedIn("ada", time.Now(), time.Now().Add(time.Hour))
			c.ClientID = "another"
			return c
		}, "", refresh.ErrForeign},
		{"by another route", func(i *rotatingIssuer) *keyring.Credential {
			c := i.signedIn("ada", time.Now(), time.Now().Add(time.Hour))
			c.Route = "proxy"
			return c
		}, "", refresh.ErrForeign},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := newRotatingIssuer(t)
			v := newValet(t, i)
			v.save(t, tt.record(i))
			l := v.ladder()
			l.Agent = func(context.Context, string) error { t.Error("the agent was asked"); return nil }
			c, isGood, err := l.Stored(t.Context())
			got := keyring.Secret{}
			if isGood {
				got = c.AccessToken
			}
			if !errors.Is(err, tt.err) || !got.Equal(keyring.NewSecret(tt.want)) || c == nil != (err != nil) {
				t.Errorf("error %v, want %v; or another token", err, tt.err)
			}
			if i.askedAtAll() != 0 {
				t.Error("the issuer was asked")
			}
		})
	}
}

func TestLadderRenews(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	v.save(t, i.inMargin("ada"))
	l := v.ladder()
	c, err := l.Credential(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !c.AccessToken.Equal(keyring.NewSecret("access-1")) || c.Serial != 2 {
		t.Errorf("got serial %d", c.Serial)
	}
	wantToken(t, l, "access-1")
	if n := i.granted(); n != 1 {
		t.Errorf("%d grants, want 1", n)
	}
}

// What the agent comes to, and what becomes of a token that has not ended yet and of one that has.
func TestLadderAndItsAgent(t *testing.T) {
	strange := errors.New("no such program")
	for _, tt := range []struct {
		name    string
		agent   error
		due     error // wanted for a token that is due; nil: it is given out
		expired error // wanted for a token that has ended
	}{
		{"unreachable", refresh.ErrUnreachable, nil, refresh.ErrUnreachable},
		{"takes long", context.DeadlineExceeded, nil, refresh.ErrUnreachable},
		{"another one is at it", keyring.ErrBusy, nil, refresh.ErrUnreachable},
		{"cannot be started", strange, nil, strange},
		{"keychain is locked for it", keyring.ErrLocked, nil, keyring.ErrLocked},
		{"keychain took nothing", keyring.ErrUnknown, nil, keyring.ErrUnknown},
		{"content, and nothing changed", nil, nil, refresh.ErrUnreachable},
		{"signed out", refresh.ErrSignedOut, refresh.ErrSignedOut, refresh.ErrSignedOut},
		{"foreign", refresh.ErrForeign, refresh.ErrForeign, refresh.ErrForeign},
		{"misconfigured", refresh.ErrMisconfigured, refresh.ErrMisconfigured, refresh.ErrMisconfigured},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := newRotatingIssuer(t)
			v := newValet(t, i)
			l := v.ladder()
			l.Agent = func(_ context.Context, account string) error {
				if account != "work" {
					t.Errorf("asked for account %q", account)
				}
				return tt.agent
			}
			v.save(t, i.inMargin("ada"))
			_, err := l.Token(t.Context())
			wantError(t, err, tt.due)
			v.save(t, i.longExpired("ada"))
			_, err = l.Token(t.Context())
			wantError(t, err, tt.expired)
		})
	}
}

// An agent's verdict that says nothing is filled in from what the agent remembered.
func TestLadderExplains(t *testing.T) {
	for _, tt := range []struct {
		code string
		want error
	}{{"invalid_client", refresh.ErrMisconfigured}, {"invalid_grant", refresh.ErrSignedOut}, {"server_error", refresh.ErrUnreachable}} {
		i := newRotatingIssuer(t)
		v := newValet(t, i)
		v.save(t, i.longExpired("ada"))
		i.set(answerWith(400, "application/json", `{"error":"`+tt.code+`"}`))
		l := v.ladder()
		l.Agent = func(ctx context.Context, _ string) error {
			v.renew(ctx) // the error is lost, as it is between processes
			return errors.New("exit status 1")
		}
		_, err := l.Token(t.Context())
		wantError(t, err, tt.want)
	}
}

// What is known already is not asked again: no agent is started for it.
func TestLadderSparesTheAgent(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(*rotatingIssuer, *valet, *keyring.Credential)
		want    error
	}{
		{"no refresh token", func(_ *rotatingIssuer, _ *valet, c *keyring.Credential) { c.RefreshToken = keyring.Secret{} }, refresh.ErrSignedOut},
		{"another client", func(_ *rotatingIssuer, v *valet, _ *keyring.Credential) { v.account.ClientID = "other" }, refresh.ErrForeign},
		{"another issuer", func(_ *rotatingIssuer, v *valet, _ *keyring.Credential) {
			v.account.Issuer = "https://other.example.com"
		}, refresh.ErrForeign},
		{"another token endpoint", func(_ *rotatingIssuer, v *valet, _ *keyring.Credential) {
			v.account.Endpoints.Token = "https://other.example.com/token"
		}, refresh.ErrForeign},
		{"refused before", func(i *rotatingIssuer, _ *valet, _ *keyring.Credential) {
			i.set(answerWith(400, "application/json", `{"error":"invalid_grant"}`))
		}, refresh.ErrSignedOut},
		{"unreachable a moment ago", func(i *rotatingIssuer, _ *valet, _ *keyring.Credential) {
			i.set(answerWith(503, "", ""))
		}, refresh.ErrUnreachable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := newRotatingIssuer(t)
			v := newValet(t, i)
			c := i.longExpired("ada")
			tt.prepare(i, v, c)
			v.save(t, c)
			v.renew(t.Context()) // whatever it says
			l := v.ladder()
			l.Agent = func(context.Context, string) error { t.Error("the agent was asked"); return nil }
			_, err := l.Token(t.Context())
			wantError(t, err, tt.want)
		})
	}
}

// A good token of another issuer, client or endpoint is not given out either.
func TestLadderForeign(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	v.save(t, i.signedIn("ada", time.Now(), time.Now().Add(time.Hour)))
	for _, change := range []func(*refresh.Account){
		func(a *refresh.Account) { a.ClientID = "other" },
		func(a *refresh.Account) { a.Issuer = "https://other.example.com" },
		func(a *refresh.Account) {
			a.Issuer = "https://other.example.com/"
			a.Endpoints.Token = i.URL + "/token"
		},
		func(a *refresh.Account) { a.Endpoints.Token = "https://other.example.com/token" },
		func(a *refresh.Account) { a.Endpoints.Token = "http://127.0.0.1:1/token" },
	} {
		l := v.ladder()
		change(&l.Account)
		_, err := l.Token(t.Context())
		wantError(t, err, refresh.ErrForeign)
	}
	l := v.ladder()
	l.Account.Scopes = []string{"openid", "more"}
	wantToken(t, l, "access-0")
}

func TestLadderWaitsOnlySoLong(t *testing.T) {
	for _, tt := range []struct{ wait, want time.Duration }{{0, 2 * time.Second}, {500 * time.Millisecond, 500 * time.Millisecond}} {
		i := newRotatingIssuer(t)
		v := newValet(t, i)
		synctest.Test(t, func(t *testing.T) {
			l := v.ladder()
			l.Wait = tt.wait
			l.Agent = func(ctx context.Context, _ string) error {
				<-ctx.Done()
				return ctx.Err()
			}
			v.save(t, i.longExpired("ada"))
			start := time.Now()
			_, err := l.Token(t.Context())
			wantError(t, err, refresh.ErrUnreachable)
			if took := time.Since(start); took != tt.want {
				t.Errorf("waited %v, want %v", took, tt.want)
			}
			v.save(t, i.inMargin("ada"))
			wantToken(t, l, "access-0")
			// The agent was done just then.
			l.Agent = func(ctx context.Context, _ string) error {
				<-ctx.Done()
				v.save(t, i.signedIn("bob", time.Now(), time.Now().Add(time.Hour)))
				return ctx.Err()
			}
			v.save(t, i.longExpired("ada"))
			wantToken(t, l, "access-0")
		})
	}
}

func TestLadderEndsWithItsContext(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	v.save(t, i.inMargin("ada"))
	ctx, cancel := context.WithCancel(t.Context())
	l := v.ladder()
	l.Agent = func(ctx context.Context, _ string) error {
		cancel()
		return ctx.Err()
	}
	_, err := l.Token(ctx)
	wantError(t, err, context.Canceled)
	if errors.Is(err, refresh.ErrUnreachable) || errors.Is(err, refresh.ErrSignedOut) {
		t.Errorf("it claims to know more: %v", err)
	}
}

func TestLadderWithoutSignIn(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	_, err := v.ladder().Token(t.Context())
	wantError(t, err, refresh.ErrSignedOut)
	wantError(t, err, keyring.ErrNotFound)
}

// A keychain that cannot be read is no sign-out.
func TestLadderPassesKeychainErrorsOn(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	v.save(t, i.inMargin("ada"))
	for _, sentinel := range []error{keyring.ErrLocked, keyring.ErrUnavailable, keyring.ErrTimeout, keyring.ErrTooNew, keyring.ErrCorrupt} {
		for read := 1; read <= 2; read++ {
			l := v.ladder()
			l.Store = &flakyStore{Store: v.store, onRead: func(n int) error {
				if n == read {
					return &keyring.Error{Op: "reading", Err: sentinel}
				}
				return nil
			}}
			l.Agent = func(context.Context, string) error { return refresh.ErrUnreachable }
			_, err := l.Token(t.Context())
			wantError(t, err, sentinel)
			if errors.Is(err, refresh.ErrSignedOut) {
				t.Errorf("signed out: %v", err)
			}
		}
	}
}

// Where the account names an audience, a JWT is given out after its full check only.
func TestLadderChecksTokens(t *testing.T) {
	i := newRotatingIssuer(t)
	key, other := newSigner(t, "k", "ES256"), newSigner(t, "k", "ES256")
	i.set(func(i *rotatingIssuer) { i.keys = []map[string]any{key.jwk(nil)} })
	claims := func(changes map[string]any) map[string]any {
		return changed(map[string]any{"iss": i.URL, "aud": "kb", "exp": time.Now().Add(time.Hour).Unix()}, changes)
	}
	unsigned := base64url([]byte(`{"alg":"none"}`)) + "." + base64url([]byte(`{"aud":"kb"}`)) + "."
	for _, tt := range []struct {
		name, audience, token string
		down                  bool // the issuer's keys are out of reach
		want                  error
	}{
		{"good", "kb", key.sign(t, nil, claims(nil)), false, nil},
		{"for another audience", "kb", key.sign(t, nil, claims(map[string]any{"aud": "mail"})), false, refresh.ErrToken},
		{"for another audience, none named", "", key.sign(t, nil, claims(map[string]any{"aud": "mail"})), false, nil},
		{"by another issuer", "kb", key.sign(t, nil, claims(map[string]any{"iss": "https://other.example.com"})), false, refresh.ErrToken},
		{"signed by another", "kb", other.sign(t, nil, claims(nil)), false, refresh.ErrToken},
		{"signed by another, no audience named", "", other.sign(t, nil, claims(nil)), false, nil},
		{"opaque", "kb", "opaque-token", false, nil},
		{"keys out of reach", "kb", key.sign(t, nil, claims(nil)), true, refresh.ErrUnreachable},
		{"keys out of reach, opaque", "kb", "opaque-token", true, nil},
		{"unsigned", "kb", unsigned, false, refresh.ErrToken},
		{"unsigned, no audience named", "", unsigned, false, refresh.ErrToken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i.set(func(i *rotatingIssuer) { i.keysDown = tt.down })
			v := newValet(t, i)
			c := i.signedIn("ada", time.Now(), time.Now().Add(time.Hour))
			c.AccessToken, c.Audience = keyring.NewSecret(tt.token), tt.audience
			v.save(t, c)
			v.account.Audience = tt.audience
			l := v.ladder()
			_, err := l.Token(t.Context())
			wantError(t, err, tt.want)
			if tt.want == nil {
				wantToken(t, l, tt.token)
			}
			if n := i.granted(); n != 0 {
				t.Errorf("%d grants", n)
			}
		})
	}
}

// An issuer that takes connections and says nothing does not keep a server from starting for long.
func TestLadderKeysTakeLong(t *testing.T) {
	i := newRotatingIssuer(t)
	key := newSigner(t, "k", "ES256")
	v := newValet(t, i)
	c := i.signedIn("ada", time.Now(), time.Now().Add(time.Hour))
	c.AccessToken = keyring.NewSecret(key.sign(t, nil, map[string]any{"iss": i.URL, "aud": "kb", "exp": time.Now().Add(time.Hour).Unix()}))
	c.Audience, v.account.Audience = "kb", "kb"
	v.save(t, c)
	mute := make(chan struct{})
	defer close(mute)
	i.Server.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-mute })
	l := v.ladder()
	l.Wait = 50 * time.Millisecond
	begin := time.Now()
	_, _, err := l.Stored(t.Context())
	wantError(t, err, refresh.ErrUnreachable)
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
}
