package refresh

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// authStyle is how a client proves who it is, RFC 6749 section 2.3.1.
type authStyle int32

const (
	styleUnknown authStyle = iota // for a public client: client_id in the body
	styleParams                   // client_secret in the body ("client_secret_post")
	styleBasic                    // HTTP Basic ("client_secret_basic")
)

func (s authStyle) other() authStyle {
	if s == styleBasic {
		return styleParams
	}
	return styleBasic
}

// post sends v as a form, once, with the client's authentication. When a
// confidential client is refused as invalid_client, it is sent a second time with
// the secret in the other place: that refusal comes before the grant is looked at
// (RFC 6749 section 5.2), so nothing is spent. What worked is remembered.
func (c *Client) post(ctx context.Context, endpoint string, v url.Values) (*answer, error) {
	if c.account.ClientSecret.IsZero() {
		return c.postStyled(ctx, endpoint, v, styleUnknown)
	}
	style := c.clientStyle()
	a, err := c.postStyled(ctx, endpoint, v, style)
	if err != nil || !a.refusesClient() {
		return a, err
	}
	b, err := c.postStyled(ctx, endpoint, v, style.other())
	if err != nil {
		return nil, err
	}
	if b.refusesClient() {
		return a, nil
	}
	c.style.Store(int32(style.other()))
	return b, nil
}

// clientStyle is the style to try first: what worked when another was refused,
// else what the issuer's document says, else in the body, which the issuers that
// have no such document (Google's and GitHub's device flows) want.
func (c *Client) clientStyle() authStyle {
	if s := authStyle(c.style.Load()); s != styleUnknown {
		return s
	}
	if m := c.found.Load(); m != nil && m.style != styleUnknown {
		return m.style
	}
	return styleParams
}

func (c *Client) postStyled(ctx context.Context, endpoint string, v url.Values, style authStyle) (*answer, error) {
	if _, err := checkURL(endpoint); err != nil {
		return nil, err
	}
	form := url.Values{}
	for name, values := range v {
		form[name] = values
	}
	switch style {
	case styleUnknown:
		form.Set("client_id", c.account.ClientID)
	case styleParams:
		form.Set("client_id", c.account.ClientID)
		form.Set("client_secret", c.account.ClientSecret.Reveal())
	case styleBasic: // in the header; some issuers refuse a client that names itself twice
		form.Del("client_id")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, insecure("cannot be requested")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if style == styleBasic {
		// Both "encoded using the application/x-www-form-urlencoded encoding algorithm".
		req.SetBasicAuth(url.QueryEscape(c.account.ClientID), url.QueryEscape(c.account.ClientSecret.Reveal()))
	}
	return c.do(req)
}

func (a *answer) refusesClient() bool {
	f, err := a.form()
	return err == nil && f.text("error") == "invalid_client"
}
