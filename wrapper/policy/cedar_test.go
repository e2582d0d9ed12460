package policy_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"mcp-valet/wrapper/policy"
)

func withCedar(text string) policy.Source {
	s := knowledgeBase()
	s.Cedar, s.CedarFile = text, "kb.cedar"
	return s
}

func TestConditions(t *testing.T) {
	yes := true
	for name, c := range map[string]struct {
		cedar  string
		user   *policy.User
		action *policy.Action
		want   policy.Verdict
	}{
		"a forbid takes away": {
			`@id("no-critical") forbid(principal, action == Action::"tools/call", resource == Tool::"create_incident") when { context.arguments.severity == "critical" };`,
			user("analyst"), call("create_incident", `{"severity":"critical"}`),
			policy.Verdict{Permission: "create_incidents", Rule: "cedar:no-critical"},
		},
		"a forbid that does not hold": {
			`forbid(principal, action, resource == Tool::"create_incident") when { context.arguments.severity == "critical" };`,
			user("analyst"), call("create_incident", `{"severity":"low"}`),
			policy.Verdict{Allowed: true, Permission: "create_incidents", Rule: "tools.create_incident"},
		},
		"a forbid about another tool is not asked": {
			`forbid(principal, action, resource == Tool::"create_incident") when { context.arguments.severity == "critical" };`,
			user("viewer"), call("list_x", `not JSON`),
			policy.Verdict{Allowed: true, Permission: "read", Rule: "tools.list_*"},
		},
		"a permit does not go over a row": {
			`permit(principal, action, resource);`,
			user("viewer"), call("create_incident", ``),
			policy.Verdict{Permission: "create_incidents", Rule: "tools.create_incident"},
		},
		"a permit grants what no row names": {
			`permit(principal in Role::"viewer", action, resource == Tool::"ping");`,
			user("viewer"), call("ping", ``),
			policy.Verdict{Allowed: true, Rule: "cedar:policy0"},
		},
		"not to another role": {
			`permit(principal in Role::"viewer", action, resource == Tool::"ping");`,
			user("guest"), call("ping", ``),
			policy.Verdict{Rule: "default"},
		},
		"a forbid goes before a permit": {
			`permit(principal, action, resource); forbid(principal, action, resource) when { context.name like "p*" };`,
			user("viewer"), call("ping", ``),
			policy.Verdict{Rule: "cedar:policy1"},
		},
		"an error denies": {
			`forbid(principal, action, resource) when { context.arguments.severity == "critical" };`,
			user("viewer"), call("list_x", `{}`),
			policy.Verdict{Permission: "read", Rule: "cedar:policy0", Err: "reads severity, which is not there"},
		},
		"an error denies also where a permit holds": {
			`permit(principal, action, resource); permit(principal, action, resource) when { context.owner == "x" };`,
			user("viewer"), call("ping", `{}`),
			policy.Verdict{Rule: "cedar:policy1", Err: "reads owner, which is not there"},
		},
		"a comparison of a text with a number": {
			`forbid(principal, action, resource) when { context.arguments.amount > 100 };`,
			user("viewer"), call("list_x", `{"amount":"12"}`),
			policy.Verdict{Permission: "read", Rule: "cedar:policy0", Err: "compares or uses a value of another type than it expects"},
		},
		"an overflow": {
			`forbid(principal, action, resource) when { context.arguments.amount * 2 > 100 };`,
			user("viewer"), call("list_x", `{"amount":9223372036854775807}`),
			policy.Verdict{Permission: "read", Rule: "cedar:policy0", Err: "computes a number that is too large"},
		},
		"an address that is none": {
			`forbid(principal, action, resource) unless { ip(context.arguments.host).isLoopback() };`,
			user("viewer"), call("list_x", `{"host":"my secret"}`),
			policy.Verdict{Permission: "read", Rule: "cedar:policy0", Err: "takes a text for a decimal, address, date or duration that is none"},
		},
		"the tenant": {
			`forbid(principal, action, resource) unless { context.tenant == "acme" && context.account == "work" && context.subject == "ada" && context.kind == "account" };`,
			user("viewer"), call("list_x", ``),
			policy.Verdict{Allowed: true, Permission: "read", Rule: "tools.list_*"},
		},
		"no tenant": {
			`forbid(principal, action, resource) unless { context.tenant == "acme" };`,
			&policy.User{Roles: []string{"viewer"}}, call("list_x", ``),
			policy.Verdict{Permission: "read", Rule: "cedar:policy0", Err: "reads tenant, which is not there"},
		},
		"time": {
			`forbid(principal, action, resource) unless { context.time.weekday == 1 && context.time.hour == 9 && context.time.minute == 30 && context.time.epoch == 1772443800 };`,
			user("viewer"), &policy.Action{Method: "tools/call", Name: "list_x", Time: monday},
			policy.Verdict{Allowed: true, Permission: "read", Rule: "tools.list_*"},
		},
		"no time": {
			`forbid(principal, action, resource) unless { context.time.hour < 18 };`,
			user("viewer"), call("list_x", ``),
			policy.Verdict{Permission: "read", Rule: "cedar:policy0", Err: "reads time, which is not there"},
		},
		"hints that the server does not give": {
			`forbid(principal, action, resource) unless { context.destructive && context.openWorld && !context.readOnly && !context.idempotent };`,
			user("viewer"), call("list_x", ``),
			policy.Verdict{Allowed: true, Permission: "read", Rule: "tools.list_*"},
		},
		"hints that it gives": {
			`forbid(principal, action, resource) unless { context.readOnly };`,
			user("viewer"), &policy.Action{Method: "tools/call", Name: "list_x", ReadOnly: &yes},
			policy.Verdict{Allowed: true, Permission: "read", Rule: "tools.list_*"},
		},
		"the owner": {
			`permit(principal, action == Action::"resources/read", resource) when { context.owner == context.subject };`,
			user("guest"), &policy.Action{Kind: policy.Resource, Method: "resources/read", Name: "note://1", Owner: "ada"},
			policy.Verdict{Allowed: true, Rule: "cedar:policy0"},
		},
		"a user by name": {
			`forbid(principal == User::"ada", action, resource);`,
			user("viewer"), call("list_x", ``),
			policy.Verdict{Permission: "read", Rule: "cedar:policy0"},
		},
		"a role that the policy does not have gives nothing": {
			`permit(principal in Role::"viewer", action, resource);`,
			user("Viewer", "nobody"), call("ping", ``),
			policy.Verdict{Rule: "default"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := compile(t, withCedar(c.cedar))
			if got := p.Decide(c.user, c.action); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// TestArguments says how JSON becomes what a condition compares; each line is a condition that must hold.
func TestArguments(t *testing.T) {
	for _, c := range []struct{ arguments, condition, err string }{
		{`{"a":1}`, `context.arguments.a == 1`, ""},
		{`{"a":1e2}`, `context.arguments.a == 100`, ""},
		{`{"a":100.0}`, `context.arguments.a == 100`, ""},
		{`{"a":-0}`, `context.arguments.a == 0`, ""},
		{`{"a":-0.0e5}`, `context.arguments.a == 0`, ""},
		{`{"a":9223372036854775807}`, `context.arguments.a > 9223372036854775806`, ""},
		{`{"a":1.5}`, `context.arguments.a.greaterThan(decimal("1.4999"))`, ""},
		{`{"a":-1.25}`, `context.arguments.a == decimal("-1.25")`, ""},
		{`{"a":125e-2}`, `context.arguments.a == decimal("1.25")`, ""},
		{`{"a":0.0001}`, `context.arguments.a == decimal("0.0001")`, ""},
		{`{"a":1.00000}`, `context.arguments.a == 1`, ""},
		{`{"a":1.23456}`, `context.arguments.a == 1`, "too fine"},
		{`{"a":9223372036854775808}`, `context.arguments.a == 1`, "too large"},
		{`{"a":1e400}`, `context.arguments.a == 1`, "too large"},
		{`{"a":1e99999999999999999999}`, `context.arguments.a == 1`, "too large"},
		{`{"a":1.5}`, `context.arguments.a > 1`, "another type"},
		{`{"b":1.23456,"a":1}`, `context.arguments.a == 1`, ""}, // b is not read
		{`{"a":"\u0061\n"}`, `context.arguments.a == "a\n"`, ""},
		{`{"a":"e\u0301"}`, `context.arguments.a != "é"`, ""},
		{`{"a":"\ud800"}`, `context.arguments.a != "x"`, "not an object that every program reads alike"},
		{`{"a":null}`, `!(context.arguments has a)`, ""},
		{`{"a":[1,1,2]}`, `context.arguments.a == [2,1]`, ""},
		{`{"a":[1,null]}`, `context.arguments.a == [2,1]`, "null"},
		{`{"a":{"b":{"c":true}}}`, `context.arguments.a.b.c`, ""},
		{`{"a":{"b":{"c":true}}}`, `context.arguments.a has b.c`, ""},
		{`{"a":1,"b":2}`, `context.arguments == {"a": 1, "b": 2}`, ""},
		{`{"A":1}`, `!(context.arguments has a)`, "case"},
		{`{"a":1,"A":2}`, `context.arguments.a == 1`, "case"},
		{`{"a":{"B":2}}`, `context.arguments.a has b`, "case"},
		{`{"\u017fize":1}`, `!(context.arguments has size)`, "case"}, // long s folds to s
		{`{"a":1,"a":2}`, `context.arguments.a == 1`, "the same"},
		{`{"x":1,"x":2}`, `!(context.arguments has a)`, "the same"},
		{``, `!(context.arguments has a)`, ""},
		{`null`, `!(context.arguments has a)`, ""},
		{`[]`, `!(context.arguments has a)`, "not an object"},
		{`{"a":1} x`, `context.arguments.a == 1`, "not an object"},
		{`{"a":01}`, `context.arguments.a == 1`, "not an object"},
		{`{"b":[1,],"a":1}`, `context.arguments.a == 1`, "not an object"},
		{`{"b":{"c"},"a":1}`, `context.arguments.a == 1`, "not an object"},
		{"{\"a\":\"\xff\"}", `context.arguments.a == 1`, "not an object"},
		{`{"a":[` + strings.Repeat("0,", 30_000) + `0]}`, `context.arguments.a == [0]`, "too many"},
		{`{"b":[` + strings.Repeat("0,", 30_000) + `0],"a":1}`, `context.arguments.a == 1`, ""},
		{`{"a":` + strings.Repeat("[", 600) + strings.Repeat("]", 600) + `}`, `context.arguments has a`, "not an object"},
	} {
		p := compile(t, withCedar(`forbid(principal, action, resource) unless { `+c.condition+` };`))
		v := p.Decide(user("viewer"), call("list_x", c.arguments))
		switch {
		case c.err == "" && (!v.Allowed || v.Err != ""):
			t.Errorf("%.60s does not hold for %.60s: %+v", c.condition, c.arguments, v)
		case c.err != "" && (v.Allowed || !strings.Contains(v.Err, c.err)):
			t.Errorf("%.60s for %.60s: %+v, want the error %q", c.condition, c.arguments, v, c.err)
		}
	}
}

// TestNoValues: what a condition failed over does not say what the call held.
func TestNoValues(t *testing.T) {
	for _, condition := range []string{
		`context.arguments.a + 1 > 0`, `ip(context.arguments.a).isIpv4()`, `decimal(context.arguments.a).lessThan(decimal("1.0"))`,
		`datetime(context.arguments.a) < datetime("2026-01-01")`, `duration(context.arguments.a) < duration("1h")`, `context.arguments.a.b`,
	} {
		p := compile(t, withCedar(`forbid(principal, action, resource) when { `+condition+` };`))
		for _, a := range []string{`{"a":"s3cret"}`, `{"a":9223372036854775807}`, `{"a":{"s3cret":9223372036854775807}}`} {
			v := p.Decide(user("viewer"), call("list_x", a))
			if v.Err == "" || strings.Contains(v.Err, "s3cret") || strings.Contains(v.Err, "922") {
				t.Errorf("%s for %s: %q", condition, a, v.Err)
			}
		}
	}
}

func TestConditionsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"\n\nforbid(principal, action, resource":                                                      "kb.cedar:3: not Cedar, at column",
		"forbid(principal, action, resource)\nwhen { context.arguments.x = 1 };":                      "kb.cedar:2: not Cedar",
		"\nforbid(principal in Role::\"vewer\", action, resource);":                                   `kb.cedar:2: the policy has no role "vewer" (did you mean "viewer"?)`,
		`forbid(principal, action, resource) when { principal in Role::"x" };`:                        `has no role "x"`,
		`forbid(principal in Group::"x", action, resource);`:                                          `the principal is never Group::"x"`,
		`forbid(principal is Role, action, resource);`:                                                `the principal is never a Role`,
		`forbid(principal == Role::"viewer", action, resource);`:                                      `the principal is never Role::"viewer"`,
		`forbid(principal, action == Action::"tool/call", resource);`:                                 `Action::"tool/call": the actions are`,
		`forbid(principal, action in [Action::"tools/call", Action::"x"], resource);`:                 `Action::"x": the actions are`,
		`forbid(principal, action, resource == Role::"viewer");`:                                      `the resource is never`,
		`forbid(principal, action, resource == Tool::"a\u{200b}");`:                                   `no name is like this`,
		`forbid(principal, action, resource) when { principal.tenant == "x" };`:                       `all that is known of a call is in context`,
		`forbid(principal, action, resource) when { resource has owner };`:                            `entities have no attributes`,
		`forbid(principal, action, resource) when { context.argument.x == 1 };`:                       `context has no attribute "argument" (did you mean "arguments"?)`,
		`forbid(principal, action, resource) when { context has tenat };`:                             `(did you mean "tenant"?)`,
		`forbid(principal, action, resource) when { context.time.hours > 1 };`:                        `context.time has no attribute "hours"`,
		`forbid(principal, action, resource) when { context.tenant.id == 1 };`:                        `context.tenant has no attributes`,
		`forbid(principal, action, resource) when { context == {} };`:                                 `the context is read by attribute`,
		`forbid(principal, action, resource) when { principal.hasTag("x") };`:                         `no tags`,
		`forbid(principal, action, resource) when { resource is Folder };`:                            `no entities of the type Folder`,
		`forbid(principal, action, resource) when { resource == Folder::"x" };`:                       `the entities are`,
		`forbid(principal, action, resource) when { context.owner.nope() };`:                          `not Cedar`,
		`@id("a") forbid(principal, action, resource); @id("a") permit(principal, action, resource);`: `the @id "a" is there already`,
		strings.Repeat("(", 200_000):                                                                  "levels of brackets",
		"//" + strings.Repeat("x", 300<<10):                                                           "KiB of conditions",
	} {
		_, err := policy.Compile(withCedar(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: got %v, want %s", text, err, want)
			continue
		}
		var p *policy.Problem
		if !errors.As(err, &p) || p.Line == 0 {
			t.Errorf("%.80s: %v has no line", text, err)
		}
	}
}

func TestConditionsWarn(t *testing.T) {
	p := compile(t, withCedar("\n"+`permit(principal, action, resource == Tool::"list_x");`))
	w := p.Warnings(policy.Names{})
	if len(w) != 1 || w[0].Line != 2 || !strings.Contains(w[0].Msg, "tools.list_*") {
		t.Errorf("a permit for what a row names: %v", w)
	}
}

func TestNeeds(t *testing.T) {
	for text, want := range map[string][3]bool{
		"":             {},
		"// nothing\n": {},
		`forbid(principal, action, resource) when { context.time.hour > 20 };`:            {true, false, false},
		`forbid(principal, action, resource) when { context.arguments has x };`:           {true, true, false},
		`forbid(principal, action, resource) when { context has arguments };`:             {true, true, false},
		`forbid(principal, action, resource) unless { context.readOnly };`:                {true, false, true},
		`permit(principal, action, resource) when { {a: context.arguments.x.y}.a == 1 };`: {true, true, false},
	} {
		p := compile(t, withCedar(text))
		if got := [3]bool{p.HasConditions(), p.NeedsArguments(), p.NeedsHints()}; got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

// TestConcurrent is for the race detector.
func TestConcurrent(t *testing.T) {
	p := compile(t, withCedar(`forbid(principal in Role::"viewer", action, resource) when { context.arguments.a == 1 && context.time.hour > 3 };`))
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 200 {
				a := call("list_x", `{"a":2}`)
				a.Time = time.Unix(0, 0)
				if v := p.Decide(user("viewer", "guest"), a); !v.Allowed {
					t.Errorf("%+v", v)
				}
			}
		})
	}
	wait.Wait()
}
