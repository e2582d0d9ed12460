package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Policy says who may call what of a server. What its rows and conditions mean is for package policy to judge.
type Policy struct {
	Roles     map[string][]string // role to permissions
	Tools     map[string]string   // name or glob to permission
	Prompts   map[string]string
	Resources map[string]string
	Default   string // "", "deny" or "allow"

	// Conditions, in Cedar: in a file (absolute once parsed), or written out. Not both.

	File       string
	Conditions []string
}

// policy reads the "policy" of a server.
func (r *reader) policy(n node) *Policy {
	p := &Policy{}
	has := r.members(n, fields{
		"roles":          func(n node) { p.Roles = r.permissions(n) },
		"tools":          func(n node) { p.Tools = r.rows(n) },
		"prompts":        func(n node) { p.Prompts = r.rows(n) },
		"resources":      func(n node) { p.Resources = r.rows(n) },
		"default":        func(n node) { p.Default = r.oneOf(n, map[string]string{"deny": "", "allow": ""}) },
		"conditions":     func(n node) { p.Conditions = r.list(n, r.condition) },
		"conditionsFile": r.into(&p.File),
	}, map[string]string{"cedar": `unknown key (Cedar stands in "conditions", or in the file that "conditionsFile" names)`})
	if has["conditions"] && has["conditionsFile"] {
		r.refuse(n, `has both "conditions" and "conditionsFile"; one of them says all`)
	}
	return p
}

// permissions reads the roles and what each gives.
func (r *reader) permissions(n node) map[string][]string {
	roles := map[string][]string{}
	r.entries(n, false, func(name string, _, value node) { roles[name] = r.list(value, r.text) })
	return roles
}

// rows reads one table.
func (r *reader) rows(n node) map[string]string {
	rows := map[string]string{}
	r.entries(n, false, func(name string, _, value node) { rows[name] = r.text(value) })
	return rows
}

// condition reads one piece of Cedar, which may have several lines.
func (r *reader) condition(n node) string {
	s := r.value(n)
	if kindOf(n.v) == '"' && strings.TrimSpace(s) == "" {
		r.refuse(n, "must not be empty")
	}
	return s
}

// Cedar gives the text of the conditions and what to call it in messages. A file is refused that another user of the
// machine could have written.
func (p *Policy) Cedar() (text, name string, err error) {
	if p.File == "" {
		return strings.Join(p.Conditions, "\n"), "conditions", nil
	}
	b, err := read(p.File)
	switch {
	case err != nil:
		return "", p.File, fmt.Errorf("conditions of a policy: %w", err)
	case len(b) > maxSize:
		return "", p.File, &Error{Path: p.File, Msg: fmt.Sprintf("the file is larger than %d MiB", maxSize>>20)}
	}
	return strings.TrimPrefix(string(b), byteOrderMark), p.File, nil
}

// Mistake is an Error about what stands at keys of a config file's text, with its line if it is there.
func Mistake(path string, text []byte, keys []string, msg string) *Error {
	at := (*place)(nil)
	for _, k := range keys {
		at = at.child(k)
	}
	e := &Error{Path: path, Key: at.String(), Msg: msg}
	doc, err := parseDocument(path, text)
	if err != nil {
		return e
	}
	if v := doc.find(keys...); v != nil {
		return doc.errorAt(v.StartOffset, e.Key, msg)
	}
	return e
}

func policyValue(p *Policy) any {
	v := object{
		{"roles", nil},
		{"tools", rowsValue(p.Tools)},
		{"prompts", rowsValue(p.Prompts)},
		{"resources", rowsValue(p.Resources)},
		{"default", textValue(p.Default)},
		{"conditions", listValue(p.Conditions)},
		{"conditionsFile", textValue(p.File)},
	}
	if p.Roles != nil {
		roles := exactly{}
		for _, name := range slices.Sorted(maps.Keys(p.Roles)) {
			list := p.Roles[name]
			if list == nil {
				list = []string{}
			}
			roles = append(roles, member{name, list})
		}
		v[0].value = roles
	}
	return v
}

func rowsValue(rows map[string]string) any {
	if rows == nil {
		return nil
	}
	return envValue(rows)
}
