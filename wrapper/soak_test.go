package wrapper_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mcp-valet/refresh"
	"mcp-valet/wrapper"
)

var (
	soakRuns = flag.Int("soak", 100, "how many schedules TestSoak runs, a quarter for each way of renewal; a short run has 20 at most")
	soakSeed = flag.Int("soak.seed", -1, "the one schedule that TestSoak runs")
)

// TestSoak has a client work through random schedules, with servers that are slow, crash or do not start, and an issuer
// of short tokens that is away or wants a person at times. It holds that, whatever happens, a request is answered once,
// nothing is carried out twice, an answer of the client's reaches the server that has asked, no token is shown, and the
// end comes soon and is the end of everything.
func TestSoak(t *testing.T) {
	runs := *soakRuns
	if testing.Short() {
		runs = min(runs, 20)
	}
	for i, way := range []struct {
		name string
		how  wrapper.Renewal
	}{{"restart", wrapper.RenewRestart}, {"exclusive", wrapper.RenewExclusive}, {"file", wrapper.RenewFile}, {"meta", wrapper.RenewMeta}} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			for seed := i; seed < max(runs, *soakSeed+1); seed += 4 {
				if *soakSeed < 0 || seed == *soakSeed {
					newSoak(seed, way.how).run(t)
				}
			}
		})
	}
}

// soak is one schedule: its dice decide what everybody does.
type soak struct {
	*crew
	seed    int
	crashes bool // servers do, at times
	refuses bool // servers do not start, at times
	stays   bool // servers end by force alone

	mu         sync.Mutex
	dice       *rand.Rand
	signedOut  bool
	carriedOut map[string]int // calls, by id

	sent      map[int]time.Time
	cancelled map[int]bool
	answers   map[int]int
}

func newSoak(seed int, how wrapper.Renewal) *soak {
	dice := rand.New(rand.NewPCG(uint64(seed), uint64(how)))
	s := &soak{
		seed: seed, dice: dice, crashes: dice.IntN(3) == 0, refuses: dice.IntN(3) == 0, stays: dice.IntN(3) == 0,
		carriedOut: map[string]int{}, sent: map[int]time.Time{}, cancelled: map[int]bool{}, answers: map[int]int{},
	}
	s.crew = &crew{how: how, issuer: &issuer{life: 10 * time.Minute}, starter: s, begins: s.begin, does: s.serve}
	return s
}

// one tells whether that one of n comes up.
func (s *soak) one(n int) bool { return s.roll(n) == 0 }

func (s *soak) roll(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dice.IntN(n)
}

func (s *soak) within(limit time.Duration) time.Duration { return time.Duration(s.roll(int(limit))) }

// Start is the issuer's, which at times wants a person. It takes no time: time stands still in a bubble while anybody waits
// for a mutex, as a second look at the keychain does for the first.
func (s *soak) Start(ctx context.Context, effort wrapper.Effort) (wrapper.Start, error) {
	switch effort {
	case wrapper.Bare:
		return wrapper.Start{Server: wrapper.Server{TokenEnv: "TOKEN"}}, nil
	case wrapper.Refused:
		return wrapper.Start{}, wrapper.ErrNoRemedy
	case wrapper.Renewed:
		s.mu.Lock()
		out := s.signedOut
		s.mu.Unlock()
		if out && s.age() > s.issuer.life*8/10 {
			return wrapper.Start{}, fmt.Errorf("account work: %w", refresh.ErrSignedOut)
		}
	}
	return s.issuer.Start(ctx, effort)
}

func (s *soak) begin(h *hand) error {
	if s.stays {
		h.onTerm, h.onEOF = -1, -1
	}
	if s.refuses && h.number > 1 && s.one(4) {
		return syscall.EAGAIN
	}
	return nil
}

// serve is a server at work.
func (s *soak) serve(h *hand, m *message) {
	switch {
	case m.Method == "":
		s.take(h, m)
		return
	case m.ID == nil:
		return
	}
	s.carry(m)
	if s.crashes && s.one(20) {
		h.leave(3)
		return
	}
	after := s.within(200 * time.Millisecond)
	if m.Method == "tools/call" || m.Method == "tools/list" {
		after = s.within([]time.Duration{time.Second, 2 * time.Minute, time.Hour}[min(2, s.roll(8)/4+s.roll(20)/19)])
	}
	if m.Method == "tools/call" && s.one(6) {
		h.say(`{"jsonrpc":"2.0","id":%d,"method":"sampling/createMessage","params":{"by":%d}}`, s.roll(3), h.number)
	}
	token := h.token(m)
	if token != "" && s.one(4) { // it tells it to everybody
		fmt.Fprint(h.stderrWrite, "it is ", token[:len(token)/2])
		fmt.Fprint(h.stderrWrite, token[len(token)/2:], "\n")
	}
	time.AfterFunc(after, func() {
		h.say(`{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","by":%d,"token":%q}}`, m.ID, h.number, token)
	})
}

