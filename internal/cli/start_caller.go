package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"runtime"
	"strings"

	"mcp-valet/internal/config"
	"mcp-valet/internal/issuer"
	"mcp-valet/keyring"
	"mcp-valet/refresh"
	"mcp-valet/wrapper"
	"mcp-valet/wrapper/policy"
)

// The variables by which a client says who is calling, and by which that is checked.
const (
	envToken       = "MCP_AUTH_TOKEN"
	envKey         = "MCP_API_KEY"
	envKeys        = "MCP_API_KEYS"
	envSecret      = "MCP_JWT_SECRET"
	envAllowed     = "MCP_ALLOWED_ROLES"
	envRequireAuth = "MCP_REQUIRE_AUTH"
)

// describeCaller says what a person agrees to of how an entry tells who is calling; "" where it has no word about it.
func describeCaller(cfg *config.Config, auth *config.Auth) string {
	about := struct {
		Kind      string          `json:"kind,omitempty"`
		User      string          `json:"user,omitempty"`
		Audience  string          `json:"audience,omitempty"`
		JWTSecret string          `json:"jwtSecret,omitempty"`
		APIKeys   string          `json:"apiKeys,omitempty"`
		Roles     *config.Roles   `json:"roles,omitempty"`
		Tenants   *config.Tenants `json:"tenants,omitempty"`
	}{"", auth.User, auth.Audience, auth.JWTSecret, auth.APIKeys, auth.Roles, auth.Tenants}
	if account, there := cfg.Accounts[auth.Account]; there && auth.Account != "" {
		about.Roles, about.Tenants = account.Roles, account.Tenants
	}
	if auth.Kind == "issuer" || auth.Kind == "client" {
		about.Kind = auth.Kind
	}
	b, err := json.Marshal(about) // maps in order
	if err != nil || string(b) == "{}" {
		return ""
	}
	return string(b)
}

// user is c as a policy sees it.
func (c *caller) user() *policy.User {
	return &policy.User{Subject: c.Subject, Tenant: c.Tenant, Account: c.Account, Kind: c.Kind, Roles: c.Roles}
}

// kind is the kind of the entry's credential.
func (s *entryStarter) kind() string {
	if s.entry.Auth == nil {
		return "none"
	}
	return s.entry.Auth.Kind
}

// accepted makes c the caller in force, unless MCP_ALLOWED_ROLES leaves nothing of it.
func (s *entryStarter) accepted(start wrapper.Start, c *caller) (wrapper.Start, error) {
	if err := c.allowOnly(s.setting(envAllowed)); err != nil {
		return start, err
	}
	s.caller.Store(c)
	start.User = c.user()
	return start, nil
}

// authenticate finds out who is calling, by the credential that start has.
func (s *entryStarter) authenticate(ctx context.Context, start wrapper.Start, by authenticator) (wrapper.Start, error) {
	c, err := by.Authenticate(ctx, start.Token)
	if err != nil {
		start.Token = keyring.Secret{}
		return start, &about{account: s.now.Account, server: s.now.Server, err: err}
	}
	return s.accepted(start, c)
}

// given is whoever calls a server that has a secret, or no credential at all.
func (s *entryStarter) given() *givenCaller {
	g := &givenCaller{kind: s.kind()}
	if s.entry.Auth != nil {
		g.user, g.roles = s.entry.Auth.User, s.entry.Auth.Roles
	}
	return g
}

// Caller is who is calling now, as the last start found it; nil before the first one. It is safe for concurrent use.
func (s *entryStarter) Caller() *caller { return s.caller.Load() }

// Revoked tells whether the token in force has been revoked, which it knows within two seconds. It is safe for concurrent
// use.
func (s *entryStarter) Revoked() bool { return s.revoked.refuse(s.caller.Load()) }

// setting is a variable of the entry, which a person has agreed to, or else of our own environment.
func (s *entryStarter) setting(name string) string {
	if v, there := s.entry.Env[name]; there {
		return v
	}
	return os.Getenv(name)
}

