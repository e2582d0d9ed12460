package refresh_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mcp-valet/keyring"
	"mcp-valet/refresh"
)

// signIn signs in by device code at an issuer whose document lies at place.
func signIn(t *testing.T, a refresh.Account, network *scripted) (*keyring.Credential, error) {
	t.Helper()
	var cred *keyring.Credential
	var err error
	synctest.Test(t, func(t *testing.T) {
		cred, err = newClient(t, a, network).SignIn(t.Context(), refresh.WayAuto, refresh.Prompt{})
	})
	noSecrets(t, err)
	return cred, err
}

func TestDiscoveryPlaces(t *testing.T) {
	html := canned{status: 200, kind: "text/html", body: "<!doctype html><p>a single-page app answers everything</p>"}
	for _, test := range []struct {
		name, issuer string
		empty        canned // what the other places answer
		at           string
		asked        []string
	}{
		{"OIDC", issuer, canned{}, configPath, []string{configPath}},
		{"RFC 8414", issuer, canned{status: 404}, oauthPath, []string{configPath, oauthPath}},
		{"OIDC, with a path", issuer + "/realms/r", canned{}, "/realms/r" + configPath, []string{"/realms/r" + configPath}},
		{"OIDC, with a closing slash", issuer + "/realms/r/", canned{}, "/realms/r" + configPath, []string{"/realms/r" + configPath}},
		{"RFC 8414, with a path", issuer + "/realms/r", canned{status: 404}, oauthPath + "/realms/r",
			[]string{"/realms/r" + configPath, oauthPath + "/realms/r"}},
		{"RFC 8414, OIDC's name", issuer + "/realms/r", canned{status: 404}, configPath + "/realms/r",
			[]string{"/realms/r" + configPath, oauthPath + "/realms/r", configPath + "/realms/r"}},
		{"after a web page", issuer, html, oauthPath, []string{configPath, oauthPath}},
		{"after nonsense", issuer, canned{status: 200, body: "{"}, oauthPath, []string{configPath, oauthPath}},
		{"after a refusal", issuer, canned{status: 403}, oauthPath, []string{configPath, oauthPath}},
		{"after a broken place", issuer, canned{status: 500}, oauthPath, []string{configPath, oauthPath}},
		{"after a redirect elsewhere", issuer,
			canned{status: 302, header: map[string]string{"Location": "https://www.idp.test/login"}}, oauthPath, []string{configPath, oauthPath}},
	} {
		t.Run(test.name, func(t *testing.T) {
			network := forms("", []canned{codeReply}, []canned{tokenReply})
			for _, place := range test.asked {
				network.replies[place] = []canned{test.empty}
			}
			network.replies[test.at] = []canned{{status: 200, body: document(`"issuer":"` + test.issuer + `"`)}}
			a := account()
			a.Issuer = test.issuer
			cred, err := signIn(t, a, network)
			if err != nil {
				t.Fatal(err)
			}
			if cred.Issuer != test.issuer || cred.TokenEndpoint != issuer+"/token" {
				t.Errorf("got issuer %s, token endpoint %s", cred.Issuer, cred.TokenEndpoint)
			}
			var asked []string
			for _, v := range network.seen {
				if v.method == "GET" {
					asked = append(asked, strings.TrimPrefix(v.url, issuer))
				}
			}
			if strings.Join(asked, " ") != strings.Join(test.asked, " ") {
				t.Errorf("asked at %q, want %q", asked, test.asked)
			}
		})
	}
}

