package config_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"mcp-valet/internal/config"
)

const full = `// what a person wrote
{
  "$schema": "https://example.com/config.schema.json",
  "store": { "kind": "file", "keyFile": "store.key" },
  "desktop": { "DISPLAY": ":0", "WAYLAND_DISPLAY": "wayland-0", "XDG_CURRENT_DESKTOP": "GNOME" },
  "accounts": {
    "work": {
      "issuer": "https://login.example.com", /* ours */ "clientId": "mcp-valet",
      "clientSecret": "keyring://work/CLIENT_SECRET",
      "scopes": ["openid", "offline_access"],
      "audience": "https://api.example.com", "resource": "https://mcp.example.com/",
      "endpoints": {
        "authorization": "https://login.example.com/a", "deviceAuthorization": "https://login.example.com/d",
        "token": "https://login.example.com/t", "revocation": "https://login.example.com/r", "jwks": "https://login.example.com/k",
      },
      "caFile": "ca.pem", "proxy": "http://proxy.example.com:3128", "export": true,
    },
    "gh": { "preset": "github", "host": "ghe.example.com" },
  },
  "mcpServers": {
    "security-kb": {
      "command": "python", "args": ["mcp_server.py", "", "two\nlines"], "cwd": "servers",
      "env": { "LOG_LEVEL": "info", "DB_PASSWORD": "keyring://security-kb/DB_PASSWORD", "EMPTY": "" },
      "auth": { "account": "work", "tokenEnv": "API_TOKEN", "renew": "meta", "onUnauthorized": ["401", "token expired"] },
      "maxMessage": 1048576,
    },
    "keyed": { "command": "keyed", "auth": { "kind": "secret" } },
    "open": { "command": "open", "auth": { "kind": "none" } },
    "plain": { "command": "plain" },
  },
} // the end`

func TestParse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.json")
	got, err := config.Parse(path, []byte(full))
	if err != nil {
		t.Fatal(err)
	}
	want := &config.Config{
		Path:    path,
		Store:   config.Store{Kind: "file", KeyFile: filepath.Join(dir, "store.key")},
		Desktop: map[string]string{"DISPLAY": ":0", "WAYLAND_DISPLAY": "wayland-0", "XDG_CURRENT_DESKTOP": "GNOME"},
		Accounts: map[string]config.Account{
			"work": {
				Issuer: "https://login.example.com", ClientID: "mcp-valet", ClientSecret: "keyring://work/CLIENT_SECRET",
				Scopes: []string{"openid", "offline_access"}, Audience: "https://api.example.com", Resource: "https://mcp.example.com/",
				Endpoints: config.Endpoints{
					Authorization: "https://login.example.com/a", DeviceAuthorization: "https://login.example.com/d",
					Token: "https://login.example.com/t", Revocation: "https://login.example.com/r", JWKS: "https://login.example.com/k",
				},
				CAFile: filepath.Join(dir, "ca.pem"), Proxy: "http://proxy.example.com:3128", Export: true,
			},
			"gh": {Preset: "github", Host: "ghe.example.com"},
		},
		Servers: map[string]config.Server{
			"security-kb": {
				Command: "python", Args: []string{"mcp_server.py", "", "two\nlines"}, Cwd: filepath.Join(dir, "servers"),
				Env:        map[string]string{"LOG_LEVEL": "info", "DB_PASSWORD": "keyring://security-kb/DB_PASSWORD", "EMPTY": ""},
				Auth:       &config.Auth{Kind: "account", Account: "work", TokenEnv: "API_TOKEN", Renew: "meta", OnUnauthorized: []string{"401", "token expired"}},
				MaxMessage: 1 << 20,
			},
			"keyed": {Command: "keyed", Auth: &config.Auth{Kind: "secret", TokenEnv: "MCP_AUTH_TOKEN"}},
			"open":  {Command: "open", Auth: &config.Auth{Kind: "none"}},
			"plain": {Command: "plain"},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	refs := got.Servers["security-kb"].Secrets()
	if want := map[string]config.Reference{"DB_PASSWORD": {Owner: "security-kb", Key: "DB_PASSWORD"}}; !maps.Equal(refs, want) {
		t.Errorf("secrets: got %v, want %v", refs, want)
	}
}

func TestParseAccepts(t *testing.T) {
	for name, text := range map[string]string{
		"nothing in it":      `{}`,
		"template":           string(config.Template()),
		"byte order mark":    "\xef\xbb\xbf{}",
		"windows line ends":  "// note\r\n{\r\n  \"accounts\": {\r\n  },\r\n}\r\n",
		"comment at end":     "{} // end",
		"no renewal":         `{"accounts":{"a":{"preset":"github"}},"mcpServers":{"s":{"command":"c","auth":{"account":"a","renew":"","kind":""}}}}`,
		"paired surrogates":  `{"mcpServers":{"s":{"command":"\ud83d\ude00"}}}`,
		"empty scopes":       `{"accounts":{"a":{"preset":"github","scopes":[]}}}`,
		"secret of a server": `{"mcpServers":{"s":{"command":"c","env":{"MCP_JWT_SECRET":"keyring://s/MCP_JWT_SECRET"}}}}`,
		"levels":             `{"$schema":"` + strings.Repeat("[", 100) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := config.Parse("config.json", []byte(text)); err != nil {
				t.Error(err)
			}
		})
	}
}

