package issuer

import (
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// What Verify found wrong with a token.
var (
	ErrTokenExpired    = errors.New("token expired")
	ErrForeignToken    = errors.New("token is from another issuer or for another audience")
	ErrInvalidToken    = errors.New("token is not a valid access token")
	ErrKeysUnavailable = errors.New("the issuer's keys cannot be had")
)

// AccessClaims is what a verified access token says (RFC 9068 section 2.2).
type AccessClaims struct {
	Issuer, Subject, ClientID, ID string
	Audience, Scopes, Roles       []string
	IssuedAt, Expiry              time.Time
}

const (
	maxToken    = 16 << 10 // bytes
	maxDocument = 1 << 20  // bytes
	keysTimeout = 5 * time.Second
	// Made-up key ids must not turn a server against its issuer: so many look-ups
	// of keys are made in a window of time, and no more.
	maxLookUps   = 6
	lookUpWindow = time.Minute
)

// Verifier checks access tokens of one issuer for one audience, as the server they
// are addressed to must (RFC 9068 section 4). It finds the issuer's keys by
// discovery, keeps them, and looks again when a token names a key it does not know.
// It is safe for concurrent use.
type Verifier struct {
	issuer, audience string
	client           *http.Client

	mu      sync.Mutex // held during a look-up: others wait for its outcome
	keys    map[string]*ecdsa.PublicKey
	since   time.Time // when the current window began
	lookUps int       // made in it
}

// NewVerifier makes a Verifier. The issuer is given by its URL: http is for
// loopback addresses only.
func NewVerifier(issuer, audience string) (*Verifier, error) {
	if err := checkIssuerURL(issuer); err != nil {
		return nil, err
	}
	if audience == "" {
		return nil, errors.New("verifying tokens: no audience to expect")
	}
	return &Verifier{
		issuer:   issuer,
		audience: audience,
		client: &http.Client{
			Timeout:       keysTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

type wireClaims struct {
	jwt.RegisteredClaims
	ClientID string   `json:"client_id"`
	Scope    string   `json:"scope"`
	Roles    []string `json:"roles"`
}

// Verify checks a token's type, signature, issuer, audience and times, with no
// leeway, and returns what it says. The error wraps one of the sentinels above and
// holds nothing of the token.
func (v *Verifier) Verify(ctx context.Context, token string) (*AccessClaims, error) {
	if len(token) > maxToken {
		return nil, fmt.Errorf("%w: it is too long", ErrInvalidToken)
	}
	var claims wireClaims
	var refused error // ours: the parser would bury it
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithStrictDecoding(),
		jwt.WithIssuer(v.issuer), jwt.WithAudience(v.audience), jwt.WithExpirationRequired())
	_, err := parser.ParseWithClaims(token, &claims, func(t *jwt.Token) (any, error) {
		var key *ecdsa.PublicKey
		key, refused = v.keyFor(ctx, t.Header, claims.Issuer)
		return key, refused
	})
	switch {
	case refused != nil:
		return nil, refused
	case err != nil:
		return nil, verdict(err)
	}
	if claims.Subject == "" || claims.IssuedAt == nil {
		return nil, fmt.Errorf("%w: sub or iat is missing", ErrInvalidToken)
	}
	return &AccessClaims{
		Issuer: claims.Issuer, Subject: claims.Subject, ClientID: claims.ClientID, ID: claims.ID,
		Audience: claims.Audience, Scopes: strings.Fields(claims.Scope), Roles: claims.Roles,
		IssuedAt: claims.IssuedAt.Time, Expiry: claims.ExpiresAt.Time,
	}, nil
}

// keyFor looks at what golang-jwt does not, before any key is fetched: typ keeps an
// id_token from passing for an access token, and crit names what we would have to
// understand (RFC 7515 section 4.1.11).
func (v *Verifier) keyFor(ctx context.Context, header map[string]any, issuer string) (*ecdsa.PublicKey, error) {
	typ, _ := header["typ"].(string)
	if typ = strings.ToLower(typ); typ != "at+jwt" && typ != "application/at+jwt" {
		return nil, fmt.Errorf("%w: its typ is not at+jwt", ErrInvalidToken)
	}
	if _, there := header["crit"]; there {
		return nil, fmt.Errorf("%w: it has a crit header", ErrInvalidToken)
	}
	if issuer != v.issuer {
		return nil, ErrForeignToken
	}
	kid, _ := header["kid"].(string)
	return v.key(ctx, kid)
}

// verdict reduces a parser's error to a sentinel: its text may quote the token.
func verdict(err error) error {
	switch {
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return ErrForeignToken
	case errors.Is(err, jwt.ErrTokenExpired):
		return ErrTokenExpired
	}
	return ErrInvalidToken
}

// key returns the issuer's key with an id.
func (v *Verifier) key(ctx context.Context, kid string) (*ecdsa.PublicKey, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if key, ok := v.keys[kid]; ok {
		return key, nil
	}
	if !v.mayLookUp(time.Now()) {
		return nil, fmt.Errorf("%w: too many look-ups", ErrKeysUnavailable)
	}
	found, err := v.lookUp(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeysUnavailable, err)
	}
	v.keys = found
	if key, ok := v.keys[kid]; ok {
		return key, nil
	}
	return nil, fmt.Errorf("%w: its key is unknown", ErrInvalidToken)
}

func (v *Verifier) mayLookUp(now time.Time) bool {
	if now.Sub(v.since) >= lookUpWindow {
		v.since, v.lookUps = now, 0
	}
	v.lookUps++
	return v.lookUps <= maxLookUps
}

// lookUp fetches the metadata, then the keys, both from the issuer's own origin.
func (v *Verifier) lookUp(ctx context.Context) (map[string]*ecdsa.PublicKey, error) {
	var meta metadata
	if err := v.fetch(ctx, v.issuer+pathDiscovery, &meta); err != nil {
		return nil, err
	}
	if meta.Issuer != v.issuer || !strings.HasPrefix(meta.JWKS, v.issuer+"/") {
		return nil, errors.New("the metadata is another issuer's")
	}
	var set struct{ Keys []jwk }
	if err := v.fetch(ctx, meta.JWKS, &set); err != nil {
		return nil, err
	}
	found := map[string]*ecdsa.PublicKey{}
	for _, k := range set.Keys {
		if pub, err := k.publicKey(); err == nil && k.ID != "" { // a key of another kind is none of our business
			found[k.ID] = pub
		}
	}
	return found, nil
}

func (v *Verifier) fetch(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := v.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); resp.StatusCode != http.StatusOK || kind != "application/json" {
		return fmt.Errorf("%s: no JSON, status %d", url, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err == nil && len(body) > maxDocument {
		err = errors.New("more than a document should be")
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", url, err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("reading %s: %w", url, err)
	}
	return nil
}
