package config_test

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"mcp-valet/internal/config"
)

var work = config.Account{Issuer: "https://login.example.com", ClientID: "mcp-valet", Scopes: []string{"openid", "a&b"}}

func setWork(b []byte) ([]byte, error)    { return config.SetAccount(b, "work", work) }
func removeWork(b []byte) ([]byte, error) { return config.RemoveAccount(b, "work") }

func TestEdits(t *testing.T) {
	const rendered = `"work": {
      "issuer": "https://login.example.com",
      "clientId": "mcp-valet",
      "scopes": ["openid", "a&b"]
    }`
	server := config.Server{
		Command: "python", Args: []string{"s.py", "<x>"}, Env: map[string]string{"B": "2", "A": "keyring://kb/A"},
		Auth: &config.Auth{Kind: "account", Account: "work", TokenEnv: "MCP_AUTH_TOKEN"},
	}
	tests := []struct {
		name, before string
		edit         func([]byte) ([]byte, error)
		after        string
	}{
		{"new file", "", setWork, strings.Replace(string(config.Template()), `"accounts": {}`, "\"accounts\": {\n    "+rendered+"\n  }", 1)},
		{"no accounts yet", "{\n  \"store\": {} // here\n}\n", setWork, "{\n  \"store\": {}, // here\n  \"accounts\": {\n    " + rendered + "\n  }\n}\n"},
		{"one line", `{"accounts":{"a":{"preset":"github"}}}`, setWork,
			`{"accounts":{"a":{"preset":"github"}, "work": { "issuer": "https://login.example.com", "clientId": "mcp-valet", "scopes": ["openid", "a&b"] }}}`},
		{"one line, nothing there", `{}`, setWork,
			`{"accounts": {"work": { "issuer": "https://login.example.com", "clientId": "mcp-valet", "scopes": ["openid", "a&b"] }}}`},
		{"open brace", "{\n  \"accounts\": {\n  }\n}", setWork, "{\n  \"accounts\": {\n    " + rendered + ",\n  }\n}"},
		{"comments stay above", "{\n  \"accounts\": {\n    \"a\": {\"preset\": \"github\"} // mine\n    // \"b\": {}\n\n  }\n}", setWork,
			"{\n  \"accounts\": {\n    \"a\": {\"preset\": \"github\"}, // mine\n    // \"b\": {}\n    " + rendered + "\n\n  }\n}"},
		{"trailing comma", "{\n  \"accounts\": {\n    \"a\": {\"preset\": \"github\"},\n  },\n}", setWork,
			"{\n  \"accounts\": {\n    \"a\": {\"preset\": \"github\"},\n    " + rendered + ",\n  },\n}"},
		{"windows line ends, tabs", "{\r\n\t\"accounts\": {\r\n\t\t\"a\": {\"preset\": \"github\"}\r\n\t}\r\n}\r\n", setWork,
			"{\r\n\t\"accounts\": {\r\n\t\t\"a\": {\"preset\": \"github\"},\r\n\t\t\"work\": {\r\n\t\t\t\"issuer\": \"https://login.example.com\",\r\n\t\t\t\"clientId\": \"mcp-valet\",\r\n\t\t\t\"scopes\": [\"openid\", \"a&b\"]\r\n\t\t}\r\n\t}\r\n}\r\n"},
		{"byte order mark", "\xef\xbb\xbf{\"accounts\": {\"a\": {\"preset\": \"github\"}, \"work\": {\"preset\": \"github\"}}}", removeWork,
			"\xef\xbb\xbf{\"accounts\": {\"a\": {\"preset\": \"github\"}}}"},
		{"only what differs", `{
  "accounts": {
    "work": { // keep
      "clientId": "old", /* id */
      "issuer" : "https:\/\/login.example.com", // where
      "audience": "api", // gone
      "scopes": [ "openid", "a&b" ] // what
    }
  }
}`, func(b []byte) ([]byte, error) {
			a := work
			a.Export = true
			return config.SetAccount(b, "work", a)
		}, `{
  "accounts": {
    "work": { // keep
      "clientId": "mcp-valet", /* id */
      "issuer" : "https:\/\/login.example.com", // where
      "scopes": [ "openid", "a&b" ], // what
      "export": true
    }
  }
}`},
		{"nested", `{"accounts": {"work": {"preset": "github", "endpoints": {"token": "https://x/t", "jwks": "https://x/k"}}}}`, func(b []byte) ([]byte, error) {
			return config.SetAccount(b, "work", config.Account{Preset: "github", Endpoints: config.Endpoints{Token: "https://x/t", Revocation: "https://x/r"}})
		}, `{"accounts": {"work": {"preset": "github", "endpoints": {"token": "https://x/t", "revocation": "https://x/r"}}}}`},
		{"takes back an export", `{"accounts": {"work": {"preset": "github", "export": true}}}`, func(b []byte) ([]byte, error) {
			return config.SetAccount(b, "work", config.Account{Preset: "github"})
		}, `{"accounts": {"work": {"preset": "github", "export": false}}}`},
		{"an entry that is no object", `{"accounts": {"work": "later"}}`, func(b []byte) ([]byte, error) {
			return config.SetAccount(b, "work", config.Account{Preset: "github"})
		}, `{"accounts": {"work": { "preset": "github" }}}`},
		{"remove the first", "{\n  \"accounts\": {\n    // w\n    \"work\": {\"preset\": \"github\"}, // mine\n    \"a\": {\"preset\": \"github\"}\n  }\n}", removeWork,
			"{\n  \"accounts\": {\n    // w\n    \"a\": {\"preset\": \"github\"}\n  }\n}"},
		{"remove the last", "{\n  \"accounts\": {\n    \"a\": {\"preset\": \"github\"}, // mine\n    \"work\": {\"preset\": \"github\"} // too\n  }\n}", removeWork,
			"{\n  \"accounts\": {\n    \"a\": {\"preset\": \"github\"} // mine\n  }\n}"},
		{"remove behind a comment", "{\"accounts\": {// c\n \"work\": {\"preset\": \"github\"}, \"a\": {\"preset\": \"github\"}}}", removeWork,
			"{\"accounts\": {// c\n \"a\": {\"preset\": \"github\"}}}"},
		{"remove before a block comment", "{\"accounts\": {\"work\": {\"preset\": \"github\"}, /* a */ \"a\": {\"preset\": \"github\"}}}", removeWork,
			"{\"accounts\": {/* a */ \"a\": {\"preset\": \"github\"}}}"},
		{"remove what is not there", `{"accounts": {}}`, removeWork, `{"accounts": {}}`},
		{"remove where nothing is", `{"store": {}}`, removeWork, `{"store": {}}`},
		{"other faults are no concern", "{\n  \"acounts\": 1,\n  \"accounts\": {\"b\": 2, \"work\": 3}\n}", removeWork, "{\n  \"acounts\": 1,\n  \"accounts\": {\"b\": 2}\n}"},
		{"server", "{\n  \"accounts\": {\"work\": {\"preset\": \"github\"}}\n}\n", func(b []byte) ([]byte, error) { return config.SetServer(b, "kb", server) }, `{
  "accounts": {"work": {"preset": "github"}},
  "mcpServers": {
    "kb": {
      "command": "python",
      "args": ["s.py", "<x>"],
      "env": { "A": "keyring://kb/A", "B": "2" },
      "auth": { "account": "work" }
    }
  }
}
`},
		{"server's variables", `{"mcpServers": {"kb": {"command": "c", "env": {"OLD": "1", "A": "1"}, "maxMessage": 5000}}}`, func(b []byte) ([]byte, error) {
			return config.SetServer(b, "kb", config.Server{Command: "c", Env: map[string]string{"A": "2", "N": "3"}, MaxMessage: 6000, Auth: &config.Auth{Kind: "secret", TokenEnv: "KEY"}})
		}, `{"mcpServers": {"kb": {"command": "c", "env": {"A": "2", "N": "3"}, "maxMessage": 6000, "auth": { "kind": "secret", "tokenEnv": "KEY" }}}}`},
		{"long objects take more lines", "{\n}", func(b []byte) ([]byte, error) {
			return config.SetServer(b, "kb", config.Server{Command: "c", Env: map[string]string{"A": strings.Repeat("x", 80)}})
		}, "{\n  \"mcpServers\": {\n    \"kb\": {\n      \"command\": \"c\",\n      \"env\": {\n        \"A\": \"" + strings.Repeat("x", 80) + "\"\n      }\n    }\n  },\n}"},
		{"remove a server", `{"mcpServers": {"kb": {}}}`, func(b []byte) ([]byte, error) { return config.RemoveServer(b, "kb") }, `{"mcpServers": {}}`},
		{"store", `{}`, func(b []byte) ([]byte, error) { return config.SetStore(b, config.Store{Kind: "file"}) }, `{"store": { "kind": "file" }}`},
		{"another store", `{"store": { "kind": "file", "keyFile": "k" }}`, func(b []byte) ([]byte, error) { return config.SetStore(b, config.Store{Kind: "keychain"}) }, `{"store": { "kind": "keychain" }}`},
		{"desktop", `{"store": {}}`, func(b []byte) ([]byte, error) {
			return config.SetDesktop(b, map[string]string{"DISPLAY": ":0", "WAYLAND_DISPLAY": "w"})
		}, `{"store": {}, "desktop": { "DISPLAY": ":0", "WAYLAND_DISPLAY": "w" }}`},
		{"another desktop", `{"desktop": { "DISPLAY": ":0", "WAYLAND_DISPLAY": "w" }}`, func(b []byte) ([]byte, error) {
			return config.SetDesktop(b, map[string]string{"DISPLAY": ":1"})
		}, `{"desktop": { "DISPLAY": ":1" }}`},
		{"no desktop", `{"desktop": { "DISPLAY": ":0" }}`, func(b []byte) ([]byte, error) { return config.SetDesktop(b, nil) }, `{}`},
		{"no store", `{"store": { "kind": "file" }}`, func(b []byte) ([]byte, error) { return config.SetStore(b, config.Store{}) }, `{}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := tt.before
			got, err := tt.edit([]byte(before))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.after {
				t.Errorf("got\n%s\nwant\n%s", got, tt.after)
			}
		})
	}
}

func TestEditsRefuse(t *testing.T) {
	inUse := `{"accounts": {"work": {"preset": "github"}}, "mcpServers": {"kb": {"command": "c", "auth": {"account": "work"}}}}`
	tests := []struct {
		name, before string
		edit         func([]byte) ([]byte, error)
		want         string
	}{
		{"unreadable", "{\n", setWork, `2:1: the file ends too early: a bracket, a quote or a comment is still open`},
		{"no object", "[]", setWork, `1:1: must be an object in { }`},
		{"accounts are no object", `{"accounts": []}`, setWork, `1:14: accounts: must be an object in { }`},
		{"key twice", `{"accounts": {}, "accounts": {}}`, setWork, `1:18: accounts: the key is there already, in line 1`},
		{"key twice inside", `{"accounts": {"b": {"preset": "x", "preset": "y"}}}`, removeWork, `1:36: accounts.b.preset: the key is there already, in line 1`},
		{"bad name", `{}`, func(b []byte) ([]byte, error) { return config.SetAccount(b, "a b", work) }, `accounts."a b": a name has letters, digits, dot, dash and underscore, 128 at most, and does not begin with a dash`},
		{"bad account", `{}`, func(b []byte) ([]byte, error) {
			return config.SetAccount(b, "a", config.Account{Preset: "x", ClientSecret: canary})
		}, `accounts.a.clientSecret: a client secret is not written here: it must be "keyring://a/CLIENT_SECRET", and "mcp-valet login a --client-secret-stdin" takes the secret itself`},
		{"no UTF-8", `{}`, func(b []byte) ([]byte, error) { return config.SetAccount(b, "a", config.Account{Preset: "\xff"}) }, `the text to write is not UTF-8`},
		{"case twin", `{"accounts": {"Work": {"preset": "x"}}}`, setWork, `accounts.work: differs from Work only by upper and lower case`},
		{"unknown account", `{}`, func(b []byte) ([]byte, error) {
			return config.SetServer(b, "kb", config.Server{Command: "c", Auth: &config.Auth{Kind: "account", Account: "work"}})
		}, `mcpServers.kb.auth.account: there is no account work; "mcp-valet login" makes one`},
		{"account in use", inUse, removeWork, `mcpServers.kb: uses the account work; change that first`},
		{"bad store", `{}`, func(b []byte) ([]byte, error) { return config.SetStore(b, config.Store{Kind: "cloud"}) }, `store: "kind" is "keychain" or "file"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.edit([]byte(tt.before))
			if err == nil {
				t.Fatal("accepted")
			}
			e, ok := err.(*config.Error)
			if !ok {
				t.Fatalf("%T: %v", err, err)
			}
			if e.Line > 0 {
				e.Path = "f"
			}
			if got := strings.TrimPrefix(e.Error(), "f:"); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// layouts are ways to write an object; %s is where the accounts of another person go.
var layouts = []string{
	`{}`, `{ }`, "{\t\t}", "{\n}", "{\n\n  }", "{ \n }", "{\r\n}", "{\r}",
	"{// c\n}", "{ /* c */ }", "{/* c */}", "{\n/* c */}", "{ // c\r\n\r\n}", "{ // c \r\r\n}", "{ /* a */ // b\n /* c\n c */ }", "{//\n}", "{ // /* \n}",
	`{ "a": {"preset": "x"} }`, `{"a":{"preset":"x"}}`, `{"a":{"preset":"x"},}`, `{"a":{"preset":"x"} , }`, "{\n\t\"a\": {\"preset\": \"x\"}\n}", "{\n  \"a\": {\"preset\": \"x\"},\n}",
	"{\n  \"a\": {\"preset\": \"x\"} /* c */ , // d\n\n  // e\n\n}", "{\n  \"a\": {\"preset\": \"x\"} // c\n  , // d\n}", "{\n \"a\": {\"preset\": \"x\"} }",
	"{ // c\n \"a\": {\"preset\": \"x\"}, // d\n }", "{\r\n    \"a\": {\"preset\": \"x\"} // c\r\n}", "{\"a\": {\"preset\": \"x\"},\n\"b\": {\"preset\": \"y\"} /* c */\n, /* d */\n/* e */}",
	"{\"a\": {\"preset\": \"x\"} // c  \t\n}", "{\n\"a\": {\"preset\": \"x\"} /* c\n*/}", "{ \"a\\u002f\": {\"preset\": \"x\"} // \"\n}",
}

// Setting an account and removing it gives the file back, whatever it looks like.
func TestEditsKeepLayout(t *testing.T) {
	for _, accounts := range layouts {
		for _, around := range []string{
			"%", " % ", "{\"accounts\": %}", "// c\n{\n  \"accounts\": %, // d\n  \"mcpServers\": {},\n}\n", "\xef\xbb\xbf{\r\n\t\"store\": {},\r\n\t\"accounts\": %\r\n}",
			"{\"x\": 1, \"accounts\":\n%\n// end\n}// end",
		} {
			text := strings.Replace(around, "%", accounts, 1)
			checkEditLaws(t, []byte(text))
		}
	}
	checkEditLaws(t, config.Template())
	checkEditLaws(t, []byte(full))
}

// randomObject writes an object with members and whatever may stand between them.
func randomObject(r *rand.Rand, member func(i int) string) string {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	extra := func() string {
		var b strings.Builder
		for range r.IntN(4) {
			b.WriteString(pick("", " ", "\t", "\n", "\r\n", "\n    ", "\r", "/* c */", "/* c\n*/", "// c\n", "// c \r\n", "//\r\r\n", "// /* \"\n"))
		}
		return b.String()
	}
	var b strings.Builder
	b.WriteString("{")
	n := r.IntN(4)
	for i := range n {
		b.WriteString(extra() + member(i) + extra())
		if i < n-1 || r.IntN(2) == 0 {
			b.WriteString(",")
		}
	}
	return b.String() + extra() + "}"
}

func TestEditsKeepRandomLayout(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		account := func(i int) string { return `"` + string(rune('a'+i)) + `": {"preset": "x"}` }
		text := randomObject(r, func(i int) string {
			if i == 0 {
				return `"accounts":` + randomObject(r, account)
			}
			return []string{`"store": {}`, `"mcpServers" : {}`, `"$schema":"s"`}[i-1]
		})
		checkEditLaws(t, []byte(text))
		checkRemoveLaws(t, []byte(text))
		if t.Failed() {
			return
		}
	}
}

func checkEditLaws(t *testing.T, x []byte) {
	t.Helper()
	if len(bytes.TrimSpace(bytes.TrimPrefix(x, []byte("\xef\xbb\xbf")))) == 0 {
		x = config.Template()
	}
	name := "new"
	start, end, there := config.Span(x, "accounts", name)
	y, err := config.SetAccount(x, name, work)
	if err != nil {
		return
	}
	again, err := config.SetAccount(y, name, work)
	if err != nil || !bytes.Equal(again, y) {
		t.Errorf("set twice is not set once\nbefore %q\nonce   %q\ntwice  %q %v", x, y, again, err)
	}
	if _, err := config.Parse("c", x); err == nil {
		cfg, err := config.Parse("c", y)
		if err != nil || !reflect.DeepEqual(cfg.Accounts[name], work) {
			t.Errorf("what was set is not read\nbefore %q\nafter  %q %v", x, y, err)
		}
	}
	if there {
		if !bytes.HasPrefix(y, x[:start]) || !bytes.HasSuffix(y, x[end:]) {
			t.Errorf("changed elsewhere\nbefore %q\nafter  %q", x, y)
		}
		return
	}
	back, err := config.RemoveAccount(y, name)
	if err != nil {
		return // in use by a server, though it was not there
	}
	want, err := config.EmptyObject(x, "accounts")
	if err != nil || !bytes.Equal(back, want) {
		t.Errorf("set and removed is not as it was\nbefore %q\nset    %q\nback   %q\nwant   %q %v", x, y, back, want, err)
	}
}

// Removing any member leaves a file that can be read, has all others, and no byte that was not there.
func checkRemoveLaws(t *testing.T, x []byte) {
	t.Helper()
	doc, err := config.Parse("c", x)
	if err != nil {
		return
	}
	for name := range doc.Accounts {
		y, err := config.RemoveAccount(x, name)
		if err != nil {
			continue // in use
		}
		left, err := config.Parse("c", y)
		if err != nil {
			t.Errorf("removed %s\nbefore %q\nafter  %q %v", name, x, y, err)
			continue
		}
		delete(doc.Accounts, name)
		if !reflect.DeepEqual(left.Accounts, doc.Accounts) || !reflect.DeepEqual(left.Servers, doc.Servers) {
			t.Errorf("removed more than %s\nbefore %q\nafter  %q", name, x, y)
		}
		x = y
	}
}

func TestRemoveKeepsTheOthers(t *testing.T) {
	for _, accounts := range layouts {
		checkRemoveLaws(t, []byte(`{"accounts": `+accounts+`}`))
	}
	checkRemoveLaws(t, []byte(full))
}

func FuzzEdit(f *testing.F) {
	for _, accounts := range layouts {
		f.Add([]byte("{\n  \"accounts\": " + accounts + "\n}"))
	}
	f.Add([]byte(full))
	f.Add([]byte(`{"accounts": {"new": {"issuer": "x", /* c */ "scopes": [1]}, }}`))
	f.Add([]byte("{\"accounts\": {\"new\": {\"host\": \"x\" // c\n}}}"))
	f.Fuzz(func(t *testing.T, x []byte) {
		checkEditLaws(t, x)
		checkRemoveLaws(t, x)
	})
}
