package wrapper

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
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

// Server says what to start and which secrets it gets.
type Server struct {
	Path     string   // as proc.Resolve takes it
	Args     []string // without the program's own name
	Dir      string   // working directory; "" is ours
	Env      map[string]string
	Secrets  map[string]keyring.Secret // environment variables with secret values
	TokenEnv string                    // the variable for the token; "" for none
}

// Options are what Run and Refuse need. Refuse uses the streams, Environ, MaxMessage, Refusal and Stop alone.
type Options struct {
	Name    string // how messages to people name the server; "" is "the server"
	Account string // how they name its account; "" for none
	Starter Starter
	SignIns SignIns // nil where nobody can sign in

	// Snapshot is the file in which what the server says of itself is kept for the gate; "" keeps nothing. Its name must
	// tell apart what is started, and by whose policy.
	Snapshot string

	// In, Out and Err are our standard streams. In is read until its end; when Run returns before that, one
	// goroutine may be left in its Read, unless In has SetReadDeadline and allows it. The same goes for Out, when the
	// client has stopped reading it, and SetWriteDeadline. A program that ends after Run need not care.
	In       io.Reader
	Out, Err io.Writer

	Guard Guard // what the users may do, and who is told

	Renewal      Renewal            // how a new token reaches the server while it runs
	TokenFile    string             // for RenewFile: the file, which is this session's alone; it is removed at the end
	Unauthorized []string           // texts in a server's errors that say that it does not take its token; nil for none
	Environ      []string           // the environment that the server's is made from; nil is ours
	MaxMessage   int                // longest message in bytes; 0 is frame.DefaultMax
	Refusal      func(error) string // what the client is told of an error of Starter or SignIns; nil is its text
	Stop         <-chan os.Signal   // a signal ends the server at once, a second one by force; never closed
}

// Run starts the server with its token, passes messages on between it and the client, and returns the server's exit
// code when the client has ended, or a signal has come; whatever is left is ended within two seconds. Nothing is written
// to Out or Err after Run has returned. A server that ends before its first answer is the end, too; one that ends later is
// started again when the client asks for something: see crashes.
//
// Where no credential can be had now, but may be later, it stands in for the server: see gate. An error means that no
// server ran at the end: the one that Starter gave, or one that wraps proc.ErrNotFound, proc.ErrNotExecutable or
// proc.ErrBatchArgument.
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

// launch starts the server in its environment.
func (h host) launch(o *Options, s Start) (server, error) {
	base := o.Environ
	if base == nil {
		base = os.Environ()
	}
	s, err := o.given(s)
	if err != nil {
		return nil, err
	}
	env, err := environ(base, runtime.GOOS, s.Server, s.Token)
	if err != nil {
		return nil, err
	}
	return h.start(s.Server, env)
}

func (o *Options) unauthorizedTexts() (lower []string) {
	for _, text := range o.Unauthorized {
		lower = append(lower, strings.ToLower(text))
	}
	return lower
}

func (o *Options) label() string {
	if o.Name == "" {
		return "the server"
	}
	return "server " + o.Name
}

func (o *Options) maxMessage() int {
	if o.MaxMessage <= 0 {
		return frame.DefaultMax
	}
	return o.MaxMessage
}

// secrets are the values that are masked.
func (s *Start) secrets() []keyring.Secret {
	all := []keyring.Secret{s.Token}
	for _, v := range s.Server.Secrets {
		all = append(all, v)
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
