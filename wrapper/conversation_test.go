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
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"mcp-valet/keyring"
	"mcp-valet/refresh"
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
//	snapshot the snapshot of an earlier run; the options say that there is one
//	kept    the snapshot after the run, where the section is there
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
	if shot := *section("snapshot"); len(shot) > 0 {
		if err := keyring.WriteFile(c.options.Snapshot, shot); err != nil {
			t.Fatal(err)
		}
	}
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
	if got := int(c.starter.renewals.Load()); got != c.renewals {
		t.Errorf("%d renewals, want %d", got, c.renewals)
	}
	if got := int(c.signIns.begun.Load()); c.options.SignIns != nil && got != c.wantSignIns {
		t.Errorf("%d sign-ins, want %d", got, c.wantSignIns)
	}
	if len(*section("kept")) > 0 {
		ended["kept"] = c.kept()
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

	starter     *starter
	renewals    int
	signIns     *signIns
	wantSignIns int
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
	c.starter = &starter{server: wrapper.Server{
		Path: self, Env: map[string]string{scriptEnv: script}, Secrets: map[string]keyring.Secret{},
	}}
	c.signIns = &signIns{starter: c.starter}
	c.options = wrapper.Options{
		Name: "kb", Account: "work", Starter: c.starter, In: inRead, Out: outWrite, Err: &c.err, Stop: c.stop,
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

// starter is a Starter with a server that never changes and a token from one function; nil for none.
type starter struct {
	server   wrapper.Server
	token    func(context.Context) (keyring.Secret, error)
	due      bool // the token must be renewed first
	renewals atomic.Int32
	subject  string
	noBare   bool                   // it may not be started without its token
	shut     atomic.Pointer[error]  // why there is no token now
	refused  func() (string, error) // the token after the server has refused one; nil for none
	life     time.Duration          // of the first token; zero for ever
	later    func() (string, error) // the token after that
}

func (s *starter) Start(ctx context.Context, effort wrapper.Effort) (wrapper.Start, error) {
	start := wrapper.Start{Server: s.server, Subject: s.subject}
	switch {
	case effort == wrapper.Refused && s.refused != nil:
		s.renewals.Add(1)
		token, err := s.refused()
		s.token = tokenOf(token, err)
	case effort == wrapper.Refused:
		return start, wrapper.ErrNoRemedy
	case effort == wrapper.Bare && s.noBare:
		return start, errors.New("nobody has agreed to it")
	case effort != wrapper.Bare && s.shut.Load() != nil:
		return start, *s.shut.Load()
	case s.token == nil || effort == wrapper.Bare:
		return start, nil
	case effort == wrapper.Stored && s.due:
		return start, wrapper.ErrDue
	case s.due:
		s.renewals.Add(1)
	}
	if s.life > 0 && effort == wrapper.Renewed {
		s.renewals.Add(1)
		s.token = tokenOf(s.later())
	}
	var err error
	start.Token, err = s.token(ctx)
	if s.life > 0 && effort == wrapper.Stored {
		start.Due, start.Ends = time.Now().Add(time.Hour), time.Now().Add(s.life)
	}
	return start, err
}

// signIns is a person who may sign in.
type signIns struct {
	starter *starter
	how     string
	begun   atomic.Int32
	mu      sync.Mutex
	state   refresh.SignIn
}

func (s *signIns) Begin(_ context.Context, quiet bool) error {
	s.begun.Add(1)
	if s.how == "says nothing" {
		return nil
	}
	if s.how == "refused" {
		return refresh.ErrUnanswered
	}
	st := refresh.SignIn{
		Outcome: refresh.SignInWaiting, At: time.Now(), Expires: time.Now().Add(time.Minute), Quiet: quiet,
		UserCode: "ABCD-EFGH", URI: "https://login.example.com/device", Opened: s.how == "opened" && !quiet, Notified: s.how == "notified" && !quiet,
	}
	if s.how != "code" {
		st.URIComplete = "https://login.example.com/device?user_code=ABCD-EFGH"
	}
	s.set(st)
	return nil
}

func (s *signIns) State() (refresh.SignIn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state, nil
}

func (s *signIns) set(st refresh.SignIn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = st
}

func (s *signIns) await(t *testing.T) {
	late := time.Now().Add(patience)
	for s.begun.Load() == 0 {
		if time.Now().After(late) {
			t.Fatal("no sign-in has begun")
		}
		time.Sleep(time.Millisecond)
	}
}

// kept is the snapshot as the run has left it, without its times.
func (c *conversation) kept() string {
	b, err := os.ReadFile(c.options.Snapshot)
	if err != nil {
		c.t.Fatal(err)
	}
	b = regexp.MustCompile(`"(slow|used)":[^,}]*,?`).ReplaceAll(b, nil)
	return string(bytes.ReplaceAll(b, []byte(",}"), []byte("}")))
}

func tokenOf(s string, err error) func(context.Context) (keyring.Secret, error) {
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
		c.starter.server.Path = o[1]
	case "max":
		c.options.MaxMessage = atoi(o[1])
	case "token":
		c.starter.server.TokenEnv, c.starter.token = "TOKEN", tokenOf(unquote(o[1]), nil)
	case "due": // the token, which must be renewed first, and how often that happens
		c.starter.server.TokenEnv, c.starter.token = "TOKEN", tokenOf(unquote(o[1]), nil)
		c.starter.due, c.renewals = true, atoi(o[2])
	case "gate": // why there is no token, until the step !open
		c.starter.server.TokenEnv, c.starter.token = "TOKEN", tokenOf("a-token-of-some-length", nil)
		err := map[string]error{
			"signed-out": fmt.Errorf("account work: %w", refresh.ErrSignedOut), "unreachable": fmt.Errorf("account work: %w", refresh.ErrUnreachable),
			"locked": keyring.ErrLocked, "slow": fmt.Errorf("waiting: %w", context.DeadlineExceeded),
		}[o[1]]
		c.starter.shut.Store(&err)
		c.options.Refusal = func(err error) string { return "mcp-valet: told: " + err.Error() }
		c.options.SignIns = c.signIns
	case "no-bare":
		c.starter.noBare = true
	case "refused": // the tokens after the server has refused one; "-" for a sign-out
		c.options.SignIns = c.signIns
		c.options.Refusal = func(err error) string { return "mcp-valet: told: " + err.Error() }
		tokens := o[1:]
		c.renewals = len(tokens)
		c.starter.refused = func() (token string, err error) {
			if tokens[0] == "-" {
				err = fmt.Errorf("account work: %w", refresh.ErrSignedOut)
				c.starter.shut.Store(&err)
			}
			token, tokens = tokens[0], tokens[1:]
			return token, err
		}
	case "renew": // how, the first token's life, and the tokens after it; "-" for a sign-out
		c.options.Renewal = map[string]wrapper.Renewal{
			"restart": wrapper.RenewRestart, "exclusive": wrapper.RenewExclusive, "file": wrapper.RenewFile, "meta": wrapper.RenewMeta,
		}[o[1]]
		c.options.SignIns = c.signIns
		c.options.TokenFile = filepath.Join(c.t.TempDir(), "tokens", "token")
		c.t.Cleanup(func() {
			if _, err := os.Stat(c.options.TokenFile); err == nil {
				c.t.Error("the file with the token is still there")
			}
		})
		c.options.Refusal = func(err error) string { return "mcp-valet: told: " + err.Error() }
		c.starter.server.TokenEnv, c.starter.token = "TOKEN", tokenOf("the-first-token", nil)
		c.starter.life = duration(c.t, o[2])
		tokens := o[3:]
		c.renewals = len(tokens)
		c.starter.later = func() (token string, err error) {
			if len(tokens) == 0 {
				return "", errors.New("another token than this conversation has") // as when a script has ended too soon
			}
			switch tokens[0] {
			case "-":
				err = fmt.Errorf("account work: %w", refresh.ErrSignedOut)
				c.starter.shut.Store(&err)
			case "away":
				err = fmt.Errorf("account work: %w", refresh.ErrUnreachable)
			}
			token, tokens = tokens[0], tokens[1:]
			return token, err
		}
	case "unauthorized": // the text of errors after which the tokens of renew are got
		c.options.Unauthorized = o[1:]
		c.starter.refused = c.starter.later
	case "snapshot":
		c.options.Snapshot = filepath.Join(c.t.TempDir(), "snapshots", "kb.json")
	case "sign-ins": // how many begin, and how the first looks: opened, notified, plain, code, refused
		c.wantSignIns, c.signIns.how = atoi(o[1]), o[2]
	case "dir": // a folder for the server, in ${DIR}
		c.starter.server.Env["DIR"] = c.t.TempDir()
	case "secret":
		c.starter.server.Secrets[o[1]] = keyring.NewSecret(unquote(o[2]))
	case "signed-out":
		c.starter.token = tokenOf("", errSignedOut)
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
	case "!sleep":
		time.Sleep(duration(c.t, rest))
	case "!stop":
		c.stop <- syscall.SIGTERM
	case "!open": // the sign-in succeeds, or what else was in the way is gone
		c.signIns.set(refresh.SignIn{Outcome: refresh.SignInDone, At: time.Now()})
		c.starter.shut.Store(nil)
	case "!over": // the sign-in ends otherwise
		c.signIns.set(refresh.SignIn{Outcome: rest, At: time.Now()})
	case "!prompt": // until a sign-in has begun
		c.signIns.await(c.t)
	case "!send": // bytes
		c.send(unquote(rest))
	case "!big": // a request with the id and this many bytes, id last
		id, n, _ := strings.Cut(rest, " ")
		c.send(fmt.Sprintf(`{"jsonrpc":"2.0","method":"ping","params":{"x":"%s"},"id":%s}`+"\n", strings.Repeat("x", atoi(n)), id))
	default:
		c.send(line + "\n")
	}
}

func duration(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (c *conversation) send(s string) {
	if _, err := c.in.WriteString(s); err != nil {
		c.t.Errorf("sending %.80q: %v", s, err)
	}
}

// got is what the client has got so far.
func (c *conversation) got() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.lines)
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
