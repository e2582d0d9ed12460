package config

import (
	"errors"
	"maps"
	"slices"
	"strings"
)

// Roles says which local roles a caller has. Local roles are those of a server's policy.
type Roles struct {
	// Claim is where a verified token has its roles, see ClaimPath; "" for nowhere, and in tokens of the local issuer and
	// of clients for the claim "roles".
	Claim string `json:"claim,omitempty"`
	// Map is from a value of the claim to a local role; what is not in it is dropped. Nil: a value is a local role.
	Map map[string]string `json:"map,omitempty"`
	// Give are local roles that everybody has who gets this far, whatever their token says.
	Give []string `json:"give,omitempty"`
}

// Tenants says whose tenant a caller belongs to.
type Tenants struct {
	Claim  string   `json:"claim"`            // where a verified token has its tenant, see ClaimPath
	Accept []string `json:"accept,omitempty"` // those that may pass; nil: all, and those without any
}

const (
	maxPath  = 16 // names in a claim path
	maxWords = 1000
	maxWord  = 256 // bytes of a role, a claim's value, a tenant or a user
)

var errClaimPath = errors.New(`a claim is a name, or a path such as realm_access.roles; a name that holds a dot stands in double quotes (resource_access."my.client".roles), a claim that is an address stands as it is (https://example.com/roles)`)

// ClaimPath takes the path of a claim apart: names of members with dots between them. A name in double quotes may hold
// anything but a double quote. A path that begins with https:// or http:// is the one name of a claim, as is what has no dot.
func ClaimPath(s string) ([]string, error) {
	if strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://") {
		return []string{s}, nil
	}
	var path []string
	for rest, more := s, true; more; {
		var name string
		if quoted, is := strings.CutPrefix(rest, `"`); is {
			end := strings.IndexByte(quoted, '"')
			if end < 0 {
				return nil, errClaimPath
			}
			name, rest = quoted[:end], quoted[end+1:]
			if more = strings.HasPrefix(rest, "."); !more && rest != "" {
				return nil, errClaimPath
			}
			rest = strings.TrimPrefix(rest, ".")
		} else {
			name, rest, more = strings.Cut(rest, ".")
		}
		if name == "" || strings.Contains(name, `"`) || len(path) == maxPath {
			return nil, errClaimPath
		}
		path = append(path, name)
	}
	return path, nil
}

// Path is Claim taken apart; nil for none.
func (r *Roles) Path() []string {
	if r == nil {
		return nil
	}
	return parsedPath(r.Claim)
}

// Path is Claim taken apart; nil for none.
func (t *Tenants) Path() []string {
	if t == nil {
		return nil
	}
	return parsedPath(t.Claim)
}

func parsedPath(s string) []string {
	if s == "" {
		return nil
	}
	path, err := ClaimPath(s)
	if err != nil {
		return nil // Parse has refused it
	}
	return path
}

// callerKeys are the keys of auth that say who is calling, and the kinds that they belong to.
var callerKeys = map[string][]string{
	"user":      {"issuer", "secret", "none"},
	"audience":  {"issuer", "client"},
	"jwtSecret": {"issuer", "client"},
	"apiKeys":   {"client"},
	"roles":     {"issuer", "client", "secret", "none"},
	"tenants":   {"issuer", "client"},
}

// caller adds to the keys of auth those that say who is calling.
func (r *reader) caller(a *Auth, known fields) fields {
	known["user"] = func(n node) { a.User = r.word(n) }
	known["audience"] = func(n node) { a.Audience = r.word(n) }
	known["jwtSecret"] = func(n node) { a.JWTSecret = r.reference(n) }
	known["apiKeys"] = func(n node) { a.APIKeys = r.reference(n) }
	known["roles"] = func(n node) { a.Roles = r.roles(n) }
	known["tenants"] = func(n node) { a.Tenants = r.tenants(n) }
	return known
}

