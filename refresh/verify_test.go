package refresh_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mcp-valet/keyring"
	"mcp-valet/refresh"
)

func unbase64url(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wantErrorNamed(t testing.TB, name string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want one that is %v", name, err, want)
	}
}

// kbVerifier checks tokens for the audience "kb" with the issuer's keys.
func kbVerifier(t testing.TB, i *rotatingIssuer, cacheDir string) *refresh.Verifier {
	t.Helper()
	a := i.workAccount()
	a.Audience = "kb"
	return mustClient(t, a).Verifier(cacheDir)
}

func kbClaims(i *rotatingIssuer, changes map[string]any) map[string]any {
	now := time.Now()
	return changed(map[string]any{
		"iss": i.URL, "sub": "ada", "aud": "kb", "exp": now.Add(time.Hour).Unix(), "nbf": now.Unix(), "iat": now.Unix(),
		"roles": []string{"viewer"},
	}, changes)
}

func publish(i *rotatingIssuer, keys ...map[string]any) {
	i.set(func(i *rotatingIssuer) { i.keys = keys })
}

func cacheIn(t testing.TB) string { return filepath.Join(t.TempDir(), "keys") }

func TestVerify(t *testing.T) {
	i := newRotatingIssuer(t)
	var keys []map[string]any
	signers := map[string]signer{}
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"} {
		signers[alg] = newSigner(t, "key "+alg, alg)
		keys = append(keys, signers[alg].jwk(nil))
	}
	publish(i, keys...)
	v := kbVerifier(t, i, cacheIn(t))
	for alg, key := range signers {
		claims, err := v.Verify(t.Context(), keyring.NewSecret(key.sign(t, nil, kbClaims(i, nil))))
		if err != nil {
			t.Errorf("%s: %v", alg, err)
			continue
		}
		if claims.Subject != "ada" || claims.Issuer != i.URL || claims.Expiry.IsZero() || claims.Raw["roles"] == nil {
			t.Errorf("%s: claims %+v", alg, claims)
		}
	}
	if n := i.asked("/jwks"); n != 1 {
		t.Errorf("the keys were fetched %d times, want once", n)
	}
}

