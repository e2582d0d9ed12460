package policy

import (
	"iter"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
)

// conditions are the Cedar policies of a policy.
type conditions struct {
	file       string
	call, list asked           // what is asked about a call, and about what a list shows
	reads      fields          // by some condition
	roles      map[string]bool // that some condition names
}

// asked are the conditions for one purpose: for what a row grants the forbids alone, for what no row names all of them.
type asked struct {
	forbids, all []*condition
	permits      bool // there is a permit among all
}

// condition is one Cedar policy and what it reads.
type condition struct {
	rule   string // "cedar:ID"
	line   int
	policy *cedar.Policy
	reads  reads

	// From the head, so that conditions that are about something else cost nothing.
	resource *types.EntityUID // nil: any
	actions  []types.EntityUID
}

// reads is what a condition reads of the context.
type reads struct {
	fields     fields
	arguments  map[string]bool // names at the top of the arguments
	everything bool            // the arguments as a whole
	names      map[string]bool // every name that it reads in the arguments, at any depth
	sorted     []string        // the same
}

func (c *condition) concerns(action, resource types.EntityUID) bool {
	if c.resource != nil && *c.resource != resource {
		return false
	}
	if c.actions == nil {
		return true
	}
	for _, a := range c.actions {
		if a == action {
			return true
		}
	}
	return false
}

// ask has the conditions judge what the table says.
func (c *conditions) ask(u *User, a *Action, v Verdict, listing bool) (out Verdict) {
	set := &c.call
	if listing {
		set = &c.list
	}
	all := set.all
	if v.Allowed {
		all = set.forbids
	} else if !set.permits {
		return v
	}
	action := cedar.NewEntityUID("Action", cedar.String(a.Method))
	resource := cedar.NewEntityUID(resourceTypes[a.Kind], cedar.String(a.Name))
	var space [16]*condition
	some := iterator(space[:0])
	for _, one := range all {
		if one.concerns(action, resource) {
			some = append(some, one)
		}
	}
	if len(some) == 0 {
		return v
	}
	defer func() {
		if recover() != nil { // a mistake in the library is no way in
			out = failed(v, RuleCedar, "the conditions could not be evaluated")
		}
	}()
	context, err := buildContext(u, a, some)
	if err != nil {
		return failed(v, RuleCedar, err.Error())
	}
	user := principal{uid: cedar.NewEntityUID("User", cedar.String(u.Subject)), roles: u.Roles, known: c.roles}
	decision, why := cedar.Authorize(some, &user, cedar.Request{Principal: user.uid, Action: action, Resource: resource, Context: context})
	return c.verdict(v, decision, why)
}

var resourceTypes = [...]types.EntityType{Tool: "Tool", Prompt: "Prompt", Resource: "Resource"}

// verdict puts together what the table and the conditions say.
func (c *conditions) verdict(v Verdict, decision cedar.Decision, why cedar.Diagnostic) Verdict {
	switch {
	case len(why.Reasons) > 0 && decision == cedar.Deny:
		v.Allowed, v.Rule = false, RuleCedar+":"+string(why.Reasons[0].PolicyID)
	case len(why.Errors) > 0:
		e := why.Errors[0]
		v = failed(v, RuleCedar+":"+string(e.PolicyID), c.wording(e))
	case len(why.Reasons) > 0:
		v.Allowed, v.Rule = true, RuleCedar+":"+string(why.Reasons[0].PolicyID)
	}
	return v
}

func failed(v Verdict, rule, why string) Verdict {
	v.Allowed, v.Rule, v.Err = false, rule, why
	return v
}

// wording says why a condition failed. The library's own words may hold values of the call.
func (c *conditions) wording(e cedar.DiagnosticError) string {
	switch {
	case strings.Contains(e.Message, "does not have the attribute"):
		for _, one := range c.call.all {
			if one.rule == RuleCedar+":"+string(e.PolicyID) {
				return "reads " + one.missing(e.Message) + ", which is not there"
			}
		}
	case strings.HasPrefix(e.Message, "type error"):
		return "compares or uses a value of another type than it expects"
	case strings.HasPrefix(e.Message, "integer overflow"):
		return "computes a number that is too large"
	case strings.HasPrefix(e.Message, "error parsing"):
		return "takes a text for a decimal, address, date or duration that is none"
	}
	return "could not be evaluated"
}

// missing names the attribute of a message, which ends with it, if the condition itself does.
func (c *condition) missing(message string) string {
	if i := strings.LastIndex(strings.TrimSuffix(message, "`"), "`"); i >= 0 {
		name := strings.TrimSuffix(message[i+1:], "`")
		if _, field := fieldNames[name]; field || c.reads.names[name] || timeNames[name] {
			return name
		}
	}
	return "an attribute"
}

// iterator gives the library conditions in the order of their text, so that the same one is always the reason.
type iterator []*condition

func (all iterator) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for _, c := range all {
			if !yield(cedar.PolicyID(c.rule[len(RuleCedar)+1:]), c.policy) {
				return
			}
		}
	}
}

// principal is the one entity that has parents: the user, in roles. They are looked up when a condition asks.
type principal struct {
	uid    types.EntityUID
	roles  []string
	known  map[string]bool
	entity *types.Entity
}

func (p *principal) Get(uid types.EntityUID) (types.Entity, bool) {
	if uid != p.uid {
		return types.Entity{}, false
	}
	if p.entity == nil {
		var parents []types.EntityUID
		for _, r := range p.roles {
			if p.known[r] {
				parents = append(parents, cedar.NewEntityUID("Role", cedar.String(r)))
			}
		}
		p.entity = &types.Entity{UID: p.uid, Parents: types.NewEntityUIDSet(parents...)}
	}
	return *p.entity, true
}
