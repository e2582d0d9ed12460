package refresh

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"mcp-valet/keyring"
)

// MinSecret is the least length in bytes of a secret that tokens are signed with: as long as the hash (RFC 7518 section
// 3.2). A shorter one can be guessed from any token.
const MinSecret = 32

// Leeway is how long after its end a token may still pass, for clocks that differ.
const Leeway = clockLeeway

// ErrWeakSecret says that a secret is shorter than [MinSecret].
var ErrWeakSecret = fmt.Errorf("the secret that tokens are signed with has fewer than %d bytes", MinSecret)

// ErrNoKeys says that there is nothing to check a token by.
var ErrNoKeys = errors.New("there is no key to check tokens by")

// Keys check tokens by keys at hand, with no issuer to ask. Tokens that are signed with the secret and tokens of a key
// pair are never taken for each other: each algorithm has its own kind of key.
type Keys struct {
	Set      []byte         // JWK Set with public keys; nil for none
	Issuer   string         // who the tokens of these keys are by
	Secret   keyring.Secret // for HS256, by any issuer; zero for none
	Audience []string       // a token that names an audience must name one of these
}

// Verify checks a JWT like [Verifier.Verify], with two differences: HS256 is accepted where there is a secret, and "aud"
// may be missing. The error wraps [ErrToken], [ErrWeakSecret] or [ErrNoKeys].
func (k Keys) Verify(token keyring.Secret) (*Claims, error) {
	if k.Set == nil && k.Secret.IsZero() {
		return nil, ErrNoKeys
	}
	t, err := decodeJWT(token)
	if err != nil {
		return nil, err
	}
	if t == nil {
		return nil, refuse("it is not a JWT")
	}
	issuer := k.Issuer
	if t.alg == jwt.SigningMethodHS256.Alg() {
		issuer, err = "", k.checkSecret(t)
	} else {
		err = k.checkPair(t)
	}
	if err != nil {
		return nil, err
	}
	return k.checkClaims(t, issuer)
}

func (k Keys) checkPair(t *signedToken) error {
	id, err := t.keyID()
	if err != nil {
		return err
	}
	var keys []publicKey
	if k.Set != nil {
		if keys, err = parseKeys(k.Set); err != nil {
			return fmt.Errorf("%w: %w", ErrNoKeys, err)
		}
	}
	if !t.signedBy(candidates(keys, t.alg, id)) {
		return refuse("no key at hand has signed it")
	}
	return nil
}

func (k Keys) checkSecret(t *signedToken) error {
	if k.Secret.IsZero() {
		return refuse("it is signed with a secret, and there is none to check it by")
	}
	secret := []byte(k.Secret.Reveal())
	if len(secret) < MinSecret {
		return ErrWeakSecret
	}
	if err := t.checkHeader(); err != nil {
		return err
	}
	if !t.signedBy([]publicKey{{key: secret}}) {
		return refuse("it is signed with another secret")
	}
	return nil
}

func (k Keys) checkClaims(t *signedToken, issuer string) (*Claims, error) {
	claims, err := readClaims(t.claims)
	if err != nil {
		return nil, refuse(err.Error())
	}
	switch {
	case issuer != "" && claims.Issuer != issuer:
		return nil, refuse("it is by another issuer")
	case strings.TrimSpace(claims.Subject) == "":
		return nil, refuse("it does not say whose it is")
	case len(claims.Audience) > 0 && !slices.ContainsFunc(claims.Audience, func(a string) bool { return slices.Contains(k.Audience, a) }):
		return nil, refuse("it is for another audience")
	}
	rules := []jwt.ParserOption{jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(clockLeeway)}
	if err := jwt.NewValidator(rules...).Validate(jwt.MapClaims(t.claims)); err != nil {
		return nil, refuse(claimReason(err))
	}
	return &claims, nil
}
