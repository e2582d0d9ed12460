package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/pflag"

	"mcp-valet/internal/config"
	"mcp-valet/internal/person"
	"mcp-valet/keyring"
	"mcp-valet/refresh"
	"mcp-valet/wrapper/proc"
)

// signInCommand is what askSignIn starts: a process of its own, so that a sign-in survives the launcher that a client
// kills while the person is at it.
var signInCommand = command{
	name: "agent signin", args: "ACCOUNT", min: 1, max: 1, hidden: true,
	short:   "have a person sign in to an account (started by the launcher)",
	example: "mcp-valet agent signin work --server security-kb",
	flags: func(a *app, fs *pflag.FlagSet) action {
		server := fs.String("server", "", "`name` of the server that needs it")
		quiet := fs.Bool("quiet", false, "open no window and show no notification: the client shows the address")
		return func(ctx context.Context, args []string) error {
			return a.asExitCode(a.agentSignIn(ctx, args[0], *server, *quiet))
		}
	},
}

func (a *app) agentSignIn(ctx context.Context, account, server string, quiet bool) error {
	signal.Ignore(endSignals...) // as in agentRefresh
	s, err := a.openForSignIn(ctx, account, server)
	if err != nil {
		return &about{account: account, server: server, err: err}
	}
	window := refresh.Window{}
	if os.Getenv(noOpen) == "" {
		setDesktop(s.cfg.Desktop)
		window = refresh.Window{Open: openWindow, Notify: person.Notify}
	}
	if err := refresh.AskSignIn(ctx, s.store, s.account, s.state, server, window, quiet); err != nil {
		return aboutAccount(s.account, err)
	}
	return nil
}

// noOpen is the variable that keeps windows and notifications away from the screen, whatever it is set to: where nobody
// sits before it, the client is told address and code instead.
const noOpen = "MCP_VALET_NO_OPEN"

// openerTime is how long a program that opens a browser may take to say that it has done so; person.OpenBrowser takes one
// that is still at work later for the browser itself.
const openerTime = 4 * time.Second

// openWindow opens an address in the browser. It is an error if nothing says that this was done, even if it may be: the
// person is then told the address as well.
func openWindow(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, openerTime)
	defer cancel()
	return person.OpenBrowser(ctx, url)
}

// openForSignIn opens the account of a server, whose entry must be what a person agreed to: the config may have been
// edited since the launcher looked, and where the person signs in is in it.
func (a *app) openForSignIn(ctx context.Context, account, server string) (*session, error) {
	cfg, err := a.loadConfig(true)
	if err != nil {
		return nil, err
	}
	now, err := describeEntry(cfg, server)
	if err != nil {
		return nil, err
	}
	if now.Account != account {
		return nil, &refusal{msg: fmt.Sprintf("server %s does not use the account %s", server, account)}
	}
	s := &session{cfg: cfg, conf: cfg.Accounts[account]}
	if s.state, err = a.stateDir(); err != nil {
		return nil, err
	}
	if s.store, err = a.openStore(cfg, personLimit); err != nil {
		return nil, err
	}
	if _, err := admit(ctx, s.store, now); err != nil {
		return nil, err
	}
	s.account, err = accountFor(ctx, s.store, account, s.conf)
	return s, err
}

// setDesktop tells this process how to reach the person's screen, where the client that started us did not.
func setDesktop(desktop map[string]string) {
	for _, name := range config.DesktopVariables() {
		if value := desktop[name]; value != "" && os.Getenv(name) == "" {
			_ = os.Setenv(name, value) // it fails for names and values that the config cannot have
		}
	}
}

// signInVerdicts tells what the exit codes of a sign-in's agent mean; the first error in its chain decides. Codes are all
// that it may say: whatever it prints is lost.
var signInVerdicts = []struct {
	code int
	err  error
}{
	{70, keyring.ErrBusy},
	{71, refresh.ErrUnanswered},
	{72, refresh.ErrDenied},
	{73, refresh.ErrCodeExpired},
	{74, refresh.ErrForeign},
	{75, refresh.ErrMisconfigured},
	{76, refresh.ErrUnreachable},
	{77, refresh.ErrNoWay},
	{91, refresh.ErrIssuerAddress},
	{78, refresh.ErrDiscovery},
	{79, refresh.ErrInsecureURL},
	{80, refresh.ErrToken},
	{81, refresh.ErrSignedOut},
	{82, keyring.ErrLocked},
	{83, keyring.ErrTimeout},
	{84, keyring.ErrFull},
	{85, keyring.ErrCorrupt},
	{86, keyring.ErrTooNew},
	{87, keyring.ErrInsecure},
	{88, keyring.ErrWrongKey},
	{89, keyring.ErrUnknown},
	{90, keyring.ErrUnavailable},
}

