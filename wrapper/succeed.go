package wrapper

import (
	"fmt"
	"slices"
	"time"

	"mcp-valet/wrapper/frame"
)

// errEnded says that a server ended before it was of any use.
type errEnded struct {
	label string
	code  int
}

func (e *errEnded) Error() string {
	return fmt.Sprintf("%s ended with code %d before its first answer; what it wrote is in the client's log", e.label, e.code)
}

// goesOn tells whether a session goes on, at the gate, after a server has ended: if the client is still there, and had
// nothing of the server yet. The gate then decides who answers what the server has not.
func (s *session) goesOn(r *relay, how ending) (goes bool) {
	if how.final {
		return false
	}
	r.drain(how.stopped) // what it said last decides
	if !r.life.answered.Load() {
		r.late(how.stopped) // and so may what is under way to it
	}
	return s.untilFree(func() { goes = s.comesToGate(r, how) }) && goes
}

// untilFree calls f when nobody holds the lock any more, unless the session's end comes first; it tells whether it did.
func (s *session) untilFree(f func()) bool {
	for e := s.ends; !s.unlessStuck(f); {
		select {
		case sig := <-e.stop:
			s.stopAll(sig)
			return false
		case <-e.client:
			return false
		case <-e.ahead:
			return false
		case <-e.gone:
			return false
		case <-e.parent:
			return false
		case <-e.ctx.Done():
			return false
		case <-time.After(stuckTime):
		}
	}
	return true
}

func (s *session) comesToGate(r *relay, how ending) bool {
	if isClosed(r.superseded) { // it has ended just as another one was to take its place
		s.superseded(r)
		return true
	}
	if s.relay != r { // its handshake has failed: the gate has never ceased to handle
		s.gate.unwelcome(r, how)
		return true
	}
	proven := r.life.answered.Load() || r.life.overflow || len(s.crashes.starts) > 0
	if how.remedy == nil && proven {
		return s.crashed(r, how)
	}
	early := slices.DeleteFunc(r.life.early, func(m *frame.Message) bool { // it is told already, or of use to this server alone
		return m.Kind == frame.Response || m.Kind == frame.Request && !r.pending.waits(m.ID.Key())
	})
	switch {
	case how.remedy != nil:
	case how.stopped:
		return false
	case !s.relaunched && onlyProbes(early):
		// It died of a probe, as servers do that know nothing of MCP 2026-07-28: the client may still speak to it in its
		// own era.
		s.relaunched = true
		early = s.answerProbes(early)
		how.remedy = &result{Start: r.with}
	case r.life.canRemedy && !s.remedied:
		s.remedied = true
	case s.remedied && s.gate.knows(early):
		how.remedy = &result{err: ErrNoRemedy} // that was tried
	default:
		return false
	}
	ended := &errEnded{r.label, r.bury(how.stopped)}
	s.relay = nil
	s.gate.recover(ended, early, how.remedy)
	return true
}

// unwelcome is what follows when a server did not come so far as to answer the client.
func (g *gate) unwelcome(r *relay, how ending) {
	if g.retry(r.with) {
		r.bury(how.stopped)
		return
	}
	code := r.bury(how.stopped)
	var cause error = &errEnded{r.label, code}
	if failure := r.failure.Load(); failure != nil {
		cause = fmt.Errorf("the handshake with %s did not succeed: %w", r.label, *failure)
	}
	if g.s.crashes.lost != nil {
		g.lostAgain(cause, code)
		return
	}
	g.closeFor(cause)
}

// answerProbes leaves the era open, and gives the messages that were no probes.
func (s *session) answerProbes(ms []*frame.Message) (others []*frame.Message) {
	for _, m := range ms {
		if m.Kind != frame.Request {
			others = append(others, m)
			continue
		}
		s.rec.none(s.rec.topicOf(m, s.hello.version))
		s.out.refuse(m.ID, codeNoMethod, textProbe)
	}
	return others
}

// onlyProbes tells whether a server has got no request but server/discover.
func onlyProbes(ms []*frame.Message) bool {
	probes := 0
	for _, m := range ms {
		switch {
		case m.Kind != frame.Request:
		case m.Method != methodDiscover:
			return false
		default:
			probes++
		}
	}
	return probes > 0
}
