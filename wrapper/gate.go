package wrapper

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"mcp-valet/refresh"
	"mcp-valet/wrapper/frame"
)

// Tests have less patience.
var (
	// holdTime is how long a request waits at the gate for a person to sign in: less than any client's patience.
	holdTime = 20 * time.Second
	// tickTime is how often the gate looks whether something has changed, while somebody waits.
	tickTime = time.Second
)

const (
	// maxHeld bounds the requests that wait at the gate, maxHeldSize their bytes.
	maxHeld, maxHeldSize = 1000, 64 << 20
	// welcomeTime bounds the handshake with a server that the client has been answered for already.
	welcomeTime = time.Minute
)

// textProbe is no more than a client needs to go on with initialize.
const textProbe = "the server has not been started yet"

// gate answers the client while there is no server, because no credential can be had: until a person signs in, the
// issuer can be reached, or the keychain is unlocked. What the server says of itself comes from the snapshot of an
// earlier run, or from the server started for a moment without its token; where both are missing, the gate stands in
// with a tool that says what to do. A request that needs the server waits a little, and is then answered; answered once,
// it is never carried out. Everything but wait is called with session.mu held.
type gate struct {
	s         *session
	obstacle  obstacle
	cause     error  // why the gate is closed; nil when it is not
	noted     string // the last cause that was put on stderr
	undecided bool   // a renewal is due, and its outcome decides who answers
	held      []*held
	size      int // of held, in bytes

	snap    *snapshot
	bare    map[string]bool // talks for which the server has been asked already
	standIn bool            // the client was told that there is a tool sign_in
	guessed bool            // the client's lists are those of a stand-in, or of a server without its token

	wants   bool          // a look for a credential is wanted
	looking bool          // and one is under way
	wake    chan struct{} // the above has changed
	found   <-chan result

	prompt prompt
	marked bool // a client was asked for input, with a mark of ours in what it sends back
}

// held is a request that waits at the gate.
type held struct {
	*frame.Message
	timer *time.Timer // nil for one that may wait for ever
}

func newGate(s *session, cause error) *gate {
	g := &gate{s: s, wake: make(chan struct{}, 1), bare: map[string]bool{}}
	g.set(cause)
	g.undecided = g.obstacle == due
	return g
}

func (g *gate) set(cause error) {
	g.cause, g.obstacle = cause, obstacleOf(cause)
	if g.obstacle == signedOut && g.s.o.SignIns == nil {
		g.obstacle = hopeless
	}
	if cause == nil || errors.Is(cause, ErrDue) {
		return
	}
	if text := g.s.o.refusal(cause); text != g.noted {
		g.noted = text
		g.s.err.note("%s is not started for now: %s", g.s.o.label(), text)
	}
}

// closeFor closes the gate again, which then answers what another has not.
func (g *gate) closeFor(cause error, unanswered []*frame.Message) {
	g.set(cause)
	g.undecided = false
	if g.obstacle == hopeless {
		g.tellAll(g.s.o.refusal(cause))
	}
	for _, m := range unanswered {
		g.handle(m)
	}
}

// knows tells whether a snapshot can answer what a client has begun with.
func (g *gate) knows(early []*frame.Message) bool {
	for _, m := range early {
		if m.Kind == frame.Request {
			return g.talk(m).Hello != nil
		}
	}
	return false
}

// handle answers a message, or keeps it.
func (g *gate) handle(m *frame.Message) {
	g.s.remember(m)
	switch m.Kind {
	case frame.Request:
		if g.undecided && m.Method != methodDiscover {
			if g.hold(m, false) {
				g.look()
			}
			return
		}
		g.request(m)
	case frame.Response:
		g.consumes(m)
	case frame.Notification:
		switch {
		case m.Method == "notifications/cancelled":
			g.forget(cancelledKey(m.Raw))
		case g.undecided && len(g.held) > 0: // the server may yet get all of it as it came
			g.hold(m, false)
		}
	}
}

// request answers a request or holds it.
func (g *gate) request(m *frame.Message) {
	switch m.Method {
	case "initialize", methodDiscover:
		g.introduce(m)
	case "tools/call", "prompts/get", "resources/read", "resources/subscribe", "completion/complete":
		g.need(m)
	case "subscriptions/listen": // open until the end, MCP 2026-07-28
		g.hold(m, false)
	case "ping", "logging/setLevel", "resources/unsubscribe":
		g.answer(m, completed(map[string]any{}, m.Modern))
	default:
		if isList(m.Method) {
			g.list(m)
			return
		}
		g.s.out.refuse(m.ID, codeRefused, g.s.o.refusal(g.cause))
	}
}

