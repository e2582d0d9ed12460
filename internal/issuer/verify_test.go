package issuer_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"mcp-valet/internal/issuer"
)

// A transport reaches a handler without a network.
type transport struct {
	http.Handler
	count int
	fail  error
}

func (tr *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	tr.count++
	if tr.fail != nil {
		return nil, tr.fail
	}
	w := httptest.NewRecorder()
	tr.ServeHTTP(w, req)
	return w.Result(), nil
}

func (r *rig) verifier(aud string) (*issuer.Verifier, *transport) {
	r.t.Helper()
	v, err := issuer.NewVerifier(ownURL, aud)
	if err != nil {
		r.t.Fatal(err)
	}
	tr := &transport{Handler: r.handler}
	v.SetTransport(tr)
	return v, tr
}

func verify(t *testing.T, v *issuer.Verifier, token string, wanted error) {
	t.Helper()
	if _, err := v.Verify(t.Context(), token); !errors.Is(err, wanted) {
		t.Errorf("got %v, want %v", err, wanted)
	}
}

func TestVerify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		v, tr := r.verifier(audience)
		a := r.signIn("scope", "openid incidents.read")
		claims, err := v.Verify(t.Context(), a.Access)
		if err != nil {
			t.Fatal(err)
		}
		if claims.Issuer != ownURL || claims.Subject != "demo" || claims.ClientID != "valet" || claims.ID == "" ||
			!slices.Equal(claims.Audience, []string{audience}) || !slices.Equal(claims.Scopes, []string{"openid", "incidents.read"}) ||
			!slices.Equal(claims.Roles, []string{"admin", "viewer"}) || claims.Expiry.Sub(claims.IssuedAt) != 5*time.Minute {
			t.Errorf("claims %+v", claims)
		}
		verify(t, v, a.Access, nil)
		if tr.count != 2 {
			t.Errorf("%d requests for the keys, want 2", tr.count)
		}
		verify(t, v, a.ID, issuer.ErrInvalidToken)
		verify(t, v, a.Refresh, issuer.ErrInvalidToken)
		verify(t, v, "", issuer.ErrInvalidToken)
		verify(t, v, strings.Repeat("a", 20<<10), issuer.ErrInvalidToken)

		elsewhere, _ := r.verifier("https://other.example")
		verify(t, elsewhere, a.Access, issuer.ErrForeignToken)
		time.Sleep(5 * time.Minute)
		verify(t, v, a.Access, issuer.ErrTokenExpired)
	})
}

func TestVerifyFollowsKeyRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		v, tr := r.verifier(audience)
		old := r.signIn()
		verify(t, v, old.Access, nil)
		r.RotateKeys()
		verify(t, v, r.signIn().Access, nil)
		verify(t, v, old.Access, nil)
		if tr.count != 4 {
			t.Errorf("%d requests, want 4", tr.count)
		}
	})
}

func TestVerifyBoundsLookUps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		v, tr := r.verifier(audience)
		good := r.signIn()
		verify(t, v, good.Access, nil)
		for range 3 * issuer.MaxLookUps {
			if _, err := v.Verify(t.Context(), reheader(good.Access, map[string]any{"typ": "at+jwt", "alg": "ES256", "kid": rand.Text()})); err == nil {
				t.Fatal("a made-up key was accepted")
			}
		}
		if most := 2 * issuer.MaxLookUps; tr.count != most {
			t.Errorf("%d requests, want %d", tr.count, most)
		}
		verify(t, v, good.Access, nil) // known keys go on working
		r.RotateKeys()
		fresh := r.signIn()
		verify(t, v, fresh.Access, issuer.ErrKeysUnavailable)
		time.Sleep(time.Minute)
		verify(t, v, fresh.Access, nil)
	})
}

