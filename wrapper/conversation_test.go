package wrapper_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"mcp-valet/keyring"
	"mcp-valet/wrapper"
)

var update = flag.Bool("update", false, "rewrite what the conversations in testdata want")

// patience is how long a test waits for what should come at once.
const patience = 30 * time.Second

// TestConversations runs each file in testdata: a client and a server, which is a process, with Run between them.
// The sections of a file are
//
//	client  messages, one a line, and steps of the client that begin with "!" (see play)
//	server  the script of the server (see runScript); there is none when the file is about an error before it
//	options name value lines (see options)
//	stdout  what the client gets
//	stderr  what its log gets
//	exit    the exit code, and the error if there is one
func TestConversations(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversations: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			runConversation(t, file)
		})
	}
}

func runConversation(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	section := func(name string) *[]byte {
		for i := range archive.Files {
			if archive.Files[i].Name == name {
				return &archive.Files[i].Data
			}
		}
		return new([]byte)
	}
	c := newConversation(t, string(*section("server")), string(*section("options")))
	started := false // what is sent before the first step lies in the pipe when Run begins
	for line := range strings.Lines(string(*section("client"))) {
		if !started && strings.HasPrefix(line, "!") {
			started = true
			c.run()
		}
		c.play(strings.TrimSuffix(line, "\n"))
	}
	if !started {
		c.run()
	}
	ended := c.wait()
	if c.due != nil && int(c.due.renewals.Load()) != c.renewals {
		t.Errorf("%d renewals, want %d", c.due.renewals.Load(), c.renewals)
	}
	for name, got := range ended {
		want := section(name)
		if *update {
			*want = []byte(got)
		} else if got != string(*want) {
			t.Errorf("%s:\n%swant:\n%s", name, got, *want)
		}
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// conversation is one Run with both of its neighbours.
type conversation struct {
	t       *testing.T
	options wrapper.Options
	in      *os.File // the client's end
	stop    chan os.Signal
	err     buffer

	out    *os.File
	mu     sync.Mutex
	lines  []string
	more   sync.Cond
	outEnd chan struct{}

	end  chan struct{}
	exit string

	due      *dueTokens
	renewals int
}

// newConversation is a conversation with a server that runs script.
func newConversation(t *testing.T, script, options string) *conversation {
	c := &conversation{t: t, stop: make(chan os.Signal, 2), end: make(chan struct{}), outEnd: make(chan struct{})}
	c.more.L = &c.mu
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	inRead, inWrite := pipe(t)
	outRead, outWrite := pipe(t)
	c.in, c.out = inWrite, outRead
	c.options = wrapper.Options{
		Server: wrapper.Server{
			Name: "kb", Path: self, Env: map[string]string{scriptEnv: script}, Secrets: map[string]keyring.Secret{},
		},
		In: inRead, Out: outWrite, Err: &c.err, Stop: c.stop,
		Environ: append(os.Environ(), "GORACE=atexit_sleep_ms=0"), // or every server lives a second longer
	}
	for line := range strings.Lines(options) {
		c.option(strings.Fields(line))
	}
	return c
}

func pipe(t *testing.T) (r, w *os.File) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// tokens is a Tokens from one function.
type tokens func(context.Context) (keyring.Secret, error)

func (f tokens) Token(ctx context.Context) (keyring.Secret, error) { return f(ctx) }

// dueTokens are Tokens whose token must be renewed first; renewals counts that.
type dueTokens struct {
	tokens
	renewals atomic.Int32
}

func (d *dueTokens) Stored(context.Context) (keyring.Secret, error) { return keyring.Secret{}, nil }

func (d *dueTokens) Token(ctx context.Context) (keyring.Secret, error) {
	d.renewals.Add(1)
	return d.tokens(ctx)
}

func tokenOf(s string, err error) tokens {
	return func(context.Context) (keyring.Secret, error) { return keyring.NewSecret(s), err }
}

var errSignedOut = errors.New("account work is signed out")

func (c *conversation) option(o []string) {
	switch o[0] {
	case "unix":
		if runtime.GOOS == "windows" {
			c.t.Skip("this conversation is about Unix")
		}
	case "path":
		c.options.Server.Path = o[1]
	case "max":
		c.options.MaxMessage = atoi(o[1])
	case "token":
		c.options.Server.TokenEnv = "TOKEN"
		c.options.Tokens = tokenOf(unquote(o[1]), nil)
	case "due": // the token, which must be renewed first, and how often that happens
		c.options.Server.TokenEnv = "TOKEN"
		c.due = &dueTokens{tokens: tokenOf(unquote(o[1]), nil)}
		c.options.Tokens, c.renewals = c.due, atoi(o[2])
	case "secret":
		c.options.Server.Secrets[o[1]] = keyring.NewSecret(unquote(o[2]))
	case "signed-out":
		c.options.Tokens = tokenOf("", errSignedOut)
		c.options.Refusal = func(err error) string { return "mcp-valet: " + err.Error() + ` (run "mcp-valet login work")` }
	default:
		c.t.Fatalf("no such option: %s", o)
	}
}

// run starts Run and the client's reading.
func (c *conversation) run() {
	go c.readOut()
	go func() {
		defer close(c.end)
		code, err := wrapper.Run(c.t.Context(), c.options)
		c.exit = fmt.Sprintln(code)
		if err != nil {
			c.exit += fmt.Sprintln(err)
		}
		c.options.Out.(*os.File).Close()
	}()
}

func (c *conversation) readOut() {
	defer close(c.outEnd)
	r := bufio.NewReader(c.out)
	for {
		line, err := r.ReadString('\n')
		c.mu.Lock()
		if line != "" {
			c.lines = append(c.lines, line)
		}
		c.more.Broadcast()
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// play does one step of the client.
func (c *conversation) play(line string) {
	step, rest, _ := strings.Cut(line, " ")
	switch step {
	case "!await": // so many lines of output
		c.await(atoi(rest))
	case "!log": // this in stderr
		c.awaitErr(rest)
	case "!close": // stdin
		c.in.Close()
	case "!leave": // close stdout, and stdin stays
		c.out.Close()
	case "!stop":
		c.stop <- syscall.SIGTERM
	case "!send": // bytes
		c.send(unquote(rest))
	case "!big": // a request with the id and this many bytes, id last
		id, n, _ := strings.Cut(rest, " ")
		c.send(fmt.Sprintf(`{"jsonrpc":"2.0","method":"ping","params":{"x":"%s"},"id":%s}`+"\n", strings.Repeat("x", atoi(n)), id))
	default:
		c.send(line + "\n")
	}
}

func (c *conversation) send(s string) {
	if _, err := c.in.WriteString(s); err != nil {
		c.t.Errorf("sending %.80q: %v", s, err)
	}
}

// await waits for n lines of output.
func (c *conversation) await(n int) {
	defer time.AfterFunc(patience, c.more.Broadcast).Stop()
	late := time.Now().Add(patience)
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.lines) < n {
		if time.Now().After(late) {
			c.t.Fatalf("%d lines of output instead of %d: %q; stderr: %s", len(c.lines), n, c.lines, c.err.String())
		}
		c.more.Wait()
	}
}

func (c *conversation) awaitErr(text string) {
	select {
	case <-c.err.holds(text):
	case <-time.After(patience):
		c.t.Fatalf("no %q in stderr: %s", text, c.err.String())
	}
}

// wait waits for Run and returns what came of it, by section.
func (c *conversation) wait() map[string]string {
	c.t.Helper()
	select {
	case <-c.end:
	case <-time.After(patience):
		c.t.Fatalf("Run has not returned; stdout: %q, stderr: %s", c.lines, c.err.String())
	}
	<-c.outEnd
	return map[string]string{"stdout": strings.Join(c.lines, ""), "stderr": c.err.String(), "exit": c.exit}
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu    sync.Mutex
	b     bytes.Buffer
	waits map[string]chan struct{}
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, err := b.b.Write(p)
	b.check()
	return n, err
}

func (b *buffer) check() {
	for text, c := range b.waits {
		if strings.Contains(b.b.String(), text) {
			close(c)
			delete(b.waits, text)
		}
	}
}

// holds gives a channel that is closed when text is there.
func (b *buffer) holds(text string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := make(chan struct{})
	if b.waits == nil {
		b.waits = map[string]chan struct{}{}
	}
	b.waits[text] = c
	b.check()
	return c
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
