package refresh

import (
	"context"
	"fmt"
	"net/url"

	"mcp-valet/keyring"
)

// Revoke tells the issuer that the credential's tokens are no longer wanted (RFC
// 7009): the refresh token, then the access token. They are sent to the recorded
// endpoint only, whatever the configuration says now. Its error wraps
// ErrNoRevocation (nothing was sent), ErrForeign, ErrUnreachable, or is an
// *OAuthError; the tokens may then live until they expire.
func (c *Client) Revoke(ctx context.Context, cred *keyring.Credential) error {
	defer c.closeIdle()
	if cred.RevocationEndpoint == "" {
		return fmt.Errorf("revoking at %s: %w", cred.Issuer, ErrNoRevocation)
	}
	if err := bound(c.account, c.route, cred); err != nil {
		return fmt.Errorf("revoking at %s: %w", cred.Issuer, err)
	}
	err := c.revoke(ctx, cred.RevocationEndpoint, cred.RefreshToken, "refresh_token")
	if accessErr := c.revoke(ctx, cred.RevocationEndpoint, cred.AccessToken, "access_token"); err == nil {
		err = accessErr // tried in any case; the first failure is told
	}
	if err != nil {
		return fmt.Errorf("revoking at %s: %w", cred.Issuer, err)
	}
	return nil
}

func (c *Client) revoke(ctx context.Context, endpoint string, token keyring.Secret, hint string) error {
	if token.IsZero() {
		return nil
	}
	a, err := c.post(ctx, endpoint, url.Values{"token": {token.Reveal()}, "token_type_hint": {hint}})
	if err != nil || a.ok() {
		return err // the body of a success is of no interest, RFC 7009 section 2.2
	}
	f, _ := a.form() // without a body the status says enough
	switch refused := a.refusal(f); refused.Code {
	case "unsupported_token_type": // JWT access tokens, which live until they expire
		return nil
	case "invalid_token": // Google: it is no longer valid, which is what was wanted
		return nil
	default:
		return refused
	}
}
