package refresh_test

import (
	"context"
	"testing"
	"time"

	"mcp-valet/keyring"
	"mcp-valet/refresh"
)

func TestMargin(t *testing.T) {
	obtained := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ life, want time.Duration }{
		{24 * time.Hour, 24 * time.Hour / 5},
		{time.Hour, 12 * time.Minute},
		{5 * time.Minute, time.Minute}, // a fifth is a minute
		{3 * time.Minute, time.Minute}, // at least a minute
		{2 * time.Minute, time.Minute}, // exactly half
		{time.Minute, 30 * time.Second},
		{4 * time.Second, 2 * time.Second},
		{0, 0},
		{-time.Hour, 0},
	} {
		if got := refresh.Margin(obtained, obtained.Add(tt.life)); got != tt.want {
			t.Errorf("a life of %v: margin %v, want %v", tt.life, got, tt.want)
		}
	}
	if got := refresh.Margin(time.Time{}, obtained); got != time.Minute {
		t.Errorf("an unknown life: margin %v, want a minute", got)
	}
}

// Which stored tokens are given out without asking anybody, and which are given out when nobody can be asked.
func TestWhatIsGood(t *testing.T) {
	now := time.Now()
	jwtEnding := func(in time.Duration) string {
		return newSigner(t, "k", "ES256").sign(t, nil, map[string]any{"exp": now.Add(in).Unix()})
	}
	for _, tt := range []struct {
		name         string
		obtained     time.Duration // from now
		expiry       time.Duration // from now; 0 is none
		change       func(*keyring.Credential)
		good, usable bool
	}{
		{"young", -time.Minute, 59 * time.Minute, nil, true, true},
		{"in its margin", -50 * time.Minute, 10 * time.Minute, nil, false, true},
		{"at its end", -time.Hour, 4 * time.Second, nil, false, false},
		{"ended", -2 * time.Hour, -time.Hour, nil, false, false},
		{"without an end", -1000 * time.Hour, 0, nil, true, true},
		{"of seconds", -time.Second, 30 * time.Second, nil, true, true},
		{"unknown when obtained", 0, 5 * time.Minute, func(c *keyring.Credential) { c.ObtainedAt = time.Time{} }, true, true},
		{"clock put back a little", 30 * time.Second, time.Hour, nil, true, true},
		{"clock put back by half its life", 30 * time.Minute, 90 * time.Minute, nil, false, true},
		{"clock put back by years", 50000 * time.Hour, 50001 * time.Hour, nil, false, false},
		{"without a refresh token, in its margin", -50 * time.Minute, 10 * time.Minute, noRefreshToken, true, true},
		{"without a refresh token, clock put back by years", 50000 * time.Hour, 50001 * time.Hour, noRefreshToken, false, false},
		{"without an access token", -time.Minute, time.Hour, withAccess(""), false, false},
		{"for another audience", -time.Minute, time.Hour, func(c *keyring.Credential) { c.Audience = "other" }, false, false},
		{"for another resource", -time.Minute, time.Hour, func(c *keyring.Credential) { c.Resource = "https://other.example" }, false, false},
		{"with fewer scopes", -time.Minute, time.Hour, func(c *keyring.Credential) { c.Scopes = nil }, true, true},
		{"a JWT that tells its end itself", -time.Minute, 0, withAccess(jwtEnding(time.Hour)), true, true},
		{"a JWT that has ended", -time.Hour, 0, withAccess(jwtEnding(-time.Second)), false, false},
		{"a JWT whose clock is another", -time.Minute, time.Hour, withAccess(jwtEnding(-time.Second)), true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := newRotatingIssuer(t)
			v := newValet(t, i)
			c := i.signedIn("ada", now.Add(tt.obtained), time.Time{})
			if tt.expiry != 0 {
				c.Expiry = now.Add(tt.expiry)
			}
			if tt.change != nil {
				tt.change(c)
			}
			v.save(t, c)
			i.set(answerWith(503, "", ""))
			l, asked := v.ladder(), 0
			l.Agent = func(ctx context.Context, _ string) error {
				asked++
				return v.renew(ctx)
			}
			_, err := l.Token(t.Context())
			if good := asked == 0 && err == nil; good != tt.good {
				t.Errorf("given out without a question: %v, want %v (%v)", good, tt.good, err)
			}
			if usable := err == nil; usable != tt.usable {
				t.Errorf("given out: %v, want %v (%v)", usable, tt.usable, err)
			}
		})
	}
}

func noRefreshToken(c *keyring.Credential) { c.RefreshToken = keyring.Secret{} }

func withAccess(token string) func(*keyring.Credential) {
	return func(c *keyring.Credential) { c.AccessToken = keyring.NewSecret(token) }
}
