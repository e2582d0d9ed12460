package policy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"mcp-valet/wrapper/policy"
)

// knowledgeBase is the policy of most tests.
func knowledgeBase() policy.Source {
	return policy.Source{
		Roles: map[string][]string{
			"admin": {"*"}, "analyst": {"read", "create_incidents"}, "viewer": {"read"}, "guest": {},
		},
		Tools: map[string]string{
			"create_incident": "create_incidents", "create_*": "*", "list_*": "read", "get_*": "read", "help": "*any", "get_secret": "*",
		},
		Prompts:   map[string]string{"triage": "create_incidents"},
		Resources: map[string]string{"kb://articles/*": "read", "kb://articles/../index": "read"},
	}
}

func compile(t testing.TB, s policy.Source) *policy.Policy {
	t.Helper()
	p, err := policy.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func call(tool, arguments string) *policy.Action {
	return &policy.Action{Server: "kb", Kind: policy.Tool, Method: "tools/call", Name: tool, Arguments: json.RawMessage(arguments)}
}

func user(roles ...string) *policy.User {
	return &policy.User{Subject: "ada", Tenant: "acme", Account: "work", Kind: "account", Roles: roles}
}

func TestTable(t *testing.T) {
	p := compile(t, knowledgeBase())
	for _, c := range []struct {
		roles string
		kind  policy.Kind
		name  string
		want  policy.Verdict
	}{
		{"viewer", policy.Tool, "list_incidents", policy.Verdict{Allowed: true, Permission: "read", Rule: "tools.list_*"}},
		{"viewer", policy.Tool, "list_", policy.Verdict{Allowed: true, Permission: "read", Rule: "tools.list_*"}},
		{"viewer", policy.Tool, "create_incident", policy.Verdict{Permission: "create_incidents", Rule: "tools.create_incident"}},
		{"analyst", policy.Tool, "create_incident", policy.Verdict{Allowed: true, Permission: "create_incidents", Rule: "tools.create_incident"}},
		{"viewer,analyst", policy.Tool, "create_incident", policy.Verdict{Allowed: true, Permission: "create_incidents", Rule: "tools.create_incident"}},
		{"analyst", policy.Tool, "create_user", policy.Verdict{Permission: "*", Rule: "tools.create_*"}},
		{"admin", policy.Tool, "create_user", policy.Verdict{Allowed: true, Permission: "*", Rule: "tools.create_*"}},
		{"viewer", policy.Tool, "get_secret", policy.Verdict{Permission: "*", Rule: "tools.get_secret"}},
		{"admin", policy.Tool, "drop_table", policy.Verdict{Rule: "default"}},
		{"guest", policy.Tool, "help", policy.Verdict{Allowed: true, Permission: "*any", Rule: "tools.help"}},
		{"", policy.Tool, "help", policy.Verdict{Permission: "*any", Rule: "tools.help"}},
		{"stranger", policy.Tool, "help", policy.Verdict{Permission: "*any", Rule: "tools.help"}},
		{"admin ", policy.Tool, "create_user", policy.Verdict{Permission: "*", Rule: "tools.create_*"}},
		{"Admin", policy.Tool, "create_user", policy.Verdict{Permission: "*", Rule: "tools.create_*"}},
		{"analyst", policy.Prompt, "triage", policy.Verdict{Allowed: true, Permission: "create_incidents", Rule: "prompts.triage"}},
		{"admin", policy.Prompt, "list_incidents", policy.Verdict{Rule: "default"}},
		{"viewer", policy.Resource, "kb://articles/1/raw", policy.Verdict{Allowed: true, Permission: "read", Rule: "resources.kb://articles/*"}},
		{"admin", policy.Kind(7), "help", policy.Verdict{Rule: "name"}},
	} {
		got := p.Decide(user(strings.Split(c.roles, ",")...), &policy.Action{Kind: c.kind, Name: c.name})
		if got != c.want {
			t.Errorf("%s %v %s: got %+v, want %+v", c.roles, c.kind, c.name, got, c.want)
		}
	}
	if v := p.Decide(nil, call("help", "")); v.Allowed {
		t.Error("nobody is allowed what needs a role")
	}
}

func TestDefaultAllow(t *testing.T) {
	s := knowledgeBase()
	s.Default = "allow"
	p := compile(t, s)
	if v := p.Decide(nil, call("anything", "")); !v.Allowed || v.Rule != policy.RuleDefault {
		t.Errorf("a name without a row: %+v", v)
	}
	if v := p.Decide(user("viewer"), call("create_incident", "")); v.Allowed {
		t.Errorf("a row has the last word: %+v", v)
	}
}

// TestOddNames: names are what their bytes say, and nothing that cannot be seen is a name.
func TestOddNames(t *testing.T) {
	s := knowledgeBase()
	s.Tools["caf\u00e9"] = "read"
	p := compile(t, s)
	for name, want := range map[string]string{
		"caf\u00e9":                            "tools.caf\u00e9",
		"cafe\u0301":                           "default", // NFD
		"creat\u0435_incident":                 "default", // Cyrillic
		"Create_incident":                      "default",
		"create_incident ":                     "tools.create_*",
		"create\u200b_incident":                "name",
		"create_incident\u200d":                "name",
		"\ufeffcreate_incident":                "name",
		"list_\u202egnp":                       "name",
		"list_\u2028":                          "name",
		"list_\x00":                            "name",
		"list_\n":                              "name",
		"list_\x7f":                            "name",
		"list_\u0085":                          "name",
		"list_\xff":                            "name",
		"list_\ufffd":                          "tools.list_*",
		"":                                     "name",
		"list_" + strings.Repeat("x", 1<<20):   "name",
		"list_" + strings.Repeat("\u00e9", 99): "tools.list_*",
	} {
		v := p.Decide(user("viewer"), call(name, ""))
		if v.Rule != want {
			t.Errorf("%.40q: rule %s, want %s", name, v.Rule, want)
		}
		if v.Allowed && (want == "name" || want == "default") {
			t.Errorf("%.40q is allowed", name)
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, fallback := range []string{"deny", "allow"} {
		s := knowledgeBase()
		s.Default = fallback
		p := compile(t, s)
		for uri, want := range map[string]string{
			"kb://articles/a.b/..c":                              "resources.kb://articles/*",
			"kb://articles/a%20b%C3%A9":                          "resources.kb://articles/*",
			"kb://articles/?q=../x":                              "resources.kb://articles/*",
			"kb://articles/../index":                             "resources.kb://articles/../index", // a row has exactly this
			"kb://articles/../secret":                            "uri",
			"kb://articles/./x":                                  "uri",
			"kb://articles/..":                                   "uri",
			"kb://articles/..?x":                                 "uri",
			"kb://articles/?/../../secret":                       "uri",
			"kb://articles/#/../../secret":                       "uri",
			"kb://articles/?a%2F..%2f%2E%2e%2Fsecret":            "uri",
			"kb://articles/?u=https%3A%2F%2Fexample.com%2Fa%25b": "resources.kb://articles/*",
			"kb://articles/%2e%2e/secret":                        "uri",
			"kb://articles/..%2Fsecret":                          "uri",
			"kb://articles/%5c..":                                "uri",
			"kb://articles/%252e":                                "uri",
			"kb://articles/x\\..\\..\\y":                         "uri",
			"kb://articles/%61":                                  "uri",
			"kb://articles/%zz":                                  "uri",
			"kb://articles/100%":                                 "uri",
			"KB://articles/x":                                    "uri",
			"../articles":                                        "uri",
		} {
			v := p.Decide(user("viewer"), &policy.Action{Kind: policy.Resource, Name: uri})
			if v.Rule != want || v.Allowed != strings.HasPrefix(want, "resources.") {
				t.Errorf("%s: %+v, want rule %s", uri, v, want)
			}
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	good := map[string][]string{"viewer": {"read", "write"}}
	for name, c := range map[string]struct {
		source policy.Source
		want   string
	}{
		"unknown permission": {policy.Source{Roles: good, Tools: map[string]string{"x": "raed"}}, `tools.x: no role gives the permission "raed" (did you mean "read"?)`},
		"empty permission":   {policy.Source{Roles: good, Tools: map[string]string{"x": ""}}, `tools.x: needs a permission`},
		"no roles":           {policy.Source{Tools: map[string]string{"x": "read"}}, `no role gives the permission "read"`},
		"default":            {policy.Source{Default: "maybe"}, `default: is "deny" or "allow"`},
		"star in permission": {policy.Source{Roles: map[string][]string{"a": {"read*"}}}, `roles.a: "read*" is not the name of a permission`},
		"any in role":        {policy.Source{Roles: map[string][]string{"a": {"*any"}}}, `roles.a: "*any" is not the name`},
		"star in role":       {policy.Source{Roles: map[string][]string{"*": {"read"}}}, `roles.*: not the name of a role`},
		"control in row":     {policy.Source{Roles: good, Tools: map[string]string{"x\n": "read"}}, `tools."x\n": no name like this`},
		"zero width in row":  {policy.Source{Roles: good, Tools: map[string]string{"x\u200b": "read"}}, `no name like this`},
		"empty row":          {policy.Source{Roles: good, Tools: map[string]string{"": "read"}}, `no name like this`},
		"two stars":          {policy.Source{Roles: good, Tools: map[string]string{"x**": "read"}}, `tools.x**: one * stands for any run`},
		"tie":                {policy.Source{Roles: good, Tools: map[string]string{"a*": "read", "*b": "write"}}, `can match the same name as "*b"`},
		"tie in the middle":  {policy.Source{Roles: good, Resources: map[string]string{"a*xyc": "read", "a*x*yc": "write"}}, `can match the same name`},
	} {
		_, err := policy.Compile(c.source)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
		var p *policy.Problem
		if !errors.As(err, &p) || len(p.Keys) == 0 {
			t.Errorf("%s: %#v is no problem with a place", name, err)
		}
	}
	many := policy.Source{Roles: good, Tools: map[string]string{}}
	for i := range 500 {
		many.Tools[fmt.Sprint("tool", i)] = "nope"
	}
	if _, err := policy.Compile(many); strings.Count(err.Error(), "\n") > 25 || !strings.Contains(err.Error(), "and 480 more") {
		t.Errorf("500 mistakes are told as %.200v", err)
	}
}

func TestTiesThatAreNone(t *testing.T) {
	compile(t, policy.Source{
		Roles: map[string][]string{"a": {"read", "write"}},
		Tools: map[string]string{"get_*": "read", "set_*": "write", "a*": "read", "*a": "read", "x*yz": "read", "x*zz": "write"},
	})
}

func TestPrecedence(t *testing.T) {
	p := compile(t, policy.Source{
		Roles: map[string][]string{"a": {"one", "two", "three", "four"}},
		Tools: map[string]string{"*": "one", "get_*": "two", "get_*_secret": "three", "get_my_secret": "four"},
	})
	for name, want := range map[string]string{"x": "one", "get_x": "two", "get_x_secret": "three", "get_my_secret": "four", "get__secret": "three", "get_secret": "two"} {
		if v := p.Decide(user("a"), call(name, "")); v.Permission != want {
			t.Errorf("%s asks for %s by %s, want %s", name, v.Permission, v.Rule, want)
		}
	}
}

func TestWarnings(t *testing.T) {
	s := knowledgeBase()
	s.Roles["viewer"] = append(s.Roles["viewer"], "comment", "read")
	p := compile(t, s)
	got := fmt.Sprint(p.Warnings(policy.Names{Tools: []string{"create_incident", "list_x", "get_secret", "helpp"}}))
	for _, want := range []string{
		`roles.viewer: gives "comment", which no row asks for`,
		`roles.viewer: gives "read" twice`,
		`tools.create_*: decides about nothing`,
		`tools.get_*: decides about nothing`,
		`tools.help: the server has none of this name; did you mean "helpp"?`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no warning %q in %s", want, got)
		}
	}
	for _, silent := range []string{"tools.list_*", "prompts"} {
		if strings.Contains(got, silent) {
			t.Errorf("a warning about %s in %s", silent, got)
		}
	}
	if w := compile(t, policy.Source{}).Warnings(policy.Names{}); len(w) != 1 || !strings.Contains(w[0].Msg, "nothing is allowed") {
		t.Errorf("an empty policy: %v", w)
	}
	if w := compile(t, policy.Source{Default: "allow", Cedar: "permit(principal,action,resource);"}).Warnings(policy.Names{}); len(w) != 2 {
		t.Errorf("a policy that allows all: %v", w)
	}
}

// TestManyGroups: a user with ten thousand roles is slow by thousands of look-ups and no more.
func TestManyGroups(t *testing.T) {
	p := compile(t, knowledgeBase())
	u := user()
	for i := range 10_000 {
		u.Roles = append(u.Roles, fmt.Sprint("group", i))
	}
	if p.Decide(u, call("list_x", "")).Allowed {
		t.Error("groups that the policy does not know give something")
	}
	u.Roles = append(u.Roles, "viewer")
	if !p.Decide(u, call("list_x", "")).Allowed {
		t.Error("the last role gives nothing")
	}
}

var monday = time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC)
