package wrapper

import (
	"os"
	"time"

	"mcp-valet/keyring"
	"mcp-valet/wrapper/frame"
)

const (
	// stuckTime is after how long a session is tried again whose lock is held by a message on its way.
	stuckTime = 10 * time.Millisecond
	// endPatience is how long the gate goes on after the client's end, for what is about to be decided: clients that mean
	// it are gone by then.
	endPatience = 1500 * time.Millisecond
)

// stepped is what a step of the gate's has led to. over says that the session is: nothing is left to be decided after the
// client's end, or nobody can answer it.
type stepped struct {
	server *relay // nil for none yet
	over   bool
}

// wait keeps the gate until a server has been started, or until the end (nil), which may come with a signal. It is the
// goroutine that watches over the end: it waits for nothing else, as a step of the gate's may wait for the client to read.
func (g *gate) wait() (*relay, os.Signal) {
	ticker := time.NewTicker(tickTime) // while there is something to look after: nobody is woken for nothing
	defer ticker.Stop()
	e := g.s.ends
	var tooLate <-chan time.Time
	var step <-chan stepped // nil while none is under way
	defer func() { g.abandon(step) }()
	begin := func(do func() *relay) { step = g.step(do, tooLate != nil, ticker) }
	for {
		var wake <-chan struct{}
		var tick <-chan time.Time
		var found <-chan finding
		if step == nil {
			wake, tick, found = g.wake, ticker.C, g.found
		}
		select {
		case <-e.client: // what is about to be decided is still answered
			e.client, tooLate = nil, time.After(endPatience)
			g.stir()
		case <-tooLate:
			return nil, nil
		case <-e.ahead:
			return nil, nil
		case <-e.gone:
			return nil, nil
		case <-e.parent:
			return nil, nil
		case <-e.ctx.Done():
			return nil, nil
		case sig := <-e.stop:
			g.s.stopAll(sig)
			return nil, sig
		case <-g.s.stopped: // a signal came while another server was to take over
			return nil, g.s.signal
		case <-wake:
			begin(func() *relay { return nil })
		case <-tick:
			begin(func() *relay { g.tick(); return nil })
		case f := <-found:
			begin(func() *relay { return g.find(f) })
		case done := <-step:
			step = nil
			if done.server != nil || done.over {
				return done.server, nil
			}
		}
	}
}

// step does something in the background, and then what is due.
func (g *gate) step(do func() *relay, clientDone bool, ticker *time.Ticker) <-chan stepped {
	c := make(chan stepped, 1)
	g.s.tasks.Go(func() {
		g.s.locked(func() {
			server := do()
			if server != nil {
				c <- stepped{server: server}
				return
			}
			g.lookNow()
			pending := len(g.held) > 0 && (g.deciding() || g.looking || g.asking)
			c <- stepped{over: g.ended != nil && !g.undecided || clientDone && !pending}
			g.tickIfNeeded(ticker)
		})
	})
	return c
}

// find acts on what was found.
func (g *gate) find(f finding) *relay {
	if f.n != g.finds { // another look has begun since
		return nil
	}
	return g.decide(f.result)
}

// abandon ends the server that a step brings when the session is over.
func (g *gate) abandon(step <-chan stepped) {
	if step == nil {
		return
	}
	g.s.tasks.Go(func() {
		done := <-step
		if r := done.server; r != nil {
			r.server.Stdin().Close()
			if !wait(stopGrace, r.server.Done()) {
				r.server.Kill()
			}
			r.settle(r.obituary(r.bury(true), true))
		}
	})
}

// tickIfNeeded has the ticker run while something may change that nobody tells.
func (g *gate) tickIfNeeded(ticker *time.Ticker) {
	switch needed := len(g.held) > 0 || g.prompt.begun || g.prompt.beginning || g.obstacle == due && !g.undecided; {
	case needed && !g.ticks:
		ticker.Reset(tickTime)
	case !needed && g.ticks:
		ticker.Stop()
	default:
		return
	}
	g.ticks = !g.ticks
}

// look has a credential looked for, on behalf of a request: a person may be asked to unlock the keychain.
func (g *gate) look() {
	g.asks = true
	g.lookQuietly()
}

// lookQuietly has a credential looked for, and asks nobody: a person who has sent one window away gets no other one
// before the next request.
func (g *gate) lookQuietly() {
	g.wants = true
	g.stir()
}

