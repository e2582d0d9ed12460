package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/pflag"

	"mcp-valet/internal/config"
	"mcp-valet/internal/person"
	"mcp-valet/keyring"
	"mcp-valet/refresh"
	"mcp-valet/wrapper"
	"mcp-valet/wrapper/proc"
)

// runOptions are the options of run.
type runOptions struct{ account, tokenEnv string }

// adHoc is the name of a server that is given on the command line.
const adHoc = "command-line"

var runCommand = command{
	name: "run", args: "NAME | run --account A -- COMMAND [ARGS]", min: 1, max: -1, ownArgs: true,
	short: "start a server with its token and pass its messages on (the client runs this)",
	long: `The server is NAME in the config, or COMMAND with the token of an account.
Stdin and stdout carry MCP messages and nothing else. When no token can be had without a person, every request is
answered with an error that says what to do.`,
	example: `mcp-valet run security-kb
mcp-valet run --account work -- npx -y @example/mcp-server --verbose`,
	flags: func(a *app, fs *pflag.FlagSet) action {
		o := runOptions{}
		fs.StringVar(&o.account, "account", "", "`account` whose token COMMAND gets")
		fs.StringVar(&o.tokenEnv, "token-env", config.DefaultTokenEnv, "environment `variable` that COMMAND reads its token from")
		return func(ctx context.Context, args []string) error { return a.run(ctx, fs, &o, args) }
	},
}

func (a *app) run(ctx context.Context, fs *pflag.FlagSet, o *runOptions, args []string) error {
	if o.account == "" && len(args) > 1 {
		// `run NAME --config FILE`: options after NAME are ours, since no command follows.
		name := args[0]
		if err := fs.Parse(args[1:]); err != nil {
			return &usageError{msg: err.Error(), command: "run"}
		}
		if o.account != "" || fs.NArg() > 0 {
			return &usageError{msg: "give the NAME of a server, or --account A -- COMMAND", command: "run"}
		}
		args = []string{name}
	}
	l, err := a.prepare(ctx, o, args)
	if err != nil && a.atTerminal() {
		return err
	}
	if l == nil {
		l = &launch{}
	}
	return a.serve(ctx, l, err)
}

// serve runs the server, or says to each request why there is none.
func (a *app) serve(ctx context.Context, l *launch, reason error) error {
	told := false // the wrapper has put the error on stderr already
	options := wrapper.Options{
		In: a.stdin, Out: a.stdout, Err: a.stderr, Stop: stopSignals(),
		Refusal: func(err error) string { told = true; return a.refusalText(err) },
		Name:    l.name, Account: l.account, Starter: l.starter, SignIns: l.signIns, Snapshot: l.snapshot,
		MaxMessage: l.maxMessage, Renewal: l.renewal, TokenFile: l.tokenFile,
		Unauthorized: l.unauthorized, Guard: l.guard.options(),
	}
	defer l.guard.close()
	code, err := 0, reason
	if reason == nil {
		code, err = wrapper.Run(ctx, options)
	} else {
		err = wrapper.Refuse(ctx, options, reason)
	}
	switch {
	case err != nil && told:
		code, _ = classify(err)
		return exitStatus(code)
	case err != nil:
		return &about{account: l.account, server: l.name, err: err}
	case code != 0:
		return exitStatus(code)
	}
	return nil
}

// stopSignals delivers the signals that ask us to end; the wrapper passes them to the server.
func stopSignals() <-chan os.Signal {
	c := make(chan os.Signal, 2)
	signal.Notify(c, endSignals...)
	return c
}

// atTerminal tells whether a person typed this command: nobody will send messages then, and an error is told at once.
func (a *app) atTerminal() bool { return person.IsTerminal(a.stdin) }

// refusalText is what a client shows of an error: what happened, and what the person can do about it.
func (a *app) refusalText(err error) string {
	_, hint := classify(err)
	text := program + ": " + strings.ReplaceAll(err.Error(), "\n", "; ")
	if hint != "" {
		text += " (" + a.here(hint) + ")"
	}
	return text
}