func (g *gate) answer(m *frame.Message, result any) { g.s.out.send(resultLine(m.ID, result)) }

// need holds a request that only the server can answer, and has a credential looked for.
func (g *gate) need(m *frame.Message) {
	if input := inputOf(m); input != nil && !input.accepted {
		g.tellHeld(m, g.textDeclined())
		return
	}
	if g.hold(m, true) {
		g.look()
	}
}

// hold keeps a request, for holdTime if it is not for ever; where there are too many already, it is told.
func (g *gate) hold(m *frame.Message, limited bool) bool {
	if len(g.held) == maxHeld || g.size > maxHeldSize {
		if m.Kind == frame.Request {
			g.tellHeld(m, errCrowded.Error())
		}
		return false
	}
	h := &held{Message: kept(m)}
	g.held = append(g.held, h)
	g.size += len(h.Raw)
	if limited {
		h.timer = time.AfterFunc(holdTime, func() {
			g.s.mu.Lock()
			defer g.s.mu.Unlock()
			g.late(h)
		})
	}
	return true
}

// late answers a request that has waited for long enough.
func (g *gate) late(h *held) {
	if !g.drop(h) {
		return
	}
	if g.obstacle == signedOut {
		g.tellHeld(h.Message, g.promptText())
		return
	}
	if g.obstacle == due || g.cause == nil {
		g.tellHeld(h.Message, g.textLong())
		return
	}
	g.tellHeld(h.Message, g.s.o.refusal(g.cause))
}

// drop takes a request out of those that are held, and tells whether it was there.
func (g *gate) drop(h *held) bool {
	i := slices.Index(g.held, h)
	if i < 0 {
		return false
	}
	g.held = slices.Delete(g.held, i, i+1)
	g.size -= len(h.Raw)
	if h.timer != nil {
		h.timer.Stop()
	}
	return true
}

// forget drops a request that the client has cancelled.
func (g *gate) forget(key string) {
	for _, h := range slices.Clone(g.held) {
		if h.ID.Key() == key {
			g.drop(h)
		}
	}
}

// tellAll answers everything that waits with a text.
func (g *gate) tellAll(text string) {
	for _, h := range slices.Clone(g.held) {
		if h.timer != nil && g.drop(h) {
			g.tellHeld(h.Message, text)
		}
	}
}

// dismiss answers everything that waits, at the end of the session.
func (g *gate) dismiss() {
	for _, h := range slices.Clone(g.held) {
		g.drop(h)
		switch {
		case h.Kind != frame.Request:
		case g.cause == nil || g.obstacle == due:
			g.s.out.refuse(h.ID, codeServerGone, g.s.o.label()+" was stopped before answering")
		default:
			g.tellHeld(h.Message, g.s.o.refusal(g.cause))
		}
	}
}

// look has a credential looked for.
func (g *gate) look() {
	g.wants = true
	g.stir()
}

func (g *gate) stir() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// wait keeps the gate until a server has been started, or until the end (nil), which may come with a signal.
func (g *gate) wait() (*relay, os.Signal) {
	ticker := time.NewTicker(tickTime)
	defer ticker.Stop()
	e := g.s.ends
	var got *result
	ended, over := false, false
	for {
		select {
		case <-e.client: // what waits for the outcome of a renewal is still answered
			e.client, ended = nil, true
		case <-e.ahead:
			return nil, nil
		case <-e.gone:
			return nil, nil
		case <-e.parent:
			return nil, nil
		case <-e.ctx.Done():
			return nil, nil
		case sig := <-e.stop:
			return nil, sig
		case <-g.wake:
		case <-ticker.C:
			g.s.unlessStuck(g.tick)
		case r := <-g.found:
			got = &r
		}
		var server *relay
		if !g.s.unlessStuck(func() { server = g.goOn(&got) }) {
			time.AfterFunc(stuckTime, g.stir)
		}
		if server != nil {
			return server, nil
		}
		if ended && g.s.unlessStuck(func() { over = len(g.held) == 0 || !g.undecided && !g.looking && !g.wants }) && over {
			return nil, nil
		}
	}
}

// goOn does what is due: it acts on what was found, and looks again where that is wanted.
func (g *gate) goOn(got **result) (server *relay) {
	if r := *got; r != nil {
		*got = nil
		if server = g.decide(*r); server != nil {
			return server
		}
	}
	g.lookNow()
	return nil
}

// stuckTime is after how long a session is tried again whose lock is held by a message on its way.
const stuckTime = 10 * time.Millisecond