// Everything that a token can be and that is taken or refused for what it says.
func TestVerifyHeaderAndClaims(t *testing.T) {
	i := newRotatingIssuer(t)
	key := newSigner(t, "k1", "ES256")
	publish(i, key.jwk(nil))
	v := kbVerifier(t, i, cacheIn(t))
	type m = map[string]any
	unix := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	for _, tt := range []struct {
		name           string
		header, claims m
		want           error
	}{
		{"as usual", nil, nil, nil},
		{"typ JWT", m{"typ": "JWT"}, nil, nil},
		{"typ jwt", m{"typ": "jwt"}, nil, nil},
		{"typ at+jwt", m{"typ": "at+jwt"}, nil, nil},
		{"typ AT+JWT", m{"typ": "AT+JWT"}, nil, nil},
		{"typ application/at+jwt", m{"typ": "application/at+jwt"}, nil, nil},
		{"typ application/jwt", m{"typ": "Application/JWT"}, nil, nil},
		{"no typ", m{"typ": nil}, nil, nil},
		{"typ dpop+jwt", m{"typ": "dpop+jwt"}, nil, refresh.ErrToken},
		{"typ logout+jwt", m{"typ": "logout+jwt"}, nil, refresh.ErrToken},
		{"typ empty", m{"typ": ""}, nil, refresh.ErrToken},
		{"typ a number", m{"typ": 1}, nil, refresh.ErrToken},
		{"crit unknown", m{"crit": []string{"x"}, "x": 1}, nil, refresh.ErrToken},
		{"crit b64", m{"crit": []string{"b64"}, "b64": false}, nil, refresh.ErrToken},
		{"crit empty", m{"crit": []string{}}, nil, refresh.ErrToken},
		{"kid a number", m{"kid": 1}, nil, refresh.ErrToken},
		{"kid a list", m{"kid": []string{"k1"}}, nil, refresh.ErrToken},
		{"kid too long", m{"kid": strings.Repeat("k", 257)}, nil, refresh.ErrToken},
		{"kid unknown", m{"kid": "k2"}, nil, refresh.ErrToken},
		{"kid a path", m{"kid": "../../../dev/null"}, nil, refresh.ErrToken},
		{"no kid", m{"kid": nil}, nil, nil},
		{"kid empty", m{"kid": ""}, nil, nil},

		{"iss with a closing slash", nil, m{"iss": i.URL + "/"}, nil},
		{"iss another", nil, m{"iss": "https://login.example.com"}, refresh.ErrToken},
		{"iss longer", nil, m{"iss": i.URL + ".example.com"}, refresh.ErrToken},
		{"iss missing", nil, m{"iss": nil}, refresh.ErrToken},
		{"iss empty", nil, m{"iss": ""}, refresh.ErrToken},
		{"iss a list", nil, m{"iss": []string{i.URL}}, refresh.ErrToken},
		{"aud among others", nil, m{"aud": []string{"mail", "kb"}}, nil},
		{"aud another", nil, m{"aud": "mail"}, refresh.ErrToken},
		{"aud others", nil, m{"aud": []string{"mail", "kb2"}}, refresh.ErrToken},
		{"aud in another case", nil, m{"aud": "KB"}, refresh.ErrToken},
		{"aud missing", nil, m{"aud": nil}, refresh.ErrToken},
		{"aud empty", nil, m{"aud": []string{}}, refresh.ErrToken},
		{"aud with a number", nil, m{"aud": []any{"kb", 1}}, refresh.ErrToken},
		{"aud an object", nil, m{"aud": m{"kb": true}}, refresh.ErrToken},
		{"exp over", nil, m{"exp": unix(-2 * time.Minute)}, refresh.ErrToken},
		{"exp over, within leeway", nil, m{"exp": unix(-30 * time.Second)}, nil},
		{"exp missing", nil, m{"exp": nil}, refresh.ErrToken},
		{"exp null", nil, m{"exp": json.RawMessage("null")}, refresh.ErrToken},
		{"exp a string", nil, m{"exp": "4000000000"}, refresh.ErrToken},
		{"exp zero", nil, m{"exp": 0}, refresh.ErrToken},
		{"exp overflowing", nil, m{"exp": json.RawMessage("1e400")}, refresh.ErrToken},
		{"exp in other words", nil, m{"exp": json.RawMessage("3.9e9")}, nil},
		{"nbf to come", nil, m{"nbf": unix(2 * time.Minute)}, refresh.ErrToken},
		{"nbf to come, within leeway", nil, m{"nbf": unix(30 * time.Second)}, nil},
		{"nbf a string", nil, m{"nbf": "0"}, refresh.ErrToken},
		{"iat to come", nil, m{"iat": unix(2 * time.Minute)}, refresh.ErrToken},
		{"iat to come, within leeway", nil, m{"iat": unix(30 * time.Second)}, nil},
		{"sub a number", nil, m{"sub": 1}, refresh.ErrToken},
		{"nbf and iat missing", nil, m{"nbf": nil, "iat": nil}, nil},
	} {
		_, err := v.Verify(t.Context(), keyring.NewSecret(key.sign(t, tt.header, kbClaims(i, tt.claims))))
		wantErrorNamed(t, tt.name, err, tt.want)
	}
}

