package refresh_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"mcp-valet/keyring"
	"mcp-valet/refresh"
)

// rotatingIssuer is an issuer that rotates refresh tokens and, when an old one is used again, ends the sign-in. Its
// refresh tokens are "NAME N": sign-in NAME, rotated N times.
type rotatingIssuer struct {
	*httptest.Server

	mu         sync.Mutex
	live       map[string]int     // the rotation that counts, by name of sign-in; gone once ended
	grants     int                // refresh tokens rotated
	life       int                // "expires_in" of access tokens, seconds; 0 leaves it out
	answer     http.HandlerFunc   // when set, takes the token endpoint's place
	afterward  func()             // when set, called between rotation and answer
	document   map[string]any     // members to replace in the description
	noDocument bool               // answer the description with 503
	keys       []map[string]any   // JWK set
	keysDown   bool               // answer the key set with 503
	requests   []string           // paths asked for
	forms      []url.Values       // sent to the token endpoint
	mint       func(n int) string // access tokens; nil: "access-N"
	extra      map[string]any     // members to put into the token answer; nil ones are left out of it
}

func newRotatingIssuer(t testing.TB) *rotatingIssuer {
	i := &rotatingIssuer{live: map[string]int{}, life: 3600}
	i.Server = httptest.NewUnstartedServer(i)
	i.Server.Config.SetKeepAlivesEnabled(false) // an idle connection would keep a synctest bubble's clock from moving
	i.Server.Start()
	t.Cleanup(i.Server.Close)
	return i
}

func (i *rotatingIssuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.set(func(i *rotatingIssuer) { i.requests = append(i.requests, r.URL.Path) })
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		i.serveDocument(w)
	case "/jwks":
		i.serveKeys(w)
	case "/token":
		i.serveToken(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (i *rotatingIssuer) serveDocument(w http.ResponseWriter) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.noDocument {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	doc := map[string]any{"issuer": i.URL, "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/jwks"}
	maps.Copy(doc, i.document)
	replyJSON(w, http.StatusOK, doc)
}

func (i *rotatingIssuer) serveKeys(w http.ResponseWriter) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.keysDown {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	replyJSON(w, http.StatusOK, map[string]any{"keys": i.keys})
}

func (i *rotatingIssuer) serveToken(w http.ResponseWriter, r *http.Request) {
	r.ParseForm() // a broken form is an empty one, and refused below
	var answer http.HandlerFunc
	var afterward func()
	i.set(func(i *rotatingIssuer) {
		i.forms = append(i.forms, r.PostForm)
		answer, afterward = i.answer, i.afterward
	})
	if answer != nil {
		answer(w, r)
		return
	}
	members, ok := i.rotate(r.PostForm.Get("refresh_token"))
	if !ok {
		replyJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
		return
	}
	if afterward != nil {
		afterward()
	}
	replyJSON(w, http.StatusOK, members)
}

func (i *rotatingIssuer) rotate(token string) (map[string]any, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	var name string
	var n int
	if _, err := fmt.Sscanf(token, "%s %d", &name, &n); err != nil {
		return nil, false
	}
	if live, there := i.live[name]; !there || live != n {
		delete(i.live, name) // reused: the whole sign-in ends
		return nil, false
	}
	i.live[name] = n + 1
	i.grants++
	members := map[string]any{
		"access_token": i.access(n + 1), "token_type": "Bearer", "refresh_token": rotation(name, n+1),
		"expires_in": i.life,
	}
	maps.Copy(members, i.extra)
	maps.DeleteFunc(members, func(_ string, v any) bool { return v == nil || v == 0 })
	return members, true
}

func (i *rotatingIssuer) access(n int) string {
	if i.mint != nil {
		return i.mint(n)
	}
	return fmt.Sprintf("access-%d", n)
}

func rotation(name string, n int) string { return fmt.Sprintf("%s %d", name, n) }

func replyJSON(w http.ResponseWriter, status int, members map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(members) // an error is a client that hung up: nobody to tell
}

// set changes the issuer's behaviour.
func (i *rotatingIssuer) set(change func(*rotatingIssuer)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change(i)
}

// granted is how many refresh tokens were rotated.
func (i *rotatingIssuer) granted() (n int) {
	i.set(func(i *rotatingIssuer) { n = i.grants })
	return n
}

// asked is how often a path was asked for.
func (i *rotatingIssuer) asked(path string) (n int) {
	i.set(func(i *rotatingIssuer) {
		for _, p := range i.requests {
			if p == path {
				n++
			}
		}
	})
	return n
}

// askedAtAll is how many requests came.
func (i *rotatingIssuer) askedAtAll() (n int) {
	i.set(func(i *rotatingIssuer) { n = len(i.requests) })
	return n
}

func (i *rotatingIssuer) lastForm() (form url.Values) {
	i.set(func(i *rotatingIssuer) {
		if len(i.forms) > 0 {
			form = i.forms[len(i.forms)-1]
		}
	})
	return form
}

func (i *rotatingIssuer) workAccount() refresh.Account {
	return refresh.Account{Name: "work", Issuer: i.URL, ClientID: "valet", Scopes: []string{"openid"}}
}

// signedIn is a credential of a new sign-in at the issuer that was obtained at one time and ends at another.
func (i *rotatingIssuer) signedIn(name string, obtained, expiry time.Time) *keyring.Credential {
	i.set(func(i *rotatingIssuer) { i.live[name] = 0 })
	return &keyring.Credential{
		Account: "work", Issuer: i.URL, TokenEndpoint: i.URL + "/token", ClientID: "valet",
		Scopes: []string{"openid"}, Subject: "ada",
		AccessToken: keyring.NewSecret("access-0"), RefreshToken: keyring.NewSecret(rotation(name, 0)),
		TokenType: "Bearer", ObtainedAt: obtained, Expiry: expiry,
	}
}

// longExpired is a sign-in whose access token ended an hour ago.
func (i *rotatingIssuer) longExpired(name string) *keyring.Credential {
	return i.signedIn(name, time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour))
}

// inMargin is a sign-in whose access token is due for renewal and has not ended yet.
func (i *rotatingIssuer) inMargin(name string) *keyring.Credential {
	return i.signedIn(name, time.Now().Add(-50*time.Minute), time.Now().Add(10*time.Minute))
}

// answerWith makes the token endpoint answer with a status and a body, whatever it is asked.
func answerWith(status int, contentType, body string) func(*rotatingIssuer) {
	return func(i *rotatingIssuer) {
		i.answer = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			w.Write([]byte(body)) // an error is a client that hung up: nobody to tell
		}
	}
}

