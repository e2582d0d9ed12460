package wrapper_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"mcp-valet/wrapper"
)

// child is a server in memory.
type child struct {
	*sitting
	number       int
	questions    int // of its own, so far
	env          []string
	in, out, err *hose
	done         chan struct{}
	noise        chan struct{} // has room for who writes to stderr

	mu    sync.Mutex // of dice and exit
	dice  *rand.Rand
	exit  int
	began time.Time
}

// start starts a server.
func (s *sitting) start(env []string) (wrapper.ServerProcess, error) {
	c := &child{sitting: s, env: env, in: newHose(s.strait), out: newHose(64 << 10), err: newHose(64 << 10), done: make(chan struct{}), noise: make(chan struct{}, 1), began: time.Now()}
	s.mu.Lock()
	s.post.servers++
	c.number = s.post.servers
	c.dice = s.fire.dice("server", s.post.n, c.number)
	refuses := !s.calm.Load() && oneOf(c.dice, s.refuse)
	if !refuses {
		s.lawExclusive(c)
		s.children = append(s.children, c)
	}
	s.mu.Unlock()
	s.sum.add("met", "servers started")
	s.say("launcher %d starts server %d", s.post.n, c.number)
	if refuses {
		s.sum.add("fault", "server does not start")
		return nil, syscall.EAGAIN
	}
	go c.serve()
	return c, nil
}

func (c *child) Stdin() io.WriteCloser { return intake{c} }
func (c *child) Stdout() io.Reader     { return c.out }
func (c *child) Stderr() io.Reader     { return c.err }
func (c *child) Done() <-chan struct{} { return c.done }
func (c *child) ExitCode() int         { c.mu.Lock(); defer c.mu.Unlock(); return c.exit }
func (c *child) Kill() error           { c.quit(137); return nil }
func (c *child) Terminate() error {
	if c.luck(c.stubborn) {
		c.sum.add("fault", "server ignores SIGTERM")
		return nil
	}
	c.quit(143)
	return nil
}

func (c *child) Close() error {
	c.in.Close()
	c.out.leave()
	c.err.leave()
	c.out.Close()
	c.err.Close()
	return nil
}

// quit ends the server.
func (c *child) quit(code int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.exited() {
		return
	}
	c.exit = code
	c.in.leave()
	c.out.Close()
	c.err.Close()
	close(c.done)
	c.say("server %d of launcher %d exits with %d", c.number, c.post.n, code)
}

func (c *child) exited() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// luck tells whether one of n comes up, while there are faults.
func (c *child) luck(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return oneOf(c.dice, n) && !c.calm.Load()
}

func (c *child) within(from, to time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return within(c.dice, from, to)
}

// intake is a server's stdin: what is written there has been handed to it, whenever it reads that.
type intake struct{ *child }

func (i intake) Write(p []byte) (int, error) {
	i.gets(p)
	began := time.Now()
	n, err := i.in.Write(p)
	if time.Since(began) > time.Second {
		i.sum.add("fault", "server reads late")
		i.late(began, time.Now())
	}
	return n, err
}

func (i intake) Close() error { return i.in.Close() }

func (c *child) serve() {
	if c.luck(c.slow) {
		c.sum.add("fault", "server starts slowly")
		time.Sleep(c.within(time.Second, 20*time.Second))
	}
	for r := bufio.NewReader(c.in); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			c.quit(0)
			return
		}
		m := &message{line: line}
		if err := json.Unmarshal([]byte(line), m); err != nil {
			c.breaks("valid form", "a server gets %q (%v)", line, err)
		}
		c.does(m)
	}
}

// does is a server at work.
func (c *child) does(m *message) {
	opens := m.Method == "initialize" || m.Method == "server/discover"
	switch {
	case m.Method == "" || m.ID == nil:
		return
	case !opens && c.luck(c.crash):
		c.sum.add("fault", "server crashes")
		c.quit(3)
		return
	case c.luck(c.hang):
		c.sum.add("fault", "server hangs")
		c.say("server %d of launcher %d hangs", c.number, c.post.n)
		for !c.calm.Load() && !c.exited() {
			time.Sleep(5 * time.Second)
		}
		c.quit(3)
		return
	case c.luck(c.flood):
		c.sum.add("fault", "server floods")
		go c.pour()
	case c.luck(c.garbage):
		c.sum.add("fault", "server talks garbage")
		c.line("Listening on port 8080 ...")
		c.line(`{"jsonrpc":"2.0","id":77777777,"result":{}}`)
		c.line(`{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"\ud800"}}`)
		c.line("{{{" + strings.Repeat("x", 5000))
	}
	after := c.within(0, 200*time.Millisecond)
	if m.Method == "tools/call" && c.luck(4) {
		after = c.within(0, 2*time.Minute)
	}
	if m.Method == "tools/call" && c.luck(25) {
		after = c.within(0, time.Hour)
	}
	if m.Method == "tools/call" && c.luck(6) {
		c.questions++ // other servers of the launcher have the same ids
		c.line(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"sampling/createMessage","params":{"by":%d}}`, c.questions, c.number))
	}
	token := c.token(m.line)
	if token != "" && c.luck(4) { // it tells it to everybody
		c.noise <- struct{}{} // nothing comes in between
		fmt.Fprint(c.err, "the token is ", token[:len(token)/2])
		fmt.Fprint(c.err, token[len(token)/2:], "\n")
		<-c.noise
	}
	time.AfterFunc(after, func() { c.answer(m, token) })
}

func (c *child) answer(m *message, token string) {
	shown := "none"
	if token != "" && c.luck(3) {
		shown = token
	}
	result := map[string]any{"by": c.number, "shown": shown, "resultType": "complete"}
	switch m.Method {
	case "initialize":
		result["protocolVersion"], result["capabilities"] = "2025-11-25", map[string]any{"tools": map[string]any{}}
		result["serverInfo"] = map[string]any{"name": "kb", "version": "1"}
	case "server/discover":
		result["supportedVersions"], result["capabilities"] = []string{"2026-07-28"}, map[string]any{"tools": map[string]any{}}
		result["serverInfo"] = map[string]any{"name": "kb", "version": "1"}
	case "tools/list":
		result["tools"] = []any{}
	}
	b, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": m.ID, "result": result})
	if err != nil {
		panic(err)
	}
	c.line(string(b))
}

func (c *child) line(text string) { c.out.Write([]byte(text + "\n")) } // an error is that nobody reads it any more

// pour is more at once than anybody takes.
func (c *child) pour() {
	for n := range 300 {
		c.line(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"%d%s"}}`, n, strings.Repeat("x", 400)))
		c.noise <- struct{}{}
		fmt.Fprintln(c.err, "flood", n, strings.Repeat("y", 400))
		<-c.noise
	}
}

// token is what a server knows of its token; "" for none.
func (c *child) token(line string) string {
	if found := tokenInMeta.FindStringSubmatch(line); found != nil {
		return found[1]
	}
	for _, v := range c.env {
		if token, ok := strings.CutPrefix(v, "TOKEN="); ok {
			return token
		}
		if file, ok := strings.CutPrefix(v, "TOKEN_FILE="); ok {
			token, _ := os.ReadFile(file) // at the end it is gone
			return string(token)
		}
	}
	return ""
}
