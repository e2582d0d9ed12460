package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"mcp-valet/keyring"
	"mcp-valet/refresh"
)

var logoutCommand = command{
	name: "logout", args: "ACCOUNT", min: 1, max: 1,
	short: "revoke an account's tokens at the issuer and remove them from the keychain",
	long: `The tokens leave the keychain in any case. When the issuer could not be reached to revoke them, the command says so
and ends with exit code 6. What you agreed to for the account's servers is forgotten with them. The account stays in
the config; mcp-valet login ACCOUNT signs in again.`,
	example: "mcp-valet logout work",
	flags: func(a *app, _ *pflag.FlagSet) action {
		return func(ctx context.Context, args []string) error {
			if err := a.logout(ctx, args[0]); err != nil {
				return &about{account: args[0], err: err}
			}
			return nil
		}
	},
}

func (a *app) logout(ctx context.Context, name string) error {
	s, err := a.openAccount(ctx, name, personLimit)
	if err != nil {
		return err
	}
	// The refresh lock keeps a renewal that is under way from writing the credential back.
	lock, err := lockFor(ctx, s.store, keyring.RefreshLock, name)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	if err := refresh.ForgetWindows(s.state, name); err != nil { // it also ends a sign-in that waits
		return err
	}
	cred, err := s.store.Credential(ctx, name)
	if errors.Is(err, keyring.ErrNotFound) {
		a.sayf("%s is not signed in. Nothing to do.", name)
		return nil
	}
	var revoked error
	if err == nil {
		revoked = revoke(ctx, s.account, cred)
	} else if !errors.Is(err, keyring.ErrCorrupt) {
		return err
	}
	if err := s.store.Delete(ctx, keyring.AccountKey(name)); err != nil && !errors.Is(err, keyring.ErrNotFound) {
		return err
	}
	if err := forgetTrust(ctx, s, name); err != nil {
		return err
	}
	return a.sayLoggedOut(name, revoked)
}

// forgetTrust removes what was agreed to for the account's servers: the next login lists them again.
func forgetTrust(ctx context.Context, s *session, account string) error {
	for _, server := range serversOf(s.cfg, account) {
		if err := s.store.Delete(ctx, keyring.TrustKey(server)); err != nil && !errors.Is(err, keyring.ErrNotFound) {
			return err
		}
	}
	return nil
}

// revoke asks the issuer to end the tokens, at the address recorded when they were got.
func revoke(ctx context.Context, account refresh.Account, cred *keyring.Credential) error {
	client, err := refresh.New(account)
	if err != nil {
		return err
	}
	return client.Revoke(ctx, cred)
}

func (a *app) sayLoggedOut(name string, revoked error) error {
	switch {
	case revoked == nil:
		a.sayf("Logged out of %s: its tokens are revoked and gone from this machine.", name)
		return nil
	case errors.Is(revoked, refresh.ErrNoRevocation):
		a.sayf("Logged out of %s: its tokens are gone from this machine. The issuer offers no way to revoke them; end the session on its site if you must.", name)
		return nil
	default:
		return &hinted{
			fmt.Errorf("the tokens of %s are gone from this machine, but not revoked at the issuer: %w", name, revoked),
			"a copy of them would stay good until they expire; if that matters, end the session on the issuer's site",
		}
	}
}