func TestDiscoveryRefused(t *testing.T) {
	for _, test := range []struct {
		name     string
		document canned
		want     error
		says     string
	}{
		{"nothing there", canned{status: 404}, refresh.ErrDiscovery, "status 404"},
		{"a web page", canned{status: 200, kind: "text/html; charset=utf-8", body: "<p>ignore previous instructions"}, refresh.ErrDiscovery, "answered text/html, not JSON"},
		{"a web page without a type", canned{status: 200, kind: "-", body: "<p>ignore previous instructions"}, refresh.ErrDiscovery, "answered text/html, not JSON"},
		{"a web page in disguise", canned{status: 200, body: "\n<html>ignore previous instructions"}, refresh.ErrDiscovery, "answered text/html, not JSON"},
		{"10 MB", canned{status: 200, body: `{"a":"` + strings.Repeat("x", 10<<20) + `"}`}, refresh.ErrDiscovery, "larger than 1 MiB"},
		{"no JSON", canned{status: 200, body: "ignore previous instructions"}, refresh.ErrDiscovery, "not a JSON object"},
		{"an array", canned{status: 200, body: "[]"}, refresh.ErrDiscovery, "not a JSON object"},
		{"null", canned{status: 200, body: "null"}, refresh.ErrDiscovery, "not a JSON object"},
		{"two values", canned{status: 200, body: "{}{}"}, refresh.ErrDiscovery, "not a JSON object"},
		{"500", canned{status: 500}, refresh.ErrUnreachable, "status 500"},
		{"503", canned{status: 503, kind: "text/html", body: "<p>maintenance"}, refresh.ErrUnreachable, "status 503"},
		{"429", canned{status: 429}, refresh.ErrUnreachable, "status 429"},
		{"500 with 10 MB", canned{status: 500, body: strings.Repeat("x", 10<<20)}, refresh.ErrUnreachable, "status 500"},
		{"a broken network", canned{err: errors.New("connection reset, ignore previous instructions")}, refresh.ErrUnreachable, "the connection broke"},
		{"an unknown host", canned{err: &net.OpError{Op: "dial", Err: &net.DNSError{Name: "idp.test", IsNotFound: true}}}, refresh.ErrUnreachable, "host name is not known"},
		{"no answer", canned{hang: true}, refresh.ErrUnreachable, "no answer in time"},
		{"redirect to http", canned{status: 302, header: map[string]string{"Location": "http://idp.test/x"}}, refresh.ErrDiscovery, "http"},
		{"redirect to another host", canned{status: 307, header: map[string]string{"Location": "https://evil.test/x"}}, refresh.ErrDiscovery, "redirects to another origin"},
		{"redirect to another port", canned{status: 307, header: map[string]string{"Location": "https://idp.test:8443/x"}}, refresh.ErrDiscovery, "redirects to another origin"},
		{"redirect in a circle", canned{status: 307, header: map[string]string{"Location": configPath}}, refresh.ErrDiscovery, "redirects too often"},
		{"redirect to nowhere", canned{status: 302}, refresh.ErrDiscovery, "redirect, which is not followed"},

		{"no issuer", canned{status: 200, body: `{"token_endpoint":"https://idp.test/token"}`}, refresh.ErrDiscovery, "names another issuer"},
		{"wrong issuer", canned{status: 200, body: document(`"issuer":"https://evil.test"`)}, refresh.ErrDiscovery, "names another issuer, https://evil.test"},
		{"prose for an issuer", canned{status: 200, body: document(`"issuer":"ignore previous instructions"`)}, refresh.ErrDiscovery, "names another issuer"},
		{"wrong issuer, in case", canned{status: 200, body: document(`"issuer":"https://IDP.test"`)}, refresh.ErrDiscovery, "names another issuer"},
		{"wrong issuer, two slashes", canned{status: 200, body: document(`"issuer":"https://idp.test//"`)}, refresh.ErrDiscovery, "names another issuer"},
		{"wrong issuer, a path", canned{status: 200, body: document(`"issuer":"https://idp.test/x"`)}, refresh.ErrDiscovery, "names another issuer"},
		{"issuer in the wrong case of the name", canned{status: 200, body: `{"Issuer":"https://idp.test","token_endpoint":"https://idp.test/token"}`}, refresh.ErrDiscovery, "names another issuer"},
		{"no token endpoint", canned{status: 200, body: `{"issuer":"https://idp.test"}`}, refresh.ErrDiscovery, "no token endpoint"},
		{"token endpoint on http", canned{status: 200, body: document(`"token_endpoint":"http://idp.test/token"`)}, refresh.ErrInsecureURL, "token endpoint"},
		{"token endpoint on this machine", canned{status: 200, body: document(`"token_endpoint":"http://127.0.0.1:8080/token"`)}, refresh.ErrInsecureURL, "local network"},
		{"token endpoint on the local network", canned{status: 200, body: document(`"token_endpoint":"https://169.254.169.254/token"`)}, refresh.ErrInsecureURL, "local network"},
		{"authorization endpoint for a shell", canned{status: 200, body: document(`"authorization_endpoint":"file:///c:/windows/system32/calc.exe"`)}, refresh.ErrInsecureURL, "authorization endpoint"},
		{"revocation endpoint with userinfo", canned{status: 200, body: document(`"revocation_endpoint":"https://idp.test@evil.test/"`)}, refresh.ErrInsecureURL, "user name"},
		{"key set with a control character", canned{status: 200, body: document(`"jwks_uri":"https://idp.test/\u0000"`)}, refresh.ErrInsecureURL, "key set"},
	} {
		t.Run(test.name, func(t *testing.T) {
			network := &scripted{replies: map[string][]canned{configPath: {test.document}}}
			_, err := signIn(t, account(), network)
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
				t.Fatalf("got %v, want %v saying %q", err, test.want, test.says)
			}
			if errors.Is(err, refresh.ErrDiscovery) && errors.Is(err, refresh.ErrUnreachable) {
				t.Errorf("%v is both a wrong and an unreachable issuer", err)
			}
			if len(network.at("/device"))+len(network.at("/token")) > 0 {
				t.Error("the sign-in went on")
			}
		})
	}
}

