//go:build linux

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// habits are how a client treats a server: what it says of itself, what it hands on, how long it waits, how it ends it.
type habits struct {
	name, version string // its clientInfo
	capabilities  string
	environ       []string      // the names of the variables that it hands on
	dir           string        // where it starts a server
	startLimit    time.Duration // from the start of the process to the lists
	group         bool          // the server gets a process group of its own
	probes        bool          // another process is asked for the era first
	elicitsURLs   bool
	end           func(*peer)
}

// sdkEnviron is what the TypeScript SDK hands on to a server.
var sdkEnviron = []string{"HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER"}

var claudeDesktop = habits{
	name: "claude-ai", version: "0.1.0", capabilities: `{}`, environ: sdkEnviron, dir: "/", startLimit: time.Minute, probes: true,
	end: func(p *peer) { // the TypeScript SDK's close
		p.stdin.Close()
		if p.endsWithin(2 * time.Second) {
			return
		}
		p.kill(syscall.SIGTERM)
		p.mustEndWithin(2 * time.Second)
	},
}

var claudeCode = habits{
	name: "claude-code", version: "2.1.0", capabilities: `{"roots":{"listChanged":true},"elicitation":{}}`, environ: sdkEnviron,
	startLimit: 30 * time.Second,
	end:        func(p *peer) { p.kill(syscall.SIGKILL) },
}

var codex = habits{
	name: "codex-mcp-client", version: "0.140.0", capabilities: `{"elicitation":{"form":{},"url":{}}}`,
	environ:    []string{"HOME", "LOGNAME", "PATH", "SHELL", "USER", "LANG", "LC_ALL", "TERM", "TMPDIR", "TZ"},
	startLimit: 10 * time.Second, group: true, elicitsURLs: true,
	end: func(p *peer) {
		p.kill(syscall.SIGTERM)
		p.mustEndWithin(2 * time.Second)
	},
}

var clients = []habits{claudeDesktop, claudeCode, codex}

// handsOn is what of a person's environment a server gets. The last two names no client knows: they keep the tests away
// from the keychain and the screen of whoever runs them.
func (h habits) handsOn(v *valet) []string {
	all := append([]string{"LOGNAME=alice", "USER=alice", "SHELL=/bin/sh", "TERM=xterm", "TZ=UTC", "DISPLAY=:0"}, v.env...)
	return slices.DeleteFunc(all, func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return !slices.Contains(h.environ, name) && name != "DBUS_SESSION_BUS_ADDRESS" && name != "GORACE"
	})
}

// message is what a server writes.
type message struct {
	ID             json.RawMessage
	Method         string
	Params, Result json.RawMessage
	Error          *struct {
		Code    int
		Message string
	}
}

// peer is a server as its client sees it. Its methods are for one goroutine.
type peer struct {
	habits
	t       testing.TB
	v       *valet
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	started time.Time
	exited  chan struct{}
	told    chan message // requests and notifications of the server

	mu      sync.Mutex
	stderr  strings.Builder
	asked   int
	waiting map[string]chan message
}

// start starts the server "sdk" as a client of habits h does.
func (v *valet) start(t testing.TB, h habits) *peer {
	t.Helper()
	p := &peer{habits: h, t: t, v: v, exited: make(chan struct{}), told: make(chan message, 100), waiting: map[string]chan message{}}
	p.cmd = exec.Command(built.valet, "run", "sdk")
	p.cmd.Env, p.cmd.Dir = h.handsOn(v), h.dir
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: h.group}
	p.cmd.Stderr = p
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		p.stdin, err = p.cmd.StdinPipe()
	}
	if err != nil {
		t.Fatal(err)
	}
	p.started = time.Now()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		p.read(out)
		p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.exited
		if t.Failed() {
			t.Logf("%s saw on stderr:\n%s", p.name, p.stderr.String())
		}
	})
	return p
}

// Write takes the server's stderr.
func (p *peer) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.Write(b)
}

// read takes what the server writes: each request has one answer, and nothing else comes.
func (p *peer) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var m message
		switch err := json.Unmarshal(lines.Bytes(), &m); {
		case err != nil:
			p.t.Errorf("no message on stdout: %.200q", lines.Text())
		case m.Method != "":
			p.told <- m
		default:
			p.mu.Lock()
			c := p.waiting[string(m.ID)]
			delete(p.waiting, string(m.ID))
			p.mu.Unlock()
			if c == nil {
				p.t.Errorf("an answer to nothing, or a second one: %.200q", lines.Text())
				continue
			}
			c <- m
		}
	}
}

// send writes a line; a server that is gone shows by its missing answers.
func (p *peer) send(format string, args ...any) { fmt.Fprintf(p.stdin, format+"\n", args...) }

// ask sends a request.
func (p *peer) ask(method, params string) <-chan message {
	p.asked++
	return p.askAs(fmt.Sprint(p.asked), method, params)
}

func (p *peer) askAs(id, method, params string) <-chan message {
	c := make(chan message, 1)
	p.mu.Lock()
	p.waiting[id] = c
	p.mu.Unlock()
	p.send(`{"jsonrpc":"2.0","id":%s,"method":%q,"params":%s}`, id, method, params)
	return c
}

// answered is the answer to a request, which must come by itself within limit.
func (p *peer) answered(what string, c <-chan message, limit time.Duration) message {
	p.t.Helper()
	select {
	case m := <-c:
		return m
	case <-time.After(limit):
	case <-p.exited:
		select {
		case m := <-c:
			return m
		default:
		}
	}
	p.t.Fatalf("%s: no answer to %s within %s", p.name, what, limit)
	return message{}
}