// material is a secret that credentials are checked by: the config's own, or the one that the server has in its
// environment. Where the entry names none at all, a client may bring what its own credential is checked by; that tells
// people apart who are honest.
func (s *entryStarter) material(ctx context.Context, store *keyring.Store, start wrapper.Start, reference, name string) (keyring.Secret, error) {
	if owner, key, err := config.ParseReference(reference); err == nil {
		return storedSecret(ctx, store, owner, key)
	}
	if v, there := start.Server.Secrets[name]; there && !v.IsZero() {
		return v, nil
	}
	if s.kind() != "client" || s.hasMaterial() {
		return keyring.Secret{}, nil
	}
	return s.fromClient(ctx, store, name)
}

// hasMaterial tells whether the entry itself says what credentials are checked by.
func (s *entryStarter) hasMaterial() bool {
	_, secret := s.refs[envSecret]
	_, keys := s.refs[envKeys]
	return secret || keys || len(s.entry.Auth.References()) > 0
}

// fromClient is a secret that the client's config hands us, which may be a reference to one of this server's own: any
// other would let the client have us use what belongs to another server.
func (s *entryStarter) fromClient(ctx context.Context, store *keyring.Store, name string) (keyring.Secret, error) {
	v := os.Getenv(name)
	if !strings.HasPrefix(strings.ToLower(v), "keyring:") {
		return keyring.NewSecret(v), nil
	}
	owner, key, err := config.ParseReference(v)
	if err != nil || owner != s.now.Server {
		return keyring.Secret{}, &refusal{
			name + " refers to no secret of this server",
			fmt.Sprintf("a reference here is keyring://%s/KEY", s.now.Server),
		}
	}
	return storedSecret(ctx, store, owner, key)
}

// withhold keeps from the server what the client has handed us to check by, unless its entry asks for it.
func (s *entryStarter) withhold(server *wrapper.Server) {
	if k := s.kind(); k != "client" && k != "issuer" {
		return
	}
	secrets := maps.Clone(server.Secrets)
	if secrets == nil {
		secrets = map[string]keyring.Secret{}
	}
	server.Secrets = secrets
	for _, name := range []string{envToken, envKey, envKeys, envSecret} {
		if !sets(server, name) {
			secrets[name] = keyring.Secret{} // which leaves the variable out
		}
	}
}

// sets tells whether a server's environment has a variable of this name.
func sets(server *wrapper.Server, name string) bool {
	same := func(other string) bool {
		return other == name || runtime.GOOS == "windows" && strings.EqualFold(other, name)
	}
	for other := range server.Env {
		if same(other) {
			return true
		}
	}
	for other := range server.Secrets {
		if same(other) {
			return true
		}
	}
	return same(server.TokenEnv)
}

// tokens checks tokens of the local issuer for this server.
func (s *entryStarter) tokens(keys refresh.Keys) *tokenCaller {
	auth := s.entry.Auth
	keys.Audience = []string{s.audience()}
	return &tokenCaller{kind: auth.Kind, keys: keys, roles: auth.Roles, tenants: auth.Tenants, known: s.known(), revoked: s.revoked}
}

// known tells which roles mean something to the server's policy: those of its table. Conditions may name any.
func (s *entryStarter) known() func(string) bool {
	p := s.entry.Policy
	if p == nil || p.File != "" || len(p.Conditions) > 0 {
		return nil
	}
	return func(role string) bool {
		_, there := p.Roles[role]
		return there
	}
}

// audience is what tokens for this server name.
func (s *entryStarter) audience() string { return cmpOr(s.entry.Auth.Audience, s.now.Server) }

// watch begins to watch the lists of revoked tokens, of each key that tokens are checked by.
func (s *entryStarter) watch(public publicPart, secret keyring.Secret) error {
	if public.Set != nil {
		check, err := issuer.CheckerFor(public.Set)
		if err != nil {
			return err
		}
		if err := s.revoked.watch(s.state, check, public.Serials[check.ID()]); err != nil {
			return err
		}
	}
	if secret.IsZero() {
		return nil
	}
	signer, err := issuer.SecretSigner(secret)
	if err != nil {
		return aboutClient(refresh.ErrWeakSecret)
	}
	return s.revoked.watch(s.state, signer.Checker(), public.Serials[signer.ID()])
}

// plainStarter starts a server that gets no credential.
func plainStarter(server wrapper.Server, entry config.Server) (wrapper.Starter, error) {
	s := &entryStarter{entry: entry, now: &keyring.Trust{}}
	start, err := s.authenticate(context.Background(), wrapper.Start{Server: server}, s.given())
	return wrapper.Fixed(start), err
}
