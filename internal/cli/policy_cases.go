package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"mcp-valet/internal/config"
	"mcp-valet/wrapper/policy"
)

var policyTestCommand = command{
	name: "policy test", args: "FILE", min: 1, max: 1,
	short: "compare policies with a table of expected verdicts",
	long: `FILE is a list in JSON with comments, each case an object: "server", "roles", one of "tool", "prompt" and "resource",
and "want" ("allow" or "deny"); where conditions need them "args", "subject", "tenant", "account", "owner", "time" (now,
if it is not there), and the hints "readOnly", "destructive", "idempotent", "openWorld"; "why" is for people. Cases that
come out otherwise are printed, and the exit code is 1.`,
	example: `mcp-valet policy test cases.json

[
  { "server": "security-kb", "roles": ["viewer"], "tool": "create_incident", "want": "deny" },
  { "server": "security-kb", "roles": ["analyst"], "tool": "create_incident", "args": { "severity": "low" }, "want": "allow" },
]`,
	flags: func(a *app, _ *pflag.FlagSet) action {
		return func(_ context.Context, args []string) error { return a.policyTest(args[0]) }
	},
}

func (a *app) policyTest(file string) error {
	cfg, err := a.loadConfig(true)
	if err != nil {
		return err
	}
	cases, err := config.LoadCases(file)
	if err != nil {
		return &hinted{err, "the cases are described by mcp-valet policy test --help"}
	}
	failed := 0
	for _, c := range cases {
		e, err := tryCase(cfg, c, time.Now())
		if err != nil {
			return fmt.Errorf("%s:%d: %w", file, c.Line, err)
		}
		if e.Allowed != c.Allow {
			failed++
			fmt.Fprintf(a.stdout, "%s:%d: %s of %s is %s\n", file, c.Line, quotedName(e.Name), c.Server, e.Because)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %s came out otherwise", failed, count(len(cases), "case"))
	}
	fmt.Fprintf(a.stdout, "%s as expected\n", count(len(cases), "case"))
	return nil
}

// tryCase decides about one case.
func tryCase(cfg *config.Config, c config.Case, now time.Time) (*explanation, error) {
	if _, there := cfg.Servers[c.Server]; !there {
		return nil, unknownServer(cfg, c.Server)
	}
	if !c.Time.IsZero() {
		now = c.Time
	}
	act := &policy.Action{
		Server: c.Server, Kind: policy.Tool, Method: "tools/call", Name: c.Tool, Arguments: c.Args, Owner: c.Owner, Time: now,
		ReadOnly: c.ReadOnly, Destructive: c.Destructive, Idempotent: c.Idempotent, OpenWorld: c.OpenWorld,
	}
	switch {
	case c.Prompt != "":
		act.Kind, act.Method, act.Name = policy.Prompt, "prompts/get", c.Prompt
	case c.Resource != "":
		act.Kind, act.Method, act.Name = policy.Resource, "resources/read", c.Resource
	}
	u := &policy.User{Subject: c.Subject, Tenant: c.Tenant, Account: c.Account, Roles: c.Roles}
	return explain(cfg, c.Server, u, act)
}

func quotedName(s string) string { return fmt.Sprintf("%.100q", s) }
