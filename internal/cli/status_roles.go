package cli

import (
	"context"
	"errors"
	"strings"
	"time"

	"mcp-valet/internal/config"
	"mcp-valet/internal/person"
	"mcp-valet/keyring"
	"mcp-valet/refresh"
)

// gatherRoles says which roles an account's token gives. It is verified with the keys at hand.
func (s *accountStatus) gatherRoles(ctx context.Context, cfg *config.Config, state string, cred *keyring.Credential) {
	account, err := resolveAccount(s.Name, cfg.Accounts[s.Name])
	if err != nil {
		return // told elsewhere
	}
	by := &accountCaller{account: account, conf: cfg.Accounts[s.Name], state: state, offline: true}
	c, err := by.Authenticate(ctx, cred.AccessToken)
	var no *refusal
	switch {
	case err == nil:
		s.Roles, s.RolesNote, s.Tenant = c.Roles, c.Note, c.Tenant
	case !cred.Expiry.IsZero() && time.Now().After(cred.Expiry):
		s.RolesNote = "known when the token is renewed"
	case errors.Is(err, refresh.ErrUnreachable):
		s.RolesNote = "known at the next start: the issuer's keys are not at hand"
	case errors.As(err, &no), errors.Is(err, refresh.ErrToken):
		s.RolesNote = "refused: " + strings.TrimPrefix(err.Error(), refresh.ErrToken.Error()+": ")
	default:
		s.RolesNote = err.Error()
	}
}

func (s *accountStatus) rolesText() string {
	text := cmpOr(strings.Join(s.Roles, ","), "-")
	if s.Tenant != "" {
		text += " of tenant " + s.Tenant
	}
	if s.RolesNote != "" {
		text += " (" + s.RolesNote + ")"
	}
	return person.Sanitize(text, 200)
}
