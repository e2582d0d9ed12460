package refresh_test

import (
	"errors"
	"strings"
	"testing"

	"mcp-valet/keyring"
	"mcp-valet/refresh"
)

func held() *keyring.Credential {
	return &keyring.Credential{
		Account: "work", Issuer: issuer, ClientID: "valet",
		TokenEndpoint: issuer + "/token", RevocationEndpoint: issuer + "/revoke",
		AccessToken: keyring.NewSecret("ACCESS-TOKEN-SECRET"), RefreshToken: keyring.NewSecret("REFRESH-TOKEN-SECRET"),
	}
}

func TestRevoke(t *testing.T) {
	ok := canned{status: 200, kind: "-"}
	for _, test := range []struct {
		name    string
		answers []canned
		want    error
		says    string
	}{
		{"done", []canned{ok}, nil, ""},
		{"done, with a web page", []canned{{status: 200, kind: "text/html", body: "<p>done"}}, nil, ""},
		{"done, 204", []canned{{status: 204}}, nil, ""},
		{"JWTs cannot be revoked", []canned{ok, pending("unsupported_token_type")}, nil, ""},
		{"no longer valid", []canned{pending("invalid_token")}, nil, ""},
		{"refused", []canned{pending("invalid_client")}, nil, "invalid_client"},
		{"refused, then done", []canned{{status: 403}, ok}, nil, "status 403"},
		{"500", []canned{{status: 500}}, refresh.ErrUnreachable, "status 500"},
		{"offline", []canned{ok, {err: errors.New("network is down")}}, refresh.ErrUnreachable, "the connection broke"},
		{"redirected", []canned{{status: 307, header: map[string]string{"Location": "https://evil.test/"}}}, refresh.ErrUnreachable, "redirect"},
	} {
		t.Run(test.name, func(t *testing.T) {
			network := &scripted{replies: map[string][]canned{"/revoke": test.answers}}
			err := newClient(t, account(), network).Revoke(t.Context(), held())
			noSecrets(t, err)
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Fatalf("got %v, want %q", err, test.says)
			}
			if test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			got := network.at("/revoke")
			if len(got) != 2 || len(network.seen) != 2 {
				t.Fatalf("%d requests, %d in all", len(got), len(network.seen))
			}
			for n, want := range []string{
				"client_id=valet&token=REFRESH-TOKEN-SECRET&token_type_hint=refresh_token",
				"client_id=valet&token=ACCESS-TOKEN-SECRET&token_type_hint=access_token",
			} {
				if got[n].form.Encode() != want {
					t.Errorf("sent %v, want %s", got[n].form, want)
				}
			}
		})
	}
}

// Tokens go to the recorded endpoint alone, whatever the configuration says.
func TestRevokeNowhere(t *testing.T) {
	network := &scripted{replies: map[string][]canned{}}
	a := account()
	a.Endpoints = refresh.Endpoints{Token: issuer + "/token", Revocation: "https://evil.test/revoke"}
	for name, test := range map[string]struct {
		spoil func(*keyring.Credential)
		want  error
	}{
		"no endpoint":      {func(c *keyring.Credential) { c.RevocationEndpoint = "" }, refresh.ErrNoRevocation},
		"another issuer":   {func(c *keyring.Credential) { c.Issuer = "https://other.test" }, refresh.ErrForeign},
		"another client":   {func(c *keyring.Credential) { c.ClientID = "other" }, refresh.ErrForeign},
		"another route":    {func(c *keyring.Credential) { c.Route = "" }, refresh.ErrForeign},
		"endpoint on http": {func(c *keyring.Credential) { c.RevocationEndpoint = "http://idp.test/revoke" }, refresh.ErrInsecureURL},
	} {
		cred := held()
		cred.Route = refresh.RouteOf(a)
		test.spoil(cred)
		if err := newClient(t, a, network).Revoke(t.Context(), cred); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(network.seen) > 0 {
		t.Errorf("sent %v", network.seen)
	}
}

// A credential without a refresh token has one token to revoke.
func TestRevokeAccessTokenOnly(t *testing.T) {
	network := &scripted{replies: map[string][]canned{"/revoke": {{status: 200}}}}
	cred := held()
	cred.RefreshToken = keyring.Secret{}
	a := confidential()
	if err := newClient(t, a, network).Revoke(t.Context(), cred); err != nil {
		t.Fatal(err)
	}
	got := network.at("/revoke")
	if len(got) != 1 || got[0].form.Get("token") != "ACCESS-TOKEN-SECRET" || got[0].form.Get("client_secret") != secretText {
		t.Errorf("sent %v", got)
	}
}