// launch is a server of the config, or of the command line. Whether it may be started, and with what, its starter finds
// out each time.
type launch struct {
	name, account string
	starter       wrapper.Starter
	signIns       wrapper.SignIns // nil for none
	snapshot      string          // file; "" for none
	maxMessage    int
	renewal       wrapper.Renewal
	tokenFile     string   // for wrapper.RenewFile
	unauthorized  []string // for wrapper.Options
	cfg           *config.Config
	store         *keyring.Store // nil for none
	revoked       func() bool    // whether the credential of whoever calls has been; nil where that cannot be
	guard         *guard         // nil for none, as before it is known that the server is to be run
}

// prepare finds out what to start.
func (a *app) prepare(ctx context.Context, o *runOptions, args []string) (*launch, error) {
	if o.account != "" {
		return a.prepareAdHoc(ctx, o, args)
	}
	name := args[0]
	l, err := a.prepareNamed(ctx, name)
	if err == nil {
		l.guard, err = a.guardOf(l)
	}
	if err != nil {
		return nil, &about{server: name, account: accountOf(err), err: err}
	}
	return l, nil
}

func accountOf(err error) string {
	var a *about
	if errors.As(err, &a) {
		return a.account
	}
	return ""
}

// prepareNamed is prepare for a server of the config.
func (a *app) prepareNamed(ctx context.Context, name string) (*launch, error) {
	cfg, err := a.loadConfig(true)
	if err != nil {
		return nil, err
	}
	now, err := describeEntry(cfg, name)
	if err != nil {
		return nil, err
	}
	entry := cfg.Servers[name]
	refs := entry.Secrets()
	l := &launch{name: name, cfg: cfg, account: now.Account, maxMessage: entry.MaxMessage}
	server := wrapper.Server{Args: entry.Args, Dir: entry.Cwd, Env: plainEnv(entry, refs), TokenEnv: now.TokenEnv}
	if now.TokenEnv == "" && len(refs) == 0 {
		if server.Path, err = a.preparePlain(ctx, cfg, now); err != nil {
			return l, err
		}
		l.starter, err = plainStarter(server, entry)
		return l, err
	}
	store, err := a.openStore(cfg, startLimit)
	if err != nil {
		return nil, &about{account: now.Account, err: err}
	}
	state, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	l.store = store
	l.snapshot = snapshotPath(state, now)
	st := &entryStarter{app: a, cfg: cfg, store: store, state: state, entry: entry, refs: refs, now: now, server: server, revoked: &revocations{}}
	l.starter = st
	if kind := st.kind(); kind == "issuer" || kind == "client" {
		l.revoked = st.Revoked
	}
	if now.Account != "" {
		account, err := resolveAccount(now.Account, cfg.Accounts[now.Account])
		if err != nil {
			return nil, &about{account: now.Account, err: err}
		}
		l.signIns = &signIns{app: a, store: store, account: account, state: state, server: name}
		l.unauthorized = entry.Auth.OnUnauthorized
	}
	if l.revoked != nil || l.signIns != nil { // its token renews
		l.renewal, l.tokenFile = renewals[entry.Auth.Renew], tokenFile(state, name)
	}
	if l.renewal == wrapper.RenewFile {
		sweepTokenFiles(state)
	}
	return l, nil
}

// preparePlain is for a server that gets no secret. One that a person once agreed to may not lose its account in the
// config in silence: whoever edits it away would have a program of theirs started unseen. So what was agreed to must be
// known, or known not to be there; a keychain that is locked or hangs is neither.
func (a *app) preparePlain(ctx context.Context, cfg *config.Config, now *keyring.Trust) (path string, err error) {
	then, err := a.agreed(ctx, cfg, now.Server)
	if err != nil {
		return "", err
	}
	if then != nil {
		now.Path = then.Path
		if diff := differences(then, now); len(diff) > 0 {
			return "", untrusted(now, "the config has changed since a person agreed to it ("+strings.Join(diff, ", ")+")")
		}
	}
	return proc.Resolve(now.Command, now.Dir, os.Environ())
}

// agreed is what was agreed to for a server; nil where nothing was, or no keychain is to be had on this machine.
func (a *app) agreed(ctx context.Context, cfg *config.Config, server string) (*keyring.Trust, error) {
	store, err := a.openStore(cfg, plainLimit)
	if err != nil {
		return nil, err
	}
	then, err := store.Trust(ctx, server)
	if errors.Is(err, keyring.ErrNotFound) || errors.Is(err, keyring.ErrUnavailable) {
		return nil, nil
	}
	return then, err
}

