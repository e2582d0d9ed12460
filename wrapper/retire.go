package wrapper

import "slices"

// retire stays with a server whose place another one takes, until it has answered what it was asked, and ends it then:
// no call is cut off by a token's end. It goes back to how it was when the gate's verdict is that it stays.
func (s *session) retire(r *relay, verdict <-chan bool) {
	e := newEscalation(r.server)
	defer e.timer.Stop()
	ends, cancelled, stopped := s.ends, s.ctx.Done(), s.stopped
	var answered <-chan struct{}
	for {
		select {
		case stays := <-verdict:
			if stays {
				return
			}
			verdict, answered = nil, r.pending.whenAnswered()
		case <-answered:
			answered = nil
			e.hangUp(eofGrace, termGrace)
		case <-r.server.Done():
			s.part(r, e.next > 0 || answered == nil && verdict == nil)
			return
		case <-ends.client:
			ends.client = nil
			e.hangUp(eofGrace, termGrace)
		case <-ends.ahead:
			ends.ahead = nil
			e.hangUp(eofGrace, termGrace)
		case <-ends.gone:
			ends.gone = nil
			e.hangUp(eofGrace, termGrace)
		case <-ends.parent:
			ends.parent = nil
			e.hangUp(eofGrace, termGrace)
		case <-cancelled:
			cancelled = nil
			e.hangUp(0, stopGrace)
		case <-stopped:
			stopped = nil
			e.hangUp(0, stopGrace)
		case <-e.timer.C:
			if !e.step() {
				s.part(r, true)
				return
			}
		}
	}
}

// part lets go of a server that another one has taken the place of. Whoever still waits for it is told.
func (s *session) part(r *relay, stopped bool) {
	r.settle(r.obituary(r.bury(stopped), stopped))
	s.asks.forget(r)
	s.locked(func() {
		s.retired = slices.DeleteFunc(s.retired, func(other *relay) bool { return other == r })
	})
	close(r.gone)
}

// stopRetired ends the servers that another one has taken the place of at once.
func (s *session) stopRetired() { s.stopOnce.Do(func() { close(s.stopped) }) }
