package refresh

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"mcp-valet/keyring"
)

const (
	maxRoles  = 10_000 // values of a claim that are looked at
	maxRole   = 256    // bytes of one
	maxNested = 4      // lists in lists
)

// RoleRules say how the claims of a token become local roles and a tenant.
type RoleRules struct {
	Roles  []string          // path of the claim with the roles: names of members from the outside in; nil for none
	Map    map[string]string // from a value to a local role; nil: a value is a local role
	Known  func(string) bool // which local roles there are; nil: all
	Tenant []string          // path of the claim with the tenant; nil for none
}

// Identity is who a token is about.
type Identity struct {
	Subject string
	ID      string   // "jti", "" for none
	Tenant  string   // "" for none
	Roles   []string // local ones, in the order of the token, none twice

	Missing bool // the claim with the roles is not there
	Overage bool // the issuer left it out because it would be too long, and wants to be asked for it (Entra)
	Dropped int  // values that mean no local role, are of another kind than text, or too many

	Issued, Expiry time.Time
}

// Identify reads who c is about. c must come from a Verify of this package: roles of anything else are worth nothing.
//
// The roles are a text, or a list of texts, of lists or of both. Of a claim that is an object the names of its members
// are the roles (Zitadel), but for those that are false or null. A text in a claim named "scope" or "scp" is a list with
// spaces; any other text is one role, spaces and all.
func (r RoleRules) Identify(c *Claims) Identity {
	id := Identity{Subject: c.Subject, Issued: c.IssuedAt, Expiry: c.Expiry}
	id.ID, _ = c.Raw["jti"].(string)
	if tenant, ok := lookUp(c.Raw, r.Tenant).(string); ok && len(tenant) <= maxRole {
		id.Tenant = tenant
	}
	if len(r.Roles) == 0 {
		return id
	}
	claim := lookUp(c.Raw, r.Roles)
	if claim == nil {
		id.Missing, id.Overage = true, leftOut(c.Raw, r.Roles[0])
		return id
	}
	w := roleWalk{rules: r, id: &id, seen: map[string]bool{}}
	last := r.Roles[len(r.Roles)-1]
	switch v := claim.(type) {
	case string:
		if last == "scope" || last == "scp" {
			for s := range strings.FieldsSeq(v) {
				w.take(s)
			}
		} else {
			w.take(v)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) { // the same order each time
			if held := v[name]; held != nil && held != false {
				w.take(name)
			}
		}
	default:
		w.walk(v, 0)
	}
	return id
}

// lookUp follows a path from the outside in; nil where it leads nowhere.
func lookUp(object map[string]any, path []string) any {
	var found any
	for n, name := range path {
		if n > 0 {
			object, _ = found.(map[string]any)
		}
		found = object[name] // nil also in a map that is none
	}
	return found
}

// leftOut tells whether a claim stands elsewhere: distributed claims, OpenID Connect Core section 5.6.2.
func leftOut(raw map[string]any, claim string) bool {
	elsewhere, _ := raw["_claim_names"].(map[string]any)
	_, is := elsewhere[claim]
	many, _ := raw["hasgroups"].(bool)
	return is || many && claim == "groups"
}

// roleWalk gathers the roles of one claim.
type roleWalk struct {
	rules  RoleRules
	id     *Identity
	seen   map[string]bool
	values int
}

func (w *roleWalk) walk(v any, depth int) {
	switch v := v.(type) {
	case string:
		w.take(v)
	case []any:
		for n, e := range v {
			if w.values >= maxRoles {
				w.id.Dropped += len(v) - n
				return
			}
			if _, list := e.([]any); list && depth == maxNested {
				w.values++
				w.id.Dropped++
				continue
			}
			w.walk(e, depth+1)
		}
	default:
		w.values++
		w.id.Dropped++
	}
}

func (w *roleWalk) take(value string) {
	w.values++
	if w.values > maxRoles || value == "" || len(value) > maxRole {
		w.id.Dropped++
		return
	}
	if w.seen[value] {
		return
	}
	w.seen[value] = true
	role := value
	if w.rules.Map != nil {
		role = w.rules.Map[value]
	}
	switch {
	case role == "" || w.rules.Known != nil && !w.rules.Known(role):
		w.id.Dropped++
	case !slices.Contains(w.id.Roles, role):
		w.id.Roles = append(w.id.Roles, role)
	}
}

// VerifyOffline is Verify with the keys at hand alone: nothing is sent over the network. Keys that are not at hand, or
// too old, are [ErrUnreachable].
func (v *Verifier) VerifyOffline(token keyring.Secret) (*Claims, error) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	claims, err := v.Verify(ctx, token)
	if errors.Is(err, context.Canceled) {
		return nil, fmt.Errorf("%w: its keys are not at hand", ErrUnreachable)
	}
	return claims, err
}

// IsJWT tells whether a token could carry roles at all: an opaque one carries none.
func IsJWT(token keyring.Secret) bool {
	_, is, err := Inspect(token)
	return is && err == nil
}
