package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"mcp-valet/internal/config"
)

const withPolicy = `{
  "mcpServers": {
    "kb": {
      "command": "kb",
      "policy": {
        // who
        "roles": { "admin": ["*"], "viewer": ["read"], "guest": [] },
        "tools": { "list_*": "read", "drop": "*" },
        "prompts": { "p": "read" }, "resources": { "kb://*": "read" },
        "default": "deny",
        "conditionsFile": "kb.cedar"
      }
    },
    "inline": { "command": "c", "policy": { "conditions": ["forbid(principal, action, resource)\n  when { true };", "permit(principal, action, resource);"] } },
    "empty": { "command": "c", "policy": {} }
  }
}
`

func TestPolicy(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.json")
	c, err := config.Parse(path, []byte(withPolicy))
	if err != nil {
		t.Fatal(err)
	}
	want := &config.Policy{
		Roles: map[string][]string{"admin": {"*"}, "viewer": {"read"}, "guest": {}},
		Tools: map[string]string{"list_*": "read", "drop": "*"}, Prompts: map[string]string{"p": "read"}, Resources: map[string]string{"kb://*": "read"},
		Default: "deny", File: filepath.Join(dir, "kb.cedar"),
	}
	if got := c.Servers["kb"].Policy; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	if c.Servers["empty"].Policy == nil {
		t.Error("an empty policy is none: everybody may do everything")
	}
	text, name, err := c.Servers["inline"].Policy.Cedar()
	if err != nil || name != "conditions" || strings.Count(text, "\n") != 2 {
		t.Errorf("%q %q %v", text, name, err)
	}
	if _, _, err := c.Servers["kb"].Policy.Cedar(); err == nil {
		t.Error("a file that is not there is as good as none")
	}
	if err := os.WriteFile(filepath.Join(dir, "kb.cedar"), []byte("\xef\xbb\xbf// nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, name, err = c.Servers["kb"].Policy.Cedar(); err != nil || text != "// nothing" || name != want.File {
		t.Errorf("%q %q %v", text, name, err)
	}
}

func TestPolicyRefused(t *testing.T) {
	for policy, want := range map[string]string{
		`[]`:                                           `c:1:69: mcpServers.s.policy: must be an object`,
		`{"role": {}}`:                                 `unknown key (did you mean "roles"?)`,
		`{"cedar": ""}`:                                `Cedar stands in "conditions"`,
		`{"roles": {"a": "read"}}`:                     `policy.roles.a: must be a list`,
		`{"roles": {"a": [""]}}`:                       `policy.roles.a[0]: must not be empty`,
		`{"tools": {"a": ""}}`:                         `policy.tools.a: must not be empty`,
		`{"tools": {"a": ["read"]}}`:                   `policy.tools.a: must be text`,
		`{"tools": {"a": "x", "a": "y"}}`:              `the key is there already`,
		`{"default": "permit"}`:                        `must be one of: "allow", "deny"`,
		`{"conditions": "forbid"}`:                     `policy.conditions: must be a list`,
		`{"conditions": [" "]}`:                        `policy.conditions[0]: must not be empty`,
		`{"conditions": ["x"], "conditionsFile": "y"}`: `has both`,
	} {
		_, err := config.Parse("c", []byte(`{"mcpServers": {"s": {"command": "c", "maxMessage": 9999, "policy": `+policy+`}}}`))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", policy, err, want)
		}
	}
}

// TestPolicyStays: an edit of a server's entry that has no word about the policy leaves it, comments and all.
func TestPolicyStays(t *testing.T) {
	b, err := config.SetServer([]byte(withPolicy), "kb", config.Server{Command: "other"})
	if err != nil || string(b) != strings.Replace(withPolicy, `"command": "kb"`, `"command": "other"`, 1) {
		t.Errorf("%v\n%s", err, b)
	}
	c, err := config.Parse("/c/config.json", []byte(withPolicy))
	if err != nil {
		t.Fatal(err)
	}
	s := c.Servers["kb"]
	s.Policy.File = "kb.cedar"
	if b, err = config.SetServer([]byte(withPolicy), "kb", s); err != nil || string(b) != withPolicy {
		t.Errorf("what says the same already was changed: %v\n%s", err, b)
	}
	if b, err = config.SetServer(nil, "kb", s); err != nil {
		t.Fatal(err)
	}
	again, err := config.Parse("/c/config.json", b)
	if err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	s.Policy.File = "/c/kb.cedar"
	if !reflect.DeepEqual(again.Servers["kb"].Policy, s.Policy) {
		t.Errorf("written and read again: %+v\n%s", again.Servers["kb"].Policy, b)
	}
	delete(s.Policy.Tools, "drop")
	if b, err = config.SetServer([]byte(withPolicy), "kb", s); err != nil || strings.Contains(string(b), "drop") || !strings.Contains(string(b), "// who") {
		t.Errorf("a row that was taken out: %v\n%s", err, b)
	}
}

func TestMistake(t *testing.T) {
	e := config.Mistake("c", []byte(withPolicy), []string{"mcpServers", "kb", "policy", "tools", "drop"}, "is wrong")
	if e.Error() != `c:8:46: mcpServers.kb.policy.tools.drop: is wrong` {
		t.Error(e)
	}
	e = config.Mistake("c", []byte(withPolicy), []string{"mcpServers", "no"}, "is wrong")
	if e.Error() != `c: mcpServers.no: is wrong` {
		t.Error(e)
	}
}

func TestCases(t *testing.T) {
	cases, err := config.ParseCases("t", []byte(`[
  // the first
  { "server": "kb", "roles": ["viewer"], "tool": "x", "args": { "a": [1, /* two */ 2,], }, "want": "deny", "why": "because" },
  { "server": "kb", "resource": "kb://1", "tenant": "acme", "time": "2026-03-02T09:30:00Z", "readOnly": true, "want": "allow" },
]`))
	if err != nil || len(cases) != 2 {
		t.Fatal(cases, err)
	}
	if c := cases[0]; c.Line != 3 || c.Allow || string(c.Args) != `{"a":[1,2]}` || c.Tool != "x" {
		t.Errorf("%+v %s", c, c.Args)
	}
	if c := cases[1]; c.Line != 4 || !c.Allow || c.ReadOnly == nil || !*c.ReadOnly || c.Time.Hour() != 9 {
		t.Errorf("%+v", c)
	}
	for text, want := range map[string]string{
		`{}`:                             `must be a list`,
		`[]`:                             `no case`,
		`[{}]`:                           `t:1:2: [0]: needs "server"`,
		`[{"server":"a","want":"deny"}]`: `needs one of "tool"`,
		`[{"server":"a","tool":"x","prompt":"y","want":"deny"}]`:  `needs one of "tool"`,
		`[{"server":"a","tool":"x"}]`:                             `needs "want"`,
		`[{"server":"a","tool":"x","want":"yes"}]`:                `must be one of`,
		`[{"server":"a","tool":"x","want":"deny","args":[]}]`:     `must be an object`,
		`[{"server":"a","tool":"x","want":"deny","arg":{}}]`:      `did you mean "args"`,
		`[{"server":"a","tool":"x","want":"deny","time":"noon"}]`: `must be a time`,
	} {
		if _, err := config.ParseCases("t", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}
