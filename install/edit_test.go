package install_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"mcp-valet/install"
	"mcp-valet/keyring"
)

func claude(t testing.TB) install.Client {
	t.Helper()
	c, ok := install.ClientNamed("claude-desktop")
	if !ok {
		t.Fatal("no such client")
	}
	return c
}

var ours = install.EntryFor("/usr/local/bin/mcp-valet", "kb", install.Places{})

func TestParseRefuses(t *testing.T) {
	deep := strings.Repeat("[", 20000)
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", "f: is empty, which is not JSON; an empty config is {}"},
		{"spaces", " \n", "f: is empty, which is not JSON; an empty config is {}"},
		{"byte order mark", "\xef\xbb\xbf{}", "f:1: begins with a byte order mark, which clients do not take; save it as UTF-8 without one"},
		{"UTF-16", "\xff\xfe{\x00}\x00", "f: is in UTF-16; save it as UTF-8"},
		{"Latin-1", "{\n\"a\": \"\xe4\"}", "f:2: is not UTF-8"},
		{"comment", "{\n  // mine\n}", "f:2: holds a comment, which clients do not take"},
		{"block comment", "{} /* mine */", "f:1: holds a comment, which clients do not take"},
		{"trailing comma", "{\n\"a\": [1,],\n}", "f:2: has a comma before ], which clients do not take"},
		{"trailing comma in an object", "{\n\"a\": 1,\n}", "f:3: has a comma before }, which clients do not take"},
		{"cut off", `{"mcpServers": {"kb": {"command": "canary`, "f:1: ends too early: a bracket or a quote is still open"},
		{"two values", "{}\n{}", "f:2: is not JSON from here on"},
		{"single quotes", "{'a': 1}", "f:1: is not JSON from here on"},
		{"a list", "[]", "f:1: must be an object in { }"},
		{"null", "\nnull", "f:2: must be an object in { }"},
		{"repeated key", "{\"a\": 1,\n\"a\": 2}", `f:2: the key "a" is there already; take one of the two out`},
		{"repeated key, spelled otherwise", "{\"a\": 1,\n\"\\u0061\": 2}", `f:2: the key "a" is there already; take one of the two out`},
		{"repeated key, deep", "{\"p\": [{\"q\": {\"x\": 1,\n\"x\": 1}}]}", `f:2: the key "x" is there already; take one of the two out`},
		{"repeated entry", "{\"mcpServers\": {\"kb\": {},\n\"kb\": {}}}", `f:2: the key "kb" is there already; take one of the two out`},
		{"case twin", "{\"mcpServers\": {},\n\"MCPServers\": {}}", `f:2: the key "MCPServers" must be written "mcpServers"`},
		{"case", "{\"mcpservers\": {}}", `f:1: the key "mcpservers" must be written "mcpServers"`},
		{"servers that are a list", "{\"mcpServers\":\n[]}", `f:2: "mcpServers" must be an object in { }`},
		{"too deep", `{"a": ` + deep, "f:1: has too many levels of { and ["},
		{"too large", `{"a": "` + strings.Repeat("a", 16<<20) + `"}`, "f: is larger than 16 MiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := claude(t).Parse("f", []byte(tt.text))
			var e *install.Error
			if !errors.As(err, &e) || err.Error() != tt.want {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestServerRefuses(t *testing.T) {
	for _, tt := range []struct{ name, entry, want string }{
		{"no object", `"canary"`, `"kb" must be an object in { }`},
		{"remote", `{"url": "https://canary"}`, `"kb": "command" is not there; only servers that are a command on this machine can be started by mcp-valet`},
		{"remote, by type", `{"type": "http", "url": "https://canary"}`, `"kb": "type" is not stdio; only servers that are a command on this machine can be started by mcp-valet`},
		{"command", `{"command": ["canary"]}`, `"kb": "command" holds something that is not text in double quotes`},
		{"args", `{"command": "c", "args": "canary"}`, `"kb": "args" must be a list in [ ]`},
		{"an argument", `{"command": "c", "args": ["a", 1]}`, `"kb": "args" holds something that is not text in double quotes`},
		{"env", `{"command": "c", "env": []}`, `"kb": "env" must be an object in { }`},
		{"a variable", `{"command": "c", "env": {"A": true}}`, `"kb": "env" holds something that is not text in double quotes`},
		{"half a pair", `{"command": "c", "env": {"A": "\ud800"}}`, `"kb": "env" holds half of a pair of \ud800 to \udfff`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := claude(t).Parse("f", []byte(`{"mcpServers": {"kb": `+tt.entry+`}}`))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.Server("kb"); err == nil || err.Error() != "f:1: "+tt.want {
				t.Errorf("got %v\nwant f:1: %s", err, tt.want)
			}
		})
	}
}

// TestReplace is what install does to a config, and uninstall back.
func TestReplace(t *testing.T) {
	for _, tt := range []struct{ name, before, after string }{
		{"as people write it", `{
  "mcpServers": {
    "other": {"command": "x"},
    "kb": {
      "command": "python",
      "args": ["s.py"],
      "env": {
        "A": "1"
      }
    }
  },
  "preferences": { "a" : [ 1 ] }
}
`, `{
  "mcpServers": {
    "other": {"command": "x"},
    "kb": {
      "command": "/usr/local/bin/mcp-valet",
      "args": ["run", "kb"]
    }
  },
  "preferences": { "a" : [ 1 ] }
}
`},
		{"one line", `{"mcpServers":{"kb":{"env":{"A":"1"},"command":"python"}}}`, `{"mcpServers":{"kb":{"command":"/usr/local/bin/mcp-valet","args":["run", "kb"]}}}`},
		{"windows line ends, tabs, no line end at the end", "{\r\n\t\"mcpServers\": {\r\n\t\t\"kb\": {\r\n\t\t\t\"command\": \"python\"\r\n\t\t}\r\n\t}\r\n}",
			"{\r\n\t\"mcpServers\": {\r\n\t\t\"kb\": {\r\n\t\t\t\"command\": \"/usr/local/bin/mcp-valet\",\r\n\t\t\t\"args\": [\"run\", \"kb\"]\r\n\t\t}\r\n\t}\r\n}"},
		{"keys of the client's", `{"mcpServers": {"kb": {"disabled": false, "command": "c", "cwd": "/x", "timeout": 1.50, "env": {} }}}`,
			`{"mcpServers": {"kb": {"disabled": false, "command": "/usr/local/bin/mcp-valet", "args": ["run", "kb"], "timeout": 1.50 }}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := claude(t).Parse("", []byte(tt.before))
			if err != nil {
				t.Fatal(err)
			}
			original, _, _ := d.Entry("kb")
			after := d.Replace("kb", d.Wrapped(ours, original))
			if string(after) != tt.after {
				t.Errorf("got\n%s\nwant\n%s", after, tt.after)
			}
			if d, err = claude(t).Parse("", after); err != nil {
				t.Fatal(err)
			}
			if s, err := d.Server("kb"); err != nil {
				t.Error(err)
			} else if name, is := s.Starts(ours.Command); !is || name != "kb" {
				t.Errorf("not ours: %+v", s)
			}
			if back := d.Replace("kb", original); string(back) != tt.before {
				t.Errorf("back\n%s", back)
			}
		})
	}
}

func TestInsert(t *testing.T) {
	for _, tt := range []struct {
		name, before string
		at           install.Place
		after        string
	}{
		{"nothing", `{}`, install.Place{}, `{"mcpServers": {"kb": {"command": "/usr/local/bin/mcp-valet", "args": ["run", "kb"]}}}`},
		{"nothing, on two lines", "{\n}\n", install.Place{}, "{\n  \"mcpServers\": {\n    \"kb\": {\n      \"command\": \"/usr/local/bin/mcp-valet\",\n      \"args\": [\"run\", \"kb\"]\n    }\n  }\n}\n"},
		{"nothing, and a line end", "{}\n", install.Place{}, "{\n  \"mcpServers\": {\n    \"kb\": {\n      \"command\": \"/usr/local/bin/mcp-valet\",\n      \"args\": [\"run\", \"kb\"]\n    }\n  }\n}\n"},
		{"no servers", "{\n\t\"a\": 1\n}", install.Place{}, "{\n\t\"a\": 1,\n\t\"mcpServers\": {\n\t\t\"kb\": {\n\t\t\t\"command\": \"/usr/local/bin/mcp-valet\",\n\t\t\t\"args\": [\"run\", \"kb\"]\n\t\t}\n\t}\n}"},
		{"empty servers", "{\n  \"mcpServers\": {}\n}", install.Place{}, "{\n  \"mcpServers\": {\n    \"kb\": {\n      \"command\": \"/usr/local/bin/mcp-valet\",\n      \"args\": [\"run\", \"kb\"]\n    }\n  }\n}"},
		{"behind", `{"mcpServers": {"a": 1, "b": 2}}`, install.Place{Previous: "a", Next: "x"}, `{"mcpServers": {"a": 1, "kb": {"command": "/usr/local/bin/mcp-valet", "args": ["run", "kb"]}, "b": 2}}`},
		{"before", `{"mcpServers": {"a": 1, "b": 2}}`, install.Place{Next: "a"}, `{"mcpServers": {"kb": {"command": "/usr/local/bin/mcp-valet", "args": ["run", "kb"]}, "a": 1, "b": 2}}`},
		{"neighbours gone", `{"mcpServers": {"a": 1, "b": 2}}`, install.Place{Previous: "x", Next: "y"}, `{"mcpServers": {"a": 1, "b": 2, "kb": {"command": "/usr/local/bin/mcp-valet", "args": ["run", "kb"]}}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := claude(t).Parse("", []byte(tt.before))
			if err != nil {
				t.Fatal(err)
			}
			after, in := d.Insert("kb", d.Wrapped(ours, nil), tt.at)
			if string(after) != tt.after {
				t.Errorf("got\n%s\nwant\n%s", after, tt.after)
			}
			if d, err = claude(t).Parse("", after); err != nil {
				t.Fatal(err)
			}
			if back := d.Remove("kb", in); string(back) != tt.before {
				t.Errorf("back\n%s", back)
			}
		})
	}
}

// TestRemoveAfterRewrite is for a client that has set its file anew meanwhile.
func TestRemoveAfterRewrite(t *testing.T) {
	for before, want := range map[string]string{
		`{"mcpServers": {"a": 1, "kb": {}, "b": 2}}`: `{"mcpServers": {"a": 1, "b": 2}}`,
		`{"mcpServers": {"kb": {}, "b": 2}}`:         `{"mcpServers": {"b": 2}}`,
		`{"mcpServers": {"a": 1, "kb": {} }}`:        `{"mcpServers": {"a": 1 }}`,
		`{"mcpServers": { "kb": {} }}`:               `{"mcpServers": {}}`,
		`{"mcpServers": {"a": 1}}`:                   `{"mcpServers": {"a": 1}}`,
		`{}`:                                         `{}`,
	} {
		d, err := claude(t).Parse("", []byte(before))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(d.Remove("kb", install.Insertion{Text: `,"kb": 1`, Value: 7})); got != want {
			t.Errorf("%s: got %s, want %s", before, got, want)
		}
	}
}

func TestAdopt(t *testing.T) {
	const entry = `{ "command": "c", "args": ["--key=k-\u0031", "-t", "t1", "x"], "env": {"A": "a\/1", "B": "b1", "OLD": "jwt"} }`
	secrets := []install.Adopted{
		{Variable: "A"}, {Variable: "B"}, {Variable: "OLD"},
		{Variable: "K", Argument: 1, Prefix: "--key="}, {Variable: "T", Argument: 3, Option: true},
	}
	hidden, err := install.Hide([]byte(entry), "kb", secrets)
	if want := `{ "command": "c", "args": ["--key=keyring://kb/K", "-t", "keyring://kb/T", "x"], "env": {"A": "keyring://kb/A", "B": "keyring://kb/B", "OLD": "keyring://kb/OLD"} }`; string(hidden) != want || err != nil {
		t.Fatalf("hidden: %v\n%s\nwant\n%s", err, hidden, want)
	}
	kept := map[string]install.Kept{
		"A": {Value: keyring.NewSecret("a/1"), AsWritten: keyring.NewSecret(`"a\/1"`)},
		"B": {Value: keyring.NewSecret("b1")},
		"K": {Value: keyring.NewSecret("k-1"), AsWritten: keyring.NewSecret(`"--key=k-\u0031"`)},
		"T": {Value: keyring.NewSecret("t1")},
	}
	filled, err := install.Fill(hidden, secrets, kept)
	if want := strings.Replace(entry, `, "OLD": "jwt"`, "", 1); string(filled) != want || err != nil {
		t.Errorf("filled: %v\n%s\nwant\n%s", err, filled, want)
	}
	kept["A"] = install.Kept{Value: keyring.NewSecret("new"), AsWritten: kept["A"].AsWritten} // replaced since
	delete(kept, "T")
	filled, err = install.Fill(hidden, secrets, kept)
	if want := `{ "command": "c", "args": ["--key=k-\u0031", "x"], "env": {"A": "new", "B": "b1"} }`; string(filled) != want || err != nil {
		t.Errorf("filled: %v\n%s\nwant\n%s", err, filled, want)
	}
	without, err := install.Without(hidden, secrets)
	if want := `{ "command": "c", "args": ["x"], "env": {} }`; string(without) != want || err != nil {
		t.Errorf("without: %v\n%s\nwant\n%s", err, without, want)
	}
	if literal, odd := install.Literal([]byte(entry), secrets[0]); literal != `"a\/1"` || !odd {
		t.Errorf("literal %s, %v", literal, odd)
	}
	if literal, odd := install.Literal([]byte(entry), secrets[1]); literal != `"b1"` || odd {
		t.Errorf("literal %s, %v", literal, odd)
	}
	if _, err := install.Hide([]byte(`{"env": {}}`), "kb", secrets); err == nil {
		t.Error("hides what is not there")
	}
	if got := install.Moved([]string{"--key=k", "-t", "t", "x"}, secrets); len(got) != 1 || got[0] != "x" {
		t.Errorf("moved: %q", got)
	}
}

func TestArgumentSecret(t *testing.T) {
	args := []string{"--api-key=abc", "-t", "tok", "plain", "--last"}
	for _, tt := range []struct {
		which string
		want  install.Adopted
		value string
	}{
		{"1", install.Adopted{Argument: 1, Prefix: "--api-key="}, "abc"},
		{"--api-key", install.Adopted{Argument: 1, Prefix: "--api-key="}, "abc"},
		{"-t", install.Adopted{Argument: 3, Option: true}, "tok"},
		{"3", install.Adopted{Argument: 3, Option: true}, "tok"},
		{"4", install.Adopted{Argument: 4}, "plain"},
	} {
		tt.want.Variable = "V"
		if got, value, err := install.ArgumentSecret(args, tt.which, "V"); got != tt.want || value != tt.value || err != nil {
			t.Errorf("%s: %+v, %q, %v", tt.which, got, value, err)
		}
	}
	for _, which := range []string{"", "0", "6", "-1", "--last", "--api", "plain"} {
		if got, _, err := install.ArgumentSecret(args, which, "V"); err == nil {
			t.Errorf("%q: %+v", which, got)
		}
	}
}

func TestStarts(t *testing.T) {
	for _, tt := range []struct {
		command string
		args    []string
		want    bool
	}{
		{"/usr/local/bin/mcp-valet", []string{"run", "kb"}, true},
		{`C:\Users\Ann\mcp-valet.exe`, []string{"run", "kb", "--config", "c"}, true},
		{"/opt/other-name", []string{"run", "kb"}, true}, // it is this program
		{"/usr/bin/mcp-valet-x", []string{"run", "kb"}, false},
		{"mcp-valet", []string{"run", "--account", "a", "--", "kb"}, false},
		{"mcp-valet", []string{"run"}, false},
		{"mcp-valet", []string{"status", "kb"}, false},
	} {
		s := install.Server{Command: tt.command, Args: tt.args}
		if name, got := s.Starts("/opt/other-name"); got != tt.want || got && name != "kb" {
			t.Errorf("%s %q: %v %q", tt.command, tt.args, got, name)
		}
	}
}

func TestSame(t *testing.T) {
	if !install.Same([]byte(`{"a": [1.0, "\u0061"], "b": null}`), []byte(`{ "b":null,"a":[1.0,"a"]}`)) {
		t.Error("the same value differs")
	}
	for _, other := range []string{`{"a": 2}`, `{"a": 1, "b": 1}`, `{`, `[]`} {
		if install.Same([]byte(`{"a": 1}`), []byte(other)) {
			t.Errorf("%s is the same", other)
		}
	}
}

// FuzzInstallUninstall holds the law: what install does to a client's config, uninstall undoes, byte for byte, when
// nothing was adopted and when all of it is put back; and a text that does not parse gives no other text.
func FuzzInstallUninstall(f *testing.F) {
	for _, seed := range []string{
		`{"mcpServers": {"kb": {"command": "python", "args": ["a"], "env": {"A": "s3cret\/1", "B": ""}}}}`,
		"{\r\n\t\"mcpServers\" : {\r\n\t\t\"x\": 1 ,\r\n\t\t\"k\\u0062\" : {\"env\":{\"A\":\"\\ud83d\\ude00\"},\"command\":\"c\"}\r\n\t}\r\n}",
		`{}`, "{\n}\n", `{"mcpServers": { }}`, `{"a": [1, {}], "mcpServers": {"x": {}}}`, "{\"mcpServers\": {\n\n \"x\": {}\n}}",
		`{"mcpServers": {"kb": {"command": "c", "args": ["--t=x", "y"], "command2": 1}}}`, `{"mcpServers": {"kb": 1}}`, `{"mcpServers": {"": {}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		client := claude(t)
		d, err := client.Parse("f", text)
		if err != nil {
			if d != nil {
				t.Fatal("a text that does not parse can be edited")
			}
			return
		}
		original, at, there := d.Entry("kb")
		if !there {
			after, in := d.Insert("kb", d.Wrapped(ours, nil), install.Place{Previous: "x"})
			changed := reparse(t, after)
			if back := changed.Remove("kb", in); !bytes.Equal(back, text) {
				t.Fatalf("inserted and removed:\n%q\nwas\n%q", back, text)
			}
			return
		}
		server, err := d.Server("kb")
		if err != nil {
			return
		}
		changed := reparse(t, d.Replace("kb", d.Wrapped(ours, original)))
		if now, err := changed.Server("kb"); err != nil || now.Command != ours.Command || strings.Join(now.Args, " ") != "run kb" || len(now.Env) > 0 {
			t.Fatalf("what is written is not ours: %+v, %v", now, err)
		}
		if _, now, _ := changed.Entry("kb"); now != at {
			t.Fatalf("moved from %+v to %+v", at, now)
		}
		if back := changed.Replace("kb", original); !bytes.Equal(back, text) {
			t.Fatalf("replaced and back:\n%q\nwas\n%q", back, text)
		}
		hidden, secrets, kept := adoptAll(t, original, server)
		filled, err := install.Fill(hidden, secrets, kept)
		if err != nil || !bytes.Equal(filled, original) {
			t.Fatalf("adopted and back: %v\n%q\nwas\n%q", err, filled, original)
		}
		for name, value := range server.Env {
			if now, err := reparse(t, changed.Replace("kb", hidden)).Server("kb"); err != nil || value != "" && now.Env[name] != install.Reference("kb", name) {
				t.Fatalf("not hidden: %q in %q, %v", name, hidden, err)
			}
		}
		without, err := install.Without(hidden, secrets)
		if err != nil {
			t.Fatal(err)
		}
		left, err := reparse(t, changed.Replace("kb", without)).Server("kb")
		if err != nil || strings.Join(left.Args, " ") != strings.Join(install.Moved(server.Args, secrets), " ") {
			t.Fatalf("left: %+v, %v", left, err)
		}
		for name, value := range left.Env {
			if value != "" {
				t.Fatalf("%q is left in %q", name, without)
			}
		}
	})
}

func reparse(t *testing.T, text []byte) *install.Document {
	t.Helper()
	d, err := claude(t).Parse("f", text)
	if err != nil {
		t.Fatalf("an edit broke the file: %v\n%q", err, text)
	}
	return d
}

// adoptAll treats every variable and the first argument as a secret.
func adoptAll(t *testing.T, entry []byte, s *install.Server) (hidden []byte, secrets []install.Adopted, kept map[string]install.Kept) {
	t.Helper()
	kept = map[string]install.Kept{}
	keep := func(a install.Adopted, value string) {
		if value == "" {
			return
		}
		k := install.Kept{Value: keyring.NewSecret(value)}
		if literal, odd := install.Literal(entry, a); odd {
			a.AsWritten, k.AsWritten = true, keyring.NewSecret(literal)
		}
		secrets, kept[a.Variable] = append(secrets, a), k
	}
	for name, value := range s.Env {
		keep(install.Adopted{Variable: name}, value)
	}
	if a, value, err := install.ArgumentSecret(s.Args, "1", "ARG\x00"); err == nil {
		keep(a, value)
	}
	hidden, err := install.Hide(entry, "kb", secrets)
	if err != nil {
		t.Fatal(err)
	}
	return hidden, secrets, kept
}