// Tokens that only their header or claims speak against: the signature is genuine.
func TestGenuinelySignedButWrong(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct {
		name  string
		spoil func(header map[string]any, claims jwt.MapClaims)
		want  error
	}{
		{"as it should be", func(map[string]any, jwt.MapClaims) {}, nil},
		{"long typ", func(h map[string]any, _ jwt.MapClaims) { h["typ"] = "application/AT+JWT" }, nil},
		{"several audiences", func(_ map[string]any, c jwt.MapClaims) { c["aud"] = []string{"x", audience} }, nil},
		{"typ JWT", func(h map[string]any, _ jwt.MapClaims) { h["typ"] = "JWT" }, issuer.ErrInvalidToken},
		{"no typ", func(h map[string]any, _ jwt.MapClaims) { delete(h, "typ") }, issuer.ErrInvalidToken},
		{"crit", func(h map[string]any, _ jwt.MapClaims) { h["crit"] = []string{"exp"} }, issuer.ErrInvalidToken},
		{"no kid", func(h map[string]any, _ jwt.MapClaims) { delete(h, "kid") }, issuer.ErrInvalidToken},
		{"kid a number", func(h map[string]any, _ jwt.MapClaims) { h["kid"] = 7 }, issuer.ErrInvalidToken},
		{"no exp", func(_ map[string]any, c jwt.MapClaims) { delete(c, "exp") }, issuer.ErrInvalidToken},
		{"no sub", func(_ map[string]any, c jwt.MapClaims) { delete(c, "sub") }, issuer.ErrInvalidToken},
		{"no iat", func(_ map[string]any, c jwt.MapClaims) { delete(c, "iat") }, issuer.ErrInvalidToken},
		{"not yet", func(_ map[string]any, c jwt.MapClaims) { c["nbf"] = time.Now().Add(time.Hour).Unix() }, issuer.ErrInvalidToken},
		{"roles a string", func(_ map[string]any, c jwt.MapClaims) { c["roles"] = "admin" }, issuer.ErrInvalidToken},
		{"no aud", func(_ map[string]any, c jwt.MapClaims) { delete(c, "aud") }, issuer.ErrInvalidToken},
		{"foreign aud", func(_ map[string]any, c jwt.MapClaims) { c["aud"] = "https://other.example" }, issuer.ErrForeignToken},
		{"foreign iss", func(_ map[string]any, c jwt.MapClaims) { c["iss"] = ownURL + "/" }, issuer.ErrForeignToken},
		{"expired", func(_ map[string]any, c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Second).Unix() }, issuer.ErrTokenExpired},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, _ := r.verifier(audience)
			verify(t, v, r.Sign(c.spoil), c.want)
		})
	}
}

