package wrapper

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"mcp-valet/keyring"
	"mcp-valet/wrapper/frame"
	"mcp-valet/wrapper/proc"
)

// Exit codes of our own, as a shell has them.
const (
	exitFailure    = 1
	exitNotStarted = 126
	exitNotFound   = 127
	exitSignalled  = 128 // and the signal's number
)

// Tokens gives the token that a server is started with. It must be had without a person, or not at all, and soon:
// the client is already waiting.
type Tokens interface {
	Token(ctx context.Context) (keyring.Secret, error)
}

// StoredTokens are Tokens that can tell whether the token is there already. With them, a client that only probes
// (server/discover and no more, as Claude Desktop does in a process that it kills a second later) has nothing renewed.
type StoredTokens interface {
	Tokens
	// Stored gives the token if it needs no renewal; it is zero where a renewal is due.
	Stored(ctx context.Context) (keyring.Secret, error)
}

// Server says what to start and which secrets it gets.
type Server struct {
	Name     string   // how messages to people name it; "" is "the server"
	Path     string   // as proc.Resolve takes it
	Args     []string // without the program's own name
	Dir      string   // working directory; "" is ours
	Env      map[string]string
	Secrets  map[string]keyring.Secret // environment variables with secret values
	TokenEnv string                    // the variable for the token; "" for none
}

// Options are what Run and Refuse need. Server, Tokens and Environ mean nothing to Refuse.
type Options struct {
	Server Server
	Tokens Tokens // nil when no token is needed

	// In, Out and Err are our standard streams. In is read until its end; when Run returns before that, one
	// goroutine may be left in its Read, unless In has SetReadDeadline and allows it. The same goes for Out, when the
	// client has stopped reading it, and SetWriteDeadline. A program that ends after Run need not care.
	In       io.Reader
	Out, Err io.Writer

	Environ    []string           // the environment that the server's is made from; nil is ours
	MaxMessage int                // longest message in bytes; 0 is frame.DefaultMax
	Refusal    func(error) string // what the client is told of an error of Tokens; nil is its text
	Stop       <-chan os.Signal   // a signal ends the server at once, a second one by force; never closed
}

// Run starts the server with its token, passes messages on between it and the client, and returns the server's exit
// code when one of them has ended. Whichever is left is ended too, within two seconds. Nothing is written to Out or
// Err after Run has returned.
//
// When there is no token it does as Refuse does. An error means that the server did not run: the one that Tokens
// gave, or one that wraps proc.ErrNotFound, proc.ErrNotExecutable or proc.ErrBatchArgument.
func Run(ctx context.Context, o Options) (exit int, err error) {
	defer surviveBrokenPipes()()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return host{startProcess, proc.ParentGone(ctx)}.run(ctx, o)
}

// host is what Run needs of the operating system.
type host struct {
	start  func(s Server, env []string) (server, error)
	parent <-chan struct{} // closed when our parent process is gone
}

// server is a running server; *proc.Process is one.
type server interface {
	Stdin() io.WriteCloser // Close ends a Write under way
	Stdout() io.Reader
	Stderr() io.Reader
	Done() <-chan struct{}
	ExitCode() int
	Terminate() error
	Kill() error
	Close() error // ends Stdin, Stdout and Stderr too, within a bounded time
}

func (h host) run(ctx context.Context, o Options) (exit int, err error) {
	ahead := make(chan struct{})
	in := newInbound(&o, ahead)
	token, due := o.stored(ctx)
	if due && !h.asked(ctx, &o, in, ahead) {
		return 0, nil
	}
	sig := os.Signal(nil)
	if token.IsZero() {
		token, sig, err = o.token(ctx)
	}
	if sig != nil {
		in.close()
		return signalCode(sig), nil
	}
	if err != nil {
		return exitFailure, h.refuseOn(ctx, &o, in, ahead, err)
	}
	s, err := h.launch(o, token)
	if err != nil {
		in.close()
		return startCode(err), err
	}
	return h.relay(ctx, o, in, ahead, s, newMasker(o.secrets(token))), nil
}

// launch starts the server in its environment.
func (h host) launch(o Options, token keyring.Secret) (server, error) {
	base := o.Environ
	if base == nil {
		base = os.Environ()
	}
	env, err := environ(base, runtime.GOOS, o.Server, token)
	if err != nil {
		return nil, err
	}
	return h.start(o.Server, env)
}

// token gets the token, unless a signal comes first.
func (o *Options) token(ctx context.Context) (token keyring.Secret, sig os.Signal, err error) {
	if o.Tokens == nil {
		return token, nil, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	watched := start(func() {
		select {
		case sig = <-o.Stop:
			cancel()
		case <-ctx.Done():
		}
	})
	token, err = o.Tokens.Token(ctx)
	cancel()
	<-watched
	return token, sig, err
}

func (o *Options) label() string {
	if o.Server.Name == "" {
		return "the server"
	}
	return "server " + o.Server.Name
}

func (o *Options) maxMessage() int {
	if o.MaxMessage <= 0 {
		return frame.DefaultMax
	}
	return o.MaxMessage
}

// secrets are the values that are masked.
func (o *Options) secrets(token keyring.Secret) []keyring.Secret {
	all := []keyring.Secret{token}
	for _, s := range o.Server.Secrets {
		all = append(all, s)
	}
	return all
}

func startProcess(s Server, env []string) (server, error) {
	path, err := proc.Resolve(s.Path, s.Dir, env)
	if err != nil {
		return nil, err
	}
	return proc.Start(proc.Spec{Path: path, Args: s.Args, Env: env, Dir: s.Dir})
}

// relay joins the streams of client and server until both have ended.
func (h host) relay(ctx context.Context, o Options, in *inbound, ahead <-chan struct{}, s server, m *masker) int {
	r := &relay{inbound: in, label: o.label(), server: s, pending: newPending(), masker: m, max: o.maxMessage()}
	st := streams{
		client: start(r.fromClient),
		ahead:  ahead,
		stdout: start(r.fromServer),
		stderr: start(r.fromStderr),
	}
	stopped := r.attend(signals{ctx, o.Stop, h.parent}, st)
	return r.finish(st, stopped)
}

func startCode(err error) int {
	if errors.Is(err, proc.ErrNotFound) {
		return exitNotFound
	}
	return exitNotStarted
}

func signalCode(sig os.Signal) int {
	if n, ok := sig.(syscall.Signal); ok {
		return exitSignalled + int(n)
	}
	return exitFailure
}

// surviveBrokenPipes makes a write to a client that is gone an error. Go would end the process, for stdout and
// stderr, and with it the server's orderly end. Not signal.Ignore: that would be handed down to the server.
func surviveBrokenPipes() (undo func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGPIPE)
	return func() { signal.Stop(c) }
}
