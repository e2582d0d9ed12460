package issuer_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"mcp-valet/internal/issuer"
)

type publicJWK struct{ Kty, Crv, X, Y, Kid, Use, Alg string }

// jwks fetches the served keys and checks each kid against RFC 7638.
func (r *rig) jwks() map[string]*ecdsa.PublicKey {
	r.t.Helper()
	var set struct{ Keys []publicJWK }
	w := r.get("/jwks")
	if err := json.Unmarshal(w.Body.Bytes(), &set); err != nil {
		r.t.Fatal(err)
	}
	keys := map[string]*ecdsa.PublicKey{}
	for _, k := range set.Keys {
		if k.Kty != "EC" || k.Crv != "P-256" || k.Use != "sig" || k.Alg != "ES256" {
			r.t.Errorf("key %+v", k)
		}
		thumb := sha256.Sum256(fmt.Appendf(nil, `{"crv":%q,"kty":%q,"x":%q,"y":%q}`, k.Crv, k.Kty, k.X, k.Y))
		if got := base64.RawURLEncoding.EncodeToString(thumb[:]); got != k.Kid {
			r.t.Errorf("kid %q, thumbprint %q", k.Kid, got)
		}
		point := []byte{4}
		for _, c := range []string{k.X, k.Y} {
			b, err := base64.RawURLEncoding.DecodeString(c)
			if err != nil {
				r.t.Fatal(err)
			}
			point = append(point, b...)
		}
		pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		if err != nil {
			r.t.Fatal(err)
		}
		keys[k.Kid] = pub
	}
	return keys
}

// parse verifies a token strictly, knowing nothing but the served keys.
func (r *rig) parse(token string, opts ...jwt.ParserOption) (*jwt.Token, jwt.MapClaims, error) {
	r.t.Helper()
	keys := r.jwks()
	claims := jwt.MapClaims{}
	opts = append(opts, jwt.WithValidMethods([]string{"ES256"}), jwt.WithIssuer(ownURL), jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(), jwt.WithStrictDecoding(), jwt.WithJSONNumber())
	parsed, err := jwt.NewParser(opts...).ParseWithClaims(token, claims, func(t *jwt.Token) (any, error) {
		if pub, ok := keys[fmt.Sprint(t.Header["kid"])]; ok {
			return pub, nil
		}
		return nil, fmt.Errorf("kid %v is not published", t.Header["kid"])
	})
	return parsed, claims, err
}

func TestAccessTokenSaysWhatWasGranted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		a := r.signIn("scope", "openid incidents.read")
		if a.Type != "Bearer" || a.ExpiresIn != 300 || a.Scope != "openid incidents.read" {
			t.Errorf("answer %+v", a)
		}
		token, claims, err := r.parse(a.Access, jwt.WithAudience(audience))
		if err != nil {
			t.Fatal(err)
		}
		if token.Header["typ"] != "at+jwt" || token.Header["alg"] != "ES256" {
			t.Errorf("header %v", token.Header)
		}
		now := time.Now().Unix()
		for name, value := range map[string]string{
			"iss": ownURL, "sub": "demo", "aud": audience, "client_id": "valet", "scope": "openid incidents.read",
			"roles": "[admin viewer]", "iat": fmt.Sprint(now), "exp": fmt.Sprint(now + 300),
		} {
			if got := fmt.Sprint(claims[name]); got != value {
				t.Errorf("claim %s is %s, want %s", name, got, value)
			}
		}
		again := r.refresh(a.Refresh)
		_, claims2, err := r.parse(again.Access)
		if err != nil || claims["jti"] == claims2["jti"] || claims["jti"] == "" {
			t.Errorf("jti %v, then %v (%v)", claims["jti"], claims2["jti"], err)
		}
	})
}

func TestIDTokenOnlyForOpenID(t *testing.T) {
	r := newRig(t)
	if a := r.signIn("scope", "incidents.read"); a.ID != "" {
		t.Error("an id_token that nobody asked for")
	}
	a := r.redeem(r.code())
	token, claims, err := r.parse(a.ID, jwt.WithAudience("valet"))
	if err != nil {
		t.Fatal(err)
	}
	if token.Header["typ"] != "JWT" || claims["sub"] != "demo" || claims["nonce"] != "n0nce" || claims["auth_time"] == nil {
		t.Errorf("id_token: %v %v", token.Header, claims)
	}
	_, claims, err = r.parse(r.refresh(a.Refresh).ID, jwt.WithAudience("valet"))
	if err != nil || claims["nonce"] != nil {
		t.Errorf("refreshed id_token: %v, nonce %v", err, claims["nonce"])
	}
}

func TestExpiryIsNeverBeforeExpiresIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.SetAccessTTL(time.Millisecond) // less than a second is a second
		time.Sleep(900 * time.Millisecond)
		a := r.signIn()
		_, claims, err := r.parse(a.Access)
		if err != nil {
			t.Fatal(err)
		}
		exp, _ := claims.GetExpirationTime()
		if promised := time.Now().Add(time.Duration(a.ExpiresIn) * time.Second); a.ExpiresIn != 1 || exp.Before(promised) {
			t.Errorf("expires_in %d, exp %v, now %v", a.ExpiresIn, exp, time.Now())
		}
		time.Sleep(2 * time.Second)
		if _, _, err := r.parse(a.Access); err == nil {
			t.Error("still valid after its end")
		}
	})
}

func TestRotatedKeyIsPublishedWhileItsTokensLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *issuer.Options) { o.AccessTTL = 10 * time.Minute })
		old := r.signIn()
		if _, err := r.RotateKeys(); err != nil {
			t.Fatal(err)
		}
		fresh := r.signIn()
		if n := len(r.jwks()); n != 2 {
			t.Fatalf("%d keys published, want 2", n)
		}
		for name, a := range map[string]answer{"old": old, "fresh": fresh} {
			if _, _, err := r.parse(a.Access); err != nil {
				t.Errorf("%s token: %v", name, err)
			}
		}
		time.Sleep(10 * time.Minute)
		if n := len(r.jwks()); n != 2 {
			t.Errorf("%d keys in the minute of grace, want 2", n)
		}
		time.Sleep(time.Minute)
		if n := len(r.jwks()); n != 1 {
			t.Errorf("%d keys after the last token's end, want 1", n)
		}
	})
}

func TestKeysAreBounded(t *testing.T) {
	r := newRig(t)
	for range 3 * issuer.MaxKeys { // nothing was signed: nothing to keep
		if _, err := r.RotateKeys(); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.jwks()); n != 1 {
		t.Errorf("%d keys, want 1", n)
	}
	var err error
	for range issuer.MaxKeys {
		r.signIn()
		_, err = r.RotateKeys()
	}
	if err == nil || len(r.jwks()) != issuer.MaxKeys {
		t.Errorf("%d keys, error %v", len(r.jwks()), err)
	}
}

func TestResourceAndAudience(t *testing.T) {
	r := newRig(t)
	both := r.signIn("resource", audience, "resource", "https://other.example")
	_, claims, err := r.parse(both.Access)
	if aud, _ := claims.GetAudience(); err != nil || !slices.Equal(aud, []string{audience, "https://other.example"}) {
		t.Errorf("aud %v, %v", aud, err)
	}
	narrowed := r.refresh(both.Refresh, "resource", "https://other.example", "scope", "incidents.read")
	_, claims, err = r.parse(narrowed.Access)
	if err != nil || claims["aud"] != "https://other.example" || claims["scope"] != "incidents.read" {
		t.Errorf("narrowed: %v %v", claims, err)
	}
	whole := r.refresh(narrowed.Refresh)
	if _, claims, _ = r.parse(whole.Access); claims["scope"] != "incidents.read incidents.write" {
		t.Errorf("after narrowing once, scope is %v", claims["scope"])
	}
	_, claims, _ = r.parse(r.signIn("audience", "https://other.example").Access)
	if claims["aud"] != "https://other.example" {
		t.Errorf("audience: aud is %v", claims["aud"])
	}
	plain := r.signIn()
	want(t, r.refresh(plain.Refresh, "resource", "https://other.example"), 400, "invalid_target")
	want(t, r.post("/device_authorization", "client_id", "valet", "resource", "https://evil.example"), 400, "invalid_target")
	want(t, r.refresh(plain.Refresh, "scope", "openid"), 400, "invalid_scope")
	if a := r.refresh(plain.Refresh); a.Status != http.StatusOK {
		t.Errorf("a refused narrowing cost the refresh token: %+v", a)
	}
}

func TestMetadata(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		w := r.get(path)
		var m map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%s: %d %v", path, w.Code, err)
		}
		for name, value := range map[string]string{
			"issuer": ownURL, "token_endpoint": ownURL + "/token", "device_authorization_endpoint": ownURL + "/device_authorization",
			"authorization_endpoint": ownURL + "/authorize", "revocation_endpoint": ownURL + "/revoke", "jwks_uri": ownURL + "/jwks",
			"code_challenge_methods_supported": "[S256]", "scopes_supported": "[openid offline_access incidents.read incidents.write]",
			"grant_types_supported": "[authorization_code " + grantDevice + " refresh_token]",
		} {
			if got := fmt.Sprint(m[name]); got != value {
				t.Errorf("%s: %s is %s, want %s", path, name, got, value)
			}
		}
		if ct := w.Header().Get("Content-Type"); !strings.HasPrefix(ct, "application/json") {
			t.Errorf("%s: content type %q", path, ct)
		}
	}
}
