package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"mcp-valet/keyring"
)

var tokenCommand = command{
	name: "token", args: "ACCOUNT", min: 1, max: 1,
	short:   "print an account's access token, renewed if need be (for scripts)",
	long:    exportLong,
	example: `curl -H "Authorization: Bearer $(mcp-valet token work)" https://api.example.com/`,
	flags: func(a *app, _ *pflag.FlagSet) action {
		return func(ctx context.Context, args []string) error { return a.token(ctx, args[0]) }
	},
}

var credentialCommand = command{
	name: "credential get", args: "ACCOUNT", min: 1, max: 1,
	short:   "print an account's credential as JSON, renewed if need be (for scripts)",
	long:    exportLong,
	example: `mcp-valet credential get work | jq -r .expires_at`,
	flags: func(a *app, _ *pflag.FlagSet) action {
		return func(ctx context.Context, args []string) error { return a.credentialGet(ctx, args[0]) }
	},
}

const exportLong = `It is refused unless the account says "export": true in the config. Stdout holds the answer alone, everything else
goes to stderr. Exit codes: 4 sign-in needed, 5 not exported, 6 issuer unreachable, 7 keychain.`

func (a *app) token(ctx context.Context, name string) error {
	cred, err := a.exported(ctx, name)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.stdout, cred.AccessToken.Reveal())
	return err
}

// exported is a good credential of an account whose tokens may leave this program.
func (a *app) exported(ctx context.Context, name string) (*keyring.Credential, error) {
	s, err := a.openAccount(ctx, name, personLimit)
	if err != nil {
		return nil, err
	}
	if !s.conf.Export {
		return nil, &refusal{
			fmt.Sprintf("account %s does not hand its token to scripts", name),
			fmt.Sprintf(`to allow it, set "export": true for %s: mcp-valet config edit`, name),
		}
	}
	if err := a.agreedToExport(ctx, s); err != nil {
		return nil, &about{account: name, err: err}
	}
	ladder := a.ladder(s)
	ladder.Wait = scriptWait
	cred, err := ladder.Credential(ctx)
	if err != nil {
		return nil, aboutAccount(s.account, err)
	}
	return cred, nil
}

// agreedToExport makes sure that a person agreed to what the config says: it can be edited behind their back.
func (a *app) agreedToExport(ctx context.Context, s *session) error {
	cred, err := s.store.Credential(ctx, s.account.Name)
	if errors.Is(err, keyring.ErrNotFound) || err == nil && cred.Export {
		return nil // in the first case there is nothing to hand out
	}
	if err != nil {
		return err
	}
	question := "Scripts may not have the token of " + s.account.Name + " so far, but the config says so now. Allow it?"
	if err := a.mustConfirm(ctx, question); err != nil {
		return &refusal{
			"the config lets scripts have the token, but nobody agreed to that at the sign-in",
			"to agree: mcp-valet login " + s.account.Name + ", or run this command once in a terminal",
		}
	}
	lock, err := lockFor(ctx, s.store, keyring.RefreshLock, s.account.Name)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	if cred, err = s.store.Credential(ctx, s.account.Name); err != nil {
		return err
	}
	cred.Export = true
	return s.store.SaveCredential(ctx, cred)
}

// scriptWait is how long a script waits for a renewal; no client's start-up time limit applies.
const scriptWait = 30 * time.Second

// credentialJSON is the answer of `credential get`; names are those of RFC 6749 §5.1 where it has them.
type credentialJSON struct {
	Account     string `json:"account"`
	Issuer      string `json:"issuer,omitempty"`
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresAt   string `json:"expires_at,omitempty"` // RFC 3339, UTC; absent when the issuer gave no expiry
	Scope       string `json:"scope,omitempty"`
	Subject     string `json:"sub,omitempty"`
}

func (a *app) credentialGet(ctx context.Context, name string) error {
	cred, err := a.exported(ctx, name)
	if err != nil {
		return err
	}
	out := credentialJSON{
		Account: cred.Account, Issuer: cred.Issuer, AccessToken: cred.AccessToken.Reveal(), TokenType: cmpOr(cred.TokenType, "Bearer"),
		ExpiresAt: rfc3339(cred.Expiry), Scope: strings.Join(cred.Scopes, " "), Subject: cred.Subject,
	}
	e := json.NewEncoder(a.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(out)
}

func rfc3339(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
