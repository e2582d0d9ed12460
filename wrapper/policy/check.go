package policy

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/cedar-policy/cedar-go"
	public "github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

const (
	maxCedar   = 256 << 10 // bytes of conditions
	maxNesting = 100       // brackets inside of each other; the parser calls itself for each
)

// cedar compiles the conditions.
func (c *compiler) cedar() {
	if strings.TrimSpace(c.source.Cedar) == "" {
		return
	}
	k := &checker{compiler: c, file: c.source.CedarFile, out: &conditions{file: c.source.CedarFile, roles: map[string]bool{}}}
	if k.file == "" {
		k.file = "conditions"
	}
	if line, msg := tooMuch(c.source.Cedar); msg != "" {
		k.refuse(line, "%s", msg)
		return
	}
	list, err := parse(c.source.Cedar)
	if err != nil {
		k.refuseSyntax(err)
		return
	}
	ids := map[string]bool{}
	for i, p := range list {
		k.add(p, k.id(p, i, ids))
	}
	if len(list) > 0 {
		c.policy.conditions = k.out
	}
}

// parse survives a mistake in the library: a file that is saved while a launcher runs does not end it.
func parse(text string) (list cedar.PolicyList, err error) {
	defer func() {
		if recover() != nil {
			list, err = nil, errors.New("text that cannot be compiled")
		}
	}()
	return cedar.NewPolicyListFromBytes("", []byte(text))
}

// tooMuch keeps from the parser what would exhaust its stack.
func tooMuch(text string) (line int, msg string) {
	if len(text) > maxCedar {
		return 1, fmt.Sprintf("more than %d KiB of conditions", maxCedar>>10)
	}
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '(', '[', '{':
			if depth++; depth > maxNesting {
				return 1 + strings.Count(text[:i], "\n"), fmt.Sprintf("more than %d levels of brackets", maxNesting)
			}
		case ')', ']', '}':
			depth--
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case '/':
			if strings.HasPrefix(text[i:], "//") {
				end := strings.IndexByte(text[i:], '\n')
				if end < 0 {
					return 0, ""
				}
				i += end
			}
		}
	}
	return 0, ""
}

// checker is the part of the compiler that looks at conditions.
type checker struct {
	*compiler
	file string
	out  *conditions
	line int    // where the condition begins that is looked at
	now  *reads // what the part of it reads that is looked at
}

func (k *checker) refuse(line int, format string, args ...any) {
	k.problems = append(k.problems, &Problem{Where: k.file, Line: line, Msg: fmt.Sprintf(format, args...)})
}

// refuseSyntax words the parser's error, "parser error: parse error at <input>:3:7 "x": exact got x want ;".
func (k *checker) refuseSyntax(err error) {
	at := regexp.MustCompile(`<input>:(\d+):(\d+)`).FindStringSubmatchIndex(err.Error())
	if at == nil {
		k.refuse(1, "not Cedar: %.300s", err)
		return
	}
	line, _ := strconv.Atoi(err.Error()[at[2]:at[3]])
	column := err.Error()[at[4]:at[5]]
	what := strings.TrimLeft(err.Error()[at[1]:], ": ")
	k.refuse(line, "not Cedar, at column %s: %.300s", column, what)
}

// id is the name of a condition: its annotation @id, or policyN as Cedar counts.
func (k *checker) id(p *cedar.Policy, i int, ids map[string]bool) string {
	id := string(p.Annotations()["id"])
	if id == "" {
		id = "policy" + strconv.Itoa(i)
	}
	if ids[id] || !fit(id) || len(id) > 128 {
		k.refuse(p.Position().Line, "the @id %.128q is there already, too long, or has a character that cannot be seen", id)
	}
	ids[id] = true
	return id
}