func answerNormally(i *rotatingIssuer) { i.answer = nil }

// signer is a private key and its published half.
type signer struct {
	id, alg string
	private crypto.Signer
}

func newSigner(t testing.TB, id, alg string) signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch alg {
	case "ES256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signer{id: id, alg: alg, private: key}
}

// jwk is the published half, with members to add or, where nil, to leave out.
func (s signer) jwk(changes map[string]any) map[string]any {
	m := map[string]any{"kid": s.id, "use": "sig"}
	switch k := s.private.Public().(type) {
	case *rsa.PublicKey:
		m["kty"], m["n"], m["e"] = "RSA", base64url(k.N.Bytes()), base64url(big.NewInt(int64(k.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil {
			panic(err)
		}
		half := len(point) / 2
		m["kty"], m["crv"], m["x"], m["y"] = "EC", k.Params().Name, base64url(point[1:1+half]), base64url(point[1+half:])
	case ed25519.PublicKey:
		m["kty"], m["crv"], m["x"] = "OKP", "Ed25519", base64url(k)
	}
	return changed(m, changes)
}

// changed is m with members added or, where nil, left out.
func changed(m, changes map[string]any) map[string]any {
	m = maps.Clone(m)
	maps.Copy(m, changes)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	return m
}

// sign makes a token of claims, its header changed as jwk's members are.
func (s signer) sign(t testing.TB, header, claims map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.GetSigningMethod(s.alg), jwt.MapClaims(claims))
	token.Header["kid"] = s.id
	token.Header = changed(token.Header, header)
	compact, err := token.SignedString(s.private)
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

func base64url(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// valet is a state folder with a sealed file store, and an account at an issuer.
type valet struct {
	dir     string
	store   *keyring.Store
	account refresh.Account
}

func newValet(t testing.TB, i *rotatingIssuer) *valet {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	if err := keyring.NewKeyFile(dir + ".key"); err != nil {
		t.Fatal(err)
	}
	return &valet{dir: dir, store: openFileStore(t, dir), account: i.workAccount()}
}

func openFileStore(t testing.TB, dir string) *keyring.Store {
	t.Helper()
	store, err := keyring.Open(keyring.Options{Kind: "file", StateDir: dir, KeyFile: dir + ".key"})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func (v *valet) save(t testing.TB, c *keyring.Credential) {
	t.Helper()
	if err := v.store.SaveCredential(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func (v *valet) stored(t testing.TB) *keyring.Credential {
	t.Helper()
	c, err := v.store.Credential(t.Context(), "work")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (v *valet) state(t testing.TB) refresh.State {
	t.Helper()
	s, err := refresh.ReadState(v.dir, "work")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (v *valet) renew(ctx context.Context) error {
	return refresh.Renew(ctx, v.store, v.account, v.dir)
}

func (v *valet) renewNow(ctx context.Context) error {
	return refresh.RenewNow(ctx, v.store, v.account, v.dir)
}

// ladder has its renewals done in this process.
func (v *valet) ladder() *refresh.Ladder {
	return &refresh.Ladder{
		Store: v.store, Account: v.account, StateDir: v.dir,
		Agent: func(ctx context.Context, _ string) error { return v.renew(ctx) },
	}
}

// wantError fails the test unless err wraps want; a nil want is no error.
func wantError(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want one that is %v", err, want)
	}
}

// wantToken fails the test unless the ladder gives this token.
func wantToken(t testing.TB, l *refresh.Ladder, want string) {
	t.Helper()
	got, err := l.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !got.Equal(keyring.NewSecret(want)) {
		t.Fatalf("another token than %q", want)
	}
}
