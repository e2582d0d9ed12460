package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mcp-valet/internal/config"
	"mcp-valet/keyring"
	"mcp-valet/refresh"
)

// caller is the person, or the program, that a server works for.
type caller struct {
	Kind    string // of credential: "account", "secret", "issuer", "client" or "none"
	Account string // for the kind "account"
	Subject string
	Tenant  string    // "" for none known
	Roles   []string  // local ones
	Expiry  time.Time // from when on this is not known any more; zero for never

	// Unchecked says that the caller had to show no credential, because MCP_REQUIRE_AUTH is false.
	Unchecked bool
	// Note says in a few words where the roles come from, or why there are none.
	Note string

	tokens []string  // ids of the tokens that this hangs on, to be looked up among those revoked
	issued time.Time // when the token was; zero where nothing can be revoked
}

// authenticator tells who shows a credential. There is one for each kind of credential.
type authenticator interface {
	// Authenticate gives the caller whose credential it is. Nothing of the credential is in an error.
	Authenticate(ctx context.Context, credential keyring.Secret) (*caller, error)
}

// rulesOf are the rules for reading a token's claims.
func rulesOf(roles *config.Roles, tenants *config.Tenants, known func(string) bool) refresh.RoleRules {
	rules := refresh.RoleRules{Roles: roles.Path(), Tenant: tenants.Path(), Known: known}
	if roles != nil {
		rules.Map = roles.Map
	}
	return rules
}

// given are the roles that everybody has.
func given(roles *config.Roles) []string {
	if roles == nil {
		return nil
	}
	return slices.Clone(roles.Give)
}

// take fills in who a verified token is about, and refuses tenants that are not accepted.
func (c *caller) take(id refresh.Identity, roles *config.Roles, tenants *config.Tenants) error {
	c.Tenant, c.Expiry, c.issued = id.Tenant, id.Expiry, id.Issued
	c.Roles = union(id.Roles, given(roles))
	c.Note = roleNote(id)
	if tenants != nil && tenants.Accept != nil && !slices.Contains(tenants.Accept, id.Tenant) {
		return foreignTenant()
	}
	return nil
}

func foreignTenant() error {
	return &refusal{"the token is for a tenant that is not accepted, or for none", "sign in to one of those that \"tenants\" accepts in the config, or change that: mcp-valet config edit"}
}

func roleNote(id refresh.Identity) string {
	switch {
	case id.Overage:
		return "the issuer leaves the claim out, since it would be too long: give the person fewer groups, or have the issuer send app roles"
	case id.Missing:
		return "the token lacks the claim"
	case id.Dropped > 0:
		return fmt.Sprintf("%d more in the token mean nothing here", id.Dropped)
	}
	return ""
}

// union is a with what of b is not in it.
func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}

// keyWait bounds the wait for an issuer's keys, where they are not at hand.
const keyWait = 2 * time.Second

// accountCaller tells whose an account's access token is. Roles and tenant are taken from a JWT alone, which is verified
// in full for that: signature, issuer and times, and its audience if the account names one. Without, any audience passes:
// the token is the one that our own sign-in brought, and it is addressed to the server and not to us.
type accountCaller struct {
	account refresh.Account
	conf    config.Account
	state   string                 // folder
	subject string                 // as the sign-in told it
	known   func(role string) bool // which roles mean something to the server; nil: all
	offline bool                   // nothing is to be sent over the network
}

func (a *accountCaller) Authenticate(ctx context.Context, token keyring.Secret) (*caller, error) {
	c := &caller{Kind: "account", Account: a.account.Name, Subject: a.subject, Roles: given(a.conf.Roles)}
	rules := rulesOf(a.conf.Roles, a.conf.Tenants, a.known)
	switch {
	case !refresh.IsJWT(token):
		if a.conf.Tenants != nil && a.conf.Tenants.Accept != nil {
			return nil, foreignTenant()
		}
		c.Note = "its token is opaque and carries no roles"
		return c, nil
	case rules.Roles == nil && rules.Tenant == nil:
		c.Note = "no claim of its token is read"
		return c, nil
	}
	claims, err := a.verify(ctx, token)
	if err != nil {
		return nil, err
	}
	err = c.take(rules.Identify(claims), a.conf.Roles, a.conf.Tenants)
	c.issued, c.Expiry = time.Time{}, time.Time{} // nothing of another issuer's is in our lists, and its end is the account's affair
	setIf(&c.Subject, claims.Subject)
	return c, err
}

