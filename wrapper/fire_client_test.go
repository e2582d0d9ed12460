package wrapper_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"mcp-valet/wrapper"
)

// post is a client with one launcher at a time: it opens another one when the first has ended.
type post struct {
	*fire
	launcherPlan
	n        int
	dice     *rand.Rand
	idle     chan struct{} // closed when it asks for nothing more under fire
	sittings []*sitting
	servers  int // so far
}

func newPost(f *fire, n int, p launcherPlan) *post {
	return &post{fire: f, launcherPlan: p, n: n, dice: f.dice("client", n), idle: make(chan struct{})}
}

// sitting is one run of a launcher.
type sitting struct {
	*post
	p       *process
	in      *hose
	stop    chan os.Signal
	parent  chan struct{}
	cancel  context.CancelFunc
	end     chan struct{} // closed when Run has returned
	log     buffer
	checked bool
	left    time.Time // when the client has had enough
	ended   time.Time // when Run returned
	code    int       // what it returned

	mu       sync.Mutex
	moved    sync.Cond
	children []*child
	asked    map[int]*demand
	last     int
	gone     bool      // there is no client any more
	cut      bool      // a write under way is cut off
	reads    time.Time // from when on the client reads again
	delays   []span    // when client or server did not read
}

type span struct{ from, to time.Time }

// demand is a request of the client's.
type demand struct {
	id        int
	method    string
	sent      time.Time
	handed    time.Time // to a server, the first time
	calls     int       // how often
	answered  time.Time
	answers   int
	by        int // the server that has answered; 0 for ourselves
	cancelled bool
	greeted   bool          // it is an initialize, and was answered with a result
	done      chan struct{} // closed at the first answer
}

// open opens a launcher.
func (l *post) open() *sitting {
	s := &sitting{
		post: l, p: l.fire.process(fmt.Sprintf("launcher %d.%d", l.n, len(l.sittings)), 0), in: newHose(0), stop: make(chan os.Signal, 2),
		parent: make(chan struct{}), end: make(chan struct{}), asked: map[int]*demand{},
	}
	s.moved.L = &s.mu
	l.sittings = append(l.sittings, s)
	ctx, cancel := context.WithCancel(l.t.Context())
	s.cancel = cancel
	h := newHelm(l.fire, s.p)
	o := wrapper.Options{
		Name: fireServer, Account: "work", Starter: h, SignIns: h, In: s.in, Out: mouth{s}, Err: &s.log, Environ: []string{},
		Renewal: l.how, TokenFile: filepath.Join(l.dir, "tokens", fmt.Sprintf("%s.%d.%d", fireServer, l.n, len(l.sittings))), Stop: s.stop,
		Refusal: func(err error) string { return "mcp-valet: " + err.Error() },
	}
	if l.snapshot {
		o.Snapshot = filepath.Join(l.dir, "snapshots", "kb.json")
	}
	l.say("launcher %d begins", l.n)
	go func() {
		defer close(s.end)
		code, err := wrapper.RunOn(ctx, o, s.start, s.parent)
		s.mu.Lock()
		s.ended, s.code = time.Now(), code
		s.mu.Unlock()
		s.p.over.Store(true)
		l.say("launcher %d ends: %d, %v", l.n, code, err)
	}()
	s.greet()
	return s
}

// greet is the handshake, for which a client waits for a minute.
func (s *sitting) greet() {
	if s.modern {
		return
	}
	q := s.ask("initialize")
	select {
	case <-q.done:
	case <-time.After(time.Minute):
	case <-s.end:
		return
	}
	s.mu.Lock()
	greeted := q.greeted
	s.mu.Unlock()
	if !greeted {
		s.sum.add("met", "a handshake that fails")
		s.leave("eof")
		s.mustEnd(5 * time.Second)
		return
	}
	s.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
}

// work is the client's day.
func (l *post) work() {
	defer close(l.idle)
	time.Sleep(time.Until(l.began.Add(l.from)))
	for l.elapsed() < min(l.to, l.length) {
		s := l.open()
		for l.elapsed() < min(l.to, l.length) && !s.over() {
			pause := l.pace
			if l.dice.IntN(2) == 0 {
				pause = 2 * time.Second
			}
			time.Sleep(within(l.dice, 0, pause))
			if l.asleep() {
				time.Sleep(time.Until(l.began.Add(l.sleep.to)) + within(l.dice, 0, time.Minute))
			}
			s.act()
		}
		if !s.over() {
			if l.elapsed() >= l.length {
				return // it goes on in the calm
			}
			s.leave(l.launcherPlan.end)
			s.mustEnd(5 * time.Second)
			return
		}
		s.mustEnd(time.Second)
		time.Sleep(within(l.dice, time.Second, 2*time.Minute)) // until the person opens it again
	}
}