func TestForgedTokens(t *testing.T) {
	r := newRig(t)
	a := r.signIn()
	kid := headerOf(t, a.Access)["kid"]
	mallory, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	header := func(pairs ...any) map[string]any {
		h := map[string]any{"typ": "at+jwt", "alg": "ES256", "kid": kid}
		for n := 0; n < len(pairs); n += 2 {
			h[pairs[n].(string)] = pairs[n+1]
		}
		return h
	}
	for name, token := range map[string]string{
		"alg none":           reheader(a.Access, header("alg", "none")),
		"alg none, unsigned": strings.TrimSuffix(reheader(a.Access, header("alg", "none")), parts(a.Access)[2]),
		"another key":        resign(t, reheader(a.Access, header()), mallory),
		"key in the header":  resign(t, reheader(a.Access, header("jwk", map[string]any{"kty": "EC"}, "jku", "https://evil.example")), mallory),
		"HS256":              hmacSign(reheader(a.Access, header("alg", "HS256")), r.PublicPoint()),
		"changed payload":    repay(a.Access, `{"iss":"`+ownURL+`","sub":"root","aud":"`+audience+`","exp":9999999999,"iat":1}`),
		"signature cut":      a.Access[:len(a.Access)-2],
		"signature spelling": a.Access + "=",
		"spare bits":         respell(a.Access),
		"four parts":         a.Access + ".x",
	} {
		v, _ := r.verifier(audience)
		if _, err := v.Verify(t.Context(), token); !errors.Is(err, issuer.ErrInvalidToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	v, tr := r.verifier(audience)
	verify(t, v, repay(a.Access, `{"iss":"https://evil.example"}`), issuer.ErrForeignToken)
	if tr.count != 0 {
		t.Error("a foreign token made us fetch keys")
	}
}

func TestKeysUnavailable(t *testing.T) {
	r := newRig(t)
	a := r.signIn()
	serve := func(paths map[string]string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Write([]byte(paths[req.URL.Path]))
		})
	}
	keys, metadata := r.get("/jwks").Body.String(), r.get("/.well-known/openid-configuration").Body.String()
	for name, tr := range map[string]*transport{
		"no network":      {fail: errors.New("no route")},
		"500":             {Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })},
		"HTML":            {Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) })},
		"redirect":        {Handler: http.RedirectHandler("https://evil.example", http.StatusFound)},
		"another issuer":  {Handler: serve(map[string]string{"/.well-known/openid-configuration": `{"issuer":"https://evil.example","jwks_uri":"` + ownURL + `/jwks"}`})},
		"keys elsewhere":  {Handler: serve(map[string]string{"/.well-known/openid-configuration": `{"issuer":"` + ownURL + `","jwks_uri":"` + ownURL + `0/jwks"}`, "/jwks": keys})},
		"keys no JSON":    {Handler: serve(map[string]string{"/.well-known/openid-configuration": metadata})},
		"too long":        {Handler: serve(map[string]string{"/.well-known/openid-configuration": metadata + strings.Repeat(" ", 2<<20), "/jwks": keys})},
		"empty discovery": {Handler: serve(nil)},
	} {
		v, _ := r.verifier(audience)
		v.SetTransport(tr)
		_, err := v.Verify(t.Context(), a.Access)
		if !errors.Is(err, issuer.ErrKeysUnavailable) || strings.Contains(err.Error(), a.Access) {
			t.Errorf("%s: %v", name, err)
		}
		v.SetTransport(&transport{Handler: r.handler}) // a passing failure is not remembered
		verify(t, v, a.Access, nil)
	}
	for _, bad := range []string{"", "http://issuer.example", "ftp://127.0.0.1", ownURL + "/x"} {
		if _, err := issuer.NewVerifier(bad, audience); err == nil {
			t.Errorf("issuer %q: no error", bad)
		}
	}
	if _, err := issuer.NewVerifier(ownURL, ""); err == nil {
		t.Error("no audience: no error")
	}
}

func TestVerifyIsCancelled(t *testing.T) {
	r := newRig(t)
	v, err := issuer.NewVerifier("http://127.0.0.1:1", audience)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	token := repay(r.signIn().Access, `{"iss":"http://127.0.0.1:1"}`)
	if _, err := v.Verify(ctx, token); !errors.Is(err, context.Canceled) || !errors.Is(err, issuer.ErrKeysUnavailable) {
		t.Errorf("got %v", err)
	}
}

func parts(token string) []string { return strings.Split(token, ".") }

func headerOf(t *testing.T, token string) (h map[string]any) {
	b, _ := base64.RawURLEncoding.DecodeString(parts(token)[0])
	if err := json.Unmarshal(b, &h); err != nil {
		t.Fatal(err)
	}
	return h
}

func reheader(token string, header map[string]any) string {
	b, _ := json.Marshal(header)
	p := parts(token)
	return base64.RawURLEncoding.EncodeToString(b) + "." + p[1] + "." + p[2]
}

func repay(token, payload string) string {
	p := parts(token)
	return p[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + "." + p[2]
}

// respell sets a bit of the last letter that the 64 bytes of the signature do not use.
func respell(token string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(token) - 1
	return token[:last] + string(letters[strings.IndexByte(letters, token[last])|1])
}

func resign(t *testing.T, token string, key *ecdsa.PrivateKey) string {
	p := parts(token)
	sum := sha256.Sum256([]byte(p[0] + "." + p[1]))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	sig := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	return p[0] + "." + p[1] + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func hmacSign(token string, key []byte) string {
	p := parts(token)
	h := hmac.New(sha256.New, key)
	h.Write([]byte(p[0] + "." + p[1]))
	return p[0] + "." + p[1] + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
