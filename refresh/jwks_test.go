package refresh_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mcp-valet/keyring"
	"mcp-valet/refresh"
)

// keyTest is an issuer with one key, a verifier's cache and a way to check tokens as a fresh process would.
type keyTest struct {
	*rotatingIssuer
	key signer
	dir string
}

func newKeyTest(t *testing.T) *keyTest {
	k := &keyTest{rotatingIssuer: newRotatingIssuer(t), key: newSigner(t, "k1", "ES256"), dir: cacheIn(t)}
	publish(k.rotatingIssuer, k.key.jwk(nil))
	return k
}

// verify checks a token by key, in what might be a process of its own, and how many fetches of the keys that took.
func (k *keyTest) verify(t *testing.T, key signer, fetches int, want error) {
	t.Helper()
	before := k.asked("/jwks")
	token := key.sign(t, nil, kbClaims(k.rotatingIssuer, nil))
	_, err := kbVerifier(t, k.rotatingIssuer, k.dir).Verify(t.Context(), keyring.NewSecret(token))
	wantError(t, err, want)
	if n := k.asked("/jwks") - before; n != fetches {
		t.Fatalf("the keys were fetched %d times, want %d", n, fetches)
	}
}

func (k *keyTest) down(down bool) { k.set(func(i *rotatingIssuer) { i.keysDown = down }) }

// file is the one file of the cache.
func (k *keyTest) file(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(k.dir, "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the cache holds %v, %v; want one file", files, err)
	}
	return files[0]
}

func TestKeysAreCached(t *testing.T) {
	k := newKeyTest(t)
	k.verify(t, k.key, 1, nil)
	requests := k.askedAtAll()
	for range 3 {
		k.verify(t, k.key, 0, nil)
	}
	if n := k.askedAtAll(); n != requests {
		t.Errorf("a known key cost %d requests", n-requests)
	}
	info, err := os.Stat(k.file(t))
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v", info.Mode())
	}
}

func TestKeyRotation(t *testing.T) {
	k := newKeyTest(t)
	next, unknown := newSigner(t, "k2", "ES256"), newSigner(t, "k3", "ES256")
	synctest.Test(t, func(t *testing.T) {
		k.verify(t, k.key, 1, nil)
		time.Sleep(time.Hour)
		publish(k.rotatingIssuer, k.key.jwk(nil), next.jwk(nil))
		k.verify(t, k.key, 0, nil)
		k.verify(t, next, 1, nil)
		k.verify(t, next, 0, nil)
		// Unknown ones cost no more than a fetch in a while, however many there are.
		k.verify(t, unknown, 0, refresh.ErrToken)
		time.Sleep(time.Minute)
		k.verify(t, unknown, 1, refresh.ErrToken)
		k.verify(t, unknown, 0, refresh.ErrToken)
		k.verify(t, newSigner(t, "k4", "ES256"), 0, refresh.ErrToken)
		k.verify(t, next, 0, nil)
		// A key that the issuer withdraws is believed for a day.
		publish(k.rotatingIssuer, next.jwk(nil))
		k.verify(t, k.key, 0, nil)
		time.Sleep(24 * time.Hour)
		k.verify(t, k.key, 1, refresh.ErrToken)
		k.verify(t, next, 0, nil)
	})
}

// An issuer that was set up anew has another key of the same name.
func TestKeyReplacedUnderItsName(t *testing.T) {
	k := newKeyTest(t)
	replaced := newSigner(t, "k1", "ES256")
	synctest.Test(t, func(t *testing.T) {
		k.verify(t, k.key, 1, nil)
		publish(k.rotatingIssuer, replaced.jwk(nil))
		k.verify(t, replaced, 0, refresh.ErrToken)
		time.Sleep(time.Minute)
		k.verify(t, replaced, 1, nil)
	})
}

func TestKeysOutOfReach(t *testing.T) {
	k := newKeyTest(t)
	next := newSigner(t, "k2", "ES256")
	synctest.Test(t, func(t *testing.T) {
		k.down(true)
		k.verify(t, k.key, 1, refresh.ErrUnreachable)
		k.verify(t, k.key, 0, refresh.ErrUnreachable)
		k.down(false)
		k.verify(t, k.key, 0, refresh.ErrUnreachable)
		time.Sleep(time.Minute)
		k.verify(t, k.key, 1, nil)

		k.down(true)
		time.Sleep(2 * time.Hour)
		k.verify(t, k.key, 0, nil)
		k.verify(t, next, 1, refresh.ErrUnreachable) // it may be new: nobody knows
		k.verify(t, next, 0, refresh.ErrUnreachable)
		time.Sleep(2 * time.Minute)
		k.verify(t, newSigner(t, "k1", "ES256"), 1, refresh.ErrToken) // the key of this name is known

		time.Sleep(24 * time.Hour) // a day old: looked after, and used while they cannot be had
		k.verify(t, k.key, 1, nil)
		k.verify(t, k.key, 0, nil)
		time.Sleep(6 * 24 * time.Hour) // a week old: not used any more
		k.verify(t, k.key, 1, refresh.ErrUnreachable)
		k.verify(t, k.key, 0, refresh.ErrUnreachable)
		k.down(false)
		time.Sleep(time.Minute)
		k.verify(t, k.key, 1, nil)
	})
}

