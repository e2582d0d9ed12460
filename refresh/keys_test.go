package refresh_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"mcp-valet/keyring"
	"mcp-valet/refresh"
)

func setOf(t testing.TB, keys ...map[string]any) []byte {
	t.Helper()
	b, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const goodSecret = "0123456789abcdef0123456789abcdef"

func localClaims(changes map[string]any) map[string]any {
	return changed(map[string]any{
		"iss": "mcp-valet", "sub": "ada", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(), "jti": "1", "roles": []string{"viewer"},
	}, changes)
}

func TestKeys(t *testing.T) {
	own, rsaKey, thief := newSigner(t, "k1", "EdDSA"), newSigner(t, "k2", "RS256"), newSigner(t, "k1", "EdDSA")
	set := setOf(t, own.jwk(nil), rsaKey.jwk(nil))
	pair := refresh.Keys{Set: set, Issuer: "mcp-valet", Audience: []string{"kb"}}
	shared := refresh.Keys{Secret: keyring.NewSecret(goodSecret), Audience: []string{"kb"}}
	both := pair
	both.Secret = shared.Secret
	type m = map[string]any
	hs := func(secret string, header, claims m) string {
		token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims(localClaims(claims)))
		token.Header = changed(token.Header, header)
		text, err := token.SignedString([]byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	good := own.sign(t, nil, localClaims(nil))
	head, _, _ := strings.Cut(good, ".")
	body := strings.Split(good, ".")[1]
	for _, tt := range []struct {
		name  string
		keys  refresh.Keys
		token string
		want  error
	}{
		{"own", pair, good, nil},
		{"own, with a secret beside", both, good, nil},
		{"secret", shared, hs(goodSecret, nil, nil), nil},
		{"secret, of another issuer", shared, hs(goodSecret, nil, m{"iss": "https://elsewhere"}), nil},
		{"secret, beside own", both, hs(goodSecret, nil, nil), nil},
		{"audience of ours", pair, own.sign(t, nil, localClaims(m{"aud": []string{"x", "kb"}})), nil},
		{"audience another", pair, own.sign(t, nil, localClaims(m{"aud": "mail"})), refresh.ErrToken},
		{"audience another, secret", shared, hs(goodSecret, nil, m{"aud": "mail"}), refresh.ErrToken},
		{"another issuer", pair, own.sign(t, nil, localClaims(m{"iss": "x"})), refresh.ErrToken},
		{"no subject", pair, own.sign(t, nil, localClaims(m{"sub": nil})), refresh.ErrToken},
		{"expired", pair, own.sign(t, nil, localClaims(m{"exp": time.Now().Add(-2 * time.Minute).Unix()})), refresh.ErrToken},
		{"without an end", shared, hs(goodSecret, nil, m{"exp": nil}), refresh.ErrToken},
		{"not yet", pair, own.sign(t, nil, localClaims(m{"nbf": time.Now().Add(2 * time.Minute).Unix()})), refresh.ErrToken},
		{"key of a thief", pair, thief.sign(t, nil, localClaims(nil)), refresh.ErrToken},
		{"another secret", shared, hs(goodSecret+"x", nil, nil), refresh.ErrToken},
		{"weak secret", refresh.Keys{Secret: keyring.NewSecret(goodSecret[1:])}, hs(goodSecret[1:], nil, nil), refresh.ErrWeakSecret},
		{"empty secret", pair, hs("", nil, nil), refresh.ErrToken},
		{"secret where there is none", pair, hs(goodSecret, nil, nil), refresh.ErrToken},
		{"pair where there is none", shared, good, refresh.ErrToken},
		{"HS256 with the key set", both, hs(string(set), nil, nil), refresh.ErrToken},
		{"HS256 with the RSA key's modulus", both, hs(rsaKey.jwk(nil)["n"].(string), m{"kid": "k2"}, nil), refresh.ErrToken},
		{"HS384", shared, hs384(t, localClaims(nil)), refresh.ErrToken},
		{"none", both, base64url([]byte(`{"alg":"none"}`)) + "." + body + ".", refresh.ErrToken},
		{"None with a signature", both, base64url([]byte(`{"alg":"None"}`)) + "." + body + ".AA", refresh.ErrToken},
		{"unsigned", both, head + "." + body + ".", refresh.ErrToken},
		{"crit", shared, hs(goodSecret, m{"crit": []string{"x"}}, nil), refresh.ErrToken},
		{"typ of another kind", shared, hs(goodSecret, m{"typ": "logout+jwt"}, nil), refresh.ErrToken},
		{"opaque", both, "gho_123", refresh.ErrToken},
		{"nothing", both, "", refresh.ErrToken},
		{"no keys", refresh.Keys{}, good, refresh.ErrNoKeys},
	} {
		c, err := tt.keys.Verify(keyring.NewSecret(tt.token))
		wantErrorNamed(t, tt.name, err, tt.want)
		if err == nil && c.Subject != "ada" {
			t.Errorf("%s: subject %q", tt.name, c.Subject)
		}
	}
}

func hs384(t testing.TB, claims map[string]any) string {
	t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS384, jwt.MapClaims(claims)).SignedString([]byte(goodSecret))
	if err != nil {
		t.Fatal(err)
	}
	return text
}
