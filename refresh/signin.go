package refresh

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"mcp-valet/keyring"
)

// Way is a way to sign in.
type Way int

const (
	// WayAuto takes the device code where the issuer offers it, else the browser.
	WayAuto Way = iota
	// WayDevice shows a code that is typed in on any device (RFC 8628).
	WayDevice
	// WayBrowser opens a browser on this machine (RFC 8252).
	WayBrowser
)

// DeviceCode is what a person needs to finish a sign-in on any device. The URLs
// are checked: https, or http on loopback, and free of userinfo and control
// characters.
type DeviceCode struct {
	UserCode                string // printable ASCII, at most 64 bytes
	VerificationURI         string
	VerificationURIComplete string // holds the code; "" when the issuer gives none
	Expires                 time.Time
	Renewed                 bool // an earlier code ran out; this one takes its place
}

// Prompt is how a sign-in reaches the person. SignIn calls its functions one at
// a time and waits for each; nil ones are skipped.
type Prompt struct {
	Code    func(context.Context, DeviceCode)     // show the code
	Browser func(ctx context.Context, url string) // open the URL
	Waiting func(context.Context, error)          // a passing failure; the sign-in goes on
}

// SignIn lets a person sign in and returns the credential, which it stores
// nowhere. It ends with ctx, with a refusal (ErrDenied, or an *OAuthError), or
// when nobody acted in time (ErrCodeExpired). Before there is a code to show, an
// unreachable issuer ends it (ErrUnreachable); after that it only waits. Other
// errors wrap ErrNoWay, ErrDiscovery, ErrInsecureURL or ErrToken.
func (c *Client) SignIn(ctx context.Context, way Way, p Prompt) (*keyring.Credential, error) {
	defer c.closeIdle()
	m, err := c.metadata(ctx)
	if err != nil {
		return nil, err
	}
	grant, inBrowser, err := c.grantWay(m, way)
	if err != nil {
		return nil, fmt.Errorf("signing in at %s: %w", c.account.Issuer, err)
	}
	token, err := grant(ctx, m, p)
	if err != nil {
		return nil, fmt.Errorf("signing in at %s: %w", c.account.Issuer, err)
	}
	cred, err := c.credential(m, token)
	if err != nil {
		return nil, err
	}
	cred.Browser = inBrowser
	return cred, nil
}

// grantWay brings a token by one way of signing in.
type grantWay func(context.Context, *metadata, Prompt) (*grantedToken, error)

// grantedToken is a token, the time it was asked for, and what it came of.
type grantedToken struct {
	*oauth2.Token
	asked time.Time
	page  string // where the person signed in
}

func (c *Client) grantWay(m *metadata, way Way) (grant grantWay, inBrowser bool, err error) {
	device := m.endpoints.DeviceAuthorization != ""
	browser := m.endpoints.Authorization != ""
	switch {
	case device && way != WayBrowser:
		return c.byDevice, false, nil
	case browser && way != WayDevice:
		return c.byBrowser, true, nil
	case way == WayDevice:
		return nil, false, fmt.Errorf("%w: the issuer offers no device authorization endpoint", ErrNoWay)
	case way == WayBrowser:
		return nil, false, fmt.Errorf("%w: the issuer offers no authorization endpoint", ErrNoWay)
	}
	return nil, false, fmt.Errorf("%w: the issuer offers neither a device authorization nor an authorization endpoint", ErrNoWay)
}

// redeem trades what a sign-in brought for a token.
func (c *Client) redeem(ctx context.Context, m *metadata, v url.Values) (*grantedToken, error) {
	asked := now()
	token, err := c.tokenRequest(ctx, m.endpoints.Token, v)
	if err != nil {
		return nil, err
	}
	return &grantedToken{Token: token, asked: asked}, nil
}

// request is what both ways ask an issuer for.
func (c *Client) request() url.Values {
	v := url.Values{"client_id": {c.account.ClientID}}
	setUnlessEmpty(v, "scope", strings.Join(c.account.Scopes, " "))
	setUnlessEmpty(v, "audience", c.account.Audience)
	setUnlessEmpty(v, "resource", c.account.Resource) // RFC 8707 section 2.1
	return v
}

func setUnlessEmpty(v url.Values, name, value string) {
	if value != "" {
		v.Set(name, value)
	}
}

func setChallenge(v url.Values, verifier string) {
	v.Set("code_challenge", oauth2.S256ChallengeFromVerifier(verifier))
	v.Set("code_challenge_method", "S256")
}

// credential is the record of a sign-in.
func (c *Client) credential(m *metadata, t *grantedToken) (*keyring.Credential, error) {
	access := keyring.NewSecret(t.AccessToken)
	claims, _, err := Inspect(access)
	if err != nil {
		return nil, fmt.Errorf("signing in at %s: access token: %w", c.account.Issuer, err)
	}
	return &keyring.Credential{
		Account:            c.account.Name,
		Issuer:             c.recordIssuer(m),
		TokenEndpoint:      m.endpoints.Token,
		RevocationEndpoint: m.endpoints.Revocation,
		ClientID:           c.account.ClientID,
		Route:              c.route,
		Scopes:             c.granted(t.Token),
		Audience:           c.account.Audience,
		Resource:           c.account.Resource,
		Subject:            subject(t.Token, claims),
		AccessToken:        access,
		RefreshToken:       keyring.NewSecret(t.RefreshToken),
		TokenType:          t.TokenType,
		ObtainedAt:         t.asked,
		Expiry:             lifetime(access, t.Expiry, t.asked),
		VerificationOrigin: originOf(t.page),
	}, nil
}

// recordIssuer is the issuer by its own name; but a template is nobody's name.
func (c *Client) recordIssuer(m *metadata) string {
	if strings.Contains(m.issuer, "{") {
		return c.account.Issuer
	}
	return m.issuer
}

// granted: "OPTIONAL, if identical to the scope requested", RFC 6749 section 5.1.
func (c *Client) granted(t *oauth2.Token) []string {
	if text, _ := t.Extra("scope").(string); text != "" {
		return strings.Fields(text)
	}
	return append([]string(nil), c.account.Scopes...)
}

// subject is who signed in, as the id token says, else the access token. It is
// for showing only: neither token's signature was checked.
func subject(t *oauth2.Token, access Claims) string {
	text, _ := t.Extra("id_token").(string)
	if id, _, err := Inspect(keyring.NewSecret(text)); err == nil && id.Subject != "" {
		return showable(id.Subject)
	}
	return showable(access.Subject)
}

// showable: "MUST NOT exceed 255 ASCII characters", OpenID Connect Core section 2.
func showable(subject string) string {
	if len(subject) > 255 || !printable(subject) {
		return ""
	}
	return subject
}
