package config

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/tailscale/hujson"
)

// Case is one row of a table of expected verdicts: who asks for what, and whether it is to be allowed.
type Case struct {
	Line     int // in the file, from 1
	Server   string
	Roles    []string
	Subject  string
	Tenant   string
	Account  string
	Owner    string
	Tool     string // exactly one of Tool, Prompt and Resource is set
	Prompt   string
	Resource string
	Args     json.RawMessage // "" is none
	Time     time.Time       // zero: now
	ReadOnly *bool           // hints of the server, nil where it gives none

	Destructive, Idempotent, OpenWorld *bool

	Allow bool // what is wanted
}

// LoadCases reads a table of expected verdicts: a list, in JSON with comments. It is as strict as Parse.
func LoadCases(path string) ([]Case, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading cases: %w", err)
	case info.Size() > maxSize:
		return nil, &Error{Path: path, Msg: fmt.Sprintf("the file is larger than %d MiB", maxSize>>20)}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading cases: %w", err)
	}
	return ParseCases(path, b)
}

// ParseCases reads the text of a table of expected verdicts; path names it in errors.
func ParseCases(path string, b []byte) ([]Case, error) {
	doc, err := parseDocument(path, b)
	if err != nil {
		return nil, err
	}
	r := newReader(doc)
	list, ok := doc.root.Value.(*hujson.Array)
	if !ok {
		return nil, &Error{Path: path, Msg: `must be a list in [ ] of cases such as { "server": "kb", "roles": ["viewer"], "tool": "create", "want": "deny" }`}
	}
	var cases []Case
	for i, e := range list.Elements {
		cases = append(cases, r.testCase(node{e, (*place)(nil).element(i)}))
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	if len(cases) == 0 {
		return nil, &Error{Path: path, Msg: "there is no case in it"}
	}
	return cases, nil
}

func (r *reader) testCase(n node) Case {
	c := Case{Line: r.doc.errorAt(n.v.StartOffset, "", "").Line}
	want := ""
	flag := func(to **bool) func(node) {
		return func(n node) { b := r.flag(n); *to = &b }
	}
	has := r.members(n, fields{
		"server":   r.into(&c.Server),
		"roles":    func(n node) { c.Roles = r.list(n, r.text) },
		"subject":  r.into(&c.Subject),
		"tenant":   r.into(&c.Tenant),
		"account":  r.into(&c.Account),
		"owner":    r.into(&c.Owner),
		"tool":     func(n node) { c.Tool = r.value(n) },
		"prompt":   func(n node) { c.Prompt = r.value(n) },
		"resource": func(n node) { c.Resource = r.value(n) },
		"args":     func(n node) { c.Args = r.object(n) },
		"time":     func(n node) { c.Time = r.moment(n) },

		"readOnly": flag(&c.ReadOnly), "destructive": flag(&c.Destructive), "idempotent": flag(&c.Idempotent), "openWorld": flag(&c.OpenWorld),

		"want": func(n node) { want = r.oneOf(n, map[string]string{"allow": "", "deny": ""}) },
		"why":  func(n node) { r.value(n) },
	}, nil)
	things := 0
	for _, t := range []string{"tool", "prompt", "resource"} {
		if has[t] {
			things++
		}
	}
	switch {
	case has == nil:
	case !has["server"]:
		r.refuse(n, `needs "server"`)
	case things != 1:
		r.refuse(n, `needs one of "tool", "prompt" and "resource"`)
	case want == "":
		r.refuse(n, `needs "want", which is "allow" or "deny"`)
	}
	c.Allow = want == "allow"
	return c
}

// object takes an object as JSON without comments.
func (r *reader) object(n node) json.RawMessage {
	if kindOf(n.v) != '{' {
		r.wrongType(n, "an object in { }")
		return nil
	}
	v := n.v.Clone()
	v.Minimize()
	return json.RawMessage(v.Pack())
}

func (r *reader) moment(n node) time.Time {
	t, err := time.Parse(time.RFC3339, r.text(n))
	if err != nil {
		r.refuse(n, `must be a time such as "2026-03-02T09:30:00+01:00"`)
	}
	return t
}
