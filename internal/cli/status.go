package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"

	"mcp-valet/install"
	"mcp-valet/internal/config"
	"mcp-valet/internal/person"
	"mcp-valet/keyring"
	"mcp-valet/refresh"
)

var statusCommand = command{
	name: "status", max: 0,
	short:   "show which accounts are signed in and which servers may have their tokens",
	long:    "It asks the keychain and the notes of the last renewal; nothing is sent over the network. Exit code 0 whatever it shows.",
	example: "mcp-valet status --json",
	flags: func(a *app, fs *pflag.FlagSet) action {
		asJSON := fs.Bool("json", false, "print JSON")
		return func(ctx context.Context, _ []string) error { return a.status(ctx, *asJSON) }
	},
}

// statusReport is what status knows; its JSON form is for scripts.
type statusReport struct {
	Config   string          `json:"config"`
	Store    string          `json:"store"`
	Accounts []accountStatus `json:"accounts"`
	Servers  []serverStatus  `json:"servers"`
	Secrets  []secretStatus  `json:"secrets"`
}

// accountStatus is one account. State is one of the accountStates.
type accountStatus struct {
	Name    string `json:"name"`
	Issuer  string `json:"issuer,omitempty"`
	State   string `json:"state"`
	Subject string `json:"sub,omitempty"`
	Expires string `json:"access_token_expires_at,omitempty"`
	Renews  bool   `json:"renews"`
	LastTry string `json:"last_renewal_at,omitempty"`
	Problem string `json:"problem,omitempty"`
	// Roles are those that its token gives now, and RolesNote says where they come from, or why there are none.
	Roles     []string `json:"roles,omitempty"`
	RolesNote string   `json:"roles_note,omitempty"`
	Tenant    string   `json:"tenant,omitempty"`
	expiryAt  time.Time
}

// The states of an account.
const (
	stateSignedIn    = "signed in"
	stateExpired     = "signed in, renews at next use" // the access token is over, the refresh token is there
	stateUnreachable = "issuer unreachable"            // signed in, but the last renewal could not reach the issuer
	stateSignIn      = "sign-in needed"
	stateUnknown     = "unknown" // the keychain cannot be read now
)

// serverStatus is one server.
type serverStatus struct {
	Name    string `json:"name"`
	Account string `json:"account,omitempty"`
	Trust   string `json:"trust"` // "trusted", "not trusted", "changed", "not needed", "unknown"
	Problem string `json:"problem,omitempty"`
	// Notes say how it stands with the entries of clients, and what else there is to mend.
	Notes []string `json:"notes,omitempty"`
}

