package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"mcp-valet/internal/config"
	"mcp-valet/wrapper/policy"
)

// compilePolicy makes the policy of a server, or nil where its entry has none. What is wrong with it comes as
// [*config.Error], joined, with the lines of the config or of the file of conditions.
func compilePolicy(cfg *config.Config, name string) (*policy.Policy, error) {
	entry := cfg.Servers[name].Policy
	if entry == nil {
		return nil, nil
	}
	text, file, err := entry.Cedar()
	if errors.Is(err, os.ErrNotExist) {
		return nil, mistake(cfg, name, []string{"conditionsFile"}, fmt.Sprintf("there is no file %s", file))
	}
	if err != nil {
		return nil, err
	}
	p, err := policy.Compile(policy.Source{
		Roles: entry.Roles, Tools: entry.Tools, Prompts: entry.Prompts, Resources: entry.Resources,
		Default: entry.Default, Cedar: text, CedarFile: file,
	})
	if err != nil {
		return nil, placed(cfg, name, err)
	}
	return p, nil
}

// placed turns the problems of a policy into errors of the files that they stand in.
func placed(cfg *config.Config, name string, err error) error {
	var several interface{ Unwrap() []error }
	if !errors.As(err, &several) {
		return err
	}
	var out []error
	for _, one := range several.Unwrap() {
		var p *policy.Problem
		if errors.As(one, &p) {
			one = place(cfg, name, p)
		}
		out = append(out, one)
	}
	return errors.Join(out...)
}

// place says where in the files a problem of a server's policy stands.
func place(cfg *config.Config, name string, p *policy.Problem) *config.Error {
	entry := cfg.Servers[name].Policy
	switch {
	case p.Line == 0:
		return mistake(cfg, name, p.Keys, p.Msg)
	case entry.File != "":
		return &config.Error{Path: entry.File, Line: p.Line, Column: 1, Msg: p.Msg}
	}
	which, line := 0, p.Line
	for which < len(entry.Conditions)-1 && line > 1+strings.Count(entry.Conditions[which], "\n") {
		line -= 1 + strings.Count(entry.Conditions[which], "\n")
		which++
	}
	return mistake(cfg, name, []string{"conditions"}, fmt.Sprintf("condition %d, line %d: %s", which+1, line, p.Msg))
}

// mistake is an error about a place in the policy of a server's entry.
func mistake(cfg *config.Config, name string, keys []string, msg string) *config.Error {
	text, err := os.ReadFile(cfg.Path)
	if err != nil {
		text = nil // then without its line
	}
	return config.Mistake(cfg.Path, text, append([]string{"mcpServers", name, "policy"}, keys...), msg)
}

// offer is what a server offered in its last good run.
type offer struct {
	names policy.Names
	hints map[string]map[string]bool // of its tools
}

// offered reads what a server offered in its last good run, from the snapshot for the gate. All is nil where there is
// none: then nothing can be said about it.
func (a *app) offered(cfg *config.Config, name string) (o offer) {
	state, err := a.stateDir()
	if err != nil {
		return o
	}
	now, err := describeEntry(cfg, name)
	if err != nil {
		return o
	}
	b, err := os.ReadFile(snapshotPath(state, now))
	if err != nil {
		return o
	}
	var kept struct {
		Talks map[string]struct {
			Lists map[string]json.RawMessage `json:"lists"`
		} `json:"talks"`
	}
	if json.Unmarshal(b, &kept) != nil {
		return o
	}
	o.hints = map[string]map[string]bool{}
	for _, talk := range kept.Talks {
		for key, list := range talk.Lists {
			o.add(key, list)
		}
	}
	return o
}

// add takes up one page of a list.
func (o *offer) add(key string, list []byte) {
	var page struct {
		Tools []struct {
			Name        string         `json:"name"`
			Annotations map[string]any `json:"annotations"`
		} `json:"tools"`
		Prompts []struct {
			Name string `json:"name"`
		} `json:"prompts"`
		Resources []struct {
			URI string `json:"uri"`
		} `json:"resources"`
		Templates []struct {
			URI string `json:"uriTemplate"`
		} `json:"resourceTemplates"`
	}
	if json.Unmarshal(list, &page) != nil {
		return
	}
	add := func(to *[]string, name string) {
		if !slices.Contains(*to, name) {
			*to = append(*to, name)
		}
	}
	switch method, _, _ := strings.Cut(key, " "); method {
	case "tools/list":
		o.names.Tools = slices.Grow(o.names.Tools, 1)
		for _, t := range page.Tools {
			add(&o.names.Tools, t.Name)
			o.hints[t.Name] = map[string]bool{}
			for hint, value := range t.Annotations {
				if given, ok := value.(bool); ok {
					o.hints[t.Name][strings.TrimSuffix(hint, "Hint")] = given
				}
			}
		}
	case "prompts/list":
		o.names.Prompts = slices.Grow(o.names.Prompts, 1)
		for _, p := range page.Prompts {
			add(&o.names.Prompts, p.Name)
		}
	case "resources/list", "resources/templates/list":
		o.names.Resources = slices.Grow(o.names.Resources, 1)
		for _, r := range page.Resources {
			add(&o.names.Resources, r.URI)
		}
		for _, r := range page.Templates {
			add(&o.names.Resources, r.URI)
		}
	}
}

// sentence says a verdict and why, for a person.
func sentence(cfg *config.Config, server string, p *policy.Policy, u *policy.User, v policy.Verdict) string {
	word := "denied"
	if v.Allowed {
		word = "allowed"
	}
	line := p.Line(v.Rule)
	condition := ""
	if id, ok := strings.CutPrefix(v.Rule, policy.RuleCedar+":"); ok {
		condition = fmt.Sprintf("the condition %s (line %d of %s)", id, line, cmpOr(cfg.Servers[server].Policy.File, `"conditions"`))
	}
	switch {
	case v.Err != "" && condition != "":
		return fmt.Sprintf("%s: %s failed: it %s", word, condition, v.Err)
	case v.Err != "":
		return fmt.Sprintf("%s: the conditions cannot be asked: %s", word, v.Err)
	case condition != "" && v.Allowed:
		return fmt.Sprintf("%s: no row names it, and %s permits it", word, condition)
	case condition != "":
		return fmt.Sprintf("%s: %s forbids it", word, condition)
	case v.Rule == policy.RuleDefault:
		return word + `: no row names it, and so "default" decides`
	case v.Rule == policy.RuleName:
		return word + ": the name is empty, too long, not UTF-8, or has a character that cannot be seen"
	case v.Rule == policy.RuleURI:
		return word + ": a server may read this address as another than it says"
	}
	return fmt.Sprintf("%s: %s asks for %s, and %s", word, v.Rule, asked(v.Permission), givers(u, v.Allowed))
}

func asked(permission string) string {
	switch permission {
	case policy.Everything:
		return `all permissions ("*")`
	case policy.Anybody:
		return `any role ("*any")`
	}
	return fmt.Sprintf("the permission %q", permission)
}

func givers(u *policy.User, allowed bool) string {
	roles := strings.Join(u.Roles, ", ")
	switch {
	case len(u.Roles) == 0:
		return "there is no role that could give it"
	case len(u.Roles) == 1 && allowed:
		return "the role " + roles + " gives that"
	case len(u.Roles) == 1:
		return "the role " + roles + " does not give that"
	case allowed:
		return "one of the roles " + roles + " gives that"
	}
	return "none of the roles " + roles + " gives that"
}