// canary stands for a secret that somebody wrote where it does not belong; no error may repeat it.
const canary = "s3cr3t-canary"

// Each case is a whole file, or with "account:" and "server:" the members of one entry. The wanted errors are whole lines.
func TestParseRefuses(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"empty", "", []string{`c: the file is empty; an empty config is {}`}},
		{"only a mark", "\xef\xbb\xbf \n", []string{`c: the file is empty; an empty config is {}`}},
		{"only a comment", "// nothing\n", []string{`c:2:1: the file ends too early: a bracket, a quote or a comment is still open`}},
		{"UTF-16", "\xff\xfe{\x00}\x00", []string{`c: the file is in UTF-16; save it as UTF-8`}},
		{"Latin-1", "{\n \"$schema\": \"caf\xe9\"}", []string{`c:2:17: not UTF-8 from here on; save the file as UTF-8`}},
		{"no object", `["a"]`, []string{`c:1:1: must be an object in { }, is a list`}},
		{"two values", "{}\n{}", []string{`c:2:1: invalid character '{' after top-level value`}},
		{"missing comma", "{\n  \"store\": {}\n  \"accounts\": {}\n}", []string{`c:3:3: invalid character '"' after object value (expecting ',' or '}')`}},
		{"open brace", "{\n  \"store\": {", []string{`c:2:13: the file ends too early: a bracket, a quote or a comment is still open`}},
		{"open quote", "{\n  \"" + canary + ": {", []string{`c:2:20: the file ends too early: a bracket, a quote or a comment is still open`}},
		{"open comment", "{} /*", []string{`c:1:4: the file ends too early: a bracket, a quote or a comment is still open`}},
		{"backslashes", `{"store": {"keyFile": "C:\` + canary + `"}}`, []string{`c:1:23: this text in quotes is not valid JSON: write \\ for a backslash, \" for a quote, \n for a line end`}},
		{"no quotes", `{"store": ` + strings.ReplaceAll(canary, "-", "") + `}`, []string{`c:1:11: not a JSON value: text needs double quotes`}},
		{"columns count characters", "{ /* äöü */ \"x\": 1}", []string{`c:1:13: x: unknown key; here belong: $schema, accounts, audit, desktop, mcpServers, store`}},
		{"mark is no column", "\xef\xbb\xbf{\"x\": 1}", []string{`c:1:2: x: unknown key; here belong: $schema, accounts, audit, desktop, mcpServers, store`}},
		{"too deep", `{"x": ` + strings.Repeat("[", 64), []string{`c:1:70: more than 64 levels of { and [`}},
		{"too large", "{}" + strings.Repeat(" ", 4<<20), []string{`c: the file is larger than 4 MiB`}},

		{"misspelt", `{"acounts": {}}`, []string{`c:1:2: acounts: unknown key (did you mean "accounts"?)`}},
		{"other case", `{"mcpservers": {}}`, []string{`c:1:2: mcpservers: unknown key (did you mean "mcpServers"?)`}},
		{"VS Code's key", `{"servers": {}}`, []string{`c:1:2: servers: unknown key (the servers stand in "mcpServers")`}},
		{"underscore", `account: "client_id": "x", "preset": "github"`, []string{`c:1:21: accounts.a.client_id: unknown key (did you mean "clientId"?)`}},
		{"escape codes in a key", "{\"\\u001b[31m\": 1}", []string{`c:1:2: "\x1b[31m": unknown key; here belong: $schema, accounts, audit, desktop, mcpServers, store`}},
		{"long key", `{"` + strings.Repeat("é", 100) + `": 1}`, []string{`c:1:2: "` + strings.Repeat(`\u00e9`, 32) + `"…: unknown key; here belong: $schema, accounts, audit, desktop, mcpServers, store`}},
		{"empty key", `{"": 1}`, []string{`c:1:2: "": unknown key; here belong: $schema, accounts, audit, desktop, mcpServers, store`}},
		{"repeated key", "{\"store\": {},\n \"store\": {}}", []string{`c:2:2: store: the key is there already, in line 1`}},
		{"repeated key, written otherwise", "{\"store\": {},\n \"st\\u006fre\": {}}", []string{`c:2:2: store: the key is there already, in line 1`}},
		{"repeated key, deep in an unknown one", `{"x": [{"y": 1, "y": 2}]}`, []string{
			`c:1:2: x: unknown key; here belong: $schema, accounts, audit, desktop, mcpServers, store`,
			`c:1:17: x[0].y: the key is there already, in line 1`,
		}},
		{"half a surrogate", `server: "command": "\ud83d"`, []string{`c:1:34: mcpServers.s.command: \ud800 to \udfff are written in pairs only`}},
		{"half a surrogate in a key", `{"\udc00": 1}`, []string{
			`c:1:2: "\ufffd": \ud800 to \udfff are written in pairs only`,
			`c:1:2: "\ufffd": unknown key; here belong: $schema, accounts, audit, desktop, mcpServers, store`,
		}},

		{"wrong types", `{"$schema": 1, "store": [], "accounts": "` + canary + `", "mcpServers": null}`, []string{
			`c:1:13: $schema: must be text in double quotes, is a number`,
			`c:1:25: store: must be an object in { }, is a list`,
			`c:1:41: accounts: must be an object in { }, is text`,
			`c:1:72: mcpServers: must be an object in { }, is null`,
		}},
		{"account of a wrong type", `{"accounts": {"a": true}}`, []string{`c:1:20: accounts.a: must be an object in { }, is true`}},
		{"wrong types in an account", `account: "issuer": 1, "clientId": ["x"], "scopes": "openid", "endpoints": [], "export": "yes"`, []string{
			`c:1:31: accounts.a.issuer: must be text in double quotes, is a number`,
			`c:1:46: accounts.a.clientId: must be text in double quotes, is a list`,
			`c:1:63: accounts.a.scopes: must be a list in [ ] such as ["one", "two"], is text`,
			`c:1:86: accounts.a.endpoints: must be an object in { }, is a list`,
			`c:1:100: accounts.a.export: must be true or false, is text`,
		}},
		{"name", `{"accounts": {"a b": {"preset": "github"}, "-x": {"preset": "github"}, "": {"preset": "github"}, "..": {"preset": "github"}}}`, []string{
			`c:1:15: accounts."a b": a name has letters, digits, dot, dash and underscore, 128 at most, and does not begin with a dash`,
			`c:1:44: accounts."-x": a name has letters, digits, dot, dash and underscore, 128 at most, and does not begin with a dash`,
			`c:1:72: accounts."": a name has letters, digits, dot, dash and underscore, 128 at most, and does not begin with a dash`,
			`c:1:98: accounts."..": a name has letters, digits, dot, dash and underscore, 128 at most, and does not begin with a dash`,
		}},
		{"long name", `{"mcpServers": {"` + strings.Repeat("n", 129) + `": {"command": "c"}}}`, []string{
			`c:1:17: mcpServers."` + strings.Repeat("n", 64) + `"…: a name has letters, digits, dot, dash and underscore, 128 at most, and does not begin with a dash`,
		}},
		{"names that meet in one file", `{"accounts": {"Work": {"preset": "github"}, "work": {"preset": "github"}}}`, []string{`c:1:45: accounts.work: differs from Work only by upper and lower case`}},

		{"desktop that is no object", `{"desktop": ":0"}`, []string{"c:1:13: desktop: must be an object in { }, is text"}},
		{"desktop that would choose programs", `{"desktop": {"PATH": "` + canary + `"}}`, []string{
			"c:1:14: desktop.PATH: unknown key; here belong: DISPLAY, WAYLAND_DISPLAY, XAUTHORITY, XDG_CURRENT_DESKTOP, XDG_RUNTIME_DIR",
		}},
		{"desktop with relative paths", `{"desktop": {"XAUTHORITY": "x", "XDG_RUNTIME_DIR": "", "DISPLAY": 1}}`, []string{
			"c:1:28: desktop.XAUTHORITY: must be an absolute path",
			"c:1:52: desktop.XDG_RUNTIME_DIR: must not be empty; leave the key out instead",
			"c:1:67: desktop.DISPLAY: must be text in double quotes, is a number",
		}},
		{"desktop with a secret", `{"desktop": {"DISPLAY": "keyring://a/b"}}`, []string{"c:1:25: desktop.DISPLAY: a keyring:// reference can only be a value in \"env\""}},
		{"store of no kind", `{"store": {"kind": "` + canary + `"}}`, []string{`c:1:11: store: "kind" is "keychain" or "file"`}},
		{"key of no file", `{"store": {"keyFile": "k"}}`, []string{`c:1:11: store: "keyFile" belongs to the kind "file"`}},

		{"nowhere to sign in", `account: "clientId": "x"`, []string{`c:1:20: accounts.a: needs "issuer" (the address of the identity provider) or "preset"`}},
		{"two places to sign in", `account: "issuer": "https://x", "preset": "github"`, []string{`c:1:20: accounts.a: has both "issuer" and "preset"; one of them says where to sign in`}},
		{"host without preset", `account: "issuer": "https://x", "host": "h"`, []string{`c:1:20: accounts.a: "host" belongs to "preset"; an "issuer" is the whole address`}},
		{"no client", `account: "issuer": "https://x"`, []string{`c:1:20: accounts.a: needs "clientId", the id that the identity provider gave to this program`}},
		{"empty text", `account: "issuer": "", "clientId": "x"`, []string{`c:1:31: accounts.a.issuer: must not be empty; leave the key out instead`}},
		{"control characters", `account: "preset": "git\nhub", "host": "\u009b"`, []string{
			`c:1:31: accounts.a.preset: holds a control character`, `c:1:51: accounts.a.host: holds a control character`,
		}},
		{"plain client secret", `account: "preset": "google", "clientSecret": "` + canary + `"`, []string{
			`c:1:57: accounts.a.clientSecret: a client secret is not written here: it must be "keyring://a/CLIENT_SECRET", and "mcp-valet login a --client-secret-stdin" takes the secret itself`,
		}},
		{"another account's client secret", `account: "preset": "google", "clientSecret": "keyring://b/CLIENT_SECRET"`, []string{
			`c:1:57: accounts.a.clientSecret: a client secret is not written here: it must be "keyring://a/CLIENT_SECRET", and "mcp-valet login a --client-secret-stdin" takes the secret itself`,
		}},
		{"scopes in one text", `account: "preset": "github", "scopes": ["openid email", ""]`, []string{
			`c:1:52: accounts.a.scopes[0]: a scope has no spaces, quotes or backslashes; each one is an entry of its own in the list`,
			`c:1:68: accounts.a.scopes[1]: must not be empty; leave the key out instead`,
		}},
		{"proxy with a password", `account: "preset": "github", "proxy": "http://u:` + canary + `@p:1"`, []string{
			`c:1:50: accounts.a.proxy: a password does not belong in this file; a proxy with a password can be named in HTTPS_PROXY`,
		}},

		{"no command", `server: "args": []`, []string{`c:1:22: mcpServers.s: needs "command", the program that is the server`}},
		{"keys of other programs", `server: "command": "c", "type": "stdio", "timeout": 5`, []string{
			`c:1:39: mcpServers.s.type: unknown key; leave it out, every server here speaks stdio`,
			`c:1:56: mcpServers.s.timeout: unknown key; the client's own config has the time limits`,
		}},
		{"a server on the web", `server: "url": "https://x"`, []string{
			`c:1:22: mcpServers.s: needs "command", the program that is the server`,
			`c:1:23: mcpServers.s.url: unknown key; a server here is a command that speaks stdio, not an address`,
		}},
		{"wrong types in a server", `server: "command": ["c"], "args": "x", "env": [], "auth": "work", "maxMessage": "1"`, []string{
			`c:1:34: mcpServers.s.command: must be text in double quotes, is a list`,
			`c:1:49: mcpServers.s.args: must be a list in [ ] such as ["one", "two"], is text`,
			`c:1:61: mcpServers.s.env: must be an object in { }, is a list`,
			`c:1:73: mcpServers.s.auth: must be an object in { }, is text`,
			`c:1:95: mcpServers.s.maxMessage: must be a number without quotes, is text`,
		}},
		{"NUL", `server: "command": "c\u0000", "args": ["\u0000"], "env": {"A": "\u0000"}`, []string{
			`c:1:34: mcpServers.s.command: holds the character NUL`,
			`c:1:54: mcpServers.s.args[0]: holds the character NUL`,
			`c:1:78: mcpServers.s.env.A: holds the character NUL`,
		}},
		{"number in env", `server: "command": "c", "env": {"PORT": 8080}`, []string{`c:1:55: mcpServers.s.env.PORT: must be text in double quotes, is a number`}},
		{"odd variables", `server: "command": "c", "env": {"": "", "A=B": "", "A\u0000": "", "mcp_valet_store_key": ""}`, []string{
			`c:1:47: mcpServers.s.env."": not the name of an environment variable: it is not empty and has no "=" and no control characters`,
			`c:1:55: mcpServers.s.env."A=B": not the name of an environment variable: it is not empty and has no "=" and no control characters`,
			`c:1:66: mcpServers.s.env."A\x00": not the name of an environment variable: it is not empty and has no "=" and no control characters`,
			`c:1:81: mcpServers.s.env.mcp_valet_store_key: variables that begin with MCP_VALET_ are for mcp-valet and not passed to servers`,
		}},
		{"references gone wrong", `server: "command": "c", "env": {"A": "keyring://x", "B": "Bearer keyring://x/y", "C": "keyring:x/y", "D": "keyring://x/y/z", "E": "KEYRING://x/y"}`, []string{
			`c:1:52: mcpServers.s.env.A: a secret is referred to as "keyring://NAME/KEY", names of letters, digits, dot, dash and underscore, and nothing beside it`,
			`c:1:72: mcpServers.s.env.B: a secret is referred to as "keyring://NAME/KEY", names of letters, digits, dot, dash and underscore, and nothing beside it`,
			`c:1:101: mcpServers.s.env.C: a secret is referred to as "keyring://NAME/KEY", names of letters, digits, dot, dash and underscore, and nothing beside it`,
			`c:1:121: mcpServers.s.env.D: a secret is referred to as "keyring://NAME/KEY", names of letters, digits, dot, dash and underscore, and nothing beside it`,
			`c:1:145: mcpServers.s.env.E: a secret is referred to as "keyring://NAME/KEY", names of letters, digits, dot, dash and underscore, and nothing beside it`,
		}},
		{"references elsewhere", `server: "command": "keyring://x/y", "args": ["--token=keyring://x/y"], "cwd": "keyring://x/y"`, []string{
			`c:1:34: mcpServers.s.command: a keyring:// reference can only be a value in "env"`,
			`c:1:60: mcpServers.s.args[0]: secrets are not passed as arguments, which other programs can read; use a variable in "env"`,
			`c:1:93: mcpServers.s.cwd: a keyring:// reference can only be a value in "env"`,
		}},
		{"signing key", `server: "command": "c", "env": {"MCP_JWT_SECRET": "` + canary + `"}`, []string{
			`c:1:65: mcpServers.s.env.MCP_JWT_SECRET: a secret is not written here: keep it with "mcp-valet secret set NAME MCP_JWT_SECRET" and refer to it as "keyring://NAME/MCP_JWT_SECRET"`,
		}},
		{"message sizes", `{"mcpServers": {"s": {"command": "c", "maxMessage": 0}, "t": {"command": "c", "maxMessage": 1e6}, "u": {"command": "c", "maxMessage": 99999999999999999999}}}`, []string{
			`c:1:53: mcpServers.s.maxMessage: must be a whole number from 4096 to 1073741824`,
			`c:1:93: mcpServers.t.maxMessage: must be a whole number from 4096 to 1073741824`,
			`c:1:135: mcpServers.u.maxMessage: must be a whole number from 4096 to 1073741824`,
		}},

		{"auth on nothing", `server: "command": "c", "auth": {"tokenEnv": "T"}`, []string{`c:1:47: mcpServers.s.auth: needs "account", or a "kind" that needs none`}},
		{"account without one", `server: "command": "c", "auth": {"kind": "account"}`, []string{`c:1:47: mcpServers.s.auth: the kind "account" needs "account", the name of one`}},
		{"unknown account", `server: "command": "c", "auth": {"account": "work"}`, []string{`c:1:59: mcpServers.s.auth.account: there is no account work; "mcp-valet login" makes one`}},
		{"misspelt account", `{"accounts": {"work": {"preset": "github"}}, "mcpServers": {"s": {"command": "c", "auth": {"account": "wrok"}}}}`, []string{`c:1:103: mcpServers.s.auth.account: there is no account wrok; "mcp-valet login" makes one`}},
		{"no name of an account", `server: "command": "c", "auth": {"account": "` + canary + `!"}`, []string{`c:1:59: mcpServers.s.auth.account: there is no account of this name; "mcp-valet login" makes one`}},
		{"account of another case", `{"accounts": {"work": {"preset": "github"}}, "mcpServers": {"s": {"command": "c", "auth": {"account": "Work"}}}}`, []string{`c:1:103: mcpServers.s.auth.account: there is no account Work (did you mean "work"?)`}},
		{"account for another kind", `{"accounts": {"work": {"preset": "github"}}, "mcpServers": {"s": {"command": "c", "auth": {"kind": "secret", "account": "work"}}}}`, []string{`c:1:91: mcpServers.s.auth: "account" belongs to the kind "account"`}},
		{"token for none", `server: "command": "c", "auth": {"kind": "none", "tokenEnv": "T"}`, []string{`c:1:47: mcpServers.s.auth: the kind "none" has no token for "tokenEnv" and "renew"`}},
		{"unknown kind", `server: "command": "c", "auth": {"kind": "` + canary + `"}`, []string{`c:1:56: mcpServers.s.auth.kind: must be one of: "account", "client", "issuer", "none", "secret"`}},
		{"renewal of what has none", `server: "command": "c", "auth": {"kind": "secret", "renew": "meta"}`, []string{`c:1:47: mcpServers.s.auth: the kind "secret" has a token that does not renew, and nothing for "renew"`}},
		{"unknown renewal", `server: "command": "c", "auth": {"kind": "secret", "renew": "on"}`, []string{`c:1:75: mcpServers.s.auth.renew: must be one of: "file", "meta", "off", "restart", "restart-exclusive"`}},
		{"renewal at an error of what has none", `server: "command": "c", "auth": {"kind": "secret", "onUnauthorized": ["401"]}`, []string{`c:1:47: mcpServers.s.auth: "onUnauthorized" has a token renewed: it needs "account", and another "renew" than "off"`}},
		{"renewal at any error", `{"accounts": {"a": {"preset": "github"}}, "mcpServers": {"s": {"command": "c", "auth": {"account": "a", "onUnauthorized": ["e"]}}}}`, []string{`c:1:124: mcpServers.s.auth.onUnauthorized[0]: must have 3 to 200 characters of what the server says, such as "401" or "token expired"`}},
		{"odd token variables", `{"mcpServers": {"s": {"command": "c", "auth": {"kind": "secret", "tokenEnv": "1A"}}, "t": {"command": "c", "auth": {"kind": "secret", "tokenEnv": "MCP_VALET_X"}}, "u": {"command": "c", "auth": {"kind": "secret", "tokenEnv": "A-B"}}}}`, []string{
			`c:1:78: mcpServers.s.auth.tokenEnv: not the name of an environment variable: letters, digits and underscore, no digit first`,
			`c:1:147: mcpServers.t.auth.tokenEnv: variables that begin with MCP_VALET_ are for mcp-valet and not passed to servers`,
			`c:1:225: mcpServers.u.auth.tokenEnv: not the name of an environment variable: letters, digits and underscore, no digit first`,
		}},
		{"token variable set twice", `server: "command": "c", "env": {"MCP_AUTH_TOKEN": "` + canary + `"}, "auth": {"kind": "secret"}`, []string{
			`c:1:22: mcpServers.s: the variable MCP_AUTH_TOKEN is set by both "env" and "auth"; leave it out of "env"`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := tt.text
			if members, is := strings.CutPrefix(text, "account: "); is {
				text = `{"accounts": {"a": {` + members + `}}}`
			}
			if members, is := strings.CutPrefix(text, "server: "); is {
				text = `{"mcpServers": {"s": {` + members + `}}}`
			}
			_, err := config.Parse("c", []byte(text))
			if err == nil {
				t.Fatal("accepted")
			}
			for _, line := range lines(t, err) {
				if strings.Contains(line, "canary") {
					t.Errorf("repeats a value of the file: %s", line)
				}
			}
			if got := lines(t, err); !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

// lines gives the messages of an error that must consist of config.Errors.
func lines(t *testing.T, err error) []string {
	t.Helper()
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	var out []string
	for _, one := range all {
		if _, ok := one.(*config.Error); !ok {
			t.Errorf("%T: %v", one, one)
		}
		out = append(out, one.Error())
	}
	return out
}

func TestErrorsAreBounded(t *testing.T) {
	for _, n := range []int{20, 21, 1000} {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "\"x%d\": 1, ", i)
		}
		_, err := config.Parse("c", []byte("{"+b.String()+"}"))
		got := lines(t, err)
		if n == 20 && len(got) != 20 || n > 20 && (len(got) != 21 || got[20] != fmt.Sprintf("c: and %d more", n-20)) {
			t.Errorf("%d problems: %d lines, the last %q", n, len(got), got[len(got)-1])
		}
	}
}

func TestVariablesThatWindowsTakesForOne(t *testing.T) {
	_, err := config.Parse("c", []byte(`{"mcpServers": {"s": {"command": "c", "env": {"Path": "", "PATH": ""}}}}`))
	if refused := err != nil; refused != (runtime.GOOS == "windows") {
		t.Errorf("on %s: %v", runtime.GOOS, err)
	}
}

func TestParseReference(t *testing.T) {
	owner, key, err := config.ParseReference("keyring://security-kb/DB_PASSWORD")
	if err != nil || owner != "security-kb" || key != "DB_PASSWORD" {
		t.Errorf("got %q %q %v", owner, key, err)
	}
	for _, bad := range []string{"", "x", "keyring://", "keyring://a", "keyring://a/", "keyring:///b", "keyring://a/b/c", "keyring://a/b ", "keyring://a/../b", "keyring://-a/b", "Keyring://a/b", "keyring://a/" + canary + "!"} {
		if _, _, err := config.ParseReference(bad); err == nil {
			t.Errorf("%q is taken", bad)
		} else if strings.Contains(err.Error(), canary) {
			t.Errorf("repeats the value: %v", err)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.json")
	if _, err := config.Load(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	if err := os.WriteFile(path, []byte(full), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path)
	if err != nil || cfg.Path != path || len(cfg.Servers) != 4 {
		t.Errorf("got %+v, %v", cfg, err)
	}
	var wrong *config.Error
	if _, err := config.Load(dir); !errors.As(err, &wrong) || wrong.Path != dir {
		t.Errorf("a folder: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte("{\"a\": [1, {\"b\": null, \"b\": 2}], // c\r\n}"))
	f.Add([]byte(`{"\ud83d\ude00\ud800": "x`))
	f.Add([]byte(`{"accounts": {"a": {"clientSecret": "` + canary + `", "proxy": "http://u:` + canary + `@h"}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		cfg, err := config.Parse("c", b)
		if (cfg == nil) != (err != nil) {
			t.Fatalf("config %v with error %v", cfg, err)
		}
		if err == nil {
			return
		}
		got := lines(t, err)
		if len(got) > 21 {
			t.Errorf("%d errors", len(got))
		}
		for _, line := range got {
			if strings.ContainsFunc(line, func(c rune) bool { return c < ' ' || c == 0x7f }) {
				t.Errorf("not fit for a terminal: %q", line)
			}
		}
	})
}
