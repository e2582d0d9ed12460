package refresh

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

const (
	maxKeys       = 100 // in one set
	maxCandidates = 10  // tried for one token
	minRSA        = 2048
	maxRSA        = 8192
)

// publicKey is one key of an issuer that signatures can be checked with.
type publicKey struct {
	id   string // "kid", "" if it has none
	alg  string // the only algorithm it is for, "" for any of its type
	kind string // see algorithms
	key  any    // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
}

// algorithms are the accepted signature algorithms (RFC 7518 section 3.1, RFC 8037) with the kind of key that each
// takes. All are asymmetric: no token can be signed with what the issuer publishes.
var algorithms = map[string]string{
	"RS256": "RSA", "RS384": "RSA", "RS512": "RSA",
	"PS256": "RSA", "PS384": "RSA", "PS512": "RSA",
	"ES256": "P-256", "ES384": "P-384", "ES512": "P-521",
	"EdDSA": "Ed25519",
}

// candidates are the keys that may have signed a token with this algorithm and key id, in the order of the set. A token
// without a key id may be signed with any.
func candidates(keys []publicKey, alg, id string) []publicKey {
	var fit []publicKey
	for _, k := range keys {
		if (id == "" || k.id == id) && k.kind == algorithms[alg] && (k.alg == "" || k.alg == alg) {
			fit = append(fit, k)
		}
	}
	return fit[:min(len(fit), maxCandidates)]
}

// parseKeys reads a JWK Set (RFC 7517 section 5). Keys that are of an unknown type, incomplete, too weak or not for
// signatures are left out.
func parseKeys(b []byte) ([]publicKey, error) {
	set, err := parseObject(b)
	if err != nil {
		return nil, err
	}
	listed, ok := set["keys"].([]any)
	if !ok {
		return nil, errors.New("no list of keys")
	}
	if len(listed) > maxKeys {
		return nil, fmt.Errorf("more than %d keys", maxKeys)
	}
	var keys []publicKey
	for _, member := range listed {
		jwk, _ := member.(map[string]any) // anything else is an empty key, of no known type
		if k, err := parseKey(jwk); err == nil {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

var errKey = errors.New("unusable key")

func parseKey(jwk fields) (publicKey, error) {
	k := publicKey{id: jwk.text("kid"), alg: jwk.text("alg")}
	if !forSignatures(jwk) {
		return k, errKey
	}
	var err error
	switch jwk.text("kty") {
	case "RSA":
		k.kind = "RSA"
		k.key, err = rsaKey(jwk)
	case "EC":
		k.kind = jwk.text("crv")
		k.key, err = ecKey(jwk)
	case "OKP":
		k.kind = jwk.text("crv")
		k.key, err = edKey(jwk)
	default:
		err = errKey
	}
	return k, err
}

// forSignatures: RFC 7517 sections 4.2 and 4.3. A member of the wrong type rules the key out.
func forSignatures(jwk fields) bool {
	if use, present := jwk["use"]; present && use != "sig" {
		return false
	}
	if _, present := jwk["key_ops"]; present && !slices.Contains(jwk.list("key_ops"), "verify") {
		return false
	}
	for _, name := range []string{"kid", "alg"} {
		if _, isText := jwk[name].(string); jwk[name] != nil && !isText {
			return false
		}
	}
	return true
}

func rsaKey(jwk fields) (*rsa.PublicKey, error) {
	n, e := new(big.Int).SetBytes(jwk.bytes("n", maxRSA/8+1)), new(big.Int).SetBytes(jwk.bytes("e", 4))
	if n.BitLen() < minRSA || n.BitLen() > maxRSA || n.Bit(0) == 0 {
		return nil, errKey
	}
	if e.BitLen() > 31 || e.Bit(0) == 0 || e.Cmp(big.NewInt(3)) < 0 {
		return nil, errKey
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
}

// curveNamed returns a curve of RFC 7518 section 6.2.1.1, or nil. To have one at all takes time, which no start should.
func curveNamed(name string) elliptic.Curve {
	switch name {
	case "P-256":
		return elliptic.P256()
	case "P-384":
		return elliptic.P384()
	case "P-521":
		return elliptic.P521()
	}
	return nil
}

func ecKey(jwk fields) (*ecdsa.PublicKey, error) {
	curve := curveNamed(jwk.text("crv"))
	if curve == nil {
		return nil, errKey
	}
	size := (curve.Params().BitSize + 7) / 8
	x, y := jwk.bytes("x", size), jwk.bytes("y", size)
	if len(x) != size || len(y) != size {
		return nil, errKey
	}
	point := slices.Concat([]byte{4}, x, y) // uncompressed, SEC 1 section 2.3.3
	return ecdsa.ParseUncompressedPublicKey(curve, point)
}

func edKey(jwk fields) (ed25519.PublicKey, error) {
	x := jwk.bytes("x", ed25519.PublicKeySize)
	if jwk.text("crv") != "Ed25519" || len(x) != ed25519.PublicKeySize {
		return nil, errKey
	}
	return ed25519.PublicKey(x), nil
}

// bytes returns a base64url member of at most limit bytes; anything else is nil.
func (f fields) bytes(name string, limit int) []byte {
	text := strings.TrimRight(f.text(name), "=") // forbidden, and met
	if base64.RawURLEncoding.DecodedLen(len(text)) > limit {
		return nil
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return b
}
