package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"mcp-valet/internal/config"
	"mcp-valet/wrapper/policy"
)

var policyExplainCommand = command{
	name: "policy explain", args: "--server S --tool T", max: 0,
	short: "say whether a call would be allowed, and which rule makes it so",
	long: `Conditions see what is given here: the arguments, the tenant and subject, the time (now, unless --time says
otherwise), and the hints of a tool that the server gave in its last good run, unless --hint says otherwise.`,
	example: `mcp-valet policy explain --server security-kb --as-role viewer --tool create_incident
mcp-valet policy explain --server security-kb --as-role analyst --tool create_incident --args '{"severity":"low"}'`,
	flags: func(a *app, fs *pflag.FlagSet) action {
		q := &question{}
		fs.StringVar(&q.server, "server", "", "the server's `NAME`")
		fs.StringArrayVar(&q.user.Roles, "as-role", nil, "a `ROLE` of who asks; more than once for several")
		fs.StringVar(&q.tool, "tool", "", "the `TOOL` that is called")
		fs.StringVar(&q.prompt, "prompt", "", "the `PROMPT` that is asked for")
		fs.StringVar(&q.resource, "resource", "", "the `URI` that is read")
		fs.StringVar(&q.args, "args", "", "the call's arguments, a `JSON` object")
		fs.StringVar(&q.user.Subject, "subject", "", "`WHO` asks, as the token names them")
		fs.StringVar(&q.user.Tenant, "tenant", "", "their `TENANT`")
		fs.StringVar(&q.owner, "owner", "", "`WHO` owns the resource")
		fs.StringVar(&q.time, "time", "", "when, such as `2026-03-02T09:30:00+01:00`")
		fs.StringArrayVar(&q.hints, "hint", nil, "a `HINT` of the server about the tool: readOnly, or readOnly=false; also destructive, idempotent, openWorld")
		asJSON := fs.Bool("json", false, "print JSON")
		return func(context.Context, []string) error { return a.policyExplain(q, *asJSON) }
	},
}

// question is what policy explain is asked, as it was typed.
type question struct {
	server, tool, prompt, resource, args, owner, time string
	hints                                             []string
	user                                              policy.User
}

// explanation is the answer.
type explanation struct {
	Server     string   `json:"server"`
	Roles      []string `json:"roles"`
	Kind       string   `json:"kind"` // "tools", "prompts" or "resources"
	Name       string   `json:"name"`
	Allowed    bool     `json:"allowed"`
	Listed     bool     `json:"listed"` // whether a list shows it
	Rule       string   `json:"rule,omitempty"`
	Permission string   `json:"permission,omitempty"`
	Error      string   `json:"error,omitempty"`
	Because    string   `json:"because"`
}

func (a *app) policyExplain(q *question, asJSON bool) error {
	act, err := q.action(time.Now())
	if err != nil {
		return err
	}
	cfg, err := a.loadConfig(true)
	if err != nil {
		return err
	}
	if _, there := cfg.Servers[q.server]; !there {
		return unknownServer(cfg, q.server)
	}
	known := a.offered(cfg, q.server).hints[act.Name]
	if act.Kind == policy.Tool {
		known = maps.Clone(known)
		if err := setHints(act, known, q.hints); err != nil {
			return err
		}
	}
	e, err := explain(cfg, q.server, &q.user, act)
	if err != nil {
		return err
	}
	if asJSON {
		enc := json.NewEncoder(a.stdout)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(e)
	}
	listed := "A list does not show it."
	if e.Listed {
		listed = "Lists show it."
	}
	fmt.Fprintf(a.stdout, "%s.\n%s\n", e.Because, listed)
	return nil
}

// explain decides as a launcher does, and says why.
func explain(cfg *config.Config, server string, u *policy.User, act *policy.Action) (*explanation, error) {
	e := &explanation{Server: server, Roles: u.Roles, Kind: act.Kind.String(), Name: act.Name, Allowed: true, Listed: true}
	if e.Roles == nil {
		e.Roles = []string{}
	}
	p, err := compilePolicy(cfg, server)
	switch {
	case err != nil:
		return nil, err
	case p == nil:
		e.Because = "allowed: the server has no policy"
		return e, nil
	}
	for _, role := range u.Roles {
		if !p.HasRole(role) {
			return nil, mistake(cfg, server, []string{"roles"}, fmt.Sprintf("there is no role %q (%s)", role, knownNames(role, sortedKeys(cfg.Servers[server].Policy.Roles))))
		}
	}
	v := p.Decide(u, act)
	e.Allowed, e.Rule, e.Permission, e.Error = v.Allowed, v.Rule, v.Permission, v.Err
	e.Listed = p.Visible(u, act)
	e.Because = sentence(cfg, server, p, u, v)
	return e, nil
}

// action is what a question is about.
func (q *question) action(now time.Time) (*policy.Action, error) {
	wrong := func(format string, args ...any) error {
		return &usageError{msg: fmt.Sprintf(format, args...), command: "policy explain"}
	}
	act := &policy.Action{Server: q.server, Owner: q.owner, Time: now}
	switch {
	case q.server == "":
		return nil, wrong("--server says whose policy is asked")
	case q.tool != "" && q.prompt == "" && q.resource == "":
		act.Kind, act.Method, act.Name = policy.Tool, "tools/call", q.tool
	case q.prompt != "" && q.tool == "" && q.resource == "":
		act.Kind, act.Method, act.Name = policy.Prompt, "prompts/get", q.prompt
	case q.resource != "" && q.tool == "" && q.prompt == "":
		act.Kind, act.Method, act.Name = policy.Resource, "resources/read", q.resource
	default:
		return nil, wrong("one of --tool, --prompt and --resource says what is asked for")
	}
	if q.args != "" {
		var object map[string]json.RawMessage
		if err := json.Unmarshal([]byte(q.args), &object); err != nil {
			return nil, wrong("--args is not a JSON object: %v", err)
		}
		act.Arguments = json.RawMessage(q.args)
	}
	if q.time != "" {
		at, err := time.Parse(time.RFC3339, q.time)
		if err != nil {
			return nil, wrong("--time is not a time such as 2026-03-02T09:30:00+01:00")
		}
		act.Time = at
	}
	return act, nil
}

// setHints gives a tool the hints that are known, and those that were typed.
func setHints(act *policy.Action, known map[string]bool, typed []string) error {
	fields := map[string]**bool{
		"readOnly": &act.ReadOnly, "destructive": &act.Destructive, "idempotent": &act.Idempotent, "openWorld": &act.OpenWorld,
	}
	for name, value := range known {
		if field := fields[name]; field != nil {
			*field = &value
		}
	}
	for _, hint := range typed {
		name, value, given := strings.Cut(hint, "=")
		field := fields[name]
		if field == nil || given && value != "true" && value != "false" {
			return &usageError{msg: fmt.Sprintf("%q is no hint: readOnly, destructive, idempotent or openWorld, and =true or =false", hint), command: "policy explain"}
		}
		yes := value != "false"
		*field = &yes
	}
	return nil
}
