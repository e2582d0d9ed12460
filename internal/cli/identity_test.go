package cli

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mcp-valet/internal/config"
	"mcp-valet/internal/issuer"
	"mcp-valet/keyring"
	"mcp-valet/refresh"
	"mcp-valet/wrapper"
)

func TestParseKeys(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	for _, tt := range []struct{ list, want string }{
		{"", ""},
		{" , ,", ""},
		{"one-key", "api-key:"},
		{"one-key=ada:viewer|admin", "ada:viewer,admin"},
		{"base64==", "api-key:"},
		{"base64===ada:viewer", "ada:viewer"},
		{"k=ada:", "ada:"},
		{"k=:viewer", "api-key:viewer"},
		{"k=ada", "api-key:"}, // no owner without a colon: it is all key
		{"a:b", "api-key:"},
		{"sha256:" + hash + "=ada:viewer, k2=bob:x", "ada:viewer bob:x"},
		{"sha256:" + hash[1:], "entry 1"},
		{"x, sha256:", "entry 2"},
		{"=ada:viewer", "entry 1"},
		{"same,same=ada:admin", "entry 2"},
		{"k=ada\x1b[0m:viewer", "entry 1"},
		{strings.Repeat("k1,", 2), "entry 2"},
	} {
		keys, err := parseKeys(keyring.NewSecret(tt.list))
		var got []string
		for _, k := range keys {
			user := k.user
			if strings.HasPrefix(user, "api-key-") {
				user = "api-key"
			}
			got = append(got, user+":"+strings.Join(k.roles, ","))
		}
		text := strings.Join(got, " ")
		if err != nil {
			text = err.Error()
			for _, word := range []string{"same", hash[1:], "k1"} {
				if strings.Contains(text, word) {
					t.Errorf("%q: the error shows %q", tt.list, word)
				}
			}
		}
		if text != tt.want && !(err != nil && strings.HasPrefix(text, tt.want+" ")) {
			t.Errorf("%q: %q, want %q", tt.list, text, tt.want)
		}
	}
}

func TestFindKey(t *testing.T) {
	keys, err := parseKeys(keyring.NewSecret("one=ada:viewer,two=bob:admin"))
	if err != nil {
		t.Fatal(err)
	}
	for shown, want := range map[string]string{"one": "ada", "two": "bob", "on": "", "one ": "", "": "", "one=ada:viewer": ""} {
		found := findKey(keys, keyring.NewSecret(shown))
		if found == nil && want != "" || found != nil && found.user != want {
			t.Errorf("%q: %+v, want %q", shown, found, want)
		}
	}
}

// issuerTest is a local issuer and a starter for one server that uses it.
type issuerTest struct {
	*issuing
	starter *entryStarter
}

