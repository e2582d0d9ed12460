package wrapper

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"mcp-valet/keyring"
	"mcp-valet/wrapper/frame"
)

// maxRetired bounds the servers that still answer what they were asked before another one took over.
const maxRetired = 4

// change has another server take the place of the one that answers the client; with is what it is started with, nil
// where that is to be found out first. The client's next messages wait at the gate meanwhile, and what the old server was
// asked it goes on answering. mu is held.
func (s *session) change(with *Start) {
	if len(s.retired) >= maxRetired {
		s.giveUp(s.retired[0])
	}
	old := s.relay
	s.relay = nil
	s.retired = append(s.retired, old)
	s.gate.succeed(old, with)
	close(old.superseded)
}

// giveUp ends a server that has not answered for as long as several tokens have lived.
func (s *session) giveUp(r *relay) {
	if !isClosed(r.quit) {
		s.err.note("a call to %s has lasted longer than %d of its tokens: it is given up", r.label, maxRetired)
		close(r.quit)
	}
}

// greeting tells whether the client's handshake is under way: nobody else can take it over.
func (s *session) greeting() bool {
	return s.hello.params != nil && s.hello.answered == nil && s.served.Load() == nil && !s.refused.Load()
}

// owner is the server that a message of the client's belongs to, where that is not the one that answers the client now:
// an answer to what it asked, or the end of what it was asked. m is as that server is to get it. mu is held.
func (s *session) owner(m *frame.Message) *relay {
	switch {
	case m.Kind == frame.Response:
		var from *relay
		if from, m.Raw = s.asks.take(m); from != s.relay {
			return from
		}
	case len(s.retired) == 0 || m.Kind != frame.Notification:
	case m.Method == "notifications/cancelled":
		key := cancelledKey(m.Raw)
		for _, old := range s.retired {
			if old.pending.waits(key) {
				return old
			}
		}
	case m.Method == "notifications/progress":
		if from := s.asks.whose(paramsOf(m.Raw)["progressToken"]); from != s.relay {
			return from
		}
	}
	return nil
}

// passTo gives a message to a server that is not the one that answers the client now.
func (s *session) passTo(other *relay, m *frame.Message) {
	s.source.stall()
	defer s.source.resume()
	other.server.Stdin().Write(m.Raw) // an error means that nobody waits for it
	if m.Method == "notifications/cancelled" {
		other.pending.take(cancelledKey(m.Raw)) // not before: it may be all that keeps the server
	}
}

// succeed begins the change: everything waits until it is decided who answers from now on.
func (g *gate) succeed(old *relay, with *Start) {
	g.old, g.alone = old, false
	g.undecided, g.ended, g.cause, g.obstacle = true, nil, ErrDue, due
	if with == nil {
		g.effort = Renewed
		g.look()
		return
	}
	g.lookFor(result{Start: *with})
}

// lookFor has r found at the next turn.
func (g *gate) lookFor(r result) { g.await(func() result { return r }) }

// await has the outcome of a look given to the goroutine that decides, in place of any that is still to come. outcome
// returns soon after the session's end.
func (g *gate) await(outcome func() result) {
	g.looking = true
	g.finds++
	n := g.finds
	g.s.tasks.Go(func() {
		select {
		case g.found <- finding{n, outcome()}:
		case <-g.s.ctx.Done():
		}
	})
}

// succession is what becomes of a look while there is still the old server: it stays where nothing better is to be had,
// and where servers exclude each other it has to go first. handled tells whether that is all for now.
func (g *gate) succession(r *result) (server *relay, handled bool) {
	old := g.old
	if old == nil {
		return nil, g.excluded(r)
	}
	dead := exited(old.server) || g.s.crashes.lost != nil
	if r.err == nil && !dead && old.deliverToken(r.Start) {
		return g.resume(), true
	}
	stays := !dead && !g.s.renewal.ended(wallClock())
	switch {
	case r.err == nil && r.Token.Equal(old.with.Token) && stays, r.err != nil && stays && obstacleOf(r.err) != hopeless:
		return g.resume(), true
	case r.err != nil:
		g.letGo()
		return nil, false
	case (g.alone || g.s.renewal.how == RenewExclusive) && !isClosed(old.gone):
		g.startAfter(old, r.Start)
		return nil, true
	}
	return nil, false
}

// excluded has a server wait for one that the gate has let go, and that still answers what it was asked, where there may be
// one at a time. It tells whether it does.
func (g *gate) excluded(r *result) bool {
	if r.err != nil || g.s.renewal.how != RenewExclusive || len(g.s.retired) == 0 {
		return false
	}
	g.startAfter(g.s.retired[0], r.Start)
	return true
}

// startAfter starts another server when the old one has answered what it was asked, and ended.
func (g *gate) startAfter(old *relay, with Start) {
	g.release(old)
	g.await(func() result {
		select {
		case <-old.gone:
		case <-g.s.ctx.Done(): // nobody looks at it any more
		}
		if !with.Ends.IsZero() && !wallClock().Before(with.Ends) { // that took long
			return <-g.s.ask(keyring.Quietly(g.s.ctx), Renewed)
		}
		return result{Start: with}
	})
}

// resume has the old server go on.
func (g *gate) resume() *relay {
	old := g.old
	g.old = nil
	old.verdict <- true
	g.s.retired = slices.DeleteFunc(g.s.retired, func(r *relay) bool { return r == old })
	old.superseded = make(chan struct{})
	old.verdict = make(chan bool, 1)
	old.installed = make(chan struct{})
	g.opening = old
	g.s.tasks.Go(func() { g.s.locked(func() { g.handOver(old) }) }) // it may not be reading
	return old
}

// letGo has the old server end when it has answered what it was asked.
func (g *gate) letGo() {
	if g.old != nil {
		g.release(g.old)
		g.old = nil
	}
}

func (g *gate) release(old *relay) {
	select {
	case old.verdict <- false:
	default: // it has been told
	}
}

// retry is what follows when a server that was to take over did not come so far: it is tried once more when the old one
// is gone, which may have been in its way. It tells whether it is tried.
func (g *gate) retry(with Start) bool {
	if g.old == nil || g.alone {
		return false
	}
	g.alone = true
	g.opening, g.undecided = nil, true
	g.startAfter(g.old, with)
	return true
}

// finding is the outcome of the n-th look.
type finding struct {
	n int
	result
}

// compareLists tells the client of lists that are not what it was given, by the server before. In MCP 2026-07-28 that is
// for a subscription, which the new server has.
func (r *relay) compareLists(version string) {
	ctx, cancel := context.WithTimeout(r.ctx, welcomeTime)
	defer cancel()
	told := map[string]bool{}
	for method, had := range r.rec.lists(talkKey(false, version)) {
		kind, _, _ := strings.Cut(method, "/") // resources/templates/list has no notification of its own
		result, err := r.inquire(ctx, method, object{})
		if err != nil || told[kind] || sameJSON(perishable(encode(result)), had) {
			continue
		}
		if kind == "tools" {
			r.rec.unmark()
		}
		told[kind] = true
		if r.ctx.Err() != nil {
			return
		}
		r.out.send(fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"notifications/%s/list_changed"}`+"\n", kind))
	}
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}
