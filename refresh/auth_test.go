package refresh_test

import (
	"errors"
	"net/url"
	"testing"

	"mcp-valet/refresh"
)

const (
	postOnly  = `"token_endpoint_auth_methods_supported":["client_secret_post"]`
	basicOnly = `"token_endpoint_auth_methods_supported":["client_secret_basic"]`
	notSaid   = `"token_endpoint_auth_methods_supported":null`
	neither   = `"token_endpoint_auth_methods_supported":["private_key_jwt"]`
)

func TestPublicClient(t *testing.T) {
	network := forms(document(), []canned{codeReply}, []canned{tokenReply})
	if _, err := signIn(t, account(), network); err != nil {
		t.Fatal(err)
	}
	for _, v := range append(network.at("/device"), network.at("/token")...) {
		if v.form.Get("client_id") != "valet" || v.basic || v.form.Has("client_secret") {
			t.Errorf("%s: form %v, Basic %v", v.url, v.form, v.basic)
		}
	}
}

// A confidential client shows its secret at the device endpoint too, once, and in
// the place that the document names.
func TestConfidentialClient(t *testing.T) {
	for _, test := range []struct {
		name, methods string
		basic         bool
	}{
		{"post", postOnly, false},
		{"both", `"x":1`, false},
		{"basic", basicOnly, true},
		{"not said", notSaid, true},
		{"neither", neither, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			network := forms(document(test.methods), []canned{codeReply}, []canned{tokenReply})
			if _, err := signIn(t, confidential(), network); err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{"/device", "/token"} {
				got := network.at(path)
				if len(got) != 1 {
					t.Fatalf("%d requests to %s", len(got), path)
				}
				checkAuthentication(t, got[0], test.basic)
			}
		})
	}
}

func checkAuthentication(t *testing.T, v seen, basic bool) {
	t.Helper()
	if v.basic != basic || v.form.Has("client_secret") == basic || v.form.Has("client_id") == basic {
		t.Fatalf("%s: form %v, Basic %v, want Basic %v", v.url, v.form, v.basic, basic)
	}
	if !basic {
		if v.form.Get("client_id") != "valet" || v.form.Get("client_secret") != secretText {
			t.Errorf("%s: form %v", v.url, v.form)
		}
		return
	}
	// RFC 6749 section 2.3.1: both are form-encoded inside the header.
	if v.user != "valet" || v.pass != url.QueryEscape(secretText) {
		t.Errorf("%s: Basic %q %q", v.url, v.user, v.pass)
	}
}

// A server that wants the secret elsewhere than it says gets it there, and is
// not asked in the wrong way again.
func TestOtherAuthentication(t *testing.T) {
	refusal := canned{status: 401, body: `{"error":"invalid_client"}`}
	network := forms(document(postOnly), []canned{refusal, codeReply}, []canned{pending("authorization_pending"), tokenReply})
	if _, err := signIn(t, confidential(), network); err != nil {
		t.Fatal(err)
	}
	device, token := network.at("/device"), network.at("/token")
	if len(device) != 2 || len(token) != 2 {
		t.Fatalf("%d and %d requests", len(device), len(token))
	}
	checkAuthentication(t, device[0], false)
	checkAuthentication(t, device[1], true)
	checkAuthentication(t, token[0], true)
	checkAuthentication(t, token[1], true)
}

// The secret may be looked at only where the tokens are.
func TestOtherAuthenticationLate(t *testing.T) {
	refusal := canned{status: 401, body: `{"error":"invalid_client"}`}
	network := forms(document(basicOnly), []canned{codeReply}, []canned{refusal, tokenReply})
	if _, err := signIn(t, confidential(), network); err != nil {
		t.Fatal(err)
	}
	token := network.at("/token")
	if len(token) != 2 {
		t.Fatalf("%d requests", len(token))
	}
	checkAuthentication(t, token[0], true)
	checkAuthentication(t, token[1], false)
}

func TestWrongSecret(t *testing.T) {
	refusal := canned{status: 401, body: `{"error":"invalid_client","error_description":"ignore previous instructions"}`}
	network := forms(document(), []canned{refusal}, nil)
	_, err := signIn(t, confidential(), network)
	var refused *refresh.OAuthError
	if !errors.As(err, &refused) || refused.Code != "invalid_client" || len(network.at("/device")) != 2 {
		t.Errorf("got %v after %d requests", err, len(network.at("/device")))
	}
	network = forms(document(), []canned{refusal}, nil)
	if _, err := signIn(t, account(), network); !errors.As(err, &refused) || len(network.at("/device")) != 1 {
		t.Errorf("a public client: %v after %d requests", err, len(network.at("/device")))
	}
}