// pending makes sure that a request has no answer yet.
func (p *peer) pending(c <-chan message) {
	p.t.Helper()
	select {
	case m := <-c:
		p.t.Fatalf("%s: answered too early: %s %v", p.name, m.Result, m.Error)
	default:
	}
}

// introduction is what a server has said of itself, with sorted members.
type introduction struct{ hello, tools string }

func sorted(t testing.TB, text json.RawMessage) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// begin is the handshake and the first list, within the client's limit.
func (p *peer) begin() introduction {
	p.t.Helper()
	hello := p.answered("initialize", p.ask("initialize", fmt.Sprintf(
		`{"protocolVersion":"2025-11-25","capabilities":%s,"clientInfo":{"name":%q,"version":%q}}`, p.capabilities, p.name, p.version)), p.startLimit)
	greeted := time.Since(p.started)
	p.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	tools := p.answered("tools/list", p.ask("tools/list", `{}`), p.startLimit)
	took := time.Since(p.started)
	if hello.Error != nil || tools.Error != nil {
		p.t.Fatalf("%s: initialize %v, tools/list %v", p.name, hello.Error, tools.Error)
	}
	if took > p.startLimit {
		p.t.Errorf("%s: initialize and tools/list took %s, at most %s allowed", p.name, took, p.startLimit)
	}
	p.t.Logf("%s: initialize answered %s after its start, tools/list %s; %s allowed", p.name,
		greeted.Round(time.Millisecond), took.Round(time.Millisecond), p.startLimit)
	return introduction{sorted(p.t, hello.Result), sorted(p.t, tools.Result)}
}

// note has the server write a line down.
func (p *peer) note(line string) <-chan message {
	return p.ask("tools/call", fmt.Sprintf(`{"name":"note","arguments":{"file":%q,"line":%q}}`, p.v.notes(), line))
}

// carriedOut makes sure that it is the server, with its token, that has answered a note, and gives the server's process.
func (p *peer) carriedOut(m message) int {
	p.t.Helper()
	var result struct {
		IsError           bool
		StructuredContent struct{ PID, Length int }
	}
	if m.Error == nil {
		json.Unmarshal(m.Result, &result)
	}
	if result.IsError || result.StructuredContent.PID == 0 || result.StructuredContent.Length < 100 {
		p.t.Fatalf("%s: not carried out with a token: %s %v", p.name, m.Result, m.Error)
	}
	return result.StructuredContent.PID
}

// toldWhy makes sure that a call has been answered by a text for the model, and gives it.
func (p *peer) toldWhy(m message) string {
	p.t.Helper()
	var result struct {
		IsError bool
		Content []struct{ Type, Text string }
	}
	if m.Error == nil {
		json.Unmarshal(m.Result, &result)
	}
	if !result.IsError || len(result.Content) != 1 || result.Content[0].Type != "text" {
		p.t.Fatalf("%s: not told why by a text: %s %v", p.name, m.Result, m.Error)
	}
	return result.Content[0].Text
}

// shown is the address that the client was asked to show; it says that the person is looking at it.
func (p *peer) shown() string {
	p.t.Helper()
	m := p.hears("elicitation/create")
	var params struct{ Mode, URL string }
	if json.Unmarshal(m.Params, &params); params.Mode != "url" {
		p.t.Fatalf("%s: elicitation of mode %q", p.name, params.Mode)
	}
	p.send(`{"jsonrpc":"2.0","id":%s,"result":{"action":"accept"}}`, m.ID)
	return params.URL
}

// hears is the next that the server says by itself, which must be of the given method.
func (p *peer) hears(method string) message {
	p.t.Helper()
	select {
	case m := <-p.told:
		if m.Method != method {
			p.t.Fatalf("%s: %s came, want %s", p.name, m.Method, method)
		}
		return m
	case <-time.After(20 * time.Second):
		p.t.Fatalf("%s: no %s came", p.name, method)
	}
	return message{}
}

// hearsNothing makes sure that the server has said nothing by itself.
func (p *peer) hearsNothing() {
	p.t.Helper()
	select {
	case m := <-p.told:
		p.t.Errorf("%s: %s came", p.name, m.Method)
	default:
	}
}

// kill sends a signal as the client does: to the process, or to its group.
func (p *peer) kill(sig syscall.Signal) {
	pid := p.cmd.Process.Pid
	if p.group {
		pid = -pid
	}
	syscall.Kill(pid, sig)
}

func (p *peer) endsWithin(limit time.Duration) bool {
	select {
	case <-p.exited:
		return true
	case <-time.After(limit):
		return false
	}
}

// mustEndWithin is for a process that would be killed after limit.
func (p *peer) mustEndWithin(limit time.Duration) {
	p.t.Helper()
	if !p.endsWithin(limit) {
		p.t.Errorf("%s: had to kill it %s after it was told to end", p.name, limit)
		p.kill(syscall.SIGKILL)
	}
}

// stop ends the server as the client does, and with it everything that it has started.
func (p *peer) stop(servers ...int) {
	p.t.Helper()
	p.end(p)
	await(p.t, "the launcher's end", func() bool { return p.endsWithin(0) })
	for _, pid := range servers {
		await(p.t, "the server's end", func() bool { return gone(pid) })
	}
}

// gone tells whether a process has ended, also where nobody has asked for its exit code.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	after := stat[strings.LastIndexByte(string(stat), ')')+1:]
	return strings.HasPrefix(string(after), " Z")
}

// await waits until something has happened that nothing announces.
func await(t testing.TB, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !happened(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// together runs subtests at the same time, beyond what -parallel allows: they wait more than they work.
func together[T any](t *testing.T, cases []T, name func(T) string, test func(*testing.T, T)) {
	var all sync.WaitGroup
	for _, c := range cases {
		all.Go(func() { t.Run(name(c), func(t *testing.T) { test(t, c) }) })
	}
	all.Wait()
}
