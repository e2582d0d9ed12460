package issuer

import (
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	MaxGuesses = maxGuesses
	MaxKeys    = maxKeys
	MaxLookUps = maxLookUps
)

// SetTransport lets a Verifier reach a handler without a network, so that its time
// can be a test's own.
func (v *Verifier) SetTransport(rt http.RoundTripper) { v.client.Transport = rt }

// Sign makes an access token with a genuine signature after spoil has had its way.
func (i *Issuer) Sign(spoil func(header map[string]any, claims jwt.MapClaims)) string {
	key := i.keys.all[len(i.keys.all)-1]
	claims := jwt.MapClaims{
		"iss": i.url, "aud": i.options.Audience, "sub": "demo", "iat": time.Now().Unix(),
		"exp": time.Now().Add(time.Hour).Unix(), "roles": []string{"admin"},
	}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	token.Header["typ"], token.Header["kid"] = "at+jwt", key.ID
	spoil(token.Header, claims)
	signed, err := token.SignedString(key.private)
	if err != nil {
		panic(err)
	}
	return signed
}

// PublicPoint is what somebody would use as a secret who mistakes the public key for one.
func (i *Issuer) PublicPoint() []byte {
	point, err := i.keys.all[len(i.keys.all)-1].private.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	return point
}
