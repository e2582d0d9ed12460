package refresh

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Preset is what is known in advance about an issuer's product.
type Preset struct {
	Name    string
	Account Account // a template: {host} stands for what the person must add
	Needs   string  // what {host} is: "" (nothing), "tenant", "domain" or "realm"
	Default string  // the host when none is given; "" when one must be
	Note    string  // what to register at the issuer, for a person
}

const placeholder = "{host}"

// Presets returns the known presets, sorted by name.
func Presets() []Preset {
	return []Preset{
		{
			Name:  "auth0",
			Needs: "domain",
			Account: Account{
				Issuer: "https://{host}/",
				Scopes: []string{"openid", "profile", "offline_access"},
			},
			Note: "Register a Native application with the Device Code and Refresh Token grants (for the browser: callback http://127.0.0.1/callback). " +
				"Set audience to your API's identifier, with Allow Offline Access: without one the access token is opaque.",
		},
		{
			Name:    "github",
			Needs:   "domain",
			Default: "github.com",
			Account: Account{
				Issuer: "https://{host}/login/oauth",
				Endpoints: Endpoints{
					Authorization:       "https://{host}/login/oauth/authorize",
					DeviceAuthorization: "https://{host}/login/device/code",
					Token:               "https://{host}/login/oauth/access_token",
				},
			},
			Note: "Register a GitHub App or OAuth App and enable Device Flow in it. " +
				"The device flow needs no client secret; the browser does, and callback http://127.0.0.1/callback.",
		},
		{
			Name:    "gitlab",
			Needs:   "domain",
			Default: "gitlab.com",
			Account: Account{
				Issuer: "https://{host}",
				Scopes: []string{"openid", "read_user"},
				Endpoints: Endpoints{
					Authorization:       "https://{host}/oauth/authorize",
					DeviceAuthorization: "https://{host}/oauth/authorize_device",
					Token:               "https://{host}/oauth/token",
					Revocation:          "https://{host}/oauth/revoke",
					JWKS:                "https://{host}/oauth/discovery/keys",
				},
			},
			Note: "Register an application that is not confidential, with the scopes you ask for and redirect URI http://127.0.0.1/callback. " +
				"The device flow needs GitLab 17.2 or newer (17.9 where it is not switched on by hand).",
		},
		{
			Name: "google",
			Account: Account{
				Issuer: "https://accounts.google.com",
				Scopes: []string{"openid", "email"},
			},
			Note: "Register a client of the type TVs and Limited Input devices (device flow, few scopes) or Desktop app (browser). " +
				"Both need the client secret. The access token is opaque.",
		},
		{
			Name:  "keycloak",
			Needs: "realm",
			Account: Account{
				Issuer: "https://{host}",
				Scopes: []string{"openid", "offline_access"},
			},
			Note: "Give the realm's address, like sso.example.com/realms/work. " +
				"In the client, switch on OAuth 2.0 Device Authorization Grant (for the browser: Standard Flow and redirect URI http://127.0.0.1/*).",
		},
		{
			Name:  "microsoft",
			Needs: "tenant",
			Account: Account{
				Issuer: "https://login.microsoftonline.com/{host}/v2.0",
				Scopes: []string{"openid", "profile", "offline_access"},
			},
			Note: "Register an application and allow public client flows. Many tenants block device codes: then sign in with the browser, " +
				"for which redirect URI http://127.0.0.1/callback is set in the manifest. Ask for your API's own scope to get a token for it.",
		},
		{
			Name:  "okta",
			Needs: "domain",
			Account: Account{
				Issuer: "https://{host}",
				Scopes: []string{"openid", "profile", "offline_access"},
			},
			Note: "Register a Native application with the Device Authorization and Refresh Token grants, and allow both in the access policy. " +
				"Tokens with your own audience come from a custom authorization server: add its path, like acme.okta.com/oauth2/default.",
		},
	}
}

// FromPreset returns the account of a preset, with host (a tenant, a domain or a
// realm's address; see Preset.Needs) in its place. Name and client id are left
// for the caller.
func FromPreset(name, host string) (Account, error) {
	presets := Presets()
	at := slices.IndexFunc(presets, func(p Preset) bool { return p.Name == name })
	if at < 0 {
		return Account{}, errors.New("no such preset")
	}
	p := presets[at]
	filled, err := p.host(host)
	if err != nil {
		return Account{}, fmt.Errorf("preset %s: %w", name, err)
	}
	a := p.Account.fill(filled)
	if _, err := checkIssuer(a.Issuer); err != nil {
		return Account{}, fmt.Errorf("preset %s: the %s: %w", name, p.Needs, err)
	}
	return a, nil
}

// host checks what a person gave for {host} and brings it into the form that the
// template wants.
func (p Preset) host(given string) (string, error) {
	given = first(strings.TrimSuffix(strings.TrimPrefix(given, "https://"), "/"), p.Default)
	domain, path, _ := strings.Cut(given, "/")
	switch {
	case p.Needs == "" && given != "":
		return "", errors.New("takes no host")
	case p.Needs != "" && given == "":
		return "", fmt.Errorf("needs a %s", p.Needs)
	case strings.ContainsAny(given, "?#@\\"):
		return "", fmt.Errorf("the %s is not of the form host or host/path", p.Needs)
	case p.Needs == "realm" && !strings.Contains("/"+path, "/realms/"):
		return "", errors.New("the realm is not of the form host/realms/name")
	case p.Needs == "tenant" && (path != "" || !validHost(domain) && !tenantID().MatchString(domain)):
		return "", errors.New("the tenant is neither a domain nor an id")
	case p.Needs == "domain" && path != "" && !slices.Contains(pathPresets, p.Name):
		return "", errors.New("the domain is followed by a path")
	}
	return given, nil
}

// pathPresets are those whose "domain" may name one of several issuers on it.
var pathPresets = []string{"okta"}

func (a Account) fill(host string) Account {
	put := func(s string) string { return strings.ReplaceAll(s, placeholder, host) }
	a.Issuer = put(a.Issuer)
	a.Endpoints = Endpoints{
		Authorization:       put(a.Endpoints.Authorization),
		DeviceAuthorization: put(a.Endpoints.DeviceAuthorization),
		Token:               put(a.Endpoints.Token),
		Revocation:          put(a.Endpoints.Revocation),
		JWKS:                put(a.Endpoints.JWKS),
	}
	return a
}