func (s *session) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// unlessStuck is locked for the goroutine that watches over the end, which must never wait: whoever holds the lock may
// be waiting for a client that does not read. It tells whether f was called.
func (s *session) unlessStuck(f func()) bool {
	if !s.mu.TryLock() {
		return false
	}
	defer s.mu.Unlock()
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

// lookNow begins a look that is wanted; g.found belongs to wait.
func (g *gate) lookNow() {
	if !g.wants || g.looking {
		return
	}
	g.wants, g.looking = false, true
	g.found = g.s.ask(g.s.ctx, Renewed)
}

// tick looks whether something has changed while somebody waits, or a sign-in is under way.
func (g *gate) tick() {
	if g.obstacle == due && !g.undecided || g.obstacle == shut && len(g.held) > 0 {
		g.look()
	}
	g.watchPrompt()
}

// decide is what follows from a look for a credential: a server, or what those that wait are told.
func (g *gate) decide(r result) *relay {
	g.looking = false
	if r.err == nil {
		server, err := g.open(r.Start)
		if err == nil {
			return server
		}
		r.err = err
	}
	if g.undecided || r.err.Error() != g.cause.Error() {
		g.set(r.err)
	}
	if g.undecided {
		g.undecided = false
		waiting := g.held
		g.held, g.size = nil, 0
		for _, h := range waiting {
			g.handle(h.Message)
		}
		g.wants = false // the look has just been
		g.stirHeld()
		return nil
	}
	g.stirHeld()
	return nil
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

// waiting tells whether a request waits that needs a person.
func (g *gate) waiting() bool {
	return slices.ContainsFunc(g.held, func(h *held) bool { return h.timer != nil })
}

// open starts the server. What was told to the client in its name is told to it in turn, and then what waits goes on.
func (g *gate) open(with Start) (*relay, error) {
	r, err := g.s.newRelay(with)
	if err != nil {
		return nil, err
	}
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

// welcome brings a server to where the client believes it to be, and lets it take over.
func (r *relay) welcome(ctx context.Context) error {
	var h hello
	r.locked(func() { h = r.hello })
	if h.answered != nil {
		result, err := r.inquire(ctx, "initialize", h.params)
		if err != nil {
			return err
		}
		if got, want := textIn(result, "protocolVersion"), textIn(h.answered, "protocolVersion"); got != want && !r.gate.standIn {
			return errOtherVersion
		}
		if h.initialized != nil {
			r.server.Stdin().Write(h.initialized)
		}
		if h.logLevel != nil {
			if _, err := r.inquire(ctx, "logging/setLevel", h.logLevel); errors.Is(err, errNoAnswer) {
				return err
			}
		}
	}
	r.locked(func() { r.gate.handOver(r) })
	return nil
}

var errOtherVersion = errors.New("it speaks another protocol version than in its last run; start the client anew")

// handOver gives what waits to the server, which from now on answers the client.
func (g *gate) handOver(r *relay) {
	g.cause, g.obstacle, g.undecided = nil, noObstacle, false
	g.endPrompt()
	if g.guessed && g.s.hello.answered != nil {
		g.guessed = false
		g.s.out.send([]byte(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}` + "\n"))
	}
	waiting := g.held
	g.held, g.size = nil, 0
	for _, h := range waiting {
		if h.timer != nil {
			h.timer.Stop()
		}
		if g.standIn && h.Method == "tools/call" && h.Name == signInTool {
			g.answer(h.Message, toolResult(g.textSignedIn(), false, h.Modern))
			continue
		}
		r.handle(h.Message)
	}
	g.s.install(r)
}

// remember keeps what a later server must be told again, of a message that is handled; mu is held.
func (s *session) remember(m *frame.Message) {
	s.era.learn(m)
	switch {
	case m.Kind == frame.Request && m.Method == "initialize":
		s.hello.params = paramsOf(m.Raw)
		s.hello.version = m.ProtocolVersion
		s.hello.answered, s.hello.initialized = nil, nil
		s.hello.elicitsURLs = elicitsURLs(s.hello.params["capabilities"])
	case m.Kind == frame.Notification && m.Method == "notifications/initialized":
		s.hello.initialized = append([]byte(nil), m.Raw...)
	case m.Kind == frame.Request && m.Method == "logging/setLevel":
		s.hello.logLevel = paramsOf(m.Raw)
	}
}

// signInOf reads how the sign-in stands; nothing where nobody can sign in.
func (g *gate) signInOf() refresh.SignIn {
	if g.s.o.SignIns == nil {
		return refresh.SignIn{}
	}
	st, err := g.s.o.SignIns.State()
	if err != nil {
		return refresh.SignIn{}
	}
	return st
}

// ours tells whether an id is one of ours.
func ours(s string) bool { return strings.HasPrefix(s, ownIDs) }
