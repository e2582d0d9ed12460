package wrapper

import (
	"math/rand/v2"
	"time"

	"mcp-valet/keyring"
	"mcp-valet/wrapper/frame"
)

// Renewal is how a new token reaches a server that runs.
type Renewal int

const (
	// RenewOff leaves a server with the token that it was started with.
	RenewOff Renewal = iota
	// RenewRestart starts another server with the new token, before the next request, and lets the old one answer what it
	// was asked.
	RenewRestart
	// RenewExclusive is RenewRestart for servers of which there can be one at a time: the old one ends first.
	RenewExclusive
	// RenewFile puts the token in a file, whose name the server has in its token variable with _FILE behind it.
	RenewFile
	// RenewMeta puts the token in params._meta of every request.
	RenewMeta
)

// Tests have less patience.
var (
	// renewTick is how often a session looks at the clock on the wall: a machine that has slept is noticed by that, and an
	// idle one is woken no more often.
	renewTick = time.Minute
	// idleTime is how long a client may have asked nothing until its token is left to end.
	idleTime = 30 * time.Minute
)

// renewal keeps the token of a running server fresh. It is under session.mu.
type renewal struct {
	how   Renewal
	due   time.Time // when a new token is to be had; zero for never
	ends  time.Time // when the one in force ends; zero where that is not known
	asked time.Time // when the client last asked for something
	fresh *Start    // what another server is to be started with, at the next request; nil for nothing
	busy  bool      // a new token is being got
	noted string    // the last reason for which there was none
}

// inForce notes what a server was started with.
func (n *renewal) inForce(with Start) {
	n.fresh = nil
	n.due, n.ends = time.Time{}, time.Time{}
	if n.how == RenewOff || with.Token.IsZero() {
		return
	}
	n.ends = with.Ends
	if !with.Due.IsZero() {
		n.due = with.Due
		if window := with.Ends.Sub(with.Due); window > 0 { // not all launchers of an account at the same moment
			n.due = with.Due.Add(rand.N(window / 4))
		}
	}
}

// ended tells whether the token in force is of no more use.
func (n *renewal) ended(now time.Time) bool { return !n.ends.IsZero() && !now.Before(n.ends) }

// isDue tells whether a new token is to be had now. While nobody asks for anything, none is needed.
func (n *renewal) isDue(now time.Time) bool {
	return !n.busy && n.fresh == nil && !n.due.IsZero() && !now.Before(n.due) && now.Sub(n.asked) < idleTime
}

// keepFresh looks at the clock until the session ends.
func (s *session) keepFresh() {
	ticker := time.NewTicker(renewTick)
	defer ticker.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
			s.unlessStuck(s.renewIfDue)
		}
	}
}

// renewIfDue has a new token got in the background; mu is held.
func (s *session) renewIfDue() {
	if s.relay == nil || !s.renewal.isDue(wallClock()) {
		return
	}
	s.renewal.busy = true
	s.tasks.Go(func() {
		r := <-s.ask(keyring.Quietly(s.ctx), Renewed)
		s.locked(func() { s.renewed(&r) })
	})
}

// renewed is the outcome: a new token waits for the next request, and without one the next tick tries again, which costs
// nothing while it is known that it would be in vain.
func (s *session) renewed(r *result) {
	n := &s.renewal
	n.busy = false
	if s.relay == nil || s.ctx.Err() != nil {
		return // the gate has a look of its own
	}
	if r.err != nil {
		if text := s.o.refusal(r.err); text != n.noted {
			n.noted = text
			s.err.note("the token of %s is not renewed for now: %s", s.o.label(), text)
		}
		return
	}
	n.noted = ""
	if r.Token.Equal(s.relay.with.Token) {
		n.inForce(r.Start) // nothing newer is to be had
		return
	}
	if !s.relay.deliverToken(r.Start) {
		n.fresh = &r.Start
	}
}

// changeFor has another server take over before m is handled, where the token makes that necessary, and tells whether
// it does; mu is held.
func (s *session) changeFor(m *frame.Message) bool {
	n := &s.renewal
	if m.Kind != frame.Request || n.due.IsZero() && n.ends.IsZero() || m.Method == "ping" {
		return false
	}
	now := wallClock()
	n.asked = now
	if f := n.fresh; f != nil && !f.Ends.IsZero() && !now.Before(f.Ends) {
		n.fresh = nil // it has ended while nobody asked
	}
	switch {
	case s.greeting() || isClosed(s.stopped) || s.ctx.Err() != nil:
		return false
	case n.ended(now):
		s.change(n.fresh)
	case n.fresh == nil:
		s.renewIfDue()
		return false
	case n.how == RenewExclusive && s.relay.pending.busy():
		return false // while there is time, nobody has to wait for what the server is doing
	default:
		s.change(n.fresh)
	}
	return true
}

// wallClock is the time without the monotonic one, which stands still while a machine sleeps.
func wallClock() time.Time { return time.Now().Round(0) }
