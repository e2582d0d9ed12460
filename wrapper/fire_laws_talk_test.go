package wrapper_test

import (
	"encoding/json"
	"strings"
	"time"

	"mcp-valet/wrapper"
)

// The laws of what passes between clients and servers.

// heldAtMost is how long a request may wait until a server has it, or it is answered: the patience of the gate, and
// some for what is about to be found out.
const heldAtMost = 25 * time.Second

// hears: each line that a launcher writes is a message in valid form, shows no token, and answers a request of the client's
// own that was not answered before.
func (s *sitting) hears(line string) {
	var m struct {
		JSONRPC string
		ID      json.RawMessage
		Method  string
		Params  struct{ By int }
		Result  *struct{ By int }
		Error   *struct {
			Code    int
			Message string
		}
	}
	s.keeps("valid form")
	err := json.Unmarshal([]byte(line), &m)
	if err != nil || m.JSONRPC != "2.0" || strings.Count(line, "\n") != 1 || m.Method != "" && (m.Result != nil || m.Error != nil) {
		s.breaks("valid form", "launcher %d writes (%v) %q", s.post.n, err, line)
		return
	}
	s.lawSecret("stdout", line)
	switch {
	case m.Method == "sampling/createMessage":
		s.say("launcher %d is asked %s by server %d", s.post.n, m.ID, m.Params.By)
		s.send(`{"jsonrpc":"2.0","id":%s,"result":{"to":%d}}`, m.ID, m.Params.By)
		return
	case m.Method == "elicitation/create":
		s.sum.add("met", "the client shows an address")
		if s.accepts != "" {
			s.send(`{"jsonrpc":"2.0","id":%s,"result":{"action":%q}}`, m.ID, s.accepts)
		}
		return
	case m.Method != "":
		return
	}
	id := 0
	s.mu.Lock()
	defer s.mu.Unlock()
	if json.Unmarshal(m.ID, &id) != nil || (m.Result == nil) == (m.Error == nil) {
		s.breaks("valid form", "launcher %d answers %q", s.post.n, line)
		return
	}
	q := s.asked[id]
	if q == nil {
		if id != 77777777 { // a server has said that
			s.breaks("answered once", "launcher %d answers what nobody asked: %q", s.post.n, line)
		}
		return
	}
	if q.answers++; q.answers > 1 {
		s.breaks("answered once", "launcher %d answers request %d (%s) again: %q", s.post.n, id, q.method, line)
		return
	}
	q.answered = time.Now()
	q.greeted = m.Result != nil
	if m.Result != nil {
		q.by = m.Result.By
	}
	close(q.done)
}

// gets: what a server is handed is a request that was not handed to another one before, as far as it calls a tool, and its
// token has not ended.
func (c *child) gets(p []byte) {
	var m struct {
		ID     json.RawMessage
		Method string
		Result struct{ To int }
	}
	if json.Unmarshal(p, &m) != nil {
		return // serve looks at that
	}
	if m.Method == "" && m.Result.To != 0 {
		c.keeps("an answer goes to who asked")
		if m.Result.To != c.number {
			c.breaks("an answer goes to who asked", "server %d of launcher %d gets what %d has asked for", c.number, c.post.n, m.Result.To)
		}
		return
	}
	id := 0
	if m.Method == "" || json.Unmarshal(m.ID, &id) != nil {
		return // a notification, or a request of the launcher's own
	}
	c.sitting.mu.Lock()
	defer c.sitting.mu.Unlock()
	q := c.asked[id]
	if q == nil {
		c.breaks("own id", "server %d gets a request %d that nobody has sent", c.number, id)
		return
	}
	if q.handed.IsZero() {
		q.handed = time.Now()
	}
	if q.calls++; m.Method == "tools/call" {
		c.keeps("no call twice")
		if q.calls > 1 {
			c.breaks("no call twice", "call %d of launcher %d is handed over %d times", id, c.post.n, q.calls)
		}
	}
	c.lawFresh(q, string(p))
}