// Tokens that nobody who holds the issuer's private key has made.
func TestVerifyForgeries(t *testing.T) {
	i := newRotatingIssuer(t)
	honest := newSigner(t, "rsa", "RS256")
	curve := newSigner(t, "ec", "ES256")
	thief := newSigner(t, "rsa", "RS256")
	thiefServer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the thief was asked for %s", r.URL.Path)
		replyJSON(w, 200, map[string]any{"keys": []any{thief.jwk(nil)}})
	}))
	defer thiefServer.Close()
	weak, err := weakKey()
	if err != nil {
		t.Fatal(err)
	}
	publish(i, honest.jwk(nil), curve.jwk(nil), weak.jwk(nil))
	claims := kbClaims(i, nil)
	good := honest.sign(t, nil, claims)
	parts := strings.Split(good, ".")
	public := honest.private.Public().(*rsa.PublicKey)
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(honest.jwk(nil))
	if err != nil {
		t.Fatal(err)
	}
	chain := map[string]any{"x5c": []string{base64.StdEncoding.EncodeToString(spki)}}
	withHeader := func(header string) string { return base64url([]byte(header)) + "." + parts[1] + "." + parts[2] }
	admin, err := json.Marshal(changed(claims, map[string]any{"roles": []string{"admin"}}))
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"HS256 with the public key as PEM":         hs256(claims, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})),
		"HS256 with the public key as PKCS1 PEM":   hs256(claims, pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(public)})),
		"HS256 with the public key as DER":         hs256(claims, spki),
		"HS256 with the public key as PKCS1 DER":   hs256(claims, x509.MarshalPKCS1PublicKey(public)),
		"HS256 with the public key as JWK":         hs256(claims, jwk),
		"HS256 with the modulus":                   hs256(claims, public.N.Bytes()),
		"HS256 with the modulus as written":        hs256(claims, []byte(base64url(public.N.Bytes()))),
		"HS256 with nothing":                       hs256(claims, nil),
		"none":                                     base64url([]byte(`{"alg":"none","kid":"rsa"}`)) + "." + parts[1] + ".",
		"None":                                     base64url([]byte(`{"alg":"None","kid":"rsa"}`)) + "." + parts[1] + ".",
		"NONE, signature kept":                     withHeader(`{"alg":"NONE","kid":"rsa"}`),
		"none after RS256":                         withHeader(`{"alg":"RS256","alg":"none","kid":"rsa"}`),
		"no algorithm":                             withHeader(`{"kid":"rsa"}`),
		"rs256 in small letters":                   withHeader(`{"alg":"rs256","kid":"rsa"}`),
		"RS1":                                      withHeader(`{"alg":"RS1","kid":"rsa"}`),
		"the header changed":                       withHeader(`{"alg":"RS256","kid":"rsa","x":1}`),
		"RSA key used as PS256":                    withHeader(`{"alg":"PS256","kid":"rsa"}`),
		"RSA signature with the curve's key":       withHeader(`{"alg":"RS256","kid":"ec"}`),
		"RSA signature said to be the curve's":     withHeader(`{"alg":"ES256","kid":"ec"}`),
		"the payload changed":                      parts[0] + "." + base64url(admin) + "." + parts[2],
		"no signature":                             parts[0] + "." + parts[1] + ".",
		"the signature cut short":                  good[:len(good)-4],
		"the signature with a line end":            good + "\n",
		"the signature with padding":               good + "==",
		"the signature with loose last bits":       looseBits(good),
		"a fourth part":                            good + ".x",
		"signed by another":                        thief.sign(t, nil, claims),
		"signed by another, its key in the header": thief.sign(t, map[string]any{"jwk": thief.jwk(nil)}, claims),
		"signed by another, its key at a URL":      thief.sign(t, map[string]any{"jku": thiefServer.URL + "/jwks"}, claims),
		"signed by another, its chain at a URL":    thief.sign(t, map[string]any{"x5u": thiefServer.URL + "/x5u"}, claims),
		"signed by another, its chain inside":      thief.sign(t, chain, claims),
		"signed by another, its kid a URL":         thief.sign(t, map[string]any{"kid": thiefServer.URL + "/jwks"}, claims),
		"signed by another, its kid unknown":       thief.sign(t, map[string]any{"kid": "other"}, claims),
		"signed by another, no kid":                thief.sign(t, map[string]any{"kid": nil}, claims),
		"a curve that the key is not on":           newSigner(t, "ec", "ES384").sign(t, nil, claims),
		"a key too weak":                           weak.sign(t, nil, claims),
		"a curve's signature of zeros":             base64url([]byte(`{"alg":"ES256","kid":"ec"}`)) + "." + parts[1] + "." + base64url(make([]byte, 64)),
		"opaque":                                   "opaque",
		"nothing":                                  "",
		"too large":                                honest.sign(t, nil, changed(claims, map[string]any{"x": strings.Repeat("x", 64<<10)})),
	} {
		_, err := kbVerifier(t, i, cacheIn(t)).Verify(t.Context(), keyring.NewSecret(token))
		wantErrorNamed(t, name, err, refresh.ErrToken)
		if errors.Is(err, refresh.ErrUnreachable) {
			t.Errorf("%s: passing: %v", name, err)
		}
		if err != nil && len(parts[2]) > 20 && strings.Contains(err.Error(), parts[2][:20]) {
			t.Errorf("%s: the error holds the token", name)
		}
	}
	if _, err := kbVerifier(t, i, cacheIn(t)).Verify(t.Context(), keyring.NewSecret(good)); err != nil {
		t.Fatalf("the honest token is refused too: %v", err)
	}
}

