package refresh

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"mcp-valet/keyring"
)

// bound checks that a stored credential is of the issuer and client that the configuration names, and that its token
// endpoint is where the configuration says. The configuration is a file that a program can edit behind a person's
// back; the credential is what the person signed in to. Scopes are not compared: an issuer may grant fewer.
// The route counts as well: whoever sets both proxy and CA file, or one of the endpoints, stands between us and the issuer.
func bound(a Account, route string, c *keyring.Credential) error {
	switch {
	case !sameIssuer(a.Issuer, c.Issuer):
		return foreign("issuer")
	case c.ClientID != a.ClientID:
		return foreign("client id")
	case a.Endpoints.Token != "" && !sameOrigins(a.Endpoints.Token, c.TokenEndpoint):
		return foreign("token endpoint")
	case route != c.Route:
		return foreign("proxy, CA file or endpoint")
	}
	return nil
}

// Bound checks that a stored credential was got from the issuer, by the client and on the way that the account describes;
// otherwise the error wraps [ErrForeign]. It speaks to nobody.
func Bound(a Account, c *keyring.Credential) error { return boundNow(a, c) }

// boundNow is bound with the CA file as it is now.
func boundNow(a Account, c *keyring.Credential) error {
	pem, err := readCA(a.CAFile)
	if err != nil {
		return fmt.Errorf("account %q: %w", a.Name, err)
	}
	return bound(a, routeOf(a, pem), c)
}

// routeOf tells one way to the issuer from another: the proxy, the further certificate authorities and the endpoints
// that the configuration names. "" is the way that the system, the environment and the issuer's own description give.
func routeOf(a Account, pem []byte) string {
	if a.Proxy == "" && len(pem) == 0 && a.Endpoints == (Endpoints{}) {
		return ""
	}
	e := a.Endpoints
	h := sha256.New()
	for _, part := range []string{a.Proxy, e.Authorization, e.DeviceAuthorization, e.Token, e.Revocation, e.JWKS, string(pem)} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func foreign(what string) error { return fmt.Errorf("%w: another %s", ErrForeign, what) }

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
