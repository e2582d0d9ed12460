// Package policy decides who may call what: a table of roles, and conditions in Cedar for what a table cannot say.
//
// # The rule
//
// A row of the table is the last word on who may; a forbid takes away from what it grants; a permit grants only what no
// row names. In full, for one call:
//
//  1. The row that names the tool, prompt or resource is found: the exact name, or else the glob with the longest literal
//     part. Two globs that are equally long, can match the same name and ask for different permissions are refused.
//  2. With a row, one of the user's roles must give its permission. With none, the default decides ("deny" unless the
//     policy says "allow"), or a permit that holds.
//  3. A forbid that holds denies what was granted.
//  4. A condition that was asked and fails with an error denies, whatever the others say.
//
// # The table
//
// A role gives permissions; "*" among them gives all. A row asks for one permission, for "*" (only roles with "*" may),
// or for "*any" (everybody with any role of this policy may). A permission that a row asks for and no role gives by name
// is a mistake, not a row that nobody passes. In a row's name * stands for any run of characters, also none, also with a
// slash in it; there is no other wildcard and no escape.
//
// Names are compared as decoded strings, byte for byte: nothing is folded, trimmed or normalised, so that no two ways of
// writing what looks alike are one. A name that is empty, longer than 4096 bytes, no UTF-8, or has a control or an
// invisible character (Unicode Cc, Cf, Zl, Zp) is denied before any row is looked at, and no row may have one. So is a
// resource address that a server may read as another than its text says (a "." or ".." segment, a backslash, an encoded
// slash or unreserved character, a scheme in capitals), unless a row has exactly that address. With the default "allow",
// rows that take resources away are still only as good as the server's reading of addresses.
//
// # Conditions
//
// The principal is User::"SUBJECT", in Role::"NAME" for each role that the policy defines and the user has. The action is
// Action::"METHOD": tools/call, prompts/get, completion/complete, resources/read, resources/subscribe. The resource is
// Tool::"NAME", Prompt::"NAME" or Resource::"URI". Entities have no attributes; all else is in context:
//
//	arguments    record   of the call, see below
//	tenant, subject, account, kind, owner, server, method, name    String
//	readOnly, destructive, idempotent, openWorld    Bool: the server's hints; where it gives none, the values that MCP
//	             assumes: false, true, false, true. They are the server's word, not a fact
//	time         record   hour 0-23, minute 0-59, weekday 1 (Monday) to 7, in the zone of Action.Time; epoch in seconds
//
// What is not known (no tenant, no owner, no time) is not there: a condition that reads it fails, and "context has
// tenant" asks first. Arguments: text is String, true and false are Bool, an object is a record, a list is a Set (without
// order and repetition), null is not there (in a list it is an error). A number counts by its value, however it is
// written: a whole one is a Long, one of up to four decimals a decimal, any other an error; comparing a decimal with a
// Long is one, too. Of the arguments only those that a condition names are read, and a key that differs from such a name
// by case alone is an error: some servers would take it for the name.
//
// A list shows what a call could be granted for: conditions that read arguments, time or owner neither hide nor are they
// asked, all others are.
package policy

import (
	"encoding/json"
	"fmt"
	"time"
)

// Source is what a policy is made of: the "policy" object of a server's entry.
type Source struct {
	Roles     map[string][]string // role to the permissions that it gives
	Tools     map[string]string   // name or glob to the permission that it takes
	Prompts   map[string]string
	Resources map[string]string // by URI
	Default   string            // what no row names: "deny" (also "") or "allow"
	Cedar     string            // the conditions; "" is none
	CedarFile string            // names the conditions in messages
}

// Kind says what an action is about.
type Kind int

// The kinds of things that a server offers.
const (
	Tool Kind = iota
	Prompt
	Resource
)

// String gives the name of the kind's table in the config.
func (k Kind) String() string { return kindNames[k] }

var kindNames = [...]string{Tool: "tools", Prompt: "prompts", Resource: "resources"}