func (k *checker) add(p *cedar.Policy, id string) {
	k.line = p.Position().Line
	tree := (*ast.Policy)(p.AST())
	k.head(tree)
	whole := &condition{rule: RuleCedar + ":" + id, line: k.line, policy: p}
	whole.scope(tree)
	listed := *whole
	part := *tree
	part.Conditions = nil
	for _, one := range tree.Conditions {
		k.now = &reads{arguments: map[string]bool{}, names: map[string]bool{}}
		ast.Inspect(ast.NewNode(one.Body), k.look)
		if k.now.fields&onlyInCalls == 0 {
			part.Conditions = append(part.Conditions, one)
			listed.reads.add(k.now)
		}
		whole.reads.add(k.now)
	}
	k.out.reads |= whole.reads.fields
	if p.Effect() == cedar.Forbid {
		k.out.call.forbid(whole)
		if whole.reads.fields&onlyInCalls == 0 {
			k.out.list.forbid(whole)
		}
		return
	}
	if k.policy.allow {
		k.policy.warnings = append(k.policy.warnings, &Problem{Where: k.file, Line: k.line, Msg: `this permit grants nothing: the default is "allow"`})
	}
	k.permitNamed(whole)
	k.out.call.permit(whole)
	if len(part.Conditions) < len(tree.Conditions) {
		listed.policy = cedar.NewPolicyFromAST((*public.Policy)(&part))
	}
	k.out.list.permit(&listed)
}

// permitNamed warns of a permit for what a row names: the row has the last word.
func (k *checker) permitNamed(c *condition) {
	if c.resource == nil {
		return
	}
	kind := slices.Index(resourceTypes[:], c.resource.Type)
	if kind < 0 {
		return
	}
	t := &k.policy.tables[kind]
	r := t.exact[string(c.resource.ID)]
	if r == nil {
		r = t.glob(string(c.resource.ID))
	}
	if r != nil {
		k.policy.warnings = append(k.policy.warnings, &Problem{Where: k.file, Line: c.line, Msg: "this permit grants nothing: the row " + r.rule + " has the last word about " + strconv.Quote(string(c.resource.ID))})
	}
}

func (a *asked) forbid(c *condition) {
	a.forbids = append(a.forbids, c)
	a.all = append(a.all, c)
}

func (a *asked) permit(c *condition) {
	a.permits = true
	a.all = append(a.all, c)
}

func (r *reads) add(more *reads) {
	if r.names == nil {
		r.names, r.arguments = map[string]bool{}, map[string]bool{}
	}
	r.fields |= more.fields
	r.everything = r.everything || more.everything
	maps.Copy(r.names, more.names)
	maps.Copy(r.arguments, more.arguments)
	r.sorted = slices.Sorted(maps.Keys(r.names))
}

// scope notes what a condition's head says it is about.
func (c *condition) scope(p *ast.Policy) {
	switch s := p.Resource.(type) {
	case ast.ScopeTypeEq:
		c.resource = &s.Entity
	}
	switch s := p.Action.(type) {
	case ast.ScopeTypeEq:
		c.actions = []types.EntityUID{s.Entity}
	case ast.ScopeTypeInSet:
		c.actions = append([]types.EntityUID{}, s.Entities...)
	}
}

// head refuses heads that could never fit.
func (k *checker) head(p *ast.Policy) {
	user := map[string]bool{"User": true}
	things := map[string]bool{"Tool": true, "Prompt": true, "Resource": true}
	k.scoped("principal", p.Principal, user, map[string]bool{"User": true, "Role": true})
	k.scoped("action", p.Action, map[string]bool{"Action": true}, map[string]bool{"Action": true})
	k.scoped("resource", p.Resource, things, things)
}

func (k *checker) scoped(what string, scope ast.IsScopeNode, equal, in map[string]bool) {
	entity := func(e types.EntityUID, allowed map[string]bool) {
		if !allowed[string(e.Type)] {
			k.refuse(k.line, "the %s is never %s", what, shownEntity(e))
			return
		}
		k.entity(e)
	}
	kind := func(t types.EntityType) {
		if !equal[string(t)] {
			k.refuse(k.line, "the %s is never a %.100s", what, t)
		}
	}
	switch s := scope.(type) {
	case ast.ScopeTypeEq:
		entity(s.Entity, equal)
	case ast.ScopeTypeIn:
		entity(s.Entity, in)
	case ast.ScopeTypeInSet:
		for _, e := range s.Entities {
			entity(e, in)
		}
	case ast.ScopeTypeIs:
		kind(s.Type)
	case ast.ScopeTypeIsIn:
		kind(s.Type)
		entity(s.Entity, in)
	}
}

