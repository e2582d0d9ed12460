package issuer

import (
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	grantCode    = "authorization_code"
	grantDevice  = "urn:ietf:params:oauth:grant-type:device_code"
	grantRefresh = "refresh_token"
)

// tokens is the answer of RFC 6749 section 5.1.
type tokens struct {
	Access    string `json:"access_token"`
	Type      string `json:"token_type"`
	ExpiresIn int64  `json:"expires_in"`
	Refresh   string `json:"refresh_token"`
	Scope     string `json:"scope,omitempty"`
	ID        string `json:"id_token,omitempty"`
}

// token answers a token request by its grant type. All grants are made under the
// mutex, so that of two requests with one code or refresh token only one gets tokens.
func (i *Issuer) token(c *call) (any, error) {
	if !c.form.Has("grant_type") {
		return nil, refusal("invalid_request", "grant_type is missing")
	}
	redeem, ok := map[string]func(*call, time.Time) (*tokens, error){
		grantCode:    i.redeemCode,
		grantDevice:  i.redeemDevice,
		grantRefresh: i.refresh,
	}[c.form.Get("grant_type")]
	if !ok {
		return nil, refusal("unsupported_grant_type", "grant_type is none of those in the metadata")
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	out, err := redeem(c, time.Now())
	if err != nil {
		return nil, err // not out: a nil *tokens would be an answer
	}
	return out, nil
}

// signIn starts a family and makes its first tokens. The caller holds the mutex.
func (i *Issuer) signIn(c *call, asked request, subject string, answered, at time.Time) (*tokens, familyID, error) {
	var id familyID
	rand.Read(id[:])
	f := &family{request: asked, subject: subject, signedIn: answered, serial: 1}
	out, err := i.mint(c, id, f, at)
	if err != nil {
		return nil, id, err
	}
	if !i.families.put(at, id, f, at.Add(i.options.RefreshTTL)) {
		return nil, id, errFull
	}
	i.stats.SignIns++
	return out, id, nil
}

// refresh rotates a refresh token (RFC 6749 section 6). One that was rotated
// before is in two hands, and the sign-in ends for both (RFC 9700 section 4.14.2).
// The caller holds the mutex.
func (i *Issuer) refresh(c *call, at time.Time) (*tokens, error) {
	if !c.form.Has("refresh_token") {
		return nil, refusal("invalid_request", "refresh_token is missing")
	}
	id, serial, genuine := i.parseRefreshToken(c.form.Get("refresh_token"))
	f, alive := i.families.get(at, id)
	if !genuine || !alive || f.client != c.client {
		return nil, refusal("invalid_grant", "the refresh token is unknown, expired or revoked")
	}
	if serial != f.serial {
		i.families.drop(id)
		i.stats.Reuses++
		return nil, refusal("invalid_grant", "the refresh token was used before: this sign-in has ended")
	}
	next := *f
	next.serial++
	out, err := i.mint(c, id, &next, at)
	if err != nil {
		return nil, err
	}
	i.families.put(at, id, &next, at.Add(i.options.RefreshTTL))
	i.stats.Refreshes++
	return out, nil
}

// mint makes the tokens of a family at its serial. A token request may ask for
// less than was granted by scope, resource or audience; the refresh token keeps
// all of it. The caller holds the mutex.
func (i *Issuer) mint(c *call, id familyID, f *family, at time.Time) (*tokens, error) {
	scopes, audience, err := narrow(c, f)
	if err != nil {
		return nil, err
	}
	// Rounded up: a token must not die before what expires_in promises.
	expires := at.Add(i.accessTTL + time.Second - 1).Truncate(time.Second)
	sid := encode(id[:])
	access, err := i.keys.sign("at+jwt", i.accessClaims(f, sid, at, scopes, audience), expires)
	if err != nil {
		return nil, err
	}
	out := &tokens{
		Access:    access,
		Type:      "Bearer",
		ExpiresIn: int64(i.accessTTL / time.Second),
		Refresh:   i.refreshToken(id, f.serial),
		Scope:     strings.Join(scopes, " "),
	}
	if slices.Contains(scopes, "openid") {
		out.ID, err = i.keys.sign("JWT", i.idClaims(f, sid, at), expires)
	}
	return out, err
}

func narrow(c *call, f *family) (scopes, audience []string, err error) {
	scopes, audience = f.scopes, f.audience
	if c.form.Has("scope") && c.form.Get("grant_type") == grantRefresh { // the other grants have no such parameter
		if scopes = fields(c.form.Get("scope")); !subset(scopes, f.scopes) {
			return nil, nil, refusal("invalid_scope", "a scope was not granted")
		}
	}
	if asked := targets(c.form); len(asked) > 0 {
		if audience = asked; !subset(asked, f.audience) {
			return nil, nil, refusal("invalid_target", "a resource or audience was not granted")
		}
	}
	return scopes, audience, nil
}

// accessClaims are those of RFC 9068 section 2.2, but for exp.
func (i *Issuer) accessClaims(f *family, sid string, at time.Time, scopes, audience []string) jwt.MapClaims {
	claims := jwt.MapClaims{
		"iss":       i.url,
		"sub":       f.subject,
		"aud":       audience,
		"client_id": f.client.ID,
		"iat":       at.Unix(),
		"jti":       random(16),
		"sid":       sid, // by it a revoked access token takes its family along
	}
	if len(audience) == 1 {
		claims["aud"] = audience[0]
	}
	if len(scopes) > 0 {
		claims["scope"] = strings.Join(scopes, " ")
	}
	if u, _ := i.user(f.subject); len(u.Roles) > 0 {
		claims["roles"] = u.Roles
	}
	return claims
}

// idClaims are those of OpenID Connect Core section 2, but for exp.
func (i *Issuer) idClaims(f *family, sid string, at time.Time) jwt.MapClaims {
	claims := jwt.MapClaims{
		"iss":       i.url,
		"sub":       f.subject,
		"aud":       f.client.ID,
		"iat":       at.Unix(),
		"auth_time": f.signedIn.Unix(),
		"sid":       sid,
	}
	if f.nonce != "" && f.serial == 1 { // section 12.2: a refreshed one should have none
		claims["nonce"] = f.nonce
	}
	return claims
}

// revokeToken answers a revocation request (RFC 7009 section 2): either kind of
// token takes the whole sign-in with it. A token that means nothing here is fine.
func (i *Issuer) revokeToken(c *call) (any, error) {
	token := c.form.Get("token")
	if token == "" {
		return nil, refusal("invalid_request", "token is missing")
	}
	id, _, genuine := i.parseRefreshToken(token)
	if !genuine {
		id, genuine = i.familyOfAccessToken(token)
	}
	if !genuine {
		return nil, nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	f, alive := i.families.get(time.Now(), id)
	switch {
	case !alive:
		return nil, nil
	case f.client != c.client:
		return nil, refusal("invalid_grant", "the token was issued to another client")
	}
	i.families.drop(id)
	i.stats.Revocations++
	return nil, nil
}

// familyOfAccessToken takes expired tokens as well: their sign-in may well be alive.
func (i *Issuer) familyOfAccessToken(token string) (id familyID, ok bool) {
	var claims struct {
		jwt.RegisteredClaims
		SID string `json:"sid"`
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation())
	parsed, err := parser.ParseWithClaims(token, &claims, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		if key, ok := i.keys.find(kid, time.Now()); ok {
			return key, nil
		}
		return nil, jwt.ErrTokenUnverifiable
	})
	if err != nil || parsed.Header["typ"] != "at+jwt" {
		return id, false
	}
	sid, err := decode(claims.SID)
	if err != nil || len(sid) != len(id) {
		return id, false
	}
	return familyID(sid), true
}
