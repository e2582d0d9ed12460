package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"github.com/spf13/pflag"

	"mcp-valet/internal/config"
	"mcp-valet/refresh"
	"mcp-valet/wrapper/proc"
)

// agentCommand is what askAgent starts: a process of its own, so that a client which kills the launcher a second
// after start never cuts a rotation of the refresh token in half.
var agentCommand = command{
	name: "agent refresh", args: "ACCOUNT", min: 1, max: 1, hidden: true,
	short:   "renew the credential of an account (started by the launcher)",
	example: "mcp-valet agent refresh work",
	flags: func(a *app, fs *pflag.FlagSet) action {
		refused := fs.Int64("refused", 0, "`serial` of the credential whose token a server has refused")
		return func(ctx context.Context, args []string) error { return a.agentRefresh(ctx, args[0], *refused) }
	},
}

func (a *app) agentRefresh(ctx context.Context, name string, refused int64) error {
	// A log-out or shutdown asks every process to end; one between rotation and save must not. Its work is bounded.
	signal.Ignore(endSignals...)
	s, err := a.openAccount(ctx, name, startLimit)
	if err != nil {
		return err
	}
	if refused != 0 {
		return refresh.RenewRefused(ctx, s.store, s.account, s.state, refused)
	}
	return refresh.Renew(ctx, s.store, s.account, s.state)
}

// agentVerdicts tells what an agent's exit code means. Codes are all that it may say: whatever it prints is lost. Of its
// other ends the notes of the renewal tell more.
var agentVerdicts = map[int]error{
	exitSignIn:      refresh.ErrSignedOut,
	exitUnreachable: refresh.ErrUnreachable,
	exitRefused:     refresh.ErrForeign,
}

// errAgent is an agent that ended for a reason of its own.
var errAgent = errors.New("the renewal did not succeed; mcp-valet status tells more")

// askAgent starts an agent for account and waits for it while ctx lasts; the agent goes on after that.
func (a *app) askAgent(ctx context.Context, account string, options ...string) error {
	spec, err := a.agentSpec("refresh", account, options...)
	if err != nil {
		return err
	}
	agent, err := proc.Detach(spec)
	if err != nil {
		return fmt.Errorf("starting the renewal: %w", err)
	}
	defer agent.Release()
	code, err := agent.Wait(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("waiting for the renewal: %w", err)
	case code == 0:
		return nil
	}
	if verdict, ok := agentVerdicts[code]; ok {
		return verdict
	}
	return errAgent
}

// agentSpec is how this program is started again to do one piece of work with the config and store of this run.
func (a *app) agentSpec(work, account string, options ...string) (proc.Spec, error) {
	exe, err := os.Executable()
	if err != nil {
		return proc.Spec{}, fmt.Errorf("finding this program: %w", err)
	}
	path, err := a.configPath()
	if err != nil {
		return proc.Spec{}, err
	}
	cfg, err := config.Load(path)
	if err != nil {
		return proc.Spec{}, err
	}
	state, err := a.stateDir()
	if err != nil {
		return proc.Spec{}, err
	}
	args := append([]string{"agent", work, account, "--config", path, "--state", state, "--store", a.storeKind(cfg)}, options...)
	return proc.Spec{Path: exe, Args: args, Env: os.Environ()}, nil
}
