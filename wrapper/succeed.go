package wrapper

import (
	"fmt"

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

// succeed decides what follows a server that has ended: another one, the gate (nil), or, when again is false, the end
// of the session.
func (s *session) succeed(r *relay, how ending) (next *relay, again bool) {
	if !how.final {
		s.soon(termGrace, func() { next, again = s.following(r, how) })
	}
	return next, again
}

func (s *session) following(r *relay, how ending) (next *relay, again bool) {
	if s.relay != r { // its handshake has failed: the gate has never ceased to handle
		var cause error = &errEnded{r.label, r.bury(how.stopped)}
		if failure := r.failure.Load(); failure != nil {
			cause = fmt.Errorf("the handshake with %s did not succeed: %w", r.label, *failure)
		}
		s.gate.closeFor(cause, nil)
		return nil, true
	}
	if r.life.answered.Load() || r.life.overflow {
		return nil, false
	}
	switch {
	case how.remedy != nil:
		return s.replace(r, how, *how.remedy)
	case how.stopped:
		return nil, false
	case !s.relaunched && onlyProbes(r.life.early):
		s.relaunched = true
		return s.afterProbe(r)
	case r.life.canRemedy && !s.remedied:
		s.remedied = true
		return s.replace(r, how, <-s.ask(s.ctx, Refused))
	case s.remedied && s.gate.knows(r.life.early):
		return s.toGate(r, how, nil)
	}
	return nil, false
}

// replace goes on with another credential, if there is one.
func (s *session) replace(r *relay, how ending, with result) (next *relay, again bool) {
	switch obstacleOf(with.err) {
	case noObstacle:
		return s.again(r, how, with.Start)
	case hopeless: // it is not the credential
		if !s.gate.knows(r.life.early) {
			return nil, false
		}
		return s.toGate(r, how, nil)
	}
	return s.toGate(r, how, with.err)
}

// again starts another server and tells it what the last one was told. A call may have been carried out: it is not
// repeated.
func (s *session) again(r *relay, how ending, with Start) (*relay, bool) {
	r.bury(how.stopped)
	next, err := s.newRelay(with)
	if err != nil {
		s.relay = nil
		s.gate.closeFor(err, r.life.early)
		return nil, true
	}
	defer s.install(next)
	for _, m := range r.life.early {
		if m.Kind == frame.Request && m.Method == "tools/call" {
			s.refuse(m.ID, codeServerGone, r.label+" ended before answering; the call may have been carried out: check before repeating it")
			continue
		}
		next.handle(m)
	}
	return next, true
}

// afterProbe goes on after a server that died of a probe, as servers do that know nothing of MCP 2026-07-28: the client
// may still speak to it in its own era.
func (s *session) afterProbe(r *relay) (*relay, bool) {
	for _, m := range r.life.early {
		if m.Kind == frame.Request {
			s.rec.none(s.rec.topicOf(m, s.hello.version))
			s.refuse(m.ID, codeNoMethod, textProbe)
		}
	}
	r.life.early = nil
	return s.again(r, ending{}, r.with)
}

// toGate closes the gate, which answers what the server has not. No cause is that the server ended.
func (s *session) toGate(r *relay, how ending, cause error) (*relay, bool) {
	code := r.bury(how.stopped)
	if cause == nil {
		cause = &errEnded{r.label, code}
	}
	s.relay = nil
	s.gate.closeFor(cause, r.life.early)
	return nil, true
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