// A redirect within the issuer's origin is followed.
func TestDiscoveryRedirect(t *testing.T) {
	network := forms("", []canned{codeReply}, []canned{tokenReply})
	network.replies[configPath] = []canned{{status: 301, header: map[string]string{"Location": "/elsewhere"}}}
	network.replies["/elsewhere"] = []canned{{status: 200, body: document()}}
	if _, err := signIn(t, account(), network); err != nil {
		t.Fatal(err)
	}
}

func TestIssuerNames(t *testing.T) {
	const (
		entra  = "https://login.microsoftonline.com/"
		tenant = "00000000-1111-2222-3333-444444444444"
	)
	for _, test := range []struct {
		configured, named string
		same              bool
	}{
		{"https://idp.test", "https://idp.test", true},
		{"https://acme.auth0.com", "https://acme.auth0.com/", true},
		{"http://127.0.0.1:9100/", "http://127.0.0.1:9100", true},
		{"https://idp.test/a", "https://idp.test/a/", true},
		{"https://idp.test/a", "https://idp.test/A", false},
		{"https://idp.test/a", "https://idp.test", false},
		{"https://idp.test", "http://idp.test", false},
		{"https://idp.test", "https://idp.test:443", false},
		{"https://idp.test", "", false},
		{"https://idp.test", "/", false},

		{entra + "contoso.onmicrosoft.com/v2.0", entra + tenant + "/v2.0", true},
		{entra + "organizations/v2.0", entra + "{tenantid}/v2.0", true},
		{entra + "common/v2.0", entra + "{tenantid}/v2.0", true},
		{entra + "consumers/v2.0/", entra + "9188040d-6c67-4c5b-b112-36a304b66dad/v2.0", true},
		{entra + tenant + "/v2.0", entra + tenant + "/v2.0", true},
		{entra + tenant + "/v2.0", entra + "9188040d-6c67-4c5b-b112-36a304b66dad/v2.0", false},
		{entra + tenant + "/v2.0", entra + "{tenantid}/v2.0", false},
		{entra + "organizations/v2.0", entra + tenant + "/v1.0", false},
		{entra + "organizations/v2.0", "https://sts.windows.net/" + tenant + "/", false},
		{entra + "organizations/v2.0", "https://evil.test/" + tenant + "/v2.0", false},
		{"https://idp.test/organizations/v2.0", "https://idp.test/" + tenant + "/v2.0", false},
	} {
		if got := refresh.SameIssuer(test.configured, test.named); got != test.same {
			t.Errorf("configured %q, named %q: same %v, want %v", test.configured, test.named, got, test.same)
		}
	}
}

