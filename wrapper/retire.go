package wrapper

import (
	"os"
	"slices"
	"time"
)

// retire stays with a server whose place another one takes, until it has answered what it was asked, and ends it then:
// no call is cut off by a token's end. It goes back to how it was when the gate's verdict is that it stays.
func (s *session) retire(r *relay, verdict <-chan bool) {
	e := newEscalation(r.server)
	defer e.timer.Stop()
	ends, cancelled, stopped := s.ends, s.ctx.Done(), s.stopped
	quit := r.quit
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
			s.part(r, e.next > 0 || answered == nil && verdict == nil, "")
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
		case <-quit:
			quit = nil
			e.hangUp(0, stopGrace)
		case <-stopped:
			stopped = nil
			e.hangUp(0, stopGrace)
		case <-e.timer.C:
			if !e.step() {
				s.part(r, true, "")
				return
			}
		}
	}
}

// part lets go of a server that another one has taken the place of. Whoever still waits for it is told, and the log what
// follows, if anything.
func (s *session) part(r *relay, stopped bool, follows string) {
	fate := r.obituary(r.bury(stopped), stopped)
	if follows != "" {
		s.err.note("%s; %s", fate, follows)
	}
	settled := start(func() { r.settle(fate) }) // the client may not be reading
	select {
	case <-settled:
	case <-s.ctx.Done():
		wait(lastTime, settled)
	}
	gone := func() { s.retired = slices.DeleteFunc(s.retired, func(other *relay) bool { return other == r }) }
	for !s.unlessStuck(gone) && s.ctx.Err() == nil {
		time.Sleep(stuckTime)
	}
	close(r.gone)
}

// partAll is for the end of a session: servers that still answer have the time for it that they all have.
func (s *session) partAll() {
	if wait(eofGrace, start(s.leaving.Wait)) {
		return
	}
	var left []*relay
	s.soon(lastTime, func() { left = slices.Clone(s.retired) })
	wait(lastTime, start(func() {
		for _, r := range left {
			r.settle(r.label + " was stopped")
		}
	}))
}

// stopAll notes the first signal, which ends all servers.
func (s *session) stopAll(sig os.Signal) {
	s.stopOnce.Do(func() {
		s.signal = sig
		close(s.stopped)
	})
}