func (g *gate) stir() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// lookNow begins a look that is wanted.
func (g *gate) lookNow() {
	if !g.wants || g.looking {
		return
	}
	ctx := g.s.ctx
	if !g.asks {
		ctx = keyring.Quietly(ctx)
	}
	effort := g.effort
	g.wants, g.asks, g.effort = false, false, Renewed
	if g.s.crashes.lost != nil {
		g.await(g.revive(ctx, effort))
		return
	}
	got := g.s.ask(ctx, effort)
	g.await(func() result { return <-got })
}

// tick looks whether something has changed while somebody waits, or a sign-in is under way.
func (g *gate) tick() {
	if g.obstacle == due && !g.undecided || g.obstacle == shut && len(g.held) > 0 {
		g.lookQuietly()
	}
	g.watchPrompt()
}

// decide is what follows from a look for a credential: a server, or what those that wait are told.
func (g *gate) decide(r result) *relay {
	g.looking = false
	if server, handled := g.succession(&r); handled {
		return server
	}
	if r.err == nil {
		server, err := g.open(r.Start)
		switch {
		case err == nil:
			return server
		case g.s.crashes.lost != nil:
			g.lostAgain(err, startCode(err))
			return nil
		}
		if g.retry(r.Start) {
			return nil
		}
		g.letGo()
		r.err = err
	}
	if !g.undecided {
		if r.err.Error() != g.cause.Error() {
			g.set(r.err)
		}
		g.stirHeld()
		return nil
	}
	g.undecided = false
	if g.ended != nil && !g.outlives(r.err) {
		return nil
	}
	if g.ended == nil {
		g.set(r.err)
	}
	g.ended = nil
	for _, h := range g.take() {
		g.settle(h)
	}
	g.wants = false // it has just been looked
	g.stirHeld()
	return nil
}

// outlives tells whether the gate takes over from a server that has ended, for which no other credential was found: it
// does when that needs a person, or time; and otherwise only when it has something to say in the server's place.
func (g *gate) outlives(err error) bool {
	switch obstacleOf(err) {
	case signedOut, shut, unreachable:
		g.set(err)
		return true
	}
	var early []*frame.Message
	for _, h := range g.held {
		early = append(early, h.Message)
	}
	g.set(g.ended)
	return g.knows(early)
}

// settle handles what was held while nothing was decided. A request that needs a server which is no good is told so:
// another try with it would end as the last one did.
func (g *gate) settle(h *held) {
	if h.Kind != frame.Request {
		return // it was remembered where that matters
	}
	if _, dead := g.cause.(*errEnded); dead && !isList(h.Method) && !opens(h.Method) && h.Method != "ping" {
		g.tellHeld(h.Message, g.s.o.refusal(g.cause))
		return
	}
	g.since = h.since // it has waited already
	g.request(h.Message)
	g.since = time.Time{}
}

// stirHeld does for those that wait what the obstacle asks for.
func (g *gate) stirHeld() {
	switch g.obstacle {
	case signedOut:
		if g.waiting() {
			g.beginSignIn()
		}
	case unreachable, hopeless:
		g.tellAll(g.s.o.refusal(g.cause))
	}
}

// recover takes over from a server that ended before its first answer. What it was told is told to another one, if there
// is another credential (found already, or to be looked for); but a call may have been carried out, and is never
// repeated.
func (g *gate) recover(ended *errEnded, early []*frame.Message, with *result) {
	g.ended, g.undecided, g.cause, g.obstacle = ended, true, ErrDue, due
	for _, m := range early {
		if m.Kind == frame.Request && m.Method == "tools/call" {
			g.s.out.refuse(m.ID, codeServerGone, ended.label+" ended before answering; the call may have been carried out: check before repeating it")
			continue
		}
		g.hold(m, false)
	}
	if with == nil {
		g.effort = Refused
		g.look()
		return
	}
	g.lookFor(*with)
}

func (s *session) locked(f func()) {
	s.mu.take()
	defer s.mu.pass()
	f()
}

// unlessStuck is locked for the goroutine that watches over the end, which must never wait: whoever holds the lock may
// be waiting for a client that does not read. It tells whether f was called.
func (s *session) unlessStuck(f func()) bool {
	if !s.mu.free() {
		return false
	}
	defer s.mu.pass()
	f()
	return true
}

// soon is unlessStuck for one that can wait a little.
func (s *session) soon(limit time.Duration, f func()) bool {
	for late := time.Now().Add(limit); time.Now().Before(late); time.Sleep(stuckTime) {
		if s.unlessStuck(f) {
			return true
		}
	}
	return false
}