// hs256 signs claims with a secret that everybody can know.
func hs256(claims map[string]any, secret []byte) string {
	b, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	text := base64url([]byte(`{"alg":"HS256","kid":"rsa","typ":"JWT"}`)) + "." + base64url(b)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return text + "." + base64url(mac.Sum(nil))
}

// looseBits changes the bits of the last character that are no part of the signature.
func looseBits(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1])
	return token[:len(token)-1] + string(alphabet[last^1])
}

func weakKey() (signer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	return signer{id: "weak", alg: "RS256", private: key}, err
}

// Which of the published keys are taken for a token.
func TestVerifyPicksKeys(t *testing.T) {
	key, other := newSigner(t, "k", "RS256"), newSigner(t, "k", "RS256")
	ec := newSigner(t, "k", "ES256")
	type m = map[string]any
	many := func(n int, s signer) (keys []map[string]any) {
		for range n {
			keys = append(keys, s.jwk(nil))
		}
		return keys
	}
	noID := m{"kid": nil}
	for _, tt := range []struct {
		name   string
		keys   []map[string]any
		header m
		want   error
	}{
		{"the one", []map[string]any{key.jwk(nil)}, nil, nil},
		{"without use", []map[string]any{key.jwk(m{"use": nil})}, nil, nil},
		{"for this algorithm", []map[string]any{key.jwk(m{"alg": "RS256"})}, nil, nil},
		{"for another algorithm", []map[string]any{key.jwk(m{"alg": "PS256"})}, nil, refresh.ErrToken},
		{"for encryption", []map[string]any{key.jwk(m{"use": "enc"})}, nil, refresh.ErrToken},
		{"of a use that is no text", []map[string]any{key.jwk(m{"use": 1})}, nil, refresh.ErrToken},
		{"for verifying", []map[string]any{key.jwk(m{"key_ops": []string{"verify"}})}, nil, nil},
		{"for wrapping", []map[string]any{key.jwk(m{"key_ops": []string{"wrapKey"}})}, nil, refresh.ErrToken},
		{"of the same id, the second", []map[string]any{other.jwk(nil), key.jwk(nil)}, nil, nil},
		{"of the same id, another type first", []map[string]any{ec.jwk(nil), key.jwk(nil)}, nil, nil},
		{"of the same id, the tenth", append(many(9, other), key.jwk(nil)), nil, nil},
		{"of the same id, after many of another type", append(many(20, ec), key.jwk(nil)), nil, nil},
		{"of the same id, the eleventh", append(many(10, other), key.jwk(nil)), nil, refresh.ErrToken},
		{"without a kid asked for, the second", []map[string]any{other.jwk(m{"kid": "o"}), key.jwk(nil)}, noID, nil},
		{"without a kid asked for, the eleventh", append(many(10, other), key.jwk(nil)), noID, refresh.ErrToken},
		{"without a kid", []map[string]any{key.jwk(noID)}, nil, refresh.ErrToken},
		{"without a kid, none asked for", []map[string]any{key.jwk(noID)}, noID, nil},
		{"among odd ones", []map[string]any{{}, {"kty": "oct", "k": "AAAA", "kid": "k"}, {"kty": "XY"}, key.jwk(m{"n": "!"}), key.jwk(nil)}, nil, nil},
		{"none", []map[string]any{}, nil, refresh.ErrToken},
	} {
		i := newRotatingIssuer(t)
		publish(i, tt.keys...)
		_, err := kbVerifier(t, i, cacheIn(t)).Verify(t.Context(), keyring.NewSecret(key.sign(t, tt.header, kbClaims(i, nil))))
		wantErrorNamed(t, tt.name, err, tt.want)
	}
}
