package refresh_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"mcp-valet/keyring"
	"mcp-valet/refresh"
)

func mustClient(t testing.TB, a refresh.Account) *refresh.Client {
	t.Helper()
	c, err := refresh.New(a)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRefresh(t *testing.T) {
	i := newRotatingIssuer(t)
	old := i.longExpired("ada")
	old.RevocationEndpoint, old.Serial = i.URL+"/revoke", 7
	before := time.Now().Add(-time.Second)
	got, err := mustClient(t, i.workAccount()).Refresh(t.Context(), old)
	if err != nil {
		t.Fatal(err)
	}
	if !got.AccessToken.Equal(keyring.NewSecret("access-1")) || !got.RefreshToken.Equal(keyring.NewSecret("ada 1")) {
		t.Error("the tokens are not those of the answer")
	}
	if got.ObtainedAt.Before(before) || got.ObtainedAt.After(time.Now()) {
		t.Errorf("obtained at %v", got.ObtainedAt)
	}
	if life := got.Expiry.Sub(got.ObtainedAt); life < time.Hour || life > time.Hour+time.Second {
		t.Errorf("a life of %v, want an hour", life)
	}
	if got.Account != "work" || got.Issuer != old.Issuer || got.Subject != "ada" || got.ClientID != "valet" ||
		got.RevocationEndpoint != old.RevocationEndpoint || got.TokenEndpoint != old.TokenEndpoint || got.Serial != 7 ||
		!slices.Equal(got.Scopes, old.Scopes) {
		t.Errorf("what the answer does not tell has changed: %+v", got)
	}
	want := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"ada 0"}, "client_id": {"valet"}}
	if form := i.lastForm(); form.Encode() != want.Encode() {
		t.Errorf("sent %v, want %v", form, want)
	}
	if !old.AccessToken.Equal(keyring.NewSecret("access-0")) {
		t.Error("the old credential was changed")
	}
}

func TestRefreshSendsAudienceAndResource(t *testing.T) {
	i := newRotatingIssuer(t)
	a := i.workAccount()
	a.Audience, a.Resource, a.ClientSecret = "kb", "https://kb.example.com/", keyring.NewSecret("a client secret")
	got, err := mustClient(t, a).Refresh(t.Context(), i.longExpired("ada"))
	if err != nil {
		t.Fatal(err)
	}
	if got.Audience != a.Audience || got.Resource != a.Resource {
		t.Errorf("recorded for audience %q and resource %q", got.Audience, got.Resource)
	}
	form := i.lastForm()
	if form.Get("audience") != a.Audience || form.Get("resource") != a.Resource || form.Has("scope") {
		t.Errorf("sent audience %q, resource %q, scope %q", form.Get("audience"), form.Get("resource"), form["scope"])
	}
}

func TestRefreshAnswers(t *testing.T) {
	minute := func(n int) time.Time { return time.Now().Add(time.Duration(n) * time.Minute) }
	key := newSigner(t, "k", "ES256")
	jwt := func(expiresIn any, claims map[string]any) map[string]any {
		return map[string]any{"access_token": key.sign(t, nil, claims), "expires_in": expiresIn}
	}
	for _, tt := range []struct {
		name    string
		extra   map[string]any // changes to the answer
		refresh string         // wanted
		scopes  string         // wanted
		life    time.Duration  // wanted; 0 is no end
	}{
		{"no new refresh token", map[string]any{"refresh_token": nil}, "ada 0", "openid", time.Hour},
		{"other scopes", map[string]any{"scope": "read write"}, "ada 1", "read write", time.Hour},
		{"no end", map[string]any{"expires_in": nil}, "ada 1", "openid", 0},
		{"the JWT tells its end", jwt(nil, map[string]any{"exp": minute(30).Unix()}), "ada 1", "openid", 30 * time.Minute},
		{"the issuer's clock is an hour behind", jwt(nil, map[string]any{"exp": minute(-30).Unix(), "iat": minute(-60).Unix()}), "ada 1", "openid", 30 * time.Minute},
		{"the issuer's clock is behind, and the token does not say when it began", jwt(nil, map[string]any{"exp": minute(-30).Unix()}), "ada 1", "openid", time.Minute},
		{"the token ends before the answer says", jwt(3600, map[string]any{"exp": minute(10).Unix()}), "ada 1", "openid", 10 * time.Minute},
		{"the answer says earlier than the token", jwt(60, map[string]any{"exp": minute(100).Unix()}), "ada 1", "openid", time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := newRotatingIssuer(t)
			i.set(func(i *rotatingIssuer) { i.extra = tt.extra })
			got, err := mustClient(t, i.workAccount()).Refresh(t.Context(), i.longExpired("ada"))
			if err != nil {
				t.Fatal(err)
			}
			if !got.RefreshToken.Equal(keyring.NewSecret(tt.refresh)) {
				t.Errorf("another refresh token than %q", tt.refresh)
			}
			if s := strings.Join(got.Scopes, " "); s != tt.scopes {
				t.Errorf("scopes %q, want %q", s, tt.scopes)
			}
			if tt.life == 0 != got.Expiry.IsZero() {
				t.Fatalf("ends %v", got.Expiry)
			}
			if off := got.Expiry.Sub(got.ObtainedAt) - tt.life; tt.life != 0 && off.Abs() > 3*time.Second {
				t.Errorf("a life of %v, want %v", got.Expiry.Sub(got.ObtainedAt), tt.life)
			}
		})
	}
}