func (a *app) status(ctx context.Context, asJSON bool) error {
	cfg, err := a.loadConfig(false)
	if err != nil {
		return err
	}
	r, err := a.gather(ctx, cfg)
	if err != nil {
		return err
	}
	if asJSON {
		e := json.NewEncoder(a.stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	if len(cfg.Accounts) == 0 {
		a.sayf("There is no account yet. mcp-valet login --help tells how to add one.\n")
	}
	return a.printStatus(r)
}

func (a *app) gather(ctx context.Context, cfg *config.Config) (*statusReport, error) {
	r := &statusReport{Config: cfg.Path, Store: a.storeKind(cfg), Accounts: []accountStatus{}, Servers: []serverStatus{}, Secrets: []secretStatus{}}
	state, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	store, err := a.openStore(cfg, startLimit)
	if errors.Is(err, os.ErrNotExist) && storeEmpty(state) { // no key, since there is nothing that it would open
		store, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	installed, err := install.AllRecords(state)
	if err != nil {
		return nil, err
	}
	for _, name := range sortedKeys(cfg.Accounts) {
		r.Accounts = append(r.Accounts, gatherAccount(ctx, cfg, store, state, name))
	}
	for _, name := range sortedKeys(cfg.Servers) {
		s := gatherServer(ctx, cfg, store, name)
		s.Notes = serverNotes(cfg, installed, name)
		r.Servers = append(r.Servers, s)
	}
	r.Servers = append(r.Servers, orphans(cfg, installed)...)
	r.Secrets, err = gatherSecrets(cfg, store, installed)
	return r, err
}

func gatherAccount(ctx context.Context, cfg *config.Config, store *keyring.Store, state, name string) accountStatus {
	s := accountStatus{Name: name, State: stateSignIn}
	if account, err := resolveAccount(name, cfg.Accounts[name]); err == nil {
		s.Issuer = cmpOr(account.Issuer, account.Endpoints.Token)
	}
	last, err := refresh.ReadState(state, name)
	if err == nil {
		s.LastTry = rfc3339(last.At)
	}
	cred, err := storedCredential(ctx, store, name)
	switch {
	case errors.Is(err, keyring.ErrNotFound):
		return s
	case err != nil:
		s.State, s.Problem = stateUnknown, err.Error()
		return s
	}
	s.Subject, s.Expires, s.Renews, s.expiryAt = cred.Subject, rfc3339(cred.Expiry), !cred.RefreshToken.IsZero(), cred.Expiry
	s.State = accountState(cred, last, time.Now())
	s.gatherRoles(ctx, cfg, state, cred)
	return s
}

// accountState names the state of an account from its credential and the outcome of the last renewal.
func accountState(cred *keyring.Credential, last refresh.State, now time.Time) string {
	alive := cred.Expiry.IsZero() || now.Before(cred.Expiry)
	if !last.At.After(cred.ObtainedAt) {
		last = refresh.State{} // it is about an earlier credential
	}
	switch {
	case last.Outcome == refresh.OutcomeSignedOut && !alive, !alive && cred.RefreshToken.IsZero():
		return stateSignIn
	case last.Outcome == refresh.OutcomeUnreachable:
		return stateUnreachable
	case !alive:
		return stateExpired
	}
	return stateSignedIn
}

func gatherServer(ctx context.Context, cfg *config.Config, store *keyring.Store, name string) serverStatus {
	s := serverStatus{Name: name, Trust: "not needed"}
	now, err := describeEntry(cfg, name)
	if err != nil {
		s.Trust, s.Problem = "unknown", err.Error()
		return s
	}
	entry := cfg.Servers[name]
	s.Account = now.Account
	if now.TokenEnv == "" && len(entry.Secrets()) == 0 {
		return s
	}
	then, err := storedTrust(ctx, store, name)
	switch {
	case errors.Is(err, keyring.ErrNotFound):
		s.Trust = "not trusted"
	case err != nil:
		s.Trust, s.Problem = "unknown", err.Error()
	default:
		now.Path = then.Path
		s.Trust = "trusted"
		if diff := differences(then, now); len(diff) > 0 {
			s.Trust, s.Problem = "changed", strings.Join(diff, ", ")
		}
	}
	return s
}

func (a *app) printStatus(r *statusReport) error {
	fmt.Fprintf(a.stdout, "config  %s\nstore   %s\n\n", r.Config, r.Store)
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ACCOUNT\tSTATE\tUSER\tTOKEN UNTIL\tISSUER\tROLES")
	for _, s := range r.Accounts {
		until := "-"
		if !s.expiryAt.IsZero() {
			until = s.expiryAt.Local().Format(time.DateTime)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", s.Name, withProblem(s.State, s.Problem), cmpOr(person.Sanitize(s.Subject, 40), "-"), until, s.Issuer, s.rolesText())
	}
	fmt.Fprintln(w, "\nSERVER\tACCOUNT\tTRUST\tNOTES")
	for _, s := range r.Servers {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", s.Name, cmpOr(s.Account, "-"), withProblem(s.Trust, s.Problem), strings.Join(s.Notes, "; "))
	}
	if len(r.Secrets) > 0 {
		fmt.Fprintln(w, "\nSECRET\tOF\tUSED BY")
	}
	for _, s := range r.Secrets {
		fmt.Fprintf(w, "%s\t%s\t%s\n", s.Key, s.Owner, s.Use)
	}
	return w.Flush()
}

func withProblem(state, problem string) string {
	if problem == "" {
		return state
	}
	return state + " (" + person.Sanitize(problem, 200) + ")"
}
