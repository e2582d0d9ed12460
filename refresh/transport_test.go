package refresh_test

import (
	"testing"
	"time"

	"mcp-valet/keyring"
	"mcp-valet/refresh"
)

// TestTransport holds that an account's own transport carries all that is sent to its issuer.
func TestTransport(t *testing.T) {
	net := forms(document(), nil, []canned{{status: 200, body: `{"access_token":"new","token_type":"Bearer","expires_in":60}`}})
	client, err := refresh.New(refresh.Account{Name: "work", Issuer: issuer, ClientID: "valet", Transport: net})
	if err != nil {
		t.Fatal(err)
	}
	old := &keyring.Credential{
		Account: "work", Issuer: issuer, TokenEndpoint: issuer + "/token", ClientID: "valet",
		RefreshToken: keyring.NewSecret("old"), ObtainedAt: time.Now(),
	}
	next, err := client.Refresh(t.Context(), old)
	if err != nil || !next.AccessToken.Equal(keyring.NewSecret("new")) {
		t.Fatalf("another token, or %v", err)
	}
	if n := len(net.at("/token")); n != 1 {
		t.Errorf("%d grants were sent", n)
	}
}
