package wrapper

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mcp-valet/wrapper/frame"
	"mcp-valet/wrapper/policy"
)

// Guard is what a server's users may do, and who is told. The zero value allows everything and tells nobody.
type Guard struct {
	// Policy is the one in force; nil for none. It may change between calls.
	Policy func() *policy.Policy
	// Revoked tells whether the credential of whoever calls has been revoked; nil where that cannot be.
	Revoked func() bool
	// Note keeps a record of what was decided, before it takes effect; an error means that it must not take effect. Nil
	// keeps none.
	Note func(Decision) error
	// Answered keeps a record of what came of it; nil keeps none.
	Answered func(Outcome)
}

// Outcome is the answer to a request that was let through.
type Outcome struct {
	*Decision
	Failed bool // an error, or a tool's result that says so
	Took   time.Duration
	Size   int // of the answer, in bytes
}

// Decision is what a guard has decided about a request.
type Decision struct {
	User      *policy.User // nil where nobody is known
	Method    string
	Name      string // of tool or prompt, or URI; "" for methods that have none
	Arguments json.RawMessage
	Size      int // of the message, in bytes
	policy.Verdict

	at time.Time
}

// permits tells whether a request may go on to the server, and answers it where it may not; d is nil for one that nothing is
// decided about. session.mu is held.
func (r *relay) permits(m *frame.Message) (d *Decision, may bool) {
	g := &r.o.Guard
	if !g.stands() || !isGuarded(m.Method) {
		return nil, true
	}
	action, err := actionOf(m)
	if err != nil {
		r.tell(m.ID, codeInvalidRequest, err.Error())
		return nil, false
	}
	action.Server = r.o.Name
	d = r.judge(m, &action)
	if g.Note != nil {
		if err := g.Note(*d); err != nil {
			r.tell(m.ID, codeRefused, fmt.Sprintf("what %s does is to be recorded, and cannot be: %v", r.label, err))
			return nil, false
		}
	}
	switch {
	case d.Allowed:
		return d, true
	case d.Rule == ruleRevoked:
		r.tell(m.ID, codeRefused, "the credential that "+r.label+" was started with has been revoked")
	case m.Method == "tools/call":
		r.out.send(resultLine(m.ID, toolResult(g.denial(r.label, &action, d), true, m.Modern)))
	default:
		r.tell(m.ID, codeRefused, g.denial(r.label, &action, d))
	}
	return nil, false
}

// answered has a record kept of what came of a request.
func (g *Guard) answered(q *request, line []byte) {
	if g.Answered == nil || q.decision == nil {
		return
	}
	failed := findMember(line, skipSpace(line, 0), "error") != 0
	if at := findMember(line, skipSpace(line, 0), "result"); at != 0 && line[at] == '{' {
		if is := findMember(line, at, "isError"); is != 0 {
			failed = failed || line[is] == 't'
		}
	}
	g.Answered(Outcome{Decision: q.decision, Failed: failed, Took: time.Since(q.decision.at), Size: len(line)})
}

// ruleRevoked is the rule that nobody calls with a credential that has been revoked.
const ruleRevoked = "revoked"

// stands tells whether there is anything to be decided or recorded.
func (g *Guard) stands() bool { return g.Policy != nil || g.Note != nil || g.Revoked != nil }

// judge decides about a request.
func (r *relay) judge(m *frame.Message, a *policy.Action) *Decision {
	g := &r.o.Guard
	d := &Decision{User: r.user.Load(), Method: m.Method, Name: a.Name, Size: len(m.Raw), at: time.Now(), Verdict: policy.Verdict{Allowed: true}}
	if g.Revoked != nil && g.Revoked() {
		d.Allowed, d.Rule = false, ruleRevoked
		return d
	}
	p := g.policy()
	if takesArguments(m.Method) && (g.Note != nil || p != nil && p.NeedsArguments()) {
		a.Arguments = paramsOf(m.Raw)["arguments"]
		d.Arguments = a.Arguments
	}
	if p == nil {
		return d
	}
	if p.HasConditions() {
		a.Time = d.at
	}
	if p.NeedsHints() {
		r.hint(a)
	}
	d.Verdict = p.Decide(d.User, a)
	return d
}

func takesArguments(method string) bool { return method == "tools/call" || method == "prompts/get" }

// policy is the one in force; nil for none.
func (g *Guard) policy() *policy.Policy {
	if g.Policy == nil {
		return nil
	}
	return g.Policy()
}

// actionOf is what a request asks for.
func actionOf(m *frame.Message) (a policy.Action, err error) {
	a = policy.Action{Method: m.Method, Name: m.Name}
	switch m.Method {
	case "prompts/get":
		a.Kind = policy.Prompt
	case "resources/read", "resources/subscribe":
		a.Kind, a.Name = policy.Resource, m.URI
	case "completion/complete":
		a.Kind, a.Name, err = referenceOf(m.Raw)
	}
	return a, err
}