// checkCaller refuses keys of auth that would be without effect.
func (r *reader) checkCaller(n node, a *Auth, has map[string]bool) {
	for _, key := range slices.Sorted(maps.Keys(callerKeys)) {
		kinds := callerKeys[key]
		switch {
		case !has[key] || slices.Contains(kinds, a.Kind):
		case a.Kind == "account" && (key == "roles" || key == "tenants" || key == "audience"):
			r.refuse(n, "%q of an account stands in \"accounts\"", key)
		default:
			r.refuse(n, "%q belongs to the kinds %s", key, `"`+strings.Join(kinds, `", "`)+`"`)
		}
	}
	if a.Roles != nil && (a.Kind == "secret" || a.Kind == "none") && (a.Roles.Claim != "" || a.Roles.Map != nil) {
		r.refuse(n, `the kind %q has no token that says roles: "roles" can have "give" alone`, a.Kind)
	}
	if a.Kind == "issuer" && !has["user"] {
		r.refuse(n, `the kind "issuer" needs "user", whom "mcp-valet issuer token issue --user" has named`)
	}
}

func (r *reader) roles(n node) *Roles {
	roles := &Roles{}
	has := r.members(n, fields{
		"claim": func(n node) { roles.Claim = r.claim(n) },
		"map":   func(n node) { roles.Map = r.roleMap(n) },
		"give":  func(n node) { roles.Give = r.words(n) },
	}, nil)
	switch {
	case has == nil:
	case len(has) == 0:
		r.refuse(n, `needs "claim" (where a token has its roles), or "give" (roles for everybody)`)
	case has["map"] && !has["claim"] && n.at.within("accounts"):
		r.refuse(n, `"map" belongs to "claim", which says where a token has its roles`)
	}
	return roles
}

func (r *reader) tenants(n node) *Tenants {
	t := &Tenants{}
	has := r.members(n, fields{
		"claim":  func(n node) { t.Claim = r.claim(n) },
		"accept": func(n node) { t.Accept = r.words(n) },
	}, nil)
	switch {
	case has == nil:
	case !has["claim"]:
		r.refuse(n, `needs "claim", where a token has its tenant, such as "tid" or "org_id"`)
	case has["accept"] && len(t.Accept) == 0:
		r.refuse(n, `"accept" is empty: nobody could pass`)
	}
	return t
}

func (r *reader) claim(n node) string {
	s := r.word(n)
	if s != "" {
		if _, err := ClaimPath(s); err != nil {
			r.refuse(n, "%v", err)
		}
	}
	return s
}

// roleMap reads values of a claim, any of them, with the local role of each.
func (r *reader) roleMap(n node) map[string]string {
	m := map[string]string{}
	r.entries(n, false, func(value string, key, role node) {
		if value == "" || len(value) > maxWord {
			r.refuse(key, "a value of the claim has 1 to %d bytes", maxWord)
		}
		m[value] = r.word(role)
	})
	if len(m) > maxWords {
		r.refuse(n, "has more than %d entries", maxWords)
	}
	return m
}

func (r *reader) words(n node) []string {
	list := r.list(n, r.word)
	if len(list) > maxWords {
		r.refuse(n, "has more than %d entries", maxWords)
	}
	return list
}

func (r *reader) word(n node) string {
	s := r.text(n)
	if len(s) > maxWord {
		r.refuse(n, "is longer than %d bytes", maxWord)
	}
	return s
}

// reference reads what can only be a secret in the keychain.
func (r *reader) reference(n node) string {
	s := r.text(n)
	if _, _, err := ParseReference(s); kindOf(n.v) == '"' && s != "" && err != nil {
		r.refuse(n, "a secret is not written here: keep it with \"mcp-valet secret set NAME KEY\" and refer to it as \"keyring://NAME/KEY\"")
	}
	return s
}

func rolesValue(r *Roles) any {
	if r == nil {
		return nil
	}
	v := object{{"claim", textValue(r.Claim)}, {"map", nil}, {"give", listValue(r.Give)}}
	if r.Map != nil {
		v[1].value = envValue(r.Map)
	}
	return v
}

func tenantsValue(t *Tenants) any {
	if t == nil {
		return nil
	}
	return object{{"claim", textValue(t.Claim)}, {"accept", listValue(t.Accept)}}
}

// References are the secrets that tokens and keys are checked by.
func (a *Auth) References() (refs []Reference) {
	if a == nil {
		return nil
	}
	for _, s := range []string{a.JWTSecret, a.APIKeys} {
		if owner, key, err := ParseReference(s); err == nil {
			refs = append(refs, Reference{owner, key})
		}
	}
	return refs
}