func newIssuerTest(t *testing.T, auth config.Auth) *issuerTest {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	if err := keyring.NewKeyFile(dir + ".key"); err != nil {
		t.Fatal(err)
	}
	store, err := keyring.Open(keyring.Options{Kind: "file", StateDir: dir, KeyFile: dir + ".key"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := newKey(t.Context(), store, dir, issuer.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	return &issuerTest{&issuing{store, dir, s}, &entryStarter{
		store: store, state: dir, entry: config.Server{Auth: &auth}, now: &keyring.Trust{Server: "kb", TokenEnv: auth.TokenEnv}, revoked: &revocations{},
	}}
}

func (i *issuerTest) issue(t *testing.T, user string, life time.Duration, roles ...string) (string, keyring.Secret) {
	t.Helper()
	now := time.Now()
	it := issuer.Issued{ID: issuer.NewID(), User: user, Roles: roles, Issued: now, Expiry: now.Add(life)}
	if err := changeLedger(t.Context(), i.store, i.state, i.signer, func(l *issuer.Ledger) error { return l.Add(it) }); err != nil {
		t.Fatal(err)
	}
	token, err := i.signer.Mint(issuer.Token{ID: it.ID, User: user, Roles: roles, Issued: now, Expiry: it.Expiry})
	if err != nil {
		t.Fatal(err)
	}
	return it.ID, token
}

func (i *issuerTest) revoke(t *testing.T, id string) {
	t.Helper()
	err := changeLedger(t.Context(), i.store, i.state, i.signer, func(l *issuer.Ledger) error {
		_, err := l.RevokeToken(id, time.Now())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// later lets the last look at the lists be as long ago as it takes for another one.
func (i *issuerTest) later() {
	for _, w := range i.starter.revoked.lists {
		w.looked = w.looked.Add(-lookPause)
	}
}

func (i *issuerTest) start(t *testing.T) (wrapper.Start, error) {
	t.Helper()
	return i.starter.withIssuer(t.Context(), i.store, wrapper.Start{Server: wrapper.Server{TokenEnv: i.starter.now.TokenEnv}})
}

// Minted tokens are renewed in time, but not beyond what was issued.
func TestMintedTokens(t *testing.T) {
	i := newIssuerTest(t, config.Auth{Kind: "issuer", User: "ada", TokenEnv: "T", Roles: &config.Roles{Give: []string{"staff"}}})
	i.issue(t, "ada", 24*time.Hour, "viewer")
	got, err := i.start(t)
	if err != nil {
		t.Fatal(err)
	}
	if u := got.User; u == nil || u.Subject != "ada" || u.Kind != "issuer" || !slices.Equal(u.Roles, []string{"viewer", "staff"}) {
		t.Errorf("user %+v", got.User)
	}
	if left := time.Until(got.Ends); left > mintLife || left < mintLife-time.Minute || !got.Due.Before(got.Ends) {
		t.Errorf("due %v, ends %v", got.Due, got.Ends)
	}
	i.issue(t, "ada", 10*time.Minute, "admin")
	if got, err = i.start(t); err != nil || !got.Due.IsZero() || time.Until(got.Ends) > 10*time.Minute || got.User.Roles[0] != "admin" {
		t.Errorf("of a token that ends soon: %+v, %v", got, err)
	}
}

// A launcher that runs hears of a revocation, and of a list that somebody meddled with.
func TestRevokedWhileRunning(t *testing.T) {
	i := newIssuerTest(t, config.Auth{Kind: "issuer", User: "ada", TokenEnv: "T"})
	id, _ := i.issue(t, "ada", time.Hour, "viewer")
	if _, err := i.start(t); err != nil {
		t.Fatal(err)
	}
	i.later()
	if i.starter.Revoked() || i.starter.revoked.Revoked(id) {
		t.Fatal("revoked from the start")
	}
	i.issue(t, "bob", time.Hour, "viewer")
	i.later()
	if i.starter.Revoked() {
		t.Error("revoked since another was issued one")
	}
	i.revoke(t, id)
	if i.starter.Revoked() {
		t.Error("the list is read at every look")
	}
	i.later()
	if !i.starter.Revoked() || !i.starter.revoked.Revoked(id) || i.starter.revoked.Revoked("other") {
		t.Error("the revocation is not heard of")
	}
	if _, err := i.start(t); err == nil {
		t.Error("started with what was revoked")
	}
	id, _ = i.issue(t, "ada", time.Hour, "viewer")
	if _, err := i.start(t); err != nil || i.starter.Revoked() {
		t.Fatalf("started with a new one: %v", err)
	}
	path := ledgerPath(i.state, i.signer.ID())
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"changed": slices.Concat(good[:len(good)-2], []byte("x\n")), "gone": nil} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if text != nil {
			if err := keyring.WriteFile(path, text); err != nil {
				t.Fatal(err)
			}
		}
		i.later()
		if !i.starter.Revoked() {
			t.Errorf("%s: the token is still good", name)
		}
		if err := keyring.WriteFile(path, good); err != nil {
			t.Fatal(err)
		}
		i.later()
		if i.starter.Revoked() {
			t.Errorf("%s, and put back: the token is no good any more", name)
		}
	}
	_ = id
}

func TestTokenCaller(t *testing.T) {
	i := newIssuerTest(t, config.Auth{Kind: "client", TokenEnv: "T"})
	_, token := i.issue(t, "ada", time.Hour, "a", "b", "b", "c")
	keys := refresh.Keys{Set: i.signer.JWKS(), Issuer: issuer.LocalName}
	by := &tokenCaller{kind: "client", keys: keys, known: func(role string) bool { return role != "c" }}
	c, err := by.Authenticate(t.Context(), token)
	if err != nil || c.Subject != "ada" || !slices.Equal(c.Roles, []string{"a", "b"}) || c.Note == "" || c.Expiry.IsZero() {
		t.Errorf("%+v, %v", c, err)
	}
	by.roles = &config.Roles{Claim: "none.here", Give: []string{"guest"}}
	if c, err = by.Authenticate(t.Context(), token); err != nil || !slices.Equal(c.Roles, []string{"guest"}) || c.Note != "the token lacks the claim" {
		t.Errorf("without the claim: %+v, %v", c, err)
	}
	by.tenants = &config.Tenants{Claim: "tenant", Accept: []string{"acme"}}
	var no *refusal
	if _, err = by.Authenticate(t.Context(), token); !errors.As(err, &no) {
		t.Errorf("of no tenant: %v", err)
	}
}

func TestAllowOnly(t *testing.T) {
	for _, tt := range []struct {
		setting string
		want    []string
	}{{"", []string{"a", "b"}}, {" , ", []string{"a", "b"}}, {"b, c", []string{"b"}}, {"c", nil}} {
		c := &caller{Roles: []string{"a", "b"}}
		err := c.allowOnly(tt.setting)
		if !slices.Equal(c.Roles, tt.want) || (err == nil) != (tt.want != nil) {
			t.Errorf("%q: %q, %v", tt.setting, c.Roles, err)
		}
	}
}
