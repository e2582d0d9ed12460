package issuer_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"mcp-valet/internal/issuer"
	"mcp-valet/keyring"
)

var sharedSecret = keyring.NewSecret("0123456789abcdef0123456789abcdef")

func signers(t *testing.T) map[string]*issuer.Signer {
	t.Helper()
	all := map[string]*issuer.Signer{}
	for _, alg := range []string{issuer.EdDSA, issuer.ES256} {
		s, err := issuer.NewSigner(alg)
		if err != nil {
			t.Fatal(err)
		}
		all[alg] = s
	}
	s, err := issuer.SecretSigner(sharedSecret)
	if err != nil {
		t.Fatal(err)
	}
	all[issuer.HS256] = s
	return all
}

func checkerOf(t *testing.T, s *issuer.Signer) *issuer.Checker {
	t.Helper()
	if s.JWKS() == nil {
		return s.Checker()
	}
	c, err := issuer.CheckerFor(s.JWKS())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSignerKept(t *testing.T) {
	for alg, s := range signers(t) {
		stored, err := s.Stored()
		if err != nil {
			t.Fatal(err)
		}
		if alg == issuer.HS256 {
			if !stored.IsZero() || s.JWKS() != nil {
				t.Error("a secret is kept, or published")
			}
			continue
		}
		again, err := issuer.ParseSigner(stored)
		if err != nil || again.ID() != s.ID() || again.Alg() != alg || !bytes.Equal(again.JWKS(), s.JWKS()) {
			t.Errorf("%s: %v, another key", alg, err)
		}
	}
	for _, bad := range []string{"", "{}", `{"version":2,"pkcs8":""}`, `{"version":1,"pkcs8":"AAAA"}`} {
		if _, err := issuer.ParseSigner(keyring.NewSecret(bad)); !errors.Is(err, issuer.ErrKey) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, alg := range []string{"", "RS256", "HS256", "none"} {
		if _, err := issuer.NewSigner(alg); err == nil {
			t.Errorf("a key was made for %q", alg)
		}
	}
	if _, err := issuer.SecretSigner(keyring.NewSecret("0123456789abcdef0123456789abcde")); err == nil {
		t.Error("a secret of 31 bytes was taken")
	}
}

// Whatever is changed in a sealed ledger, it does not open.
func TestLedgerSealed(t *testing.T) {
	for alg, s := range signers(t) {
		l := &issuer.Ledger{Serial: 7}
		now := time.Now()
		if err := l.Add(issuer.Issued{ID: "1", User: "ada", Roles: []string{"viewer"}, Issued: now, Expiry: now.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		sealed, err := s.Seal(l)
		if err != nil {
			t.Fatal(err)
		}
		c := checkerOf(t, s)
		if got, err := c.Open(sealed); err != nil || got.Serial != 7 || got.Latest("ada", now) == nil {
			t.Fatalf("%s: %v", alg, err)
		}
		for n := range sealed {
			changed := bytes.Clone(sealed)
			changed[n] ^= 1
			if _, err := c.Open(changed); !errors.Is(err, issuer.ErrLedger) {
				t.Fatalf("%s: byte %d changed: %v", alg, n, err)
			}
		}
		for n := range sealed {
			if _, err := c.Open(sealed[:n]); !errors.Is(err, issuer.ErrLedger) {
				t.Fatalf("%s: cut at %d: %v", alg, n, err)
			}
		}
		if _, err := c.Open(append(bytes.Clone(sealed), '\n')); !errors.Is(err, issuer.ErrLedger) {
			t.Errorf("%s: something behind it: %v", alg, err)
		}
	}
	all := signers(t)
	sealed, err := all[issuer.EdDSA].Seal(&issuer.Ledger{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := all[issuer.ES256].Checker().Open(sealed); !errors.Is(err, issuer.ErrLedger) {
		t.Errorf("opened with another key: %v", err)
	}
}

func TestLedger(t *testing.T) {
	now := time.Now()
	l := &issuer.Ledger{}
	add := func(id, user string, issued time.Time) {
		t.Helper()
		if err := l.Add(issuer.Issued{ID: id, User: user, Issued: issued, Expiry: issued.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	latest := func(user, want string) {
		t.Helper()
		got := l.Latest(user, now)
		if got == nil && want != "" || got != nil && got.ID != want {
			t.Errorf("latest of %s: %+v, want %q", user, got, want)
		}
	}
	add("old", "ada", now.Add(-2*time.Hour))
	latest("ada", "")
	add("a", "ada", now)
	add("b", "ada", now)
	add("c", "bob", now)
	latest("ada", "b")
	if listed, err := l.RevokeToken("b", now); !listed || err != nil {
		t.Errorf("revoking b: %v, %v", listed, err)
	}
	latest("ada", "a")
	if listed, err := l.RevokeToken("foreign", now); listed || err != nil {
		t.Errorf("revoking what is not listed: %v, %v", listed, err)
	}
	if n, err := l.RevokeUser("ada", now); n != 2 || err != nil {
		t.Errorf("revoking ada: %d, %v", n, err)
	}
	latest("ada", "")
	add("d", "ada", now) // in the very second of the revocation
	latest("ada", "d")
	for _, tt := range []struct {
		id, user string
		issued   time.Time
		want     bool
	}{
		{"a", "ada", now, true}, {"b", "ada", now, true}, {"c", "bob", now, false}, {"d", "ada", now, false},
		{"foreign", "eve", now, true}, {"other", "eve", now, false},
		{"unlisted", "ada", now.Add(-time.Second), true}, {"unlisted", "ada", now.Add(time.Second), false}, {"", "ada", time.Time{}, true},
	} {
		if got := l.Refuses(tt.id, tt.user, tt.issued); got != tt.want {
			t.Errorf("%s of %s: refused %v, want %v", tt.id, tt.user, got, tt.want)
		}
	}
	add("late", "bob", now.Add(30*24*time.Hour))
	if len(l.Tokens) != 1 {
		t.Errorf("%d tokens are listed a month later", len(l.Tokens))
	}
}
