package policy_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"mcp-valet/wrapper/policy"
)

// FuzzCompile: whatever a policy says, compiling and asking it ends, twice alike, and never lets in somebody without
// roles where nothing says so.
func FuzzCompile(f *testing.F) {
	f.Add("viewer", "read", "list_*", "read", `forbid(principal in Role::"viewer", action, resource) when { context.arguments.a > 1 };`, "list_x", `{"a":2}`)
	f.Add("viewer", "*", "a*b*", "*any", `permit(principal, action, resource) unless { context.time.hour > 1 };`, "axb", `{"a":[1.5,{"b":null}]}`)
	f.Add("", "*any", "**", "", `@id("x") forbid(principal is User, action in [Action::"tools/call"], resource) when { if context has owner then true else context.tenant like "a*" };`, "\u200b", `[`)
	f.Fuzz(func(t *testing.T, role, gives, row, asks, cedar, tool, arguments string) {
		s := policy.Source{Roles: map[string][]string{role: {gives}, "r": {"read"}}, Tools: map[string]string{row: asks, "x*": "read"}, Cedar: cedar}
		p, err := policy.Compile(s)
		again, errAgain := policy.Compile(s)
		if (err == nil) != (errAgain == nil) || err != nil && err.Error() != errAgain.Error() {
			t.Fatalf("compiled twice: %v, %v", err, errAgain)
		}
		if err != nil {
			return
		}
		for _, u := range []*policy.User{nil, user(role), user("r")} {
			v := p.Decide(u, call(tool, arguments))
			if w := again.Decide(u, call(tool, arguments)); v != w {
				t.Fatalf("decided twice: %+v, %+v", v, w)
			}
			if v.Allowed && v.Err != "" {
				t.Fatalf("allowed in spite of an error: %+v", v)
			}
			if v.Allowed && u == nil && !strings.HasPrefix(v.Rule, "cedar:") {
				t.Fatalf("somebody without roles is allowed: %+v", v)
			}
		}
	})
}

// FuzzGlob compares globs with the plainest way to match them, and the check for ties with names.
func FuzzGlob(f *testing.F) {
	f.Add("a*b", "*ab", "aab")
	f.Add("*", "get_*_x*", "get__x")
	f.Add("a*a", "a", "a")
	f.Fuzz(func(t *testing.T, g, h, name string) {
		if len(g)+len(h)+len(name) > 200 {
			return
		}
		if got, want := policy.Matches(g, name), plainly(g, name); got != want {
			t.Errorf("%q matches %q: %v, want %v", g, name, got, want)
		}
		if policy.Matches(g, name) && policy.Matches(h, name) && !policy.Overlap(g, h) {
			t.Errorf("%q and %q both match %q and are said not to overlap", g, h, name)
		}
		if policy.Overlap(g, h) != policy.Overlap(h, g) {
			t.Errorf("whether %q and %q overlap depends on the order", g, h)
		}
		if !strings.Contains(h, "*") && policy.Overlap(g, h) != policy.Matches(g, h) {
			t.Errorf("%q and the plain name %q", g, h)
		}
	})
}

func plainly(glob, name string) bool {
	can := make([]bool, len(name)+1)
	can[0] = true
	for i := range len(glob) {
		next := make([]bool, len(name)+1)
		for j := range can {
			if glob[i] == '*' {
				next[j] = can[j] || j > 0 && next[j-1]
			} else {
				next[j] = j > 0 && can[j-1] && name[j-1] == glob[i]
			}
		}
		can = next
	}
	return can[len(name)]
}

// FuzzLists: what comes out is JSON where the list was taken, with some of its items, as they were.
func FuzzLists(f *testing.F) {
	f.Add(`{"tools":[{"name":"help"},{"name":"create_x","annotations":{"readOnlyHint":true}} , {"name":"list_x"}],"n":1}`)
	f.Add(`{"tools":[ ]}`)
	p := compile(f, knowledgeBase())
	f.Fuzz(func(t *testing.T, list string) {
		before := strings.Clone(list)
		got, err := p.Lists(user("viewer"), "kb", policy.Tool, []byte(list))
		if list != before {
			t.Fatal("the list was changed in place")
		}
		if err != nil {
			return
		}
		if !json.Valid([]byte(list)) || !json.Valid(got) {
			t.Fatalf("not JSON: %q became %q", list, got)
		}
		all, some := toolsOf(t, []byte(list)), toolsOf(t, got)
		for _, item := range some {
			for len(all) > 0 && !bytes.Equal(all[0], item) {
				all = all[1:]
			}
			if len(all) == 0 {
				t.Fatalf("%s is not one of the items in their order", item)
			}
			all = all[1:]
		}
		again, err := p.Lists(user("viewer"), "kb", policy.Tool, got)
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Fatalf("filtered again: %q, %v", again, err)
		}
	})
}

func toolsOf(t *testing.T, list []byte) []json.RawMessage {
	var r map[string]json.RawMessage
	var items []json.RawMessage
	if err := json.Unmarshal(list, &r); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(r["tools"], &items); err != nil {
		t.Fatal(err)
	}
	return items
}

// FuzzArguments: arguments that conditions read are JSON, or an error.
func FuzzArguments(f *testing.F) {
	f.Add(`{"a":[1,2.5,"x",{"b":null}],"c":-0.0e1}`)
	p := compile(f, withCedar(`forbid(principal, action, resource) when { context.arguments == {"a": 1} };`))
	f.Fuzz(func(t *testing.T, arguments string) {
		v := p.Decide(user("viewer"), call("list_x", arguments))
		if v.Allowed && arguments != "" && !json.Valid([]byte(arguments)) {
			t.Fatalf("allowed with what is no JSON: %q", arguments)
		}
	})
}
