package wrapper_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mcp-valet/wrapper"
)

// crew is the servers of one session, one after another, and the client that they work for. Its fields up to starter are
// set before it begins.
type crew struct {
	how      wrapper.Renewal
	does     func(h *hand, m *message) // what a server does with a message; nil for answering each request
	begins   func(h *hand) error       // what happens at a server's start; nil for nothing
	starter  wrapper.Starter           // nil for issuer
	snapshot string
	texts    []string // of Options.Unauthorized

	t      *testing.T
	issuer *issuer
	in     *io.PipeWriter
	out    *tap
	lines  chan string
	stop   chan os.Signal
	end    chan struct{} // closed when Run has returned
	ended  time.Time     // when it has
	code   int           // what it has returned

	tokenFile string
	guard     wrapper.Guard // set before it begins
	log       buffer

	mu    sync.Mutex
	hands []*hand
	asked int
}

// hand is one server of a crew.
type hand struct {
	*fakeServer
	crew   *crew
	number int // from 1
	env    []string
}

// message is what a server gets.
type message struct {
	ID     json.RawMessage
	Method string
	line   string
}

// tap is the way to a client, which can cease to read.
type tap struct {
	io.Writer
	shut chan struct{} // closed when the client reads no more
	cut  chan struct{} // closed when it is gone
}

func (t *tap) Write(p []byte) (int, error) {
	select {
	case <-t.shut:
		<-t.cut
		return 0, io.ErrClosedPipe
	default:
		return t.Writer.Write(p)
	}
}

// work runs f in a bubble, with a client that has sent initialize and tokens that live for an hour. The client's end
// follows it.
func (c *crew) work(t *testing.T, f func()) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Helper()
		in, client := io.Pipe()
		back, out := io.Pipe()
		c.t, c.in, c.lines, c.stop, c.end = t, client, make(chan string, 1000), make(chan os.Signal, 2), make(chan struct{})
		c.tokenFile = t.TempDir() + "/tokens/kb"
		c.out = &tap{out, make(chan struct{}), make(chan struct{})}
		if c.issuer == nil {
			c.issuer = &issuer{life: time.Hour}
		}
		if c.starter == nil {
			c.starter = c.issuer
		}
		c.issuer.began = time.Now()
		go func() {
			defer close(c.lines)
			for r := bufio.NewScanner(back); r.Scan(); {
				c.lines <- r.Text()
			}
		}()
		go func() {
			defer close(c.end)
			c.code, _ = wrapper.RunOn(t.Context(), wrapper.Options{
				Name: "kb", Account: "work", Starter: c.starter, SignIns: &signIns{}, In: in, Out: c.out, Err: &c.log, Environ: []string{},
				Renewal: c.how, TokenFile: c.tokenFile, Stop: c.stop, Unauthorized: c.texts, Snapshot: c.snapshot, Guard: c.guard,
			}, c.start, nil)
			c.ended = time.Now()
		}()
		defer func() {
			client.Close()
			in.Close() // a signal leaves the reader where it is
			c.ends(10 * time.Second)
			for _, h := range c.all() {
				h.leave(9) // what a session has left behind is no reason to wait
			}
			close(c.out.cut)
			<-c.end
			out.Close()
		}()
		c.ask("initialize")
		f()
	})
}

// start starts a server.
func (c *crew) start(env []string) (wrapper.ServerProcess, error) {
	c.mu.Lock()
	h := &hand{newFakeServer(), c, len(c.hands) + 1, env}
	c.hands = append(c.hands, h)
	c.mu.Unlock()
	if c.begins != nil {
		if err := c.begins(h); err != nil {
			h.leave(1)
			return nil, err
		}
	}
	go h.serve()
	return h, nil
}

func (h *hand) serve() {
	for r := bufio.NewReader(h.stdinRead); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			h.leave(h.onEOF)
			return
		}
		m := &message{line: line}
		json.Unmarshal([]byte(line), m)
		switch {
		case h.crew.does != nil:
			h.crew.does(h, m)
		default:
			h.answer(m)
		}
	}
}

// answer answers a request.
func (h *hand) answer(m *message) {
	if m.ID != nil && m.Method != "" {
		h.say(`{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","by":%d}}`, m.ID, h.number)
	}
}

// say writes a line to stdout.
func (h *hand) say(format string, args ...any) { fmt.Fprintf(h.stdoutWrite, format+"\n", args...) }

// all are the servers so far, with those that did not start.
func (c *crew) all() []*hand {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*hand(nil), c.hands...)
}

// server is the server with a number.
func (c *crew) server(number int) *hand { return c.all()[number-1] }

// send sends a line of the client's, and does not wait until it is read.
func (c *crew) send(format string, args ...any) {
	go fmt.Fprintf(c.in, format+"\n", args...)
	synctest.Wait()
}

// request sends a request, and gives its id.
func (c *crew) request(method string) (id int) {
	c.asked++
	params := `{}`
	switch method {
	case "initialize":
		params = `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}`
	case "resources/subscribe":
		params = `{"uri":"file:///a"}`
	}
	c.send(`{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`, c.asked, method, params)
	return c.asked
}

// ask sends a request and gives the answer; "" when there is none within a minute.
func (c *crew) ask(method string) string { return c.answerTo(c.request(method), time.Minute) }

// answerTo awaits the answer to a request, and passes over everything before it; "" when there is none within limit.
func (c *crew) answerTo(id int, limit time.Duration) string {
	return c.get(fmt.Sprintf(`"id":%d,`, id), limit)
}

// get awaits a line that has a text in it, and passes over everything before it; "" when there is none within limit.
func (c *crew) get(text string, limit time.Duration) string {
	late := time.After(limit)
	for {
		select {
		case line, ok := <-c.lines:
			if !ok || strings.Contains(line, text) {
				return line
			}
		case <-late:
			return ""
		}
	}
}

// ends tells whether Run returns within a limit.
func (c *crew) ends(limit time.Duration) bool {
	select {
	case <-c.end:
		return true
	case <-time.After(limit):
		return false
	}
}

// reach has the issuer be away, or come back.
func (c *crew) reach(can bool) {
	c.issuer.mu.Lock()
	defer c.issuer.mu.Unlock()
	c.issuer.away = !can
}

// age is the age of the issuer's latest token.
func (c *crew) age() time.Duration {
	c.issuer.mu.Lock()
	defer c.issuer.mu.Unlock()
	return time.Since(c.issuer.got)
}
