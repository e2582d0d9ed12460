package issuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"mcp-valet/keyring"
)

// LocalName is the "iss" of tokens that a Signer makes.
const LocalName = "mcp-valet"

// The algorithms of a Signer.
const (
	EdDSA = "EdDSA"
	ES256 = "ES256"
	HS256 = "HS256"
)

// ErrKey says that a stored key, or a set of public ones, is not what this version makes.
var ErrKey = errors.New("not a key of the local issuer")

// minSecret is the least length of a secret for HS256 in bytes, RFC 7518 section 3.2.
const minSecret = 32

// Signer makes tokens for people who have no identity provider, and seals the list of them. It is safe for concurrent use.
type Signer struct {
	public  jwk
	method  jwt.SigningMethod
	private any // as the method takes it
	seal    any // for ledgers, where that is another key
	check   any // the half of seal that checks
}

// NewSigner makes a fresh key for EdDSA or ES256.
func NewSigner(alg string) (*Signer, error) {
	var key crypto.Signer
	var err error
	switch alg {
	case EdDSA:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case ES256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		return nil, fmt.Errorf("no key is made for the algorithm %.20q", alg)
	}
	if err != nil {
		return nil, fmt.Errorf("generating signing key: %w", err)
	}
	return signerFor(key)
}

func signerFor(key crypto.Signer) (*Signer, error) {
	s := &Signer{private: key, seal: key, check: key.Public()}
	var err error
	switch public := key.Public().(type) {
	case ed25519.PublicKey:
		s.method, s.public = jwt.SigningMethodEdDSA, newOKP(public)
	case *ecdsa.PublicKey:
		if public.Curve != elliptic.P256() {
			return nil, ErrKey
		}
		s.method = jwt.SigningMethodES256
		s.public, err = newJWK(public)
	default:
		return nil, ErrKey
	}
	return s, err
}

// newOKP describes an Ed25519 key (RFC 8037 section 2); its kid is the RFC 7638 thumbprint.
func newOKP(public ed25519.PublicKey) jwk {
	k := jwk{Curve: "Ed25519", Type: "OKP", X: encode(public), Use: "sig", Alg: EdDSA}
	thumb := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + k.X + `"}`))
	k.ID = encode(thumb[:])
	return k
}

// SecretSigner signs with a secret that others have, too (HS256). Whoever knows it can make tokens.
func SecretSigner(secret keyring.Secret) (*Signer, error) {
	key := []byte(secret.Reveal())
	if len(key) < minSecret {
		return nil, fmt.Errorf("the secret that tokens are signed with has fewer than %d bytes", minSecret)
	}
	seal, id := derived(key, "ledger"), derived(key, "id")
	return &Signer{public: jwk{ID: encode(id[:16]), Alg: HS256}, method: jwt.SigningMethodHS256, private: key, seal: seal, check: seal}, nil
}

// derived is a key of its own for a use that must not be taken for a token.
func derived(key []byte, use string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("mcp-valet " + use))
	return h.Sum(nil)
}

// Alg is the algorithm that s signs with.
func (s *Signer) Alg() string { return s.public.Alg }

// ID names the key; it is not secret.
func (s *Signer) ID() string { return s.public.ID }

// JWKS is the key set (RFC 7517) that tokens are checked by; nil for a secret.
func (s *Signer) JWKS() []byte {
	if s.Alg() == HS256 {
		return nil
	}
	set, err := json.Marshal(map[string][]jwk{"keys": {s.public}})
	if err != nil {
		return nil // texts: it cannot fail
	}
	return set
}

// Stored is s as it is kept: PKCS #8 in JSON. It is empty for a secret, which is kept by whoever gave it.
func (s *Signer) Stored() (keyring.Secret, error) {
	if s.Alg() == HS256 {
		return keyring.Secret{}, nil
	}
	der, err := x509.MarshalPKCS8PrivateKey(s.private)
	if err != nil {
		return keyring.Secret{}, fmt.Errorf("encoding signing key: %w", err)
	}
	b, err := json.Marshal(storedSigner{Version: 1, Key: der})
	return keyring.NewSecret(string(b)), err
}

type storedSigner struct {
	Version int    `json:"version"`
	Key     []byte `json:"pkcs8"`
}

// ParseSigner is the inverse of Stored.
func ParseSigner(stored keyring.Secret) (*Signer, error) {
	var r storedSigner
	if err := json.Unmarshal([]byte(stored.Reveal()), &r); err != nil || r.Version != 1 {
		return nil, ErrKey
	}
	key, err := x509.ParsePKCS8PrivateKey(r.Key)
	if err != nil {
		return nil, ErrKey
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, ErrKey
	}
	return signerFor(signer)
}

// Token is what a Signer writes into a token.
type Token struct {
	ID       string // jti
	Parent   string // the issued token that this one is made for, "" for none
	User     string
	Roles    []string
	Tenant   string
	Audience string
	Issued   time.Time
	Expiry   time.Time
}

// NewID makes a jti.
func NewID() string { return random(16) }

// Mint makes a JWT.
func (s *Signer) Mint(t Token) (keyring.Secret, error) {
	roles := t.Roles
	if roles == nil {
		roles = []string{}
	}
	claims := jwt.MapClaims{
		"iss": LocalName, "sub": t.User, "jti": t.ID, "roles": roles, "iat": t.Issued.Unix(), "exp": t.Expiry.Unix(),
	}
	for name, v := range map[string]string{"tenant": t.Tenant, "aud": t.Audience, "parent": t.Parent} {
		if v != "" {
			claims[name] = v
		}
	}
	token := jwt.NewWithClaims(s.method, claims)
	if s.Alg() != HS256 {
		token.Header["kid"] = s.ID()
	}
	text, err := token.SignedString(s.private)
	if err != nil {
		return keyring.Secret{}, fmt.Errorf("signing token: %w", err)
	}
	return keyring.NewSecret(text), nil
}

// Checker opens what a Signer has sealed.
type Checker struct {
	id     string
	method jwt.SigningMethod
	key    any
}

// Checker is the half of s that cannot sign, but for a secret.
func (s *Signer) Checker() *Checker { return &Checker{s.ID(), s.method, s.check} }

// CheckerFor opens what the one key of a set has sealed.
func CheckerFor(jwks []byte) (*Checker, error) {
	var set struct{ Keys []jwk }
	if err := json.Unmarshal(jwks, &set); err != nil || len(set.Keys) != 1 {
		return nil, ErrKey
	}
	k := set.Keys[0]
	switch k.Alg {
	case EdDSA:
		x, err := decode(k.X)
		if err != nil || len(x) != ed25519.PublicKeySize {
			return nil, ErrKey
		}
		return &Checker{k.ID, jwt.SigningMethodEdDSA, ed25519.PublicKey(x)}, nil
	case ES256:
		key, err := k.publicKey()
		if err != nil {
			return nil, ErrKey
		}
		return &Checker{k.ID, jwt.SigningMethodES256, key}, nil
	}
	return nil, ErrKey
}

// ID names the key.
func (c *Checker) ID() string { return c.id }
