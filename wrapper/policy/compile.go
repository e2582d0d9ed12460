package policy

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	maxRows  = 10_000 // in one table
	maxRoles = 1_000
	maxTold  = 20 // problems that are told at once
)

// Compile makes a policy. It is strict: a role, permission, entity or attribute that is used and not defined is an error,
// as is text that does not parse. All errors are told at once, as [*Problem], joined; what is only odd comes from
// [Policy.Warnings].
func Compile(s Source) (*Policy, error) {
	c := &compiler{source: s, numbers: map[string]int{}, used: map[string]bool{}, policy: &Policy{roles: map[string]*grant{}}}
	c.roles()
	c.table(Tool, s.Tools)
	c.table(Prompt, s.Prompts)
	c.table(Resource, s.Resources)
	switch s.Default {
	case "", "deny":
	case "allow":
		c.policy.allow = true
		c.warn([]string{"default"}, `what no row names is allowed to everybody, also without a role`)
	default:
		c.refuse([]string{"default"}, `is "deny" or "allow"`)
	}
	c.oddities()
	c.cedar()
	if len(c.problems) > maxTold {
		c.problems = append(c.problems[:maxTold], &Problem{Where: "policy", Msg: fmt.Sprintf("and %d more", len(c.problems)-maxTold)})
	}
	if len(c.problems) > 0 {
		return nil, joined(c.problems)
	}
	return c.policy, nil
}

// compiler is the work of Compile.
type compiler struct {
	source   Source
	policy   *Policy
	numbers  map[string]int  // of each permission that a role gives by name
	used     map[string]bool // permissions that a row asks for
	problems []*Problem
}

func problem(keys []string, format string, args ...any) *Problem {
	return &Problem{Where: strings.Join(keys, "."), Keys: keys, Msg: fmt.Sprintf(format, args...)}
}

func (c *compiler) refuse(keys []string, format string, args ...any) {
	c.problems = append(c.problems, problem(shownKeys(keys), format, args...))
	c.problems[len(c.problems)-1].Keys = keys
}

func (c *compiler) warn(keys []string, format string, args ...any) {
	c.policy.warnings = append(c.policy.warnings, problem(keys, format, args...))
}

// shownKeys makes keys fit to be shown.
func shownKeys(keys []string) []string {
	out := slices.Clone(keys)
	for i, k := range out {
		if !fit(k) || len(k) > 200 {
			out[i] = fmt.Sprintf("%.200q", k)
		}
	}
	return out
}

func joined(problems []*Problem) error {
	errs := make([]error, len(problems))
	for i, p := range problems {
		errs[i] = p
	}
	return errors.Join(errs...)
}

func (c *compiler) roles() {
	if len(c.source.Roles) > maxRoles {
		c.refuse([]string{"roles"}, "more than %d roles", maxRoles)
		return
	}
	for _, role := range slices.Sorted(maps.Keys(c.source.Roles)) {
		keys := []string{"roles", role}
		if !fit(role) || strings.Contains(role, "*") {
			c.refuse(keys, "not the name of a role: no *, and nothing that cannot be seen")
		}
		g := &grant{}
		for _, permission := range c.source.Roles[role] {
			c.give(g, keys, permission)
		}
		c.policy.roles[role] = g
	}
}

// give adds a permission to what a role gives.
func (c *compiler) give(g *grant, keys []string, permission string) {
	switch {
	case permission == Everything:
		g.all = true
		return
	case !fit(permission) || strings.Contains(permission, "*"):
		c.refuse(keys, `%.100q is not the name of a permission: no * (but "*" alone, for all), and nothing that cannot be seen`, permission)
		return
	}
	number, known := c.numbers[permission]
	if !known {
		number = len(c.numbers)
		c.numbers[permission] = number
	}
	for len(g.set) <= number>>6 {
		g.set = append(g.set, 0)
	}
	g.set[number>>6] |= 1 << (number & 63)
}

