package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"mcp-valet/wrapper/policy"
)

// large is a policy of 50 tools and 10 roles, and a user who has all but the one with all permissions.
func large(t testing.TB, conditions int) (*policy.Policy, *policy.User) {
	s := policy.Source{Roles: map[string][]string{"admin": {"*"}}, Tools: map[string]string{"report_*": "p0", "*_raw": "p1"}}
	u := user()
	for i := range 9 {
		role := fmt.Sprint("role", i)
		s.Roles[role] = []string{fmt.Sprint("p", i), fmt.Sprint("p", i+9)}
		u.Roles = append(u.Roles, role)
	}
	for i := range 48 {
		s.Tools[fmt.Sprint("tool_number_", i)] = fmt.Sprint("p", i%18)
	}
	for i := range conditions {
		s.Cedar += fmt.Sprintf(`forbid(principal in Role::"role%d", action == Action::"tools/call", resource)
  when { context.arguments has severity && context.arguments.severity == "critical%d" } unless { context.tenant == "acme%d" || context.time.hour < %d };`+"\n", i%9, i, i, i)
	}
	return compile(t, s), u
}

func TestNoAllocation(t *testing.T) {
	p, u := large(t, 0)
	for _, a := range []*policy.Action{call("tool_number_17", ""), call("report_x", ""), call("nothing", ""), call("caf\u00e9", ""), {Kind: policy.Resource, Name: "kb://a%20b"}} {
		if n := testing.AllocsPerRun(100, func() { p.Decide(u, a) }); n != 0 {
			t.Errorf("%s: %v allocations", a.Name, n)
		}
	}
	name := "tool_number_17"
	if n := testing.AllocsPerRun(100, func() {
		p.Decide(&policy.User{Roles: u.Roles}, &policy.Action{Name: name})
	}); n > 2 {
		t.Errorf("with user and action made for it: %v allocations", n)
	}
}

func BenchmarkDecide(b *testing.B) {
	for _, name := range []string{"tool_number_17", "report_x", "other_raw", "nothing"} {
		b.Run(name, func(b *testing.B) {
			p, u := large(b, 0)
			a := call(name, "")
			b.ReportAllocs()
			for b.Loop() {
				p.Decide(u, a)
			}
		})
	}
}

func BenchmarkConditions(b *testing.B) {
	for _, n := range []int{1, 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p, u := large(b, n)
			a := call("tool_number_17", `{"title":"The printer on floor 3 is on fire","severity":"low","tags":["a","b"],"count":3,"body":"`+strings.Repeat("text ", 50)+`"}`)
			a.Time = monday
			if v := p.Decide(u, a); !v.Allowed {
				b.Fatalf("%+v", v)
			}
			b.ReportAllocs()
			for b.Loop() {
				p.Decide(u, a)
			}
		})
	}
}

func BenchmarkLists(b *testing.B) {
	for _, conditions := range []int{0, 10} {
		b.Run(fmt.Sprint(conditions), func(b *testing.B) {
			p, u := large(b, conditions)
			item := `{"name":"%s_%d","description":"` + strings.Repeat("What this tool does, at some length. ", 8) + `","inputSchema":{"type":"object","properties":{"severity":{"type":"string","enum":["low","high"]},"title":{"type":"string"}},"required":["title"]}}`
			var items []string
			for i := range 500 {
				items = append(items, fmt.Sprintf(item, []string{"tool_number", "other"}[i%2], i/10))
			}
			list := []byte(`{"tools":[` + strings.Join(items, ",") + `]}`)
			b.SetBytes(int64(len(list)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Lists(u, "kb", policy.Tool, list); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		large(b, 10)
	}
}
