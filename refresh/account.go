package refresh

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"mcp-valet/keyring"
)

// Endpoints are an issuer's URLs. An empty one is not offered, or not yet known.
type Endpoints struct {
	Authorization       string // RFC 6749 section 3.1
	DeviceAuthorization string // RFC 8628 section 3.1
	Token               string // RFC 6749 section 3.2
	Revocation          string // RFC 7009
	JWKS                string // RFC 7517: the keys that tokens are signed with
}

// Account is one sign-in at one issuer, as the configuration describes it.
type Account struct {
	Name         string // [A-Za-z0-9_.-]{1,128}
	Issuer       string // URL; endpoints are discovered below it
	ClientID     string
	ClientSecret keyring.Secret // zero for a public client
	Scopes       []string
	Audience     string    // "audience" parameter, where an issuer knows one
	Resource     string    // RFC 8707 "resource" parameter: an absolute URI
	Endpoints    Endpoints // explicit ones win; with Token set nothing is discovered
	CAFile       string    // PEM file with certificates to trust beside the system's
	Proxy        string    // proxy URL; "" takes the environment's

	// Transport carries the requests to the issuer, in place of connections of our own, for which CAFile and Proxy are
	// then without effect. Nil, as for every account of a configuration, is those.
	Transport http.RoundTripper
}

const maxParameter = 1024

// validate refuses what could not work, or would be sent where it must not go.
// It names the field at fault, repeats no value, and returns the issuer.
func (a Account) validate() (*url.URL, error) {
	if !keyring.ValidName(a.Name) {
		return nil, errors.New("account name: not of the form [A-Za-z0-9_.-]{1,128}")
	}
	issuer, err := checkIssuer(a.Issuer)
	if err != nil {
		return nil, fmt.Errorf("account %q: issuer: %w", a.Name, err)
	}
	for _, check := range []struct {
		field string
		err   error
	}{
		{"client id", checkParameter(a.ClientID, true)},
		{"audience", checkParameter(a.Audience, false)},
		{"resource", checkResource(a.Resource)},
		{"scopes", checkScopes(a.Scopes)},
		{"endpoints", checkExplicit(a.Endpoints)},
	} {
		if check.err != nil {
			return nil, fmt.Errorf("account %q: %s: %w", a.Name, check.field, check.err)
		}
	}
	return issuer, nil
}

// checkIssuer: an issuer has no query, RFC 8414 section 2.
func checkIssuer(raw string) (*url.URL, error) {
	u, err := checkURL(raw)
	if err != nil {
		return nil, err
	}
	if u.RawQuery != "" || u.ForceQuery {
		return nil, insecure("holds a query")
	}
	return u, nil
}

// checkExplicit: the operator may point where an issuer may not.
func checkExplicit(explicit Endpoints) error {
	for _, e := range explicit.named() {
		if e.url == "" {
			continue
		}
		if _, err := checkURL(e.url); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
	}
	return nil
}

type namedEndpoint struct{ name, url string }

func (e Endpoints) named() []namedEndpoint {
	return []namedEndpoint{
		{"authorization endpoint", e.Authorization},
		{"device authorization endpoint", e.DeviceAuthorization},
		{"token endpoint", e.Token},
		{"revocation endpoint", e.Revocation},
		{"key set", e.JWKS},
	}
}

// over returns e with its gaps filled from other.
func (e Endpoints) over(other Endpoints) Endpoints {
	return Endpoints{
		Authorization:       first(e.Authorization, other.Authorization),
		DeviceAuthorization: first(e.DeviceAuthorization, other.DeviceAuthorization),
		Token:               first(e.Token, other.Token),
		Revocation:          first(e.Revocation, other.Revocation),
		JWKS:                first(e.JWKS, other.JWKS),
	}
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// checkParameter accepts VSCHAR and spaces, RFC 6749 appendix A.
func checkParameter(s string, required bool) error {
	switch {
	case s == "" && required:
		return errors.New("missing")
	case len(s) > maxParameter:
		return fmt.Errorf("longer than %d bytes", maxParameter)
	case !printable(s):
		return errors.New("not printable ASCII")
	}
	return nil
}

// checkResource: "an absolute URI ... MUST NOT include a fragment component",
// RFC 8707 section 2.
func checkResource(s string) error {
	if s == "" {
		return nil
	}
	if err := checkParameter(s, false); err != nil {
		return err
	}
	if u, err := url.Parse(s); err != nil || !u.IsAbs() || strings.ContainsAny(s, "# ") {
		return errors.New("not an absolute URI without a fragment")
	}
	return nil
}

func checkScopes(scopes []string) error {
	for _, s := range scopes {
		if !validScope(s) {
			return errors.New("one holds a space, a quote, a backslash or no ASCII, or is empty")
		}
	}
	if len(strings.Join(scopes, " ")) > 4*maxParameter {
		return fmt.Errorf("longer than %d bytes together", 4*maxParameter)
	}
	return nil
}

// validScope is scope-token, RFC 6749 section 3.3.
func validScope(s string) bool {
	return s != "" && printable(s) && !strings.ContainsAny(s, " \"\\")
}

// printable reports whether s is printable ASCII.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
