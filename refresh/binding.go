package refresh

import (
	"fmt"

	"mcp-valet/keyring"
)

// bound checks that a stored credential is of the issuer and client that the configuration names, and that its token
// endpoint is where the configuration says. The configuration is a file that a program can edit behind a person's
// back; the credential is what the person signed in to. Scopes are not compared: an issuer may grant fewer.
func bound(a Account, c *keyring.Credential) error {
	switch {
	case !sameIssuer(a.Issuer, c.Issuer):
		return foreign(a, "issuer")
	case c.ClientID != a.ClientID:
		return foreign(a, "client id")
	case a.Endpoints.Token != "" && !sameOrigins(a.Endpoints.Token, c.TokenEndpoint):
		return foreign(a, "token endpoint")
	}
	return nil
}

func foreign(a Account, what string) error {
	return fmt.Errorf("account %q: %w: another %s", a.Name, ErrForeign, what)
}

// addressed tells whether the stored access token was asked for with the audience and resource of the configuration.
// One that was not is never given away, but the sign-in behind it may be able to get the right one.
func addressed(a Account, c *keyring.Credential) bool {
	return c.Audience == a.Audience && c.Resource == a.Resource
}

// sameOrigins is sameOrigin for URLs in writing; one that is no acceptable URL has no origin.
func sameOrigins(a, b string) bool {
	ua, errA := checkURL(a)
	ub, errB := checkURL(b)
	return errA == nil && errB == nil && sameOrigin(ua, ub)
}
