package wrapper

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"time"

	"mcp-valet/wrapper/frame"
)

// welcomeTime bounds the handshake with a server that the client has been answered for already.
const welcomeTime = time.Minute

var errOtherVersion = errors.New("it speaks another protocol version than in its last run; start the client anew")

// open starts the server. What was told to the client in its name is told to it in turn, and then what waits goes on.
func (g *gate) open(with Start) (*relay, error) {
	if c := &g.s.crashes; c.lost != nil {
		c.starts = append(c.starts, time.Now())
	}
	r, err := g.s.newRelay(with)
	if err != nil {
		return nil, err
	}
	g.opening = r
	g.s.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(g.s.ctx, welcomeTime)
		defer cancel()
		if err := r.welcome(ctx); err != nil {
			if !exited(r.server) { // else that is the reason
				r.failure.Store(&err)
			}
			close(r.quit)
		}
	})
	return r, nil
}

// welcome brings a server to where the client believes it to be, and lets it take over. The client may say more of that
// meanwhile: what it says last counts.
func (r *relay) welcome(ctx context.Context) error {
	told := hello{}
	for {
		h, done := hello{}, false
		r.locked(func() {
			h = r.hello
			h.subscribed = maps.Clone(h.subscribed)
			if served := r.served.Load(); h.answered == nil && served != nil {
				h.answered = *served
			}
			if done = h.answered == nil || told.is(&h); done {
				r.gate.handOver(r)
			}
		})
		if done {
			return nil
		}
		if err := r.catchUp(ctx, &told, &h); err != nil {
			return err
		}
	}
}

// is tells whether a server that was told h knows what the client has said.
func (h *hello) is(now *hello) bool {
	return h.answered != nil && bytes.Equal(h.initialized, now.initialized) && bytes.Equal(encode(h.logLevel), encode(now.logLevel)) &&
		maps.EqualFunc(h.subscribed, now.subscribed, func(a, b object) bool { return bytes.Equal(encode(a), encode(b)) })
}

// catchUp tells the server what it does not know yet, one thing after another.
func (r *relay) catchUp(ctx context.Context, told, h *hello) error {
	if told.answered == nil {
		result, err := r.inquire(ctx, "initialize", h.params)
		if err != nil {
			return err
		}
		if textIn(result, "protocolVersion") != textIn(h.answered, "protocolVersion") && !r.gate.standIn {
			return errOtherVersion
		}
		told.answered = result
	}
	if h.initialized != nil && told.initialized == nil {
		r.server.Stdin().Write(h.initialized)
	}
	if h.logLevel != nil && !bytes.Equal(encode(told.logLevel), encode(h.logLevel)) {
		if _, err := r.inquire(ctx, "logging/setLevel", h.logLevel); errors.Is(err, errNoAnswer) {
			return err
		}
	}
	if err := r.resubscribe(ctx, told.subscribed, h.subscribed); err != nil {
		return err
	}
	told.initialized, told.logLevel, told.subscribed = h.initialized, h.logLevel, h.subscribed
	return nil
}

// resubscribe tells the server of the subscriptions of the client's that it does not know, and the other way round.
func (r *relay) resubscribe(ctx context.Context, told, now map[string]object) error {
	for uri, params := range now {
		if _, knows := told[uri]; knows {
			continue
		}
		if _, err := r.inquire(ctx, "resources/subscribe", params); errors.Is(err, errNoAnswer) {
			return err
		}
	}
	for uri, params := range told {
		if _, wanted := now[uri]; wanted {
			continue
		}
		if _, err := r.inquire(ctx, "resources/unsubscribe", params); errors.Is(err, errNoAnswer) {
			return err
		}
	}
	return nil
}

// adopt has the server go on with a subscription that the client has opened with another one.
func (r *relay) adopt(m *frame.Message) {
	r.adopted.Store(m.ID.Key(), true)
	r.handle(m)
}

// adopts tells whether m acknowledges such a subscription.
func (r *relay) adopts(m *frame.Message) bool {
	_, did := r.adopted.LoadAndDelete(keyOf(asObject(paramsOf(m.Raw)["_meta"])[metaSubscription]))
	return did
}

// handOver gives what waits to the server, which from now on answers the client.
func (g *gate) handOver(r *relay) {
	g.cause, g.obstacle, g.undecided, g.opening, g.ended, g.wants = nil, noObstacle, false, nil, nil, false
	g.s.crashes.lost = nil
	g.endPrompt()
	if g.snap != nil && g.snap.Subject != "" && r.with.Subject != "" && g.snap.Subject != r.with.Subject {
		g.guessed = true // they are another person's lists
	}
	if g.guessed && (g.s.hello.answered != nil || g.s.served.Load() != nil) {
		g.guessed = false
		g.s.out.send([]byte(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}` + "\n"))
	}
	if g.old != nil {
		for _, m := range g.old.pending.takeListens() {
			r.adopt(m)
		}
		g.s.tellRoles(g.old.user.Load(), r.user.Load())
		g.letGo()
		version := g.s.hello.version
		defer g.s.tasks.Go(func() { r.compareLists(version) }) // behind what waits
	}
	for _, h := range g.take() {
		if g.standIn && h.Method == "tools/call" && h.Name == signInTool {
			g.answer(h.Message, toolResult(g.textSignedIn(), false, h.Modern))
			continue
		}
		if h.open {
			r.adopt(h.Message)
			continue
		}
		r.handle(h.Message)
	}
	g.s.install(r)
}