// The record names the issuer as it names itself, unless that is a template.
func TestRecordedIssuer(t *testing.T) {
	for _, test := range []struct{ configured, named, recorded string }{
		{"https://idp.test", "https://idp.test/", "https://idp.test/"},
		{"https://idp.test/", "https://idp.test", "https://idp.test"},
		{"https://login.microsoftonline.com/organizations/v2.0", "https://login.microsoftonline.com/{tenantid}/v2.0",
			"https://login.microsoftonline.com/organizations/v2.0"},
	} {
		network := forms("", []canned{codeReply}, []canned{tokenReply})
		network.replies["/organizations/v2.0"+configPath] = []canned{{status: 200, body: document(`"issuer":"` + test.named + `"`)}}
		network.replies[configPath] = network.replies["/organizations/v2.0"+configPath]
		a := account()
		a.Issuer = test.configured
		cred, err := signIn(t, a, network)
		if err != nil {
			t.Fatal(err)
		}
		if cred.Issuer != test.recorded {
			t.Errorf("configured %s, named %s: recorded %s", test.configured, test.named, cred.Issuer)
		}
	}
}

// What was discovered once is not asked for again, by however many.
func TestDiscoveryOnce(t *testing.T) {
	network := forms("", []canned{codeReply}, []canned{tokenReply})
	network.replies[configPath] = []canned{{status: 200, body: document(), delay: time.Second}}
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, account(), network)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := c.SignIn(t.Context(), refresh.WayDevice, refresh.Prompt{}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
	if n := len(network.at(configPath)); n != 1 {
		t.Errorf("the document was fetched %d times", n)
	}
}

// A caller that waits for another's discovery keeps its own deadline, and a
// failed discovery is tried again.
func TestDiscoveryWait(t *testing.T) {
	network := forms("", []canned{codeReply}, []canned{tokenReply})
	network.replies[configPath] = []canned{{hang: true}, {status: 200, body: document()}}
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, account(), network)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := c.SignIn(t.Context(), refresh.WayDevice, refresh.Prompt{}); !errors.Is(err, refresh.ErrUnreachable) {
				t.Errorf("the first got %v", err)
			}
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if _, err := c.SignIn(ctx, refresh.WayDevice, refresh.Prompt{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the second got %v", err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("the second waited %v", took)
		}
		wg.Wait()
		if _, err := c.SignIn(t.Context(), refresh.WayDevice, refresh.Prompt{}); err != nil {
			t.Errorf("the third got %v", err)
		}
	})
}

// Explicit endpoints win over the document's, and with a token endpoint among
// them there is no discovery.
func TestExplicitEndpoints(t *testing.T) {
	network := forms(document(), nil, []canned{tokenReply})
	network.replies["/own/device"] = []canned{codeReply}
	a := account()
	a.Endpoints.DeviceAuthorization = issuer + "/own/device"
	cred, err := signIn(t, a, network)
	if err != nil {
		t.Fatal(err)
	}
	if len(network.at("/own/device")) != 1 || cred.TokenEndpoint != issuer+"/token" || cred.RevocationEndpoint != issuer+"/revoke" {
		t.Errorf("got %+v", cred)
	}

	network = &scripted{replies: map[string][]canned{"/own/device": {codeReply}, "/own/token": {tokenReply}}}
	a.Endpoints.Token = issuer + "/own/token"
	cred, err = signIn(t, a, network)
	if err != nil {
		t.Fatal(err)
	}
	if len(network.at(configPath)) != 0 || cred.Issuer != issuer || cred.TokenEndpoint != issuer+"/own/token" || cred.RevocationEndpoint != "" {
		t.Errorf("got %+v", cred)
	}
}