// admit decides whether a server's entry is the one that a person agreed to, and gives the program to start.
// The program is the one found then: a PATH that differs now, as in an app started from a dock, changes nothing.
func admit(ctx context.Context, store *keyring.Store, now *keyring.Trust) (string, error) {
	then, err := store.Trust(ctx, now.Server)
	if errors.Is(err, keyring.ErrNotFound) && neverSignedIn(ctx, store, now.Account) {
		// Signing in is what to do first: it trusts the account's servers too.
		return "", &about{account: now.Account, server: now.Server, err: fmt.Errorf("account %s: %w", now.Account, refresh.ErrSignedOut)}
	}
	if errors.Is(err, keyring.ErrNotFound) {
		return "", untrusted(now, "nobody has agreed yet that this server gets a token or secret")
	}
	if err != nil {
		return "", &about{account: now.Account, server: now.Server, err: err}
	}
	now.Path = then.Path
	if diff := differences(then, now); len(diff) > 0 {
		return "", untrusted(now, "the config has changed since a person agreed to it ("+strings.Join(diff, ", ")+")")
	}
	return proc.Resolve(then.Path, then.Dir, os.Environ())
}

func neverSignedIn(ctx context.Context, store *keyring.Store, account string) bool {
	if account == "" {
		return false
	}
	_, err := store.Credential(ctx, account)
	return errors.Is(err, keyring.ErrNotFound)
}

func untrusted(now *keyring.Trust, why string) error {
	return &about{account: now.Account, server: now.Server, err: &refusal{
		fmt.Sprintf("server %s is not started, and is given nothing: %s", now.Server, why),
		"to look at it and agree: mcp-valet trust " + now.Server,
	}}
}

// fetch gets the secrets that a server's environment asks for.
func fetch(ctx context.Context, store *keyring.Store, refs map[string]config.Reference) (map[string]keyring.Secret, error) {
	secrets := make(map[string]keyring.Secret, len(refs))
	for env, ref := range refs {
		v, err := store.Get(ctx, keyring.SecretKey(ref.Owner, ref.Key))
		if errors.Is(err, keyring.ErrNotFound) {
			return nil, missingSecret(ref.Owner, ref.Key)
		}
		if err != nil {
			return nil, fmt.Errorf("secret %s of %s: %w", ref.Key, ref.Owner, err)
		}
		secrets[env] = v
	}
	return secrets, nil
}

func missingSecret(owner, key string) error {
	return &noSecret{owner, key}
}

// noSecret is a secret that the config names and nobody has stored.
type noSecret struct{ owner, key string }

func (e *noSecret) Error() string {
	return fmt.Sprintf("secret %s of %s is not in the keychain", e.key, e.owner)
}

// plainEnv is a server's environment less the values that are references to secrets.
func plainEnv(entry config.Server, refs map[string]config.Reference) map[string]string {
	env := map[string]string{}
	for k, v := range entry.Env {
		if _, secret := refs[k]; !secret {
			env[k] = v
		}
	}
	return env
}

// prepareAdHoc is prepare for a command that was given on the command line, which only a person can vouch for.
func (a *app) prepareAdHoc(ctx context.Context, o *runOptions, args []string) (*launch, error) {
	s, err := a.openAccount(ctx, o.account, startLimit)
	if err != nil {
		return nil, err
	}
	now := &keyring.Trust{Server: adHoc, Command: args[0], Args: args[1:], TokenEnv: o.tokenEnv}
	if err := nameAccount(now, s.account); err != nil {
		return nil, err
	}
	if now.Path, err = proc.Resolve(now.Command, "", os.Environ()); err != nil {
		return nil, &about{account: o.account, err: err}
	}
	a.showTrust(nil, now)
	if err := a.mustConfirm(ctx, "Start this, with the token of "+o.account+"?"); err != nil {
		return nil, &about{account: o.account, err: err}
	}
	return &launch{
		name: adHoc, account: o.account, renewal: wrapper.RenewRestart,
		starter: &givenStarter{a, s, wrapper.Server{Path: now.Path, Args: now.Args, TokenEnv: now.TokenEnv}},
	}, nil
}

// aboutAccount names the account and the issuer that an error is about.
func aboutAccount(account refresh.Account, err error) error {
	a := &about{account: account.Name, err: err}
	if u, parseErr := url.Parse(cmpOr(account.Issuer, account.Endpoints.Token)); parseErr == nil {
		a.issuer = u.Host
	}
	return a
}
