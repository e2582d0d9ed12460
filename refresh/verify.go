package refresh

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"mcp-valet/keyring"
)

const maxKeyID = 256 // bytes

// Verifier checks access tokens of one account in full. It is safe for concurrent use.
type Verifier struct {
	account Account
	keys    keyCache
}

// Verifier checks tokens of the client's account, with the issuer's keys cached in files of cacheDir.
func (c *Client) Verifier(cacheDir string) *Verifier {
	return &Verifier{account: c.account, keys: c.keyCache(cacheDir)}
}

// Verify checks a JWT (RFC 7519, RFC 8725, RFC 9068): an accepted asymmetric algorithm, a known type, no critical
// extension, a signature by a key that the issuer publishes, and issuer, audience (if the account has one), expiry and
// the other times, give or take a minute. Where the token itself says its key lies (jku, x5u, jwk, x5c) is ignored.
// A key seen before costs no network; one that is unknown is asked for at most once a minute. The error wraps
// [ErrToken] when the token is refused, and [ErrUnreachable] when the keys to tell by cannot be had.
func (v *Verifier) Verify(ctx context.Context, token keyring.Secret) (*Claims, error) {
	t, err := decodeJWT(token)
	if err != nil {
		return nil, err
	}
	if t == nil {
		return nil, refuse("it is not a JWT")
	}
	id, err := t.keyID()
	if err != nil {
		return nil, err
	}
	if err := v.checkSignature(ctx, t, id); err != nil {
		return nil, err
	}
	return v.checkClaims(t)
}

// VerifyWithin is [Verifier.Verify] for whoever waits for the issuer's keys no longer than limit. After that the error wraps
// [ErrUnreachable] and the reason of ctx.
func (v *Verifier) VerifyWithin(ctx context.Context, limit time.Duration, token keyring.Secret) (*Claims, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	claims, err := v.Verify(ctx, token)
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("%w: getting its keys takes long: %w", ErrUnreachable, ctx.Err())
	}
	return claims, err
}

func refuse(why string) error { return fmt.Errorf("%w: %s", ErrToken, why) }

// keyID checks the header and returns its key id, "" if there is none.
func (t *signedToken) keyID() (string, error) {
	if _, accepted := algorithms[t.alg]; !accepted {
		return "", refuse("it is signed with an algorithm that is not accepted")
	}
	if err := t.checkHeader(); err != nil {
		return "", err
	}
	id, present := t.header["kid"]
	text, ok := id.(string)
	if present && !ok || len(text) > maxKeyID {
		return "", refuse("its key id is malformed")
	}
	return text, nil
}

// checkHeader checks what the header says beside algorithm and key.
func (t *signedToken) checkHeader() error {
	if _, present := t.header["crit"]; present {
		return refuse("it wants an extension that is not known here") // RFC 7515 section 4.1.11
	}
	if typ, present := t.header["typ"]; present && !accessTokenType(typ) {
		return refuse("it is of another type")
	}
	return nil
}

// accessTokenType: "application/" may be left out and case does not matter, RFC 7515 section 4.1.9.
func accessTokenType(typ any) bool {
	text, _ := typ.(string) // another type is no accepted one
	text = strings.TrimPrefix(strings.ToLower(text), "application/")
	return text == "jwt" || text == "at+jwt"
}

var errNoMatch = errors.New("no key of the issuer has signed it")

// checkSignature tries the keys at hand and, if none has signed the token, those that the issuer has now.
func (v *Verifier) checkSignature(ctx context.Context, t *signedToken, id string) error {
	keys, err := v.keys.current(ctx)
	if err != nil {
		return err
	}
	if t.signedBy(candidates(keys.keys, t.alg, id)) {
		return nil
	}
	knownKey := len(candidates(keys.keys, t.alg, id)) > 0 && id != ""
	newer, err := v.keys.fetch(ctx, keys)
	switch {
	case err == nil && t.signedBy(candidates(newer.keys, t.alg, id)):
		return nil
	case err == nil, knownKey, errors.Is(err, errNoKeys) && !keys.lastFailed():
		return fmt.Errorf("%w: %w", ErrToken, errNoMatch)
	}
	return err
}

func (t *signedToken) signedBy(keys []publicKey) bool {
	compact := t.token.Reveal()
	end := strings.LastIndexByte(compact, '.')
	if strings.ContainsAny(compact[end:], "\r\n") { // which encoding/base64 skips
		return false
	}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(compact[end+1:])
	if err != nil {
		return false
	}
	method := jwt.GetSigningMethod(t.alg)
	return slices.ContainsFunc(keys, func(k publicKey) bool {
		return method.Verify(compact[:end], signature, k.key) == nil
	})
}

// checkClaims checks what the token says, its signature being good.
func (v *Verifier) checkClaims(t *signedToken) (*Claims, error) {
	claims, err := readClaims(t.claims)
	if err != nil {
		return nil, refuse(err.Error())
	}
	if !sameIssuer(v.account.Issuer, claims.Issuer) {
		return nil, refuse("it is by another issuer")
	}
	rules := []jwt.ParserOption{jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(clockLeeway)}
	if v.account.Audience != "" {
		rules = append(rules, jwt.WithAudience(v.account.Audience))
	}
	if err := jwt.NewValidator(rules...).Validate(jwt.MapClaims(t.claims)); err != nil {
		return nil, refuse(claimReason(err))
	}
	return &claims, nil
}

// claimReasons words the verdicts of the JWT library, whose texts may hold parts of the token.
var claimReasons = []struct {
	err    error
	reason string
}{
	{jwt.ErrTokenExpired, "it has expired"},
	{jwt.ErrTokenNotValidYet, "it is not valid yet"},
	{jwt.ErrTokenUsedBeforeIssued, "it was issued in the future"},
	{jwt.ErrTokenInvalidAudience, "it is for another audience"},
	{jwt.ErrTokenRequiredClaimMissing, "it lacks its expiry or its audience"},
}

func claimReason(err error) string {
	for _, r := range claimReasons {
		if errors.Is(err, r.err) {
			return r.reason
		}
	}
	return "its claims are not acceptable"
}
