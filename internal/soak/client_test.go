//go:build linux

package soak

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	answerTime = 30 * time.Second // for each request: a call may be held for 20 s
	endTime    = 15 * time.Second // for a launcher to end in, once its client has ended; the machine is busy
	lateSend   = time.Second      // what is sent so shortly before the launcher's end may not have been read
)

// client is one run of a launcher, and whoever talks to it.
type client struct {
	launcherPlan
	s     *schedule
	name  string // of the server in the config
	label string
	cmd   *exec.Cmd
	in    *os.File // to the launcher
	out   *os.File // from it

	exited chan struct{} // the process has ended and all it said has been read
	ended  time.Time     // when nothing more came
	killed atomic.Bool   // by us, with SIGKILL
	gone   atomic.Bool   // the client takes no more
	slowed atomic.Bool   // it reads slowly now

	mu      sync.Mutex
	stderr  strings.Builder
	asked   map[string]*question
	sent    int
	refused bool // a write did not come through
}

// question is a request of a client.
type question struct {
	method, does, key string
	sent, answered    time.Time
	answers           int
	cancelled         bool
	text              string // of the answer
}

// connect starts a launcher. nil is one that could not be started.
func (s *schedule) connect(l launcherPlan, name, label string) *client {
	inR, inW, err := os.Pipe()
	if err != nil {
		s.t.Error(err)
		return nil
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		s.t.Error(err)
		return nil
	}
	c := &client{launcherPlan: l, s: s, name: name, label: label, in: inW, out: outR, exited: make(chan struct{}), asked: map[string]*question{}}
	c.cmd = s.command("run", name)
	if l.files > 0 {
		c.cmd = s.limited(l.files, "run", name)
	}
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = inR, outW, c
	err = c.cmd.Start()
	inR.Close()
	outW.Close()
	if err != nil {
		s.t.Error(err)
		return nil
	}
	met("launchers")
	s.note("%s: process %d", label, c.cmd.Process.Pid)
	read := make(chan struct{})
	go func() { defer close(read); c.read() }()
	go func() {
		defer close(c.exited)
		<-read
		c.cmd.Wait()
		s.note("%s: ended, %s", label, c.cmd.ProcessState)
	}()
	s.add(c)
	return c
}

// Write takes the launcher's stderr.
func (c *client) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stderr.Len() < 8<<20 {
		c.stderr.Write(b)
	}
	return len(b), nil
}

func (c *client) read() {
	lines := bufio.NewReaderSize(c.out, 4<<10)
	for {
		if c.slowed.Load() {
			time.Sleep(30 * time.Millisecond)
		}
		line, err := lines.ReadString('\n')
		if err != nil {
			if line != "" && !c.killed.Load() && !c.gone.Load() {
				c.s.breach(onceEach, "%s: ends within a line: %.100q", c.label, c.s.redact(line))
			}
			c.mu.Lock()
			c.ended = time.Now()
			c.mu.Unlock()
			return
		}
		c.hear(line)
	}
}

