package issuer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// maxKeys bounds how many keys can be published at a time.
const maxKeys = 16

// keyGrace is how long a retired key stays published after its last token
// expired, for verifiers that allow some clock skew.
const keyGrace = time.Minute

// A jwk is a public key as RFC 7517 and RFC 7518 section 6.2.1 write it. The
// order of its first four fields is the one a thumbprint needs.
type jwk struct {
	Curve string `json:"crv"`
	Type  string `json:"kty"`
	X     string `json:"x"`
	Y     string `json:"y,omitempty"` // none in a key for EdDSA
	ID    string `json:"kid"`
	Use   string `json:"use"`
	Alg   string `json:"alg"`
}

// newJWK describes a P-256 key; its kid is the RFC 7638 thumbprint.
func newJWK(pub *ecdsa.PublicKey) (jwk, error) {
	point, err := pub.Bytes() // 4, then X and Y in 32 bytes each
	if err != nil {
		return jwk{}, fmt.Errorf("encoding public key: %w", err)
	}
	k := jwk{Curve: "P-256", Type: "EC", X: encode(point[1:33]), Y: encode(point[33:]), Use: "sig", Alg: "ES256"}
	thumb := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + k.X + `","y":"` + k.Y + `"}`))
	k.ID = encode(thumb[:])
	return k, nil
}

// publicKey is the inverse of newJWK.
func (k jwk) publicKey() (*ecdsa.PublicKey, error) {
	x, errX := decode(k.X)
	y, errY := decode(k.Y)
	if k.Type != "EC" || k.Curve != "P-256" || errX != nil || errY != nil || len(x) != 32 || len(y) != 32 {
		return nil, errors.New("not a P-256 key")
	}
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
}

type signingKey struct {
	jwk
	private *ecdsa.PrivateKey
	last    time.Time // the latest exp among what it has signed
}

// keys signs with its newest key and publishes every one that a living token
// was signed with. It is safe for concurrent use.
type keys struct {
	mu  sync.Mutex
	all []*signingKey // oldest first; the last one signs
}

// rotate makes a fresh key the one that signs and returns its kid.
func (k *keys) rotate(now time.Time) (string, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", fmt.Errorf("generating signing key: %w", err)
	}
	public, err := newJWK(&private.PublicKey)
	if err != nil {
		return "", err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	kept := k.living(now)
	// The key that signed until now retires; one that never signed has nobody to verify for.
	if len(kept) > 0 && kept[len(kept)-1].last.IsZero() {
		kept = kept[:len(kept)-1]
	}
	if len(kept) >= maxKeys {
		return "", fmt.Errorf("rotating signing keys: %d keys still have living tokens", len(kept))
	}
	k.all = append(kept, &signingKey{jwk: public, private: private})
	return public.ID, nil
}

// living lists the keys still to be published, the signing key always among them.
func (k *keys) living(now time.Time) []*signingKey {
	var kept []*signingKey
	for n, key := range k.all {
		if n == len(k.all)-1 || now.Before(key.last.Add(keyGrace)) {
			kept = append(kept, key)
		}
	}
	return kept
}

// published lists the public keys of the JWK set (RFC 7517 section 5).
func (k *keys) published(now time.Time) []jwk {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all = k.living(now)
	set := make([]jwk, len(k.all))
	for n, key := range k.all {
		set[n] = key.jwk
	}
	return set
}

// sign makes a JWT of claims that ends at expires; typ is its header's type.
func (k *keys) sign(typ string, claims jwt.MapClaims, expires time.Time) (string, error) {
	k.mu.Lock()
	key := k.all[len(k.all)-1]
	if expires.After(key.last) {
		key.last = expires
	}
	k.mu.Unlock()

	claims["exp"] = expires.Unix()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	token.Header["typ"] = typ
	token.Header["kid"] = key.ID
	signed, err := token.SignedString(key.private)
	if err != nil {
		return "", fmt.Errorf("signing token: %w", err)
	}
	return signed, nil
}

// find returns the published key with an id, for a jwt.Keyfunc.
func (k *keys) find(kid string, now time.Time) (*ecdsa.PublicKey, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, key := range k.living(now) {
		if key.ID == kid {
			return &key.private.PublicKey, true
		}
	}
	return nil, false
}

// base64url without padding, and one spelling only: what is not canonical is refused.
var canonical = base64.RawURLEncoding.Strict()

func encode(b []byte) string { return canonical.EncodeToString(b) }

func decode(s string) ([]byte, error) { return canonical.DecodeString(s) }

// random returns n random bytes in base64url. It cannot fail: crypto/rand ends the
// program when the system has no randomness.
func random(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return encode(b)
}