func (c *compiler) table(k Kind, rows map[string]string) {
	t := &c.policy.tables[k]
	t.exact = map[string]*row{}
	if len(rows) > maxRows {
		c.refuse([]string{k.String()}, "more than %d rows", maxRows)
		return
	}
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		r := c.row(k, key, rows[key])
		if r == nil {
			continue
		}
		if strings.Contains(key, "*") {
			t.globs = append(t.globs, r)
		} else {
			t.exact[key] = r
		}
	}
	// Stable: rows of the same length stay in the order of their text.
	slices.SortStableFunc(t.globs, func(x, y *row) int { return cmp.Compare(y.glob.literal, x.glob.literal) })
	c.ties(k, t.globs)
}

func (c *compiler) row(k Kind, key, permission string) *row {
	keys := []string{k.String(), key}
	number, known := c.numbers[permission]
	switch {
	case !fit(key):
		c.refuse(keys, "no name like this is ever asked for: it is empty, too long, or has a character that cannot be seen")
		return nil
	case strings.Contains(key, "**"):
		c.refuse(keys, "one * stands for any run of characters already")
		return nil
	case permission == Everything:
		number = onlyAll
	case permission == Anybody:
		number = anybody
	case permission == "":
		c.refuse(keys, `needs a permission; %q lets everybody with a role`, Anybody)
		return nil
	case !known:
		c.refuse(keys, "no role gives the permission %.100q%s", permission, c.suggestion(permission))
		return nil
	}
	c.used[permission] = true
	return &row{rule: k.String() + "." + key, key: key, glob: newGlob(key), permission: permission, number: number}
}

func (c *compiler) suggestion(permission string) string {
	if near := nearest(permission, slices.Sorted(maps.Keys(c.numbers))); near != "" {
		return fmt.Sprintf(" (did you mean %q?)", near)
	}
	return fmt.Sprintf(` (%q is for roles that give everything)`, Everything)
}

const maxPairs = 200_000 // of globs to be compared

// ties refuses globs of which nobody could say which one counts.
func (c *compiler) ties(k Kind, globs []*row) {
	pairs := 0
	for i, r := range globs {
		for _, s := range globs[i+1:] {
			if s.glob.literal != r.glob.literal {
				break
			}
			if pairs++; pairs > maxPairs {
				c.refuse([]string{k.String()}, "too many globs of the same length")
				return
			}
			if s.number != r.number && mayOverlap(r.glob, s.glob) && overlap(r.glob, s.glob) {
				c.refuse([]string{k.String(), s.key}, "can match the same name as %q, is as long, and asks for another permission; name the exceptions in full", r.key)
			}
		}
	}
}

// mayOverlap is what can be told from the two ends.
func mayOverlap(g, h glob) bool {
	a, b := g.pieces[0], h.pieces[0]
	y, z := g.pieces[len(g.pieces)-1], h.pieces[len(h.pieces)-1]
	return (strings.HasPrefix(a, b) || strings.HasPrefix(b, a)) && (strings.HasSuffix(y, z) || strings.HasSuffix(z, y))
}

// nearest gives the known word that was most likely meant by word, or "".
func nearest(word string, known []string) string {
	const far = 3
	best, distance := "", far
	if len(word) > 64 {
		return ""
	}
	for _, k := range known[:min(len(known), 1000)] {
		if d := editDistance(word, k); d < distance && d*2 <= len(k) {
			best, distance = k, d
		}
	}
	return best
}

// editDistance counts the bytes to change, add or remove between two words; words of very different length are far.
func editDistance(x, y string) int {
	if len(y) > len(x)+3 || len(x) > len(y)+3 {
		return len(x) + len(y)
	}
	at := make([]int, len(y)+1)
	for j := range at {
		at[j] = j
	}
	for i := range len(x) {
		diagonal := at[0]
		at[0] = i + 1
		for j := range len(y) {
			change := diagonal
			if x[i] != y[j] {
				change++
			}
			diagonal, at[j+1] = at[j+1], min(change, at[j+1]+1, at[j]+1)
		}
	}
	return at[len(y)]
}