// asExitCode says err by an exit code of signInVerdicts, where there is one for it.
func (a *app) asExitCode(err error) error {
	for _, v := range signInVerdicts {
		if errors.Is(err, v.err) {
			a.report(err)
			return exitStatus(v.code)
		}
	}
	return err
}

// errSignIn is a sign-in that failed for a reason of its own.
var errSignIn = errors.New("the sign-in did not succeed")

func signInVerdict(code int, server string) error {
	for _, v := range signInVerdicts {
		if v.code == code {
			return v.err
		}
	}
	switch code {
	case exitRefused:
		return &refusal{"no sign-in is begun: the config is not the one that a person has agreed to", "to look at it and agree: mcp-valet trust " + server}
	case exitConfig:
		return &hinted{errSignIn, "the config cannot be used; to see why: mcp-valet config check"}
	}
	return errSignIn
}

const (
	// signInAnswer bounds the wait for a sign-in to begin; it goes on after that.
	signInAnswer = 5 * time.Second
	// noteLook is how often its note is looked at meanwhile.
	noteLook = 25 * time.Millisecond
)

// askSignIn has an agent ask the person to sign in to account, for server; quiet when the client shows the address
// itself. It returns once the sign-in waits for the person, or is over, at the latest after 5 seconds; nil is a sign-in
// that is under way or done, be it another launcher's or the person's own, and [refresh.ReadSignIn] tells how it stands.
// Otherwise the error wraps a sentinel of package refresh or keyring. It may be called while a sign-in seems to be under
// way: if its agent was killed, another one is begun.
func (a *app) askSignIn(ctx context.Context, account, server string, quiet bool) error {
	options := []string{"--server", server}
	if quiet {
		options = append(options, "--quiet")
	}
	spec, err := a.agentSpec("signin", account, options...)
	if err != nil {
		return err
	}
	state, err := a.stateDir()
	if err != nil {
		return err
	}
	code, err := runSignIn(ctx, spec, state, account)
	if err == nil && code >= killed { // as memory runs short; nobody polls for its code
		code, err = runSignIn(ctx, spec, state, account)
	}
	switch {
	case err != nil:
		return err
	case code == 0:
		return nil
	}
	if err := signInVerdict(code, server); !errors.Is(err, keyring.ErrBusy) {
		return err
	}
	return nil
}

// killed is the least exit code of a process that a signal has ended.
const killed = 128

// runSignIn starts an agent, and gives its exit code, or 0 once the sign-in waits for the person or takes long.
func runSignIn(ctx context.Context, spec proc.Spec, state, account string) (code int, err error) {
	before, _ := refresh.ReadSignIn(state, account) // what cannot be read cannot be what the agent is about to write
	agent, err := proc.Detach(spec)
	if err != nil {
		return 0, fmt.Errorf("starting the sign-in: %w", err)
	}
	defer agent.Release()
	code, err = waitForSignIn(ctx, agent, func() bool {
		s, err := refresh.ReadSignIn(state, account)
		return err == nil && s.Outcome == refresh.SignInWaiting && !s.At.Equal(before.At)
	})
	if err != nil {
		return 0, fmt.Errorf("waiting for the sign-in: %w", err)
	}
	return code, nil
}

// waitForSignIn waits until the agent has ended and gives its exit code, or 0 once the sign-in waits for the person or
// takes long. Only the end of ctx is an error.
func waitForSignIn(ctx context.Context, agent *proc.Detached, waits func() bool) (code int, err error) {
	limited, cancel := context.WithTimeout(ctx, signInAnswer)
	defer cancel()
	for {
		look, next := context.WithTimeout(limited, noteLook)
		code, err := agent.Wait(look)
		next()
		switch {
		case err == nil:
			return code, nil
		case ctx.Err() != nil:
			return 0, ctx.Err()
		case limited.Err() != nil, waits():
			return 0, nil
		}
	}
}
