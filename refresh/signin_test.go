package refresh_test

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"mcp-valet/refresh"
)

func TestNoWay(t *testing.T) {
	const noDevice, noBrowser = `"device_authorization_endpoint":null`, `"authorization_endpoint":null`
	for _, test := range []struct {
		name string
		more []string
		way  refresh.Way
		says string
	}{
		{"neither", []string{noDevice, noBrowser}, refresh.WayAuto, "neither"},
		{"no device", []string{noDevice}, refresh.WayDevice, "no device authorization endpoint"},
		{"no browser", []string{noBrowser}, refresh.WayBrowser, "no authorization endpoint"},
	} {
		network := forms(document(test.more...), []canned{codeReply}, []canned{tokenReply})
		_, err := newClient(t, account(), network).SignIn(t.Context(), test.way, refresh.Prompt{})
		if !errors.Is(err, refresh.ErrNoWay) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// unsigned is a JWT of these claims with a signature that is none.
func unsigned(header, claims string) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(header)) + "." + part([]byte(claims)) + "." + part([]byte("signature"))
}

const rs256 = `{"alg":"RS256"}`

func TestCredential(t *testing.T) {
	expiring := unsigned(rs256, `{"sub":"alice-by-access","exp":4102444800}`)
	for _, test := range []struct {
		name, answer string
		subject      string
		scopes       []string
		expiry       func(obtained time.Time) time.Time
	}{
		{"all", `{"access_token":"A","token_type":"Bearer","expires_in":60,"scope":"openid mcp:read","id_token":"` + unsigned(rs256, `{"sub":"alice"}`) + `"}`,
			"alice", []string{"openid", "mcp:read"}, func(at time.Time) time.Time { return at.Add(time.Minute) }},
		{"least", `{"access_token":"A"}`, "", []string{"openid", "offline_access"}, func(time.Time) time.Time { return time.Time{} }},
		{"a JWT without expires_in", `{"access_token":"` + expiring + `"}`, "alice-by-access", []string{"openid", "offline_access"},
			func(time.Time) time.Time { return time.Unix(4102444800, 0) }},
		{"an id token first", `{"access_token":"` + expiring + `","id_token":"` + unsigned(rs256, `{"sub":"alice"}`) + `"}`, "alice",
			[]string{"openid", "offline_access"}, func(time.Time) time.Time { return time.Unix(4102444800, 0) }},
		{"an id token that is none", `{"access_token":"` + expiring + `","id_token":"x.y.z"}`, "alice-by-access",
			[]string{"openid", "offline_access"}, func(time.Time) time.Time { return time.Unix(4102444800, 0) }},
		{"a subject for a terminal", `{"access_token":"A","id_token":"` + unsigned(rs256, `{"sub":"a\u001b[2J"}`) + `"}`, "",
			[]string{"openid", "offline_access"}, func(time.Time) time.Time { return time.Time{} }},
		{"a subject too long", `{"access_token":"A","id_token":"` + unsigned(rs256, `{"sub":"`+strings.Repeat("a", 256)+`"}`) + `"}`, "",
			[]string{"openid", "offline_access"}, func(time.Time) time.Time { return time.Time{} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			network := forms(document(), []canned{codeReply}, []canned{{status: 200, body: test.answer}})
			cred, err := signIn(t, account(), network)
			if err != nil {
				t.Fatal(err)
			}
			obtained := network.at("/token")[0].at
			if !cred.ObtainedAt.Equal(obtained) || !cred.Expiry.Equal(test.expiry(obtained)) {
				t.Errorf("obtained %v, expires %v; want %v, %v", cred.ObtainedAt, cred.Expiry, obtained, test.expiry(obtained))
			}
			if cred.Subject != test.subject || !slices.Equal(cred.Scopes, test.scopes) {
				t.Errorf("subject %q, scopes %v", cred.Subject, cred.Scopes)
			}
			if cred.Account != "work" || cred.Issuer != issuer || cred.ClientID != "valet" || cred.TokenType != "Bearer" ||
				cred.TokenEndpoint != issuer+"/token" || cred.RevocationEndpoint != issuer+"/revoke" {
				t.Errorf("got %+v", cred)
			}
		})
	}
}

// An access token that says it is not signed is not taken.
func TestUnsignedToken(t *testing.T) {
	answer := `{"access_token":"` + unsigned(`{"alg":"none"}`, `{"sub":"alice"}`) + `"}`
	_, err := signIn(t, account(), forms(document(), []canned{codeReply}, []canned{{status: 200, body: answer}}))
	if !errors.Is(err, refresh.ErrToken) {
		t.Errorf("got %v", err)
	}
}