func shownEntity(e types.EntityUID) string {
	return fmt.Sprintf("%.100s::%.100q", e.Type, string(e.ID))
}

// actions are the methods that are decided about.
var actions = []string{"completion/complete", "prompts/get", "resources/read", "resources/subscribe", "tools/call"}

// entity refuses what no call ever has.
func (k *checker) entity(e types.EntityUID) {
	id := string(e.ID)
	switch e.Type {
	case "User", "Tool", "Prompt", "Resource":
		if !fit(id) && (e.Type != "User" || id != "") {
			k.refuse(k.line, "%s: no name is like this: it is empty, too long, or has a character that cannot be seen", shownEntity(e))
		}
	case "Role":
		if k.policy.roles[id] == nil {
			k.refuse(k.line, "the policy has no role %.100q%s", id, meant(id, slices.Sorted(maps.Keys(k.policy.roles))))
		}
		k.out.roles[id] = true
	case "Action":
		if !slices.Contains(actions, id) {
			k.refuse(k.line, "%s: the actions are %s", shownEntity(e), strings.Join(actions, ", "))
		}
	default:
		k.refuse(k.line, "%s: the entities are User, Role, Action, Tool, Prompt and Resource", shownEntity(e))
	}
}

func meant(word string, known []string) string {
	if near := nearest(word, known); near != "" {
		return fmt.Sprintf(" (did you mean %q?)", near)
	}
	return ""
}

// look checks one node of a condition, and tells whether its children are still to be looked at.
func (k *checker) look(n ast.IsNode) bool {
	switch n := n.(type) {
	case ast.NodeTypeAccess:
		return k.attribute(n.Arg, string(n.Value), true)
	case ast.NodeTypeHas:
		return k.attribute(n.Arg, string(n.Value), false)
	case ast.NodeTypeHasTag, ast.NodeTypeGetTag:
		k.refuse(k.line, "entities have no tags here")
		return false
	case ast.NodeTypeVariable:
		if n.Name == "context" {
			k.refuse(k.line, "the context is read by attribute, such as context.arguments")
		}
	case ast.NodeValue:
		if e, ok := n.Value.(types.EntityUID); ok {
			k.entity(e)
		}
	case ast.NodeTypeIs:
		k.isType(n.EntityType)
	case ast.NodeTypeIsIn:
		k.isType(n.EntityType)
	}
	return true
}

func (k *checker) isType(t types.EntityType) {
	if t != "User" && t != "Role" && t != "Action" && !slices.Contains(resourceTypes[:], t) {
		k.refuse(k.line, "there are no entities of the type %.100s", t)
	}
}

// attribute checks the reading of an attribute, or the question whether it is there.
func (k *checker) attribute(of ast.IsNode, name string, value bool) bool {
	switch of := of.(type) {
	case ast.NodeTypeVariable:
		if of.Name != "context" {
			k.refuse(k.line, "%s.%.100s: entities have no attributes here; all that is known of a call is in context", of.Name, name)
			return false
		}
		field, known := fieldNames[name]
		if !known {
			k.refuse(k.line, "context has no attribute %.100q%s", name, meant(name, slices.Sorted(maps.Keys(fieldNames))))
		}
		k.now.fields |= field
		k.now.everything = k.now.everything || name == "arguments" && value
		return false
	case ast.NodeTypeAccess:
		if v, ok := of.Arg.(ast.NodeTypeVariable); ok && v.Name == "context" && fieldNames[string(of.Value)] != 0 {
			return k.inField(string(of.Value), name)
		}
	}
	k.now.names[name] = true
	return true
}

// inField checks the reading of an attribute of one of the context's attributes.
func (k *checker) inField(field, name string) bool {
	k.now.fields |= fieldNames[field]
	switch field {
	case "arguments":
		k.now.names[name], k.now.arguments[name] = true, true
	case "time":
		if !timeNames[name] {
			k.refuse(k.line, "context.time has no attribute %.100q%s", name, meant(name, slices.Sorted(maps.Keys(timeNames))))
		}
	default:
		k.refuse(k.line, "context.%s has no attributes", field)
	}
	return false
}
