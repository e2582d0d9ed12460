package policy

import (
	"maps"
	"slices"
)

// Names is what a server offers, as its lists say. A nil list is one that nobody knows.
type Names struct{ Tools, Prompts, Resources []string }

// Warnings tells what in the policy is odd and yet clear: permissions that no row asks for and, as far as the names of
// what the server offers are known, rows that match none of them.
func (p *Policy) Warnings(n Names) []*Problem {
	all := slices.Clone(p.warnings)
	for k, names := range [][]string{n.Tools, n.Prompts, n.Resources} {
		if names != nil {
			all = append(all, p.tables[k].idle(Kind(k), names)...)
		}
	}
	return all
}

// idle gives a warning for each row that no name reaches.
func (t *table) idle(k Kind, names []string) []*Problem {
	var all []*Problem
	for _, key := range slices.Sorted(maps.Keys(t.exact)) {
		if !slices.Contains(names, key) {
			near := nearest(key, names)
			if near != "" {
				all = append(all, problem([]string{k.String(), key}, "the server has none of this name; did you mean %q?", near))
				continue
			}
			all = append(all, problem([]string{k.String(), key}, "the server has none of this name"))
		}
	}
	for _, r := range t.globs {
		reached := func(name string) bool { return t.exact[name] == nil && t.glob(name) == r }
		switch {
		case slices.ContainsFunc(names, reached):
		case slices.ContainsFunc(names, r.glob.match):
			all = append(all, problem([]string{k.String(), r.key}, "decides about nothing: other rows go before it for all that it matches"))
		default:
			all = append(all, problem([]string{k.String(), r.key}, "matches nothing that the server has"))
		}
	}
	return all
}

// oddities notes what can be told without the server.
func (c *compiler) oddities() {
	for _, role := range slices.Sorted(maps.Keys(c.source.Roles)) {
		told := map[string]bool{}
		for _, permission := range c.source.Roles[role] {
			switch {
			case permission == Everything:
			case told[permission]:
				c.warn([]string{"roles", role}, "gives %q twice", permission)
			case !c.used[permission]:
				c.warn([]string{"roles", role}, "gives %q, which no row asks for", permission)
			}
			told[permission] = true
		}
	}
	if len(c.source.Tools)+len(c.source.Prompts)+len(c.source.Resources) == 0 && !c.policy.allow && c.source.Cedar == "" {
		c.warn([]string{"default"}, "nothing is allowed to anybody: no row names anything")
	}
}
