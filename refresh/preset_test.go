package refresh_test

import (
	"slices"
	"strings"
	"testing"

	"mcp-valet/refresh"
)

func TestPresets(t *testing.T) {
	var names []string
	for _, p := range refresh.Presets() {
		names = append(names, p.Name)
		if p.Note == "" || strings.ContainsAny(p.Note, "\n{") {
			t.Errorf("%s: note %q", p.Name, p.Note)
		}
	}
	want := []string{"auth0", "github", "gitlab", "google", "keycloak", "microsoft", "okta"}
	if !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}

func TestFromPreset(t *testing.T) {
	for _, test := range []struct{ name, host, issuer, device string }{
		{"auth0", "acme.eu.auth0.com", "https://acme.eu.auth0.com/", ""},
		{"auth0", "https://acme.eu.auth0.com/", "https://acme.eu.auth0.com/", ""},
		{"github", "", "https://github.com/login/oauth", "https://github.com/login/device/code"},
		{"github", "git.acme.test", "https://git.acme.test/login/oauth", "https://git.acme.test/login/device/code"},
		{"gitlab", "", "https://gitlab.com", "https://gitlab.com/oauth/authorize_device"},
		{"gitlab", "git.acme.test:8443", "https://git.acme.test:8443", "https://git.acme.test:8443/oauth/authorize_device"},
		{"google", "", "https://accounts.google.com", ""},
		{"keycloak", "sso.acme.test/realms/work", "https://sso.acme.test/realms/work", ""},
		{"keycloak", "https://sso.acme.test/auth/realms/work/", "https://sso.acme.test/auth/realms/work", ""},
		{"microsoft", "organizations", "https://login.microsoftonline.com/organizations/v2.0", ""},
		{"microsoft", "contoso.onmicrosoft.com", "https://login.microsoftonline.com/contoso.onmicrosoft.com/v2.0", ""},
		{"microsoft", "00000000-1111-2222-3333-444444444444", "https://login.microsoftonline.com/00000000-1111-2222-3333-444444444444/v2.0", ""},
		{"okta", "acme.okta.com", "https://acme.okta.com", ""},
		{"okta", "acme.okta.com/oauth2/default", "https://acme.okta.com/oauth2/default", ""},
	} {
		a, err := refresh.FromPreset(test.name, test.host)
		if err != nil || a.Issuer != test.issuer || a.Endpoints.DeviceAuthorization != test.device {
			t.Errorf("%s %q: %+v, %v", test.name, test.host, a, err)
			continue
		}
		a.Name, a.ClientID = "work", "valet"
		if _, err := refresh.New(a); err != nil {
			t.Errorf("%s %q: %v", test.name, test.host, err)
		}
	}
}

func TestFromPresetRefused(t *testing.T) {
	for _, test := range []struct{ name, host, says string }{
		{"gitlub", "", "no such preset"},
		{"", "", "no such preset"},
		{"auth0", "", "needs a domain"},
		{"okta", "", "needs a domain"},
		{"keycloak", "", "needs a realm"},
		{"microsoft", "", "needs a tenant"},
		{"google", "acme.test", "takes no host"},
		{"auth0", "acme.test/x", "followed by a path"},
		{"auth0", "http://acme.test", "domain"},
		{"auth0", "a@evil.test", "domain"},
		{"auth0", "evil.test?x=", "domain"},
		{"auth0", "evil.test#", "domain"},
		{"auth0", `evil.test\x`, "domain"},
		{"auth0", "evil.test\n", "domain"},
		{"github", "acme.test/x", "followed by a path"},
		{"keycloak", "sso.acme.test", "realm"},
		{"keycloak", "sso.acme.test/work", "realm"},
		{"microsoft", "a/b", "tenant"},
		{"microsoft", "..", "tenant"},
		{"microsoft", "{tenantid}", "tenant"},
	} {
		a, err := refresh.FromPreset(test.name, test.host)
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s %q: %+v, %v; want an error about %q", test.name, test.host, a, err, test.says)
		}
	}
}