// act does one thing.
func (s *sitting) act() {
	if oneOf(s.dice, s.stalls) {
		s.stall(within(s.dice, time.Second, time.Minute))
	}
	switch s.dice.IntN(10) {
	case 0:
		if id := s.last - s.dice.IntN(3); id > 1 {
			s.mu.Lock()
			s.asked[id].cancelled = true
			s.mu.Unlock()
			s.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d}}`, id)
		}
	case 1:
		s.ask("resources/subscribe")
	case 2:
		s.ask("ping")
	default:
		for range 1 + s.dice.IntN(4) {
			s.ask([]string{"tools/call", "tools/list"}[s.dice.IntN(2)])
		}
	}
}

func (s *sitting) send(format string, args ...any) { fmt.Fprintf(s.in, format+"\n", args...) }

// ask sends a request.
func (s *sitting) ask(method string) *demand {
	s.mu.Lock()
	s.last++
	q := &demand{id: s.last, method: method, sent: time.Now(), done: make(chan struct{})}
	s.asked[q.id] = q
	s.mu.Unlock()
	params := map[string]any{}
	switch method {
	case "initialize":
		params = map[string]any{"protocolVersion": "2025-11-25", "capabilities": s.capabilities(), "clientInfo": map[string]any{"name": "c", "version": "1"}}
	case "resources/subscribe":
		params["uri"] = "file:///a"
	case "tools/call":
		params["name"], params["arguments"] = "echo", map[string]any{}
	}
	if s.modern {
		params["_meta"] = map[string]any{"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": s.capabilities()}
	}
	b, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": q.id, "method": method, "params": params})
	if err != nil {
		panic(err)
	}
	s.send("%s", b)
	return q
}

func (s *sitting) capabilities() map[string]any {
	if s.elicits {
		return map[string]any{"elicitation": map[string]any{"url": map[string]any{}}}
	}
	return map[string]any{}
}

// stall has the client read nothing for a while.
func (s *sitting) stall(d time.Duration) {
	s.sum.add("fault", "client reads late")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads = time.Now().Add(d)
	s.delays = append(s.delays, span{time.Now(), s.reads})
	time.AfterFunc(d, s.moved.Broadcast)
}

// late notes a time in which a server did not read.
func (s *sitting) late(from, to time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delays = append(s.delays, span{from, to})
}

// mouth is a launcher's stdout.
type mouth struct{ *sitting }

func (m mouth) Write(p []byte) (int, error) {
	m.mu.Lock()
	for !m.gone && !m.cut && time.Now().Before(m.reads) {
		m.moved.Wait()
	}
	gone, cut := m.gone, m.cut
	m.mu.Unlock()
	switch {
	case gone:
		return 0, io.ErrClosedPipe
	case cut:
		return 0, os.ErrDeadlineExceeded
	}
	m.hears(string(p))
	return len(p), nil
}

// SetWriteDeadline is for deadlines that are over.
func (m mouth) SetWriteDeadline(time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cut = true
	m.moved.Broadcast()
	return nil
}

func (s *sitting) over() bool {
	select {
	case <-s.end:
		return true
	default:
		return false
	}
}

// leave ends the client, or the launcher, in one of the ways that there are.
func (s *sitting) leave(how string) {
	s.say("launcher %d is left: %s", s.post.n, how)
	s.sum.add("fault", "launcher's end: "+how)
	s.mu.Lock()
	s.left = time.Now()
	s.gone = s.gone || how == "vanish" || how == "killed"
	children := append([]*child(nil), s.children...)
	s.moved.Broadcast()
	s.mu.Unlock()
	switch how {
	case "signal":
		s.stop <- syscall.SIGTERM
	case "parent":
		close(s.parent)
	case "killed":
		s.p.dead.Store(true)
		for _, c := range children {
			c.quit(137)
		}
		s.cancel()
		s.in.Close()
	default:
		s.in.Close()
	}
}

// mustEnd waits for Run to return, and looks at what is left.
func (s *sitting) mustEnd(limit time.Duration) {
	late := time.After(limit)
	select {
	case <-s.end:
	case <-late:
		s.breaks("ends", "launcher %d goes on after its end", s.post.n)
		s.stacks()
		<-s.end
	}
	s.cancel()
	s.in.Close()
	if s.checked {
		return
	}
	s.checked = true
	s.lawAnswered()
	s.lawOrphans()
	s.lawLog()
}

// recover has the client ask until a server answers; another launcher is opened where one has ended, and after a while
// in any case.
func (l *post) recover(within time.Duration) {
	s := l.sittings[len(l.sittings)-1]
	began, reopened := time.Now(), false
	for time.Since(began) < within {
		if over := s.over(); over || !reopened && time.Since(began) > within/2 {
			reopened = reopened || !over
			if !over {
				l.sum.add("met", "recovered by opening it again")
				s.leave("eof")
			}
			s.mustEnd(5 * time.Second)
			s = l.open()
		}
		q := s.ask("tools/call")
		select {
		case <-q.done:
		case <-s.end:
		case <-time.After(2 * time.Minute):
			s.breaks("answered", "in the calm launcher %d leaves a call unanswered", l.n)
			return
		}
		if s.mu.Lock(); q.by > 0 {
			s.mu.Unlock()
			l.keeps("recovers")
			return
		}
		s.mu.Unlock()
		time.Sleep(20 * time.Second)
	}
	l.breaks("recovers", "launcher %d has no server to answer after %v of calm", l.n, within)
}

func hasAny(text string, pieces []string) string {
	for _, p := range pieces {
		if strings.Contains(text, p) {
			return p
		}
	}
	return ""
}