// hear takes one line of the launcher's.
func (c *client) hear(line string) {
	met("invariant 5: answers searched for secrets")
	if hasSecret(line) {
		c.s.breach(noSecret, "%s: told a secret: %.300q", c.label, c.s.redact(line))
	}
	var m struct {
		JSONRPC, Method string
		ID              json.RawMessage
		Result, Error   json.RawMessage
	}
	if err := json.Unmarshal([]byte(line), &m); err != nil || m.JSONRPC != "2.0" {
		c.s.breach(onceEach, "%s: no message: %.200q", c.label, c.s.redact(line))
		return
	}
	if m.Method != "" {
		c.asksUs(m.Method, m.ID)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.asked[string(m.ID)]
	switch {
	case q == nil && string(m.ID) == `"nobody's"`: // what a server says too much, it says through us too
		met("strays of servers")
		return
	case q != nil && q.does == "twice" && q.answers == 1:
		met("second answers of servers")
	case q == nil:
		c.s.breach(onceEach, "%s: an answer to nothing: %.200q", c.label, c.s.redact(line))
		return
	case (m.Result == nil) == (m.Error == nil):
		c.s.breach(onceEach, "%s: neither result nor error: %.200q", c.label, c.s.redact(line))
	case q.answers > 0:
		c.s.breach(onceEach, "%s: a second answer to %s: %.200q", c.label, m.ID, c.s.redact(line))
	}
	q.answers++
	q.answered, q.text = time.Now(), string(m.Result)+string(m.Error)
	met("invariant 4: answers to %s", q.method)
}

// asksUs answers what the launcher, or its server, asks.
func (c *client) asksUs(method string, id json.RawMessage) {
	switch {
	case id == nil:
	case method == "roots/list":
		go c.write(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"roots":[]}}`, id))
	case method == "elicitation/create":
		met("addresses shown by clients")
		go c.write(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"action":"accept"}}`, id))
	default:
		c.s.breach(onceEach, "%s: asked for %s", c.label, method)
	}
}

// write sends a line. A launcher that does not read for so long is stuck.
func (c *client) write(line string) bool {
	c.in.SetWriteDeadline(time.Now().Add(answerTime))
	_, err := io.WriteString(c.in, line+"\n")
	if os.IsTimeout(err) {
		c.s.breach(onceEach, "%s: reads nothing for %s", c.label, answerTime)
	}
	return err == nil
}

// ask sends a request.
func (c *client) ask(method, does, key string, params map[string]any) string {
	c.mu.Lock()
	c.sent++
	id := fmt.Sprint(c.sent)
	if c.sent%3 == 0 {
		id = fmt.Sprintf("%q", "id-"+id)
	}
	c.asked[id] = &question{method: method, does: does, key: key, sent: time.Now()}
	c.mu.Unlock()
	if c.modern {
		params["_meta"] = map[string]any{
			"io.modelcontextprotocol/protocolVersion":    "2026-07-28",
			"io.modelcontextprotocol/clientInfo":         map[string]string{"name": "soak", "version": "1"},
			"io.modelcontextprotocol/clientCapabilities": c.capabilities(),
		}
	}
	text, _ := json.Marshal(params)
	if !c.write(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":%q,"params":%s}`, id, method, text)) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.refused = true
		delete(c.asked, id)
	}
	return id
}

func (c *client) capabilities() map[string]any {
	if c.elicits {
		return map[string]any{"roots": map[string]any{}, "elicitation": map[string]any{"form": map[string]any{}, "url": map[string]any{}}}
	}
	return map[string]any{"roots": map[string]any{}}
}

// greet is the handshake.
func (c *client) greet() {
	if c.modern {
		c.ask("server/discover", "", "", map[string]any{})
		return
	}
	id := c.ask("initialize", "", "", map[string]any{
		"protocolVersion": "2025-11-25", "capabilities": c.capabilities(), "clientInfo": map[string]string{"name": "soak", "version": "1"},
	})
	c.await(id, answerTime)
	c.write(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
}

// await waits for an answer, and gives its text; "" is none in time, or a launcher that has ended.
func (c *client) await(id string, limit time.Duration) string {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		c.mu.Lock()
		q := c.asked[id]
		c.mu.Unlock()
		if q == nil {
			return ""
		}
		c.mu.Lock()
		text := q.text
		c.mu.Unlock()
		if text != "" || !c.runs() {
			return text
		}
	}
	return ""
}

func (c *client) runs() bool {
	select {
	case <-c.exited:
		return false
	default:
		return true
	}
}

func (c *client) endsWithin(d time.Duration) bool {
	select {
	case <-c.exited:
		return true
	case <-time.After(d):
		return false
	}
}

// kill ends the launcher as no program can prevent.
func (c *client) kill() {
	c.killed.Store(true)
	syscall.Kill(c.cmd.Process.Pid, syscall.SIGKILL)
}
