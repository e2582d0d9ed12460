package wrapper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mcp-valet/wrapper/frame"
)

// crashTime is the time in which a server that ends by itself is started again as often as there are crashDelays: each
// time it has that long to recover from whatever ended it. Tests have less patience.
var (
	crashTime   = time.Minute
	crashDelays = [...]time.Duration{0, time.Second, 4 * time.Second}
)

// crashes are the ends of servers that nobody wanted. They are under session.mu.
type crashes struct {
	lost   error       // how the latest one ended, while no other has taken its place; nil for none
	code   int         // its exit code
	starts []time.Time // when others were started because of that, in the last crashTime
}

// crashed has another server take the place of one that ended by itself after it had been of use, with the client's next
// request: nothing is started for a client that is about to go. It tells whether that can be. What the server was asked it
// may have carried out; that is never repeated.
func (s *session) crashed(r *relay, how ending) bool {
	if s.greeting() {
		return false
	}
	s.relay = nil
	s.retired = append(s.retired, r) // until its last words are passed on
	s.gate.mourn(r, r.pending.takeListens())
	s.leaving.Add(1)
	s.tasks.Go(func() {
		defer s.leaving.Done()
		s.part(r, how.stopped, "it is started again at the next request")
	})
	return true
}

// mourn begins the time without a server. The new one comes when the old one is gone: that may hold what both need.
func (g *gate) mourn(r *relay, open []*frame.Message) {
	g.old, g.alone = r, true
	g.undecided, g.ended, g.cause, g.obstacle = true, nil, ErrDue, due
	code := killedCode
	if exited(r.server) {
		code = r.server.ExitCode()
	}
	if !r.life.answered.Load() && r.life.canRemedy && !g.s.remedied { // it may not have liked its token
		g.s.remedied, g.effort = true, Refused
	}
	for _, m := range open {
		if h := g.hold(m, false); h != nil {
			h.open = true
		}
	}
	g.s.crashes.lost, g.s.crashes.code = errors.New(exitText(r.label, code)), code
	g.lookForSubscriber()
}

// lookForSubscriber has another server started, as soon as that may be, where the client waits for what only a server can
// tell.
func (g *gate) lookForSubscriber() {
	c := &g.s.crashes
	open := slices.ContainsFunc(g.held, func(h *held) bool { return h.open })
	switch {
	case c.lost == nil || g.deciding() || g.s.ctx.Err() != nil || !open && len(g.s.hello.subscribed) == 0:
	case g.mayStart():
		g.look()
	default:
		time.AfterFunc(time.Until(c.starts[0].Add(crashTime)), func() { g.s.locked(g.lookForSubscriber) })
	}
}

// mayStart tells whether another server may be started in the place of one that has ended.
func (g *gate) mayStart() bool {
	c := &g.s.crashes
	for len(c.starts) > 0 && time.Since(c.starts[0]) >= crashTime {
		c.starts = c.starts[1:]
	}
	return len(c.starts) < len(crashDelays)
}

// again holds a request for the server that is to follow one that has ended, or says why there is none.
func (g *gate) again(m *frame.Message) {
	switch {
	case m.Method == "ping":
		g.answer(m, completed(map[string]any{}, m.Modern))
	case !g.deciding() && !g.mayStart():
		g.s.out.refuse(m.ID, codeServerGone, g.textCrashes())
	case g.hold(m, true) != nil && !g.deciding():
		g.look()
	}
}

// deciding tells whether it is being decided who answers from now on: a server that was lost is not replaced before
// somebody asks for something.
func (g *gate) deciding() bool {
	return g.undecided && (g.s.crashes.lost == nil || g.wants || g.looking || g.opening != nil)
}

// revive is the outcome of a look on behalf of a server that has ended, not too soon after that.
func (g *gate) revive(ctx context.Context, effort Effort) func() result {
	s := g.s
	delay := crashDelays[min(len(s.crashes.starts), len(crashDelays)-1)]
	return func() result {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
		r := <-s.ask(ctx, effort)
		if errors.Is(r.err, ErrNoRemedy) { // then its token was not what it ended of
			r = <-s.ask(ctx, Renewed)
		}
		return r
	}
}

// lostAgain is for a server that has ended, or was no good, before it could take the place of one that was lost: the next
// one is tried while there is reason to hope.
func (g *gate) lostAgain(how error, code int) {
	g.opening, g.undecided, g.ended, g.cause, g.obstacle = nil, true, nil, ErrDue, due
	g.s.crashes.lost, g.s.crashes.code = how, code
	g.s.err.note("%v", how)
	if g.mayStart() {
		g.look()
		return
	}
	for _, h := range g.take() {
		switch {
		case h.open:
			g.hold(h.Message, false).open = true
		case h.Kind == frame.Request:
			g.s.out.refuse(h.ID, codeServerGone, g.textCrashes())
		}
	}
	g.lookForSubscriber()
}

func (g *gate) textCrashes() string {
	c := &g.s.crashes
	return fmt.Sprintf("%v; it was started again %d times within %v and is given a rest now: try later, and see the client's log for the reason",
		c.lost, len(c.starts), crashTime)
}
