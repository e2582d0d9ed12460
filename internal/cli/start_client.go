package cli

import (
	"context"
	"errors"
	"strings"

	"mcp-valet/internal/issuer"
	"mcp-valet/keyring"
	"mcp-valet/refresh"
	"mcp-valet/wrapper"
)

// withClient checks what the client's config says of who is calling.
func (s *entryStarter) withClient(ctx context.Context, store *keyring.Store, start wrapper.Start) (wrapper.Start, error) {
	token, err := s.fromClient(ctx, store, envToken)
	if err != nil {
		return start, err
	}
	key, err := s.fromClient(ctx, store, envKey)
	if err != nil {
		return start, err
	}
	required, err := s.authRequired()
	switch {
	case err != nil:
		return start, err
	case !token.IsZero():
		return s.withClientToken(ctx, store, start, token)
	case !key.IsZero():
		return s.withClientKey(ctx, store, start, key)
	case required:
		return start, &refusal{
			"the client's config says nothing of who is calling",
			"it needs MCP_AUTH_TOKEN (mcp-valet issuer token issue makes one) or MCP_API_KEY in \"env\" of the server's entry",
		}
	}
	if !s.warned {
		s.warned = true
		s.app.sayf("%s: WARNING: MCP_REQUIRE_AUTH IS FALSE: WHOEVER CALLS %s IS NOT ASKED WHO THEY ARE. This is for development alone.", program, s.now.Server)
	}
	g := s.given()
	g.unchecked = true
	return s.authenticate(ctx, start, g)
}

// authRequired reads MCP_REQUIRE_AUTH.
func (s *entryStarter) authRequired() (bool, error) {
	switch strings.ToLower(strings.TrimSpace(s.setting(envRequireAuth))) {
	case "", "true", "1", "yes":
		return true, nil
	case "false", "0", "no":
		return false, nil
	}
	return true, &refusal{"MCP_REQUIRE_AUTH is neither true nor false", "leave it out, or set it to false while developing"}
}

func (s *entryStarter) withClientToken(ctx context.Context, store *keyring.Store, start wrapper.Start, token keyring.Secret) (wrapper.Start, error) {
	auth := s.entry.Auth
	secret, err := s.material(ctx, store, start, auth.JWTSecret, envSecret)
	if err != nil {
		return start, err
	}
	public, err := readPublic(ctx, store)
	if err != nil {
		return start, err
	}
	if err := s.watch(public, secret); err != nil {
		return start, err
	}
	by := s.tokens(refresh.Keys{Set: public.Set, Issuer: issuer.LocalName, Secret: secret})
	start.Token = token
	if start, err = s.authenticate(ctx, start, by); err != nil {
		return start, aboutClient(err)
	}
	c := s.Caller()
	start.Subject, start.Ends = c.Subject, c.Expiry.Add(refresh.Leeway)
	return start, nil
}

// aboutClient says what is to be done about a token that a client's config holds.
func aboutClient(err error) error {
	hint := ""
	switch {
	case errors.Is(err, refresh.ErrToken):
		hint = "put another MCP_AUTH_TOKEN into the client's config: mcp-valet issuer token issue --user U --roles R makes one"
	case errors.Is(err, refresh.ErrNoKeys):
		hint = "make a key (mcp-valet issuer init), or give MCP_JWT_SECRET"
		err = &refusal{msg: "MCP_AUTH_TOKEN cannot be checked: " + err.Error()}
	case errors.Is(err, refresh.ErrWeakSecret):
		hint = "make a long random one: openssl rand -base64 48"
		err = &refusal{msg: "MCP_JWT_SECRET: " + err.Error()}
	default:
		return err
	}
	return &hinted{err, hint}
}

func (s *entryStarter) withClientKey(ctx context.Context, store *keyring.Store, start wrapper.Start, key keyring.Secret) (wrapper.Start, error) {
	list, err := s.material(ctx, store, start, s.entry.Auth.APIKeys, envKeys)
	if err != nil {
		return start, err
	}
	keys, err := parseKeys(list)
	switch {
	case err != nil:
		return start, err
	case len(keys) == 0:
		return start, &refusal{"MCP_API_KEY cannot be checked: there is no MCP_API_KEYS", "keep the accepted keys with mcp-valet secret set, and refer to them as \"apiKeys\" in \"auth\""}
	}
	c, err := (&keyCaller{keys, s.entry.Auth.Roles}).Authenticate(ctx, key)
	if err != nil {
		return start, &refusal{err.Error(), "put another MCP_API_KEY into the client's config"}
	}
	if start.Server.TokenEnv == envKey {
		start.Token = key
	} else if v, there := start.Server.Secrets[envKey]; there && v.IsZero() {
		start.Server.Secrets[envKey] = key
	}
	start.Subject = c.Subject
	return s.accepted(start, c)
}