// User is who asks. Its roles are local role names already; those that a policy does not define give nothing.
type User struct {
	Subject, Tenant, Account, Kind string
	Roles                          []string
}

// Action is what is asked for.
type Action struct {
	Server      string
	Kind        Kind
	Method      string
	Name        string          // of the tool or prompt, or the resource's URI; decoded
	Arguments   json.RawMessage // as sent; read only by conditions
	ReadOnly    *bool           // the server's hints about a tool, nil where it gives none
	Destructive *bool
	Idempotent  *bool
	OpenWorld   *bool
	Time        time.Time // of the call, in the zone that conditions mean
	Owner       string    // of the resource; "" where nobody knows
}

// Verdict is what was decided, and why.
type Verdict struct {
	Allowed    bool
	Permission string // that the row asks for; "" where no row names the thing
	Rule       string // what decided: "tools.create_*", "default", "cedar:ID", "name" or "uri" (refused as they are written)
	Err        string // why a condition could not be asked; then the verdict is a denial. It has no value of the call in it
}

// The rules that are no row and no condition.
const (
	RuleDefault = "default"
	RuleName    = "name"
	RuleURI     = "uri"
	RuleCedar   = "cedar" // a failure of all conditions; one has its id behind a colon
)

// The permissions that are no names.
const (
	Everything = "*"    // in a role: all permissions; in a row: only for such roles
	Anybody    = "*any" // in a row: for everybody with a role of this policy
)

// Policy is a compiled policy. It never changes, and any number of goroutines may use it.
type Policy struct {
	roles      map[string]*grant
	tables     [3]table
	allow      bool // what no row names
	conditions *conditions
	warnings   []*Problem
}

// Problem is one thing that is wrong with a policy.
type Problem struct {
	Where string   // "tools.create_*", or the name of the conditions' file
	Keys  []string // the same as keys of the policy object; nil in the conditions
	Line  int      // in the conditions, from 1; 0 elsewhere
	Msg   string
}

// Error gives "tools.create_*: …" or "kb.cedar:12: …".
func (p *Problem) Error() string {
	if p.Line > 0 {
		return fmt.Sprintf("%s:%d: %s", p.Where, p.Line, p.Msg)
	}
	return p.Where + ": " + p.Msg
}

// NeedsArguments tells whether some condition reads the arguments of a call.
func (p *Policy) NeedsArguments() bool { return p.reads(fieldArguments) }

// NeedsHints tells whether some condition reads what the server says of a tool.
func (p *Policy) NeedsHints() bool {
	return p.reads(fieldReadOnly | fieldDestructive | fieldIdempotent | fieldOpenWorld)
}

// reads tells whether some condition reads one of these.
func (p *Policy) reads(any fields) bool { return p.conditions != nil && p.conditions.reads&any != 0 }

// HasConditions tells whether there is any condition.
func (p *Policy) HasConditions() bool { return p.conditions != nil }

// grant is what a role gives: a set of permissions by number.
type grant struct {
	all bool
	set []uint64
}

func (g *grant) has(number int) bool {
	return number>>6 < len(g.set) && g.set[number>>6]&(1<<(number&63)) != 0
}

// Numbers of what rows may ask for beside permissions.
const (
	onlyAll = -1 - iota
	anybody
)

// row is one row of a table.
type row struct {
	rule       string // "tools.create_*"
	key        string // "create_*"
	glob       glob
	permission string
	number     int
}

// table is the rows for one kind.
type table struct {
	exact map[string]*row
	globs []*row // the longest literal part first
}

func (t *table) glob(name string) *row {
	for _, r := range t.globs {
		if r.glob.match(name) {
			return r
		}
	}
	return nil
}

// HasRole tells whether the policy defines a role.
func (p *Policy) HasRole(name string) bool { return p.roles[name] != nil }

// Line says where the condition stands that a verdict's rule names; 0 where the rule is no condition.
func (p *Policy) Line(rule string) int {
	if p.conditions == nil {
		return 0
	}
	for _, c := range p.conditions.call.all {
		if c.rule == rule {
			return c.line
		}
	}
	return 0
}
