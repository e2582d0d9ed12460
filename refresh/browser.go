package refresh

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"slices"

	"golang.org/x/oauth2"
)

// byBrowser is the authorization code grant with PKCE and a redirect to a
// listener on loopback: RFC 8252 section 7.3, RFC 7636.
func (c *Client) byBrowser(ctx context.Context, m *metadata, p Prompt) (*grantedToken, error) {
	r := &redirect{state: rand.Text(), checkIss: c.issCheck(m)}
	if err := r.listen(); err != nil {
		return nil, err
	}
	verifier := oauth2.GenerateVerifier()
	code, err := c.askBrowser(ctx, m, r, verifier, p)
	r.close()
	if err != nil {
		return nil, err
	}
	v := url.Values{
		"grant_type":    {"authorization_code"},
		"code":          {code},
		"redirect_uri":  {r.uri()},
		"code_verifier": {verifier},
	}
	setUnlessEmpty(v, "resource", c.account.Resource) // RFC 8707 section 2.2
	token, err := c.redeem(ctx, m, v)
	if err == nil {
		token.page = m.endpoints.Authorization
	}
	return token, err
}

// askBrowser sends the person to the issuer and waits for the way back.
func (c *Client) askBrowser(ctx context.Context, m *metadata, r *redirect, verifier string, p Prompt) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.browserWait)
	defer cancel()
	page, err := c.authorizationURL(m, r, verifier)
	if err != nil {
		return "", err
	}
	if p.Browser != nil {
		p.Browser(ctx, page)
	}
	select {
	case back := <-r.back:
		return back.code, back.err
	case <-ctx.Done():
		return "", ended(ctx)
	}
}

func (c *Client) authorizationURL(m *metadata, r *redirect, verifier string) (string, error) {
	page, err := checkURL(m.endpoints.Authorization)
	if err != nil {
		return "", fmt.Errorf("authorization endpoint: %w", err)
	}
	v := c.request()
	v.Set("response_type", "code")
	v.Set("redirect_uri", r.uri())
	v.Set("state", r.state)
	setChallenge(v, verifier)
	setUnlessEmpty(v, "prompt", c.consent())
	query := page.Query() // it may have one of its own, RFC 6749 section 3.1
	for name, values := range v {
		query[name] = values
	}
	page.RawQuery = query.Encode()
	return page.String(), nil
}

// consent is the "prompt" parameter: OpenID Connect Core section 11 lets an
// issuer ignore offline_access without it. Not for Microsoft, which needs none,
// and where people who may not consent for themselves would be sent away.
func (c *Client) consent() string {
	if slices.Contains(c.account.Scopes, "offline_access") && !microsoft(c.account.Issuer) {
		return "consent"
	}
	return ""
}

// issCheck says whether the "iss" of an answer in the browser is the right one,
// RFC 9207 section 2.4. It is required where it is announced; where there is no
// document, there is nothing to compare it with.
func (c *Client) issCheck(m *metadata) func(iss []string) bool {
	return func(iss []string) bool {
		switch {
		case !m.discovered:
			return true
		case len(iss) == 0:
			return !m.sendsIss
		}
		return len(iss) == 1 && (iss[0] == m.issuer || sameTenant(c.account.Issuer, iss[0]))
	}
}
