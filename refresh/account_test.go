package refresh_test

import (
	"errors"
	"strings"
	"testing"

	"mcp-valet/refresh"
)

func TestAccountRefused(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*refresh.Account)
		says  string
	}{
		"no name":            {func(a *refresh.Account) { a.Name = "" }, "account name"},
		"name with a slash":  {func(a *refresh.Account) { a.Name = "../x" }, "account name"},
		"no issuer":          {func(a *refresh.Account) { a.Issuer = "" }, "issuer"},
		"http issuer":        {func(a *refresh.Account) { a.Issuer = "http://idp.test" }, "issuer"},
		"issuer with query":  {func(a *refresh.Account) { a.Issuer = "https://idp.test/?a=b" }, "issuer"},
		"issuer with ?":      {func(a *refresh.Account) { a.Issuer = "https://idp.test/?" }, "issuer"},
		"no client id":       {func(a *refresh.Account) { a.ClientID = "" }, "client id: missing"},
		"client id, newline": {func(a *refresh.Account) { a.ClientID = "a\nb" }, "client id"},
		"client id, long":    {func(a *refresh.Account) { a.ClientID = strings.Repeat("a", 1025) }, "client id"},
		"empty scope":        {func(a *refresh.Account) { a.Scopes = []string{""} }, "scopes"},
		"two in one scope":   {func(a *refresh.Account) { a.Scopes = []string{"a b"} }, "scopes"},
		"quoted scope":       {func(a *refresh.Account) { a.Scopes = []string{`a"`} }, "scopes"},
		"scopes, long":       {func(a *refresh.Account) { a.Scopes = []string{strings.Repeat("a", 5000)} }, "scopes"},
		"audience, newline":  {func(a *refresh.Account) { a.Audience = "a\r\nb" }, "audience"},
		"resource, relative": {func(a *refresh.Account) { a.Resource = "/mcp" }, "resource"},
		"resource, fragment": {func(a *refresh.Account) { a.Resource = "https://mcp.test/#a" }, "resource"},
		"http token":         {func(a *refresh.Account) { a.Endpoints.Token = "http://idp.test/token" }, "token endpoint"},
		"device, userinfo":   {func(a *refresh.Account) { a.Endpoints.DeviceAuthorization = "https://a:b@idp.test/" }, "device authorization endpoint"},
		"authorization":      {func(a *refresh.Account) { a.Endpoints.Authorization = "file:///x" }, "authorization endpoint"},
		"revocation":         {func(a *refresh.Account) { a.Endpoints.Revocation = "idp.test" }, "revocation endpoint"},
		"key set":            {func(a *refresh.Account) { a.Endpoints.JWKS = "http://idp.test/jwks" }, "key set"},
	} {
		a := account()
		test.spoil(&a)
		c, err := refresh.New(a)
		if c != nil || err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want an error about %q", name, err, test.says)
		}
	}
	a := account()
	a.Issuer = "http://idp.test"
	if _, err := refresh.New(a); !errors.Is(err, refresh.ErrInsecureURL) {
		t.Errorf("http issuer: %v", err)
	}
}

func TestAccountAccepted(t *testing.T) {
	for _, spoil := range []func(*refresh.Account){
		func(a *refresh.Account) { a.Issuer = "http://127.0.0.1:9100/" },
		func(a *refresh.Account) { a.Issuer = "http://localhost:9100" },
		func(a *refresh.Account) { a.ClientID = "https://valet.test/client.json" },
		func(a *refresh.Account) { a.Scopes = []string{"api://x/.default", "repo:status"} },
		func(a *refresh.Account) { a.Resource = "api://0000" },
		func(a *refresh.Account) { a.Resource = "urn:mcp:x" },
		func(a *refresh.Account) { a.Endpoints.Token = "http://127.0.0.1:8080/tunnel" },
	} {
		a := account()
		spoil(&a)
		if _, err := refresh.New(a); err != nil {
			t.Errorf("%+v: %v", a, err)
		}
	}
}
