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
// The route counts as well: whoever sets both proxy and CA file stands between us and the issuer.
func bound(a Account, route string, c *keyring.Credential) error {
	switch {
	case route != c.Route:
		return foreign(a, "proxy or CA file")
	case !sameIssuer(a.Issuer, c.Issuer):
		return foreign(a, "issuer")
	case c.ClientID != a.ClientID:
		return foreign(a, "client id")
	case a.Endpoints.Token != "" && !sameOrigins(a.Endpoints.Token, c.TokenEndpoint):
		return foreign(a, "token endpoint")
	}
	return nil
}

// boundNow is bound with the CA file as it is now.
func boundNow(a Account, c *keyring.Credential) error {
	pem, err := readCA(a.CAFile)
	if err != nil {
		return fmt.Errorf("account %q: %w", a.Name, err)
	}
	return bound(a, routeOf(a.Proxy, pem), c)
}

// routeOf tells one way to the issuer from another: proxy and further certificate authorities of the configuration. ""
// is the way that the system and the environment give.
func routeOf(proxy string, pem []byte) string {
	if proxy == "" && len(pem) == 0 {
		return ""
	}
	sum := sha256.Sum256(append([]byte(proxy+"\x00"), pem...))
	return hex.EncodeToString(sum[:])
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
