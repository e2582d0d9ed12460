package config_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"mcp-valet/internal/config"
)

func TestClaimPath(t *testing.T) {
	for s, want := range map[string][]string{
		"roles":                                 {"roles"},
		"cognito:groups":                        {"cognito:groups"},
		"urn:zitadel:iam:org:project:roles":     {"urn:zitadel:iam:org:project:roles"},
		"realm_access.roles":                    {"realm_access", "roles"},
		`resource_access.kb/api.roles`:          {"resource_access", "kb/api", "roles"},
		`resource_access."my.client/x".roles`:   {"resource_access", "my.client/x", "roles"},
		`"https://ns.example.com/x".roles`:      {"https://ns.example.com/x", "roles"},
		"https://ns.example.com/roles":          {"https://ns.example.com/roles"},
		"http://schemas.example.com/role.names": {"http://schemas.example.com/role.names"},
		`"a b"`:                                 {"a b"},
		"":                                      nil,
		".":                                     nil,
		"a.":                                    nil,
		".a":                                    nil,
		"a..b":                                  nil,
		`a."b`:                                  nil,
		`"a"b`:                                  nil,
		`"a".`:                                  nil,
		`a"b`:                                   nil,
		`a."".b`:                                nil,
		strings.Repeat("a.", 16) + "a":          nil,
	} {
		got, err := config.ClaimPath(s)
		if !slices.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%s: %q, %v; want %q", s, got, err, want)
		}
	}
}

const callers = `{
	"accounts": {
		"work": {
			"issuer": "https://login.example.com", "clientId": "x",
			"roles": { "claim": "realm_access.roles", "map": { "kb-admins": "admin", "KB Readers": "viewer" }, "give": ["staff"] },
			"tenants": { "claim": "tid", "accept": ["t1"] }
		}
	},
	"mcpServers": {
		"a": { "command": "c", "auth": { "account": "work" } },
		"i": { "command": "c", "auth": { "kind": "issuer", "user": "ada", "audience": "kb", "renew": "file" } },
		"c": { "command": "c", "auth": {
			"kind": "client", "jwtSecret": "keyring://c/MCP_JWT_SECRET", "apiKeys": "keyring://c/MCP_API_KEYS",
			"roles": { "map": { "x": "viewer" } }, "tenants": { "claim": "org_id" }
		} },
		"s": { "command": "c", "auth": { "kind": "secret", "user": "bot", "roles": { "give": ["viewer"] } } },
		"n": { "command": "c", "auth": { "kind": "none", "roles": { "give": ["viewer"] } } }
	}
}`

func TestCallers(t *testing.T) {
	cfg, err := config.Parse("c", []byte(callers))
	if err != nil {
		t.Fatal(err)
	}
	work := cfg.Accounts["work"]
	if want := (&config.Roles{Claim: "realm_access.roles", Map: map[string]string{"kb-admins": "admin", "KB Readers": "viewer"}, Give: []string{"staff"}}); !reflect.DeepEqual(work.Roles, want) {
		t.Errorf("roles %+v", work.Roles)
	}
	if want := (&config.Tenants{Claim: "tid", Accept: []string{"t1"}}); !reflect.DeepEqual(work.Tenants, want) {
		t.Errorf("tenants %+v", work.Tenants)
	}
	if path := work.Roles.Path(); !slices.Equal(path, []string{"realm_access", "roles"}) {
		t.Errorf("path %q", path)
	}
	if i := cfg.Servers["i"].Auth; i.User != "ada" || i.Audience != "kb" || i.TokenEnv != config.DefaultTokenEnv {
		t.Errorf("kind issuer: %+v", i)
	}
	if c := cfg.Servers["c"].Auth; c.JWTSecret != "keyring://c/MCP_JWT_SECRET" || c.APIKeys == "" || c.Roles.Map["x"] != "viewer" || c.Tenants.Claim != "org_id" {
		t.Errorf("kind client: %+v", c)
	}
}

// What is written is what is read.
func TestCallersWritten(t *testing.T) {
	cfg, err := config.Parse("c", []byte(callers))
	if err != nil {
		t.Fatal(err)
	}
	text, err := config.SetAccount(nil, "work", cfg.Accounts["work"])
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range cfg.Servers {
		if text, err = config.SetServer(text, name, s); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	again, err := config.Parse("c", text)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again.Accounts, cfg.Accounts) || !reflect.DeepEqual(again.Servers, cfg.Servers) {
		t.Errorf("read back:\n%s", text)
	}
}

func TestCallersRefused(t *testing.T) {
	account := func(members string) string {
		return `{"accounts": {"a": {"preset": "github", ` + members + `}}}`
	}
	auth := func(members string) string {
		return `{"mcpServers": {"s": {"command": "c", "auth": {` + members + `}}}}`
	}
	for text, want := range map[string]string{
		account(`"roles": {}`):                                              `needs "claim"`,
		account(`"roles": {"claim": "a..b"}`):                               "a claim is a name",
		account(`"roles": {"claim": ""}`):                                   "must not be empty",
		account(`"roles": {"map": {"x": "y"}}`):                             `"map" belongs to "claim"`,
		account(`"roles": {"claim": "r", "map": {"": "y"}}`):                "1 to 256 bytes",
		account(`"roles": {"claim": "r", "map": {"x": ["y"]}}`):             "must be text",
		account(`"roles": {"claim": "r", "map": {"x": "y", "x": "z"}}`):     "is there already",
		account(`"roles": ["admin"]`):                                       "must be an object",
		account(`"tenants": {"accept": ["x"]}`):                             `needs "claim"`,
		account(`"tenants": {"claim": "tid", "accept": []}`):                "nobody could pass",
		auth(`"kind": "issuer"`):                                            `needs "user"`,
		auth(`"kind": "issuer", "user": "ada", "apiKeys": "keyring://a/b"`): `"apiKeys" belongs to the kinds "client"`,
		auth(`"kind": "client", "user": "ada"`):                             `"user" belongs to the kinds`,
		auth(`"kind": "client", "renew": "file"`):                           "does not renew",
		auth(`"kind": "client", "jwtSecret": "hunter2"`):                    "a secret is not written here",
		auth(`"kind": "secret", "roles": {"claim": "roles"}`):               `can have "give" alone`,
		auth(`"kind": "none", "roles": {"map": {"x": "y"}}`):                `can have "give" alone`,
		auth(`"kind": "client", "account": "work"`):                         `"account" belongs to the kind "account"`,
		`{"accounts": {"a": {"preset": "github"}}, "mcpServers": {"s": {"command": "c", "auth": {"account": "a", "roles": {"give": ["x"]}}}}}`: `stands in "accounts"`,
	} {
		_, err := config.Parse("c", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n  %v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error shows a secret: %v", err)
		}
	}
}