// isGuarded tells whether a request does something, or shows something, that a policy decides about. Lists are filtered
// instead, and all others are the protocol's own business.
func isGuarded(method string) bool {
	switch method {
	case "tools/call", "prompts/get", "resources/read", "resources/subscribe", "completion/complete":
		return true
	}
	return false
}

// referenceOf is what completion/complete is about. Inside of it the header check does not look for keys that differ in
// case alone, of which another parser might take another one.
func referenceOf(line []byte) (policy.Kind, string, error) {
	ref := asObject(paramsOf(line)["ref"])
	for key := range ref {
		for _, exact := range []string{"type", "name", "uri"} {
			if key != exact && strings.EqualFold(key, exact) {
				return 0, "", fmt.Errorf("the key %q of params.ref must be written %q", key, exact)
			}
		}
	}
	switch textIn(ref, "type") {
	case "ref/prompt":
		return policy.Prompt, textIn(ref, "name"), nil
	case "ref/resource":
		return policy.Resource, textIn(ref, "uri"), nil
	}
	return 0, "", fmt.Errorf("params.ref is neither a prompt nor a resource")
}

// hint adds what the server says of a tool.
func (r *relay) hint(a *policy.Action) {
	hints := r.rec.hints(a.Name)
	a.ReadOnly, a.Destructive = truth(hints["readOnlyHint"]), truth(hints["destructiveHint"])
	a.Idempotent, a.OpenWorld = truth(hints["idempotentHint"]), truth(hints["openWorldHint"])
}

func truth(v json.RawMessage) *bool {
	var b bool
	if json.Unmarshal(v, &b) != nil {
		return nil
	}
	return &b
}

// denial is what a request is told that may not be carried out, in a way that a model can act on.
func (g *Guard) denial(label string, a *policy.Action, d *Decision) string {
	who, roles := "you have", "no role"
	if u := d.User; u != nil {
		if u.Subject != "" {
			who = u.Subject + " has"
		}
		if len(u.Roles) > 0 {
			roles = "the roles " + strings.Join(u.Roles, ", ")
		}
	}
	why := ""
	switch p := g.policy(); {
	case p == nil || !p.Visible(d.User, a): // whether there is such a thing is not told: one that is not is answered in the same way
	case d.Err != "":
		why = " (a condition could not be checked)"
	case strings.HasPrefix(d.Rule, policy.RuleCedar):
		why = " (a condition forbids it in this form)"
	case d.Permission != "":
		why = fmt.Sprintf(" (it needs the permission %s)", d.Permission)
	}
	return fmt.Sprintf("the policy of %s does not allow this%s: %s %s. Do not try it in another way; ask whoever gives out roles.", label, why, who, roles)
}

// tellRoles has the client ask for the lists again where another user's, or other roles, decide about them from now on.
func (s *session) tellRoles(before, now *policy.User) {
	if s.o.Guard.Policy == nil || s.hello.params == nil || before == nil || now == nil || slices.Equal(before.Roles, now.Roles) {
		return
	}
	s.out.send([]byte(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}` + "\n"))
}

// listKinds are the lists that a policy filters.
var listKinds = map[string]policy.Kind{
	"tools/list": policy.Tool, "prompts/list": policy.Prompt, "resources/list": policy.Resource, "resources/templates/list": policy.Resource,
}

// filter is the answer to a request for a list without what the user may not see.
func (s *session) filter(user *policy.User, id frame.ID, method string, line []byte) []byte {
	less, err := s.o.Guard.filtered(user, s.o.Name, method, line)
	if err != nil {
		s.err.note("a list of %s is not passed on: %v", s.o.label(), err)
		return frame.AppendError(nil, id, codeBadAnswer, speaker+"the list of "+s.o.label()+" cannot be passed on, as it is not clear what it says")
	}
	return less
}

var errRepeats = errors.New("a key is there twice")

// repeats tells whether an object has two members of the same name.
func repeats(line []byte, at int) bool {
	seen := map[string]bool{}
	for key := range membersOf(line, at) {
		if seen[key] {
			return true
		}
		seen[key] = true
	}
	return false
}

// filtered is an answer without what a user may not see; an error means that it must not be passed on.
func (g *Guard) filtered(user *policy.User, server, method string, line []byte) ([]byte, error) {
	kind, isList := listKinds[method]
	p := g.policy()
	if p == nil || !isList {
		return line, nil
	}
	root := skipSpace(line, 0)
	at := findMember(line, root, "result")
	if at == 0 {
		return line, nil // an error
	}
	if repeats(line, root) { // clients differ in which one they take
		return nil, errRepeats
	}
	end := skipValue(line, at)
	result, err := p.Lists(user, server, kind, line[at:end])
	if err != nil {
		return nil, err
	}
	return splice(line, at, end, result), nil
}