// carry notes that a call is carried out.
func (s *soak) carry(m *message) {
	if m.Method == "tools/call" {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.carriedOut[string(m.ID)]++
	}
}

var tokenInMeta = regexp.MustCompile(`"mcp-valet/token":"([^"]+)"`)

// token is what a server knows of its token; "" for none.
func (h *hand) token(m *message) string {
	if found := tokenInMeta.FindStringSubmatch(m.line); found != nil {
		return found[1]
	}
	for _, v := range h.env {
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

// take has a server check that the client's answer is to its own question.
func (s *soak) take(h *hand, m *message) {
	var answer struct{ Result struct{ To int } }
	if json.Unmarshal([]byte(m.line), &answer) != nil || answer.Result.To != h.number {
		s.t.Errorf("server %d gets the answer %s", h.number, m.line)
	}
}

// run is the client: it does this and that, and then it is the end.
func (s *soak) run(t *testing.T) {
	s.work(t, func() {
		defer func() {
			if s.t.Failed() {
				s.t.Logf("this was schedule %d: replay it with -run TestSoak -soak.seed %d", s.seed, s.seed)
			}
		}()
		s.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
		for range 5 + s.roll(40) {
			time.Sleep(s.within(2 * time.Minute))
			if s.over() { // what a client sends after that is nobody's concern
				break
			}
			s.act()
			s.read()
		}
		time.Sleep(s.within(2 * time.Second))
		if s.one(2) {
			s.stop <- syscall.SIGTERM
		} else {
			s.in.Close()
		}
		if !s.ends(5 * time.Second) {
			s.t.Fatal("it goes on after the end")
		}
		s.check()
	})
}

// over tells whether Run has returned.
func (s *soak) over() bool {
	select {
	case <-s.end:
		return true
	default:
		return false
	}
}

// act does one thing, which is not always the client's doing.
func (s *soak) act() {
	switch s.roll(10) {
	case 0:
		if id := s.asked - s.roll(3); id > 1 {
			s.cancelled[id] = true
			s.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d}}`, id)
		}
	case 1:
		s.demand("resources/subscribe")
	case 2:
		s.demand("ping")
	case 3:
		s.reach(s.one(2))
		s.mu.Lock()
		s.signedOut = s.dice.IntN(3) == 0
		s.mu.Unlock()
	default:
		for range 1 + s.roll(4) {
			s.demand([]string{"tools/call", "tools/list"}[s.roll(2)])
		}
	}
}

func (s *soak) demand(method string) {
	at := time.Now()
	s.sent[s.request(method)] = at
}

// read reads what has come, and answers what servers ask.
func (s *soak) read() {
	for len(s.lines) > 0 {
		line, ok := <-s.lines
		if !ok {
			return
		}
		if strings.Contains(line, "the-token-number") {
			s.t.Errorf("the client gets a token: %s", line)
		}
		var m struct {
			JSONRPC       string
			ID            json.RawMessage
			Method        string
			Params        struct{ By int }
			Result, Error json.RawMessage
		}
		var id int
		switch err := json.Unmarshal([]byte(line), &m); {
		case err != nil || m.JSONRPC != "2.0" || m.Method != "" && (m.Result != nil || m.Error != nil):
			s.t.Errorf("the client gets (%v) %s", err, line)
		case m.Method != "" && m.ID != nil:
			s.send(`{"jsonrpc":"2.0","id":%s,"result":{"to":%d}}`, m.ID, m.Params.By)
		case m.Method != "":
		case json.Unmarshal(m.ID, &id) != nil || s.sent[id].IsZero() || (m.Result == nil) == (m.Error == nil):
			s.t.Errorf("the client gets an answer to nothing, or none: %s", line)
		default:
			s.answers[id]++
		}
	}
}

// check looks at what is left when Run has returned.
func (s *soak) check() {
	synctest.Wait() // the last lines are on their way through the client
	s.read()
	for _, h := range s.all() {
		if !h.exited() {
			s.t.Errorf("server %d of %d is left behind; it saw %v", h.number, len(s.all()), h.events)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, at := range s.sent {
		if n := s.answers[id]; n > 1 || n == 0 && !s.cancelled[id] {
			s.t.Errorf("request %d, sent %v before the end, is answered %d times", id, s.ended.Sub(at), n)
		}
	}
	for id, n := range s.carriedOut {
		if n > 1 {
			s.t.Errorf("call %s is carried out %d times", id, n)
		}
	}
	if log := s.log.String(); strings.Contains(log, "the-token-number") {
		s.t.Errorf("the log shows a token: %s", log)
	}
}