// A refresh token goes to the origin that is recorded with it, whatever configuration and issuer say.
func TestRefreshGoesToRecordedOriginOnly(t *testing.T) {
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the thief was asked for %s", r.URL.Path)
	}))
	defer thief.Close()
	for _, tt := range []struct {
		name   string
		issuer func(*rotatingIssuer)
		change func(*refresh.Account, *keyring.Credential)
		want   error
	}{
		{"configured token endpoint elsewhere", nil, func(a *refresh.Account, _ *keyring.Credential) {
			a.Endpoints.Token = thief.URL + "/token"
		}, refresh.ErrForeign},
		{"configured issuer elsewhere", nil, func(a *refresh.Account, _ *keyring.Credential) {
			a.Issuer = thief.URL
		}, refresh.ErrForeign},
		{"configured client is another", nil, func(a *refresh.Account, _ *keyring.Credential) {
			a.ClientID = "thief"
		}, refresh.ErrForeign},
		{"discovered token endpoint elsewhere", func(i *rotatingIssuer) {
			i.document = map[string]any{"token_endpoint": thief.URL + "/token"}
		}, nil, refresh.ErrForeign},
		{"recorded token endpoint is http", nil, func(_ *refresh.Account, c *keyring.Credential) {
			c.TokenEndpoint = "http://login.example.com/token"
		}, refresh.ErrForeign},
		{"recorded token endpoint is none", nil, func(_ *refresh.Account, c *keyring.Credential) {
			c.TokenEndpoint = ""
		}, refresh.ErrForeign},
		{"no refresh token", nil, func(_ *refresh.Account, c *keyring.Credential) {
			c.RefreshToken = keyring.Secret{}
		}, refresh.ErrSignedOut},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := newRotatingIssuer(t)
			if tt.issuer != nil {
				i.set(tt.issuer)
			}
			a, c := i.workAccount(), i.longExpired("ada")
			if tt.change != nil {
				tt.change(&a, c)
			}
			_, err := mustClient(t, a).Refresh(t.Context(), c)
			wantError(t, err, tt.want)
			if n := i.asked("/token"); n != 0 {
				t.Errorf("%d grants were sent", n)
			}
		})
	}
}

// A redirect of the token endpoint is not followed: the refresh token would go along.
func TestRefreshFollowsNoRedirect(t *testing.T) {
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the thief was asked")
	}))
	defer thief.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		i := newRotatingIssuer(t)
		i.set(func(i *rotatingIssuer) {
			i.answer = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, thief.URL+"/token", status) }
		})
		_, err := mustClient(t, i.workAccount()).Refresh(t.Context(), i.longExpired("ada"))
		wantError(t, err, refresh.ErrUnreachable)
	}
}

func TestRefreshFindsItsEndpoint(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*rotatingIssuer, *refresh.Account, *keyring.Credential)
		want   string // path asked for
	}{
		{"moved within its origin", func(i *rotatingIssuer, _ *refresh.Account, c *keyring.Credential) {
			c.TokenEndpoint = i.URL + "/old/token"
		}, "/token"},
		{"issuer does not describe itself just now", func(i *rotatingIssuer, _ *refresh.Account, _ *keyring.Credential) {
			i.set(func(i *rotatingIssuer) { i.noDocument = true })
		}, "/token"},
		{"configured", func(i *rotatingIssuer, a *refresh.Account, c *keyring.Credential) {
			a.Endpoints.Token = i.URL + "/configured"
			c.Route = refresh.RouteOf(*a)
		}, "/token"},
		{"configured issuer with a closing slash", func(_ *rotatingIssuer, a *refresh.Account, _ *keyring.Credential) {
			a.Issuer += "/"
		}, "/token"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := newRotatingIssuer(t)
			a, c := i.workAccount(), i.longExpired("ada")
			tt.change(i, &a, c)
			got, err := mustClient(t, a).Refresh(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if i.asked(tt.want) != 1 || got.TokenEndpoint != i.URL+tt.want {
				t.Errorf("asked %d times, recorded %s", i.asked(tt.want), got.TokenEndpoint)
			}
		})
	}
}

// No error of a grant holds a token or a word of the answer.
func TestRefreshErrorsHoldNoSecrets(t *testing.T) {
	for _, body := range []string{
		`{"error":"invalid_grant","error_description":"ada 0 is gone, prose"}`,
		`{"error":"prose prose","access_token":"access-1"}`,
		`prose access-1 ada 0`,
	} {
		for _, status := range []int{200, 400, 500} {
			i := newRotatingIssuer(t)
			i.set(answerWith(status, "application/json", body))
			v := newValet(t, i)
			v.save(t, i.longExpired("ada"))
			err := errors.Join(v.renew(t.Context()), v.state(t).Err())
			for _, secret := range []string{"ada 0", "access-", "prose"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("status %d, %s: the error holds %q: %v", status, body, secret, err)
				}
			}
		}
	}
}
