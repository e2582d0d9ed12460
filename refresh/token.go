package refresh

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

const (
	maxTokenLife = 10 * 365 * 24 * time.Hour
	maxToken     = 64 << 10 // bytes; more fits into no environment variable or header
	maxScopes    = 256
)

// tokenRequest sends one grant to a token endpoint, adding the client's
// authentication. The token's Expiry counts from before the request and is zero
// when the issuer gave no usable expires_in; its extras are "scope" and
// "id_token". An error is an *OAuthError (the issuer refused), or wraps
// ErrUnreachable (no usable answer: whether the grant was spent is unknown),
// ErrToken (a token we cannot use), ErrInsecureURL, or context.Canceled.
func (c *Client) tokenRequest(ctx context.Context, tokenURL string, v url.Values) (*oauth2.Token, error) {
	asked := now()
	a, err := c.post(ctx, tokenURL, v)
	if err != nil {
		return nil, err
	}
	return a.token(asked)
}

// now is wall-clock time: a monotonic reading stands still while a laptop sleeps.
func now() time.Time { return time.Now().UTC().Round(0) }

// token reads a token endpoint's answer, RFC 6749 section 5.
func (a *answer) token(asked time.Time) (*oauth2.Token, error) {
	f, err := a.form()
	if err != nil && a.ok() {
		return nil, err
	}
	if e := a.refusal(f); e != nil {
		return nil, e
	}
	t := &oauth2.Token{
		AccessToken:  f.text("access_token"),
		RefreshToken: f.text("refresh_token"),
		TokenType:    f.text("token_type"),
	}
	if err := checkToken(t); err != nil {
		return nil, fmt.Errorf("%s: %w", a.op, err)
	}
	t.TokenType = "Bearer"
	if life, ok := f.seconds("expires_in", maxTokenLife); ok {
		t.Expiry = asked.Add(life)
		t.ExpiresIn = int64(life / time.Second)
	}
	return t.WithExtra(map[string]any{
		"scope":    strings.Join(f.scopes(), " "),
		"id_token": f.text("id_token"),
	}), nil
}

// checkToken refuses what a header, an environment variable or a line of some
// helper's protocol could not carry unchanged. A token without a type is taken
// for a Bearer token, as x/oauth2 does.
func checkToken(t *oauth2.Token) error {
	switch {
	case t.AccessToken == "":
		return fmt.Errorf("%w: the answer holds no access token", ErrToken)
	case t.TokenType != "" && !strings.EqualFold(t.TokenType, "Bearer"):
		return fmt.Errorf("%w: it is not a Bearer token", ErrToken)
	case len(t.AccessToken) > maxToken || len(t.RefreshToken) > maxToken:
		return fmt.Errorf("%w: it is longer than %d bytes", ErrToken, maxToken)
	case !printable(t.AccessToken) || strings.Contains(t.AccessToken, " ") || !printable(t.RefreshToken):
		return fmt.Errorf("%w: it holds characters that no token may", ErrToken)
	}
	return nil
}

// scopes returns the granted scopes: separated by spaces, by commas (GitHub), or
// an array (some others).
func (f fields) scopes() []string {
	scopes := f.list("scope")
	if text := f.text("scope"); strings.Contains(text, " ") {
		scopes = strings.Fields(text)
	} else if text != "" {
		scopes = strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
	}
	var valid []string
	for _, s := range scopes {
		if validScope(s) && len(valid) < maxScopes {
			valid = append(valid, s)
		}
	}
	return valid
}