// Keys fetched by a clock that has been put back are fetched again, and serve while they cannot be.
func TestKeysFromTheFuture(t *testing.T) {
	k := newKeyTest(t)
	k.verify(t, k.key, 1, nil)
	synctest.Test(t, func(t *testing.T) { // in the year 2000
		k.down(true)
		k.verify(t, k.key, 1, nil)
		k.verify(t, k.key, 0, nil)
		k.down(false)
		time.Sleep(time.Minute)
		k.verify(t, k.key, 1, nil)
		k.verify(t, k.key, 0, nil)
	})
}

// A cache file that is damaged, foreign or huge is no cache.
func TestKeyCacheDamaged(t *testing.T) {
	for name, damage := range map[string]func(string) string{
		"empty":            func(string) string { return "" },
		"cut short":        func(s string) string { return s[:len(s)/2] },
		"no key set":       func(string) string { return `{"set":[]}` },
		"another issuer's": func(s string) string { return strings.Replace(s, `"issuer":"http`, `"issuer":"https`, 1) },
		"another set's": func(s string) string {
			return strings.Replace(s, `"tried"`, `"uri":"https://other.example.com","tried"`, 1)
		},
		"huge": func(s string) string { return s + strings.Repeat(" ", 8<<20) },
	} {
		t.Run(name, func(t *testing.T) {
			k := newKeyTest(t)
			k.verify(t, k.key, 1, nil)
			b, err := os.ReadFile(k.file(t))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(k.file(t), []byte(damage(string(b))), 0o600); err != nil {
				t.Fatal(err)
			}
			k.verify(t, k.key, 1, nil)
			k.verify(t, k.key, 0, nil)
		})
	}
}

// A cache that cannot be written costs fetches, nothing else.
func TestKeyCacheReadOnly(t *testing.T) {
	k := newKeyTest(t)
	if err := os.WriteFile(k.dir, nil, 0o600); err != nil { // a file in the folder's place
		t.Fatal(err)
	}
	k.verify(t, k.key, 1, nil)
	k.verify(t, k.key, 1, nil)
}

func TestKeySetsThatAreNone(t *testing.T) {
	many := make([]map[string]any, 101)
	for n := range many {
		many[n] = map[string]any{}
	}
	for name, set := range map[string]func(*rotatingIssuer){
		"too many keys":     func(i *rotatingIssuer) { i.keys = many },
		"larger than 1 MiB": func(i *rotatingIssuer) { i.keys = []map[string]any{{"x": strings.Repeat("x", 1<<20)}} },
		"no key set": func(i *rotatingIssuer) {
			i.document = map[string]any{"jwks_uri": i.URL + "/.well-known/openid-configuration"}
		},
		"not there":      func(i *rotatingIssuer) { i.document = map[string]any{"jwks_uri": i.URL + "/nowhere"} },
		"no description": func(i *rotatingIssuer) { i.noDocument = true },
		"nobody there":   func(i *rotatingIssuer) { i.document = map[string]any{"jwks_uri": "http://127.0.0.1:1/jwks"} },
	} {
		t.Run(name, func(t *testing.T) {
			k := newKeyTest(t)
			k.set(set)
			token := k.key.sign(t, nil, kbClaims(k.rotatingIssuer, nil))
			_, err := kbVerifier(t, k.rotatingIssuer, k.dir).Verify(t.Context(), keyring.NewSecret(token))
			wantError(t, err, refresh.ErrUnreachable)
		})
	}
}

// An issuer that publishes no keys has no tokens that can be checked: no waiting helps.
func TestIssuerWithoutKeys(t *testing.T) {
	k := newKeyTest(t)
	k.set(func(i *rotatingIssuer) { i.document = map[string]any{"jwks_uri": ""} })
	k.verify(t, k.key, 0, refresh.ErrToken)
}

// Configured keys are fetched without asking the issuer for its description, and kept apart from others.
func TestConfiguredKeys(t *testing.T) {
	k := newKeyTest(t)
	k.verify(t, k.key, 1, nil)
	a := k.workAccount()
	a.Audience, a.Endpoints.JWKS = "kb", k.URL+"/jwks"
	described := k.asked("/.well-known/openid-configuration")
	token := k.key.sign(t, nil, kbClaims(k.rotatingIssuer, nil))
	for range 2 {
		if _, err := mustClient(t, a).Verifier(k.dir).Verify(t.Context(), keyring.NewSecret(token)); err != nil {
			t.Fatal(err)
		}
	}
	if k.asked("/jwks") != 2 || k.asked("/.well-known/openid-configuration") != described {
		t.Error("the issuer was asked for more than its keys")
	}
	if files, err := os.ReadDir(k.dir); err != nil || len(files) != 2 {
		t.Errorf("the cache holds %v, %v; want two files", files, err)
	}
}

// The cache holds what is public and names no person.
func TestKeyCacheHoldsKeysOnly(t *testing.T) {
	k := newKeyTest(t)
	k.verify(t, k.key, 1, nil)
	b, err := os.ReadFile(k.file(t))
	if err != nil {
		t.Fatal(err)
	}
	var f map[string]any
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	for name := range f {
		if !strings.Contains(" issuer tried fetched set ", " "+name+" ") {
			t.Errorf("it holds %q", name)
		}
	}
}