func (a *accountCaller) verify(ctx context.Context, token keyring.Secret) (*refresh.Claims, error) {
	client, err := refresh.New(a.account)
	if err != nil {
		return nil, err
	}
	v := client.Verifier(filepath.Join(a.state, "keys"))
	if a.offline {
		return v.VerifyOffline(token)
	}
	return v.VerifyWithin(ctx, keyWait, token)
}

// tokenCaller tells whose a token of the local issuer is, or one that a shared secret has signed.
type tokenCaller struct {
	kind    string
	keys    refresh.Keys
	roles   *config.Roles
	tenants *config.Tenants
	known   func(role string) bool // which roles mean something to the server; nil: all
	revoked *revocations
}

func (t *tokenCaller) Authenticate(_ context.Context, token keyring.Secret) (*caller, error) {
	claims, err := t.keys.Verify(token)
	if err != nil {
		return nil, err
	}
	rules := rulesOf(t.roles, t.tenants, t.known)
	if rules.Roles == nil {
		rules.Roles = []string{"roles"}
	}
	if rules.Tenant == nil {
		rules.Tenant = []string{"tenant"}
	}
	id := rules.Identify(claims)
	c := &caller{Kind: t.kind, Subject: claims.Subject}
	if err := c.take(id, t.roles, t.tenants); err != nil {
		return nil, err
	}
	c.tokens = tokenIDs(claims)
	if c.issued.IsZero() {
		c.issued = time.Unix(0, 0) // older than any revocation
	}
	if t.revoked.refuse(c) {
		return nil, fmt.Errorf("%w: it has been revoked", refresh.ErrToken)
	}
	return c, nil
}

// tokenIDs are the ids of a token and of the one that it was made for.
func tokenIDs(c *refresh.Claims) (ids []string) {
	for _, name := range []string{"jti", "parent"} {
		if id, _ := c.Raw[name].(string); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// keyCaller tells whose an API key is.
type keyCaller struct {
	keys  []apiKey
	roles *config.Roles
}

func (k *keyCaller) Authenticate(_ context.Context, key keyring.Secret) (*caller, error) {
	found := findKey(k.keys, key)
	if found == nil {
		return nil, errors.New("the API key is none of those in MCP_API_KEYS")
	}
	return &caller{Kind: "client", Subject: found.user, Roles: union(slices.Clone(found.roles), given(k.roles))}, nil
}

// givenCaller is whoever there is: a secret says nothing of its bearer, and no credential says nothing at all.
type givenCaller struct {
	kind, user string
	roles      *config.Roles
	unchecked  bool
}

func (g *givenCaller) Authenticate(context.Context, keyring.Secret) (*caller, error) {
	return &caller{Kind: g.kind, Subject: cmpOr(g.user, "anonymous"), Roles: given(g.roles), Unchecked: g.unchecked}, nil
}

// allowOnly takes from a caller the roles that MCP_ALLOWED_ROLES does not list, and refuses those who have none then.
func (c *caller) allowOnly(setting string) error {
	allowed := splitList(setting)
	if len(allowed) == 0 {
		return nil
	}
	c.Roles = slices.DeleteFunc(slices.Clone(c.Roles), func(role string) bool { return !slices.Contains(allowed, role) })
	if len(c.Roles) == 0 {
		return &refusal{"none of the roles that MCP_ALLOWED_ROLES lists is held", "ask whoever gives out roles, or correct MCP_ALLOWED_ROLES"}
	}
	return nil
}

// splitList takes a list with commas apart.
func splitList(s string) (list []string) {
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}
