package config

import (
	"maps"
	"slices"
	"strings"
)

// use is a place of the file where an account is named.
type use struct {
	account string
	node    node
}

// kinds are the values of auth.kind.
var kinds = map[string]string{"account": "", "secret": "", "none": "", "issuer": "", "client": ""}

// renewals are the values of auth.renew.
var renewals = map[string]string{
	"off":               "",
	"restart":           "",
	"restart-exclusive": "",
	"file":              "",
	"meta":              "",
}

func (r *reader) auth(n node, uses *[]use) *Auth {
	a := &Auth{}
	has := r.members(n, r.caller(a, fields{
		"kind": func(n node) { a.Kind = r.oneOf(n, kinds) },
		"account": func(n node) {
			a.Account = r.text(n)
			*uses = append(*uses, use{a.Account, n})
		},
		"tokenEnv":       func(n node) { a.TokenEnv = r.tokenEnv(n) },
		"renew":          func(n node) { a.Renew = r.oneOf(n, renewals) },
		"onUnauthorized": func(n node) { a.OnUnauthorized = r.list(n, r.symptom) },
	}), nil)
	if a.Kind == "" && a.Account != "" {
		a.Kind = "account"
	}
	why, known := kinds[a.Kind]
	_, isRenewal := renewals[a.Renew]
	switch {
	case has == nil || a.Kind != "" && !known || why != "": // told already
	case a.Kind == "" && !has["account"]:
		r.refuse(n, `needs "account", or a "kind" that needs none`)
	case a.Kind == "account" && !has["account"]:
		r.refuse(n, `the kind "account" needs "account", the name of one`)
	case a.Kind != "account" && a.Account != "":
		r.refuse(n, `"account" belongs to the kind "account"`)
	case (a.Kind == "secret" || a.Kind == "client") && a.Renew != "off" && isRenewal:
		r.refuse(n, `the kind %q has a token that does not renew, and nothing for "renew"`, a.Kind)
	case has["onUnauthorized"] && (a.Kind != "account" || a.Renew == "off"):
		r.refuse(n, `"onUnauthorized" has a token renewed: it needs "account", and another "renew" than "off"`)
	case a.Kind == "none" && (a.TokenEnv != "" || a.Renew != ""):
		r.refuse(n, `the kind "none" has no token for "tokenEnv" and "renew"`)
	default:
		r.checkCaller(n, a, has)
	}
	if a.TokenEnv == "" && a.Kind != "none" {
		a.TokenEnv = DefaultTokenEnv
	}
	return a
}

// symptom takes a text that is searched for in a server's errors: one that is in every error would renew without end.
func (r *reader) symptom(n node) string {
	s := r.text(n)
	if s != "" && len(s) < 3 || len(s) > 200 {
		r.refuse(n, "must have 3 to 200 characters of what the server says, such as \"401\" or \"token expired\"")
	}
	return s
}

// oneOf reads a word out of a short list; an empty one is as good as none.
func (r *reader) oneOf(n node, words map[string]string) string {
	s := r.value(n)
	why, known := words[s]
	switch {
	case kindOf(n.v) != '"' || s == "":
	case !known:
		var good []string
		for _, w := range slices.Sorted(maps.Keys(words)) {
			if words[w] == "" {
				good = append(good, `"`+w+`"`)
			}
		}
		r.refuse(n, "must be one of: %s", strings.Join(good, ", "))
	case why != "":
		r.refuse(n, "%q is %s", s, why)
	}
	return s
}

// tokenEnv takes names that every shell takes; in the keychain it names the token of the kind "secret", too.
func (r *reader) tokenEnv(n node) string {
	s := r.text(n)
	odd := func(c rune) bool {
		return c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9')
	}
	switch {
	case s == "":
	case !validName(s) || strings.ContainsFunc(s, odd) || s[0] >= '0' && s[0] <= '9':
		r.refuse(n, "not the name of an environment variable: letters, digits and underscore, no digit first")
	case ours(s):
		r.refuse(n, "variables that begin with MCP_VALET_ are for mcp-valet and not passed to servers")
	}
	return s
}

// checkUses refuses accounts that are named and not there.
func (r *reader) checkUses(uses []use, accounts map[string]Account) {
	names := slices.Sorted(maps.Keys(accounts))
	for _, u := range uses {
		if _, there := accounts[u.account]; there || kindOf(u.node.v) != '"' || u.account == "" {
			continue
		}
		which := "of this name"
		if validName(u.account) {
			which = u.account
		}
		if near := r.suggest(u.account, names); near != "" {
			r.refuse(u.node, "there is no account %s (did you mean %q?)", which, near)
			continue
		}
		r.refuse(u.node, "there is no account %s; \"mcp-valet login\" makes one", which)
	}
}
