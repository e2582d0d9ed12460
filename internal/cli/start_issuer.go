package cli

import (
	"context"
	"fmt"
	"time"

	"mcp-valet/internal/issuer"
	"mcp-valet/keyring"
	"mcp-valet/refresh"
	"mcp-valet/wrapper"
)

// mintLife is how long a token lives that is made for one server. Tests have less patience.
var mintLife = time.Hour

// withIssuer makes a token for the server: for the person of its entry, as the token says that was issued to them.
func (s *entryStarter) withIssuer(ctx context.Context, store *keyring.Store, start wrapper.Start) (wrapper.Start, error) {
	auth := s.entry.Auth
	secret, err := s.material(ctx, store, start, auth.JWTSecret, envSecret)
	if err != nil {
		return start, err
	}
	signer, err := signerOf(ctx, store, secret)
	if err != nil {
		return start, err
	}
	public, err := readPublic(ctx, store)
	if err != nil {
		return start, err
	}
	if err := s.revoked.watch(s.state, signer.Checker(), public.Serials[signer.ID()]); err != nil {
		return start, err
	}
	now := time.Now()
	grant := s.revoked.latest(signer.ID(), auth.User, now)
	if grant == nil {
		return start, &refusal{
			fmt.Sprintf("%s has no token of the local issuer that is good now", auth.User),
			"to issue one: mcp-valet issuer token issue --user " + shellWord(auth.User) + " --roles R",
		}
	}
	if grant.Audience != "" && grant.Audience != s.audience() {
		return start, &refusal{
			fmt.Sprintf("what was issued to %s is for another audience than %s", auth.User, s.audience()),
			"issue a token without --audience, or for this server: mcp-valet issuer token issue",
		}
	}
	keys := refresh.Keys{Set: signer.JWKS(), Issuer: issuer.LocalName, Secret: secret}
	return s.mint(ctx, start, signer, keys, grant, now)
}

// mint makes a token of what was issued. It ends with that, and then a new one brings nothing.
func (s *entryStarter) mint(ctx context.Context, start wrapper.Start, signer *issuer.Signer, keys refresh.Keys, grant *issuer.Issued, now time.Time) (wrapper.Start, error) {
	expiry := now.Add(mintLife)
	last := !expiry.Before(grant.Expiry)
	if last {
		expiry = grant.Expiry
	}
	token, err := signer.Mint(issuer.Token{
		ID: issuer.NewID(), Parent: grant.ID, User: grant.User, Roles: grant.Roles, Tenant: grant.Tenant,
		Audience: s.audience(), Issued: now, Expiry: expiry,
	})
	if err != nil {
		return start, err
	}
	start.Token = token
	if start, err = s.authenticate(ctx, start, s.tokens(keys)); err != nil {
		return start, err
	}
	start.Subject, start.Ends = grant.User, expiry
	if !last {
		start.Due = expiry.Add(-refresh.Margin(now, expiry))
	}
	return start, nil
}