// lawFresh: no request is handed to a server whose token has ended, once the handshake is over, which nobody else can
// take over; sitting.mu is held.
func (c *child) lawFresh(q *demand, line string) {
	greeting := c.asked[1].method == "initialize" && c.asked[1].answers == 0
	if c.how == wrapper.RenewOff || q.method == "ping" || greeting || c.exited() || !c.left.IsZero() {
		return // nobody renews, or nobody will answer
	}
	c.keeps("a live token for each request")
	token := c.token(line)
	switch now := time.Now(); {
	case c.idp.takes(token, now):
	case now.Sub(c.began) < time.Minute && c.idp.takes(token, c.began):
		c.sum.add("met", "a token that ends while its server starts")
	default:
		c.breaks("a live token for each request", "request %d (%s) of launcher %d (way %d) goes to server %d, started %v ago with a token that is not good",
			q.id, q.method, c.post.n, c.how, c.number, time.Since(c.began))
	}
}

// lawExclusive: of servers that exclude each other there is one at a time.
func (s *sitting) lawExclusive(next *child) {
	if s.how != wrapper.RenewExclusive || next.token("") == "" {
		return
	}
	s.keeps("one exclusive server at a time")
	for _, c := range s.children {
		if !c.exited() && c.token("") != "" {
			s.breaks("one exclusive server at a time", "launcher %d starts server %d beside %d", s.post.n, next.number, c.number)
		}
	}
}

// lawAnswered: each request is answered once, and one that no server had by its deadline.
func (s *sitting) lawAnswered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	until := s.ended
	if !s.left.IsZero() {
		until = s.left
	}
	for _, q := range s.asked {
		s.keeps("answered once")
		if len(s.children) == 0 && s.code == 126 && q.answers == 0 { // a launcher whose server does not start is none
			s.sum.add("met", "unanswered as no server starts")
			continue
		}
		onItsWay := s.ended.Sub(q.sent) < 3*time.Second || s.delayed(q.sent, s.ended)
		if q.answers == 0 && !q.cancelled && !s.gone && !onItsWay {
			s.breaks("answered once", "request %d (%s) of launcher %d, sent %v before the end, handed over %v, is not answered",
				q.id, q.method, s.post.n, s.ended.Sub(q.sent), !q.handed.IsZero())
		}
		s.lawHeld(q, until)
	}
}

// lawHeld: a request waits for so long and no longer until a server has it, or it is answered.
func (s *sitting) lawHeld(q *demand, until time.Time) {
	served := until
	for _, at := range []time.Time{q.handed, q.answered} {
		if !at.IsZero() && at.Before(served) {
			served = at
		}
	}
	if q.cancelled || s.delayed(q.sent, served) { // who does not read has to wait
		return
	}
	s.keeps("held by the deadline")
	if waited := served.Sub(q.sent); waited > time.Second {
		s.sum.add("met", "requests held")
		if waited > heldAtMost {
			s.breaks("held by the deadline", "request %d (%s) of launcher %d waits for %v", q.id, q.method, s.post.n, waited)
		}
	}
}

// delayed tells whether client or server did not read for some of the time; mu is held.
func (s *sitting) delayed(from, to time.Time) bool {
	for _, late := range s.delays {
		if late.from.Before(to) && from.Before(late.to) {
			return true
		}
	}
	return false
}

// lawOrphans: when a launcher has ended, so have its servers.
func (s *sitting) lawOrphans() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.children {
		s.keeps("no server left")
		if !c.exited() {
			s.breaks("no server left", "server %d of launcher %d is left", c.number, s.post.n)
			go c.quit(9)
		}
	}
}

func (s *sitting) lawLog() { s.lawSecret("stderr", s.log.String()) }

// secretMarks are in every secret.
var secretMarks = []string{"access-", "refresh-", "device-code-", "eyJ"}

// lawSecret: nobody is shown a token.
func (f *fire) lawSecret(where, text string) {
	f.keeps("no token in " + where)
	if hasAny(text, secretMarks) == "" {
		return
	}
	if secret := hasAny(text, f.idp.all(where == "stdout")); secret != "" {
		f.breaks("no token in "+where, "%.20s… in %.2000q", secret, text)
	}
}
