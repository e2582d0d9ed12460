package wrapper

import (
	"errors"
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

// maxHeld bounds the messages that wait at the gate, maxHeldSize their bytes.
const maxHeld, maxHeldSize = 1000, 64 << 20

// textProbe is no more than a client needs to go on with initialize.
const textProbe = "the server has not been started yet"

// gate answers the client while there is no server, because no credential can be had: until a person signs in, the
// issuer can be reached, or the keychain is unlocked. What the server says of itself comes from the snapshot of an
// earlier run, or from the server started for a moment without its token; where both are missing, the gate stands in
// with a tool that says what to do. A request that needs the server waits a little, and is then answered; answered once,
// it is never carried out. Everything but wait is called with session.mu held, and does not wait for anything but the
// client to read.
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
	asking  bool            // it is being asked
	standIn bool            // the client was told that there is a tool sign_in
	guessed bool            // the client's lists are those of a stand-in, or of a server without its token

	wants   bool   // a look for a credential is wanted
	asks    bool   // and may ask a person to unlock the keychain
	effort  Effort // with this effort
	looking bool   // and one is under way
	wake    chan struct{}
	ticks   bool      // the ticker runs
	since   time.Time // when the request that is handled once more came; zero for one that has just come
	found   chan finding
	finds   int       // looks so far: an outcome of an earlier one comes too late
	opening *relay    // a server that is being told what the client was told; nil for none
	old     *relay    // the server whose place is to be taken; nil for none
	alone   bool      // it has to be gone before another one starts
	ended   *errEnded // the server whose end has led here, while another credential is looked for

	over   bool // the session is
	prompt prompt
}

// held is a message that waits at the gate: for a person (with a timer), for an introduction, or for the outcome of a
// renewal.
type held struct {
	*frame.Message
	since time.Time
	timer *time.Timer // nil for one that may wait for ever
	intro bool        // it waits for the server to be asked without its token
	open  bool        // a subscription that the client has been told of
}

func newGate(s *session, cause error) *gate {
	g := &gate{s: s, effort: Renewed, wake: make(chan struct{}, 1), found: make(chan finding), bare: map[string]bool{}, ticks: true}
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

// closeFor closes the gate again, after a server that was no good.
func (g *gate) closeFor(cause error) {
	g.opening, g.wants = nil, false
	g.set(cause)
	if g.undecided { // a server was to take another one's place
		g.undecided = false
		g.letGo()
		for _, h := range g.take() {
			g.settle(h)
		}
		g.wants = false
	}
	if g.obstacle == hopeless {
		g.tellAll(g.s.o.refusal(cause))
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
		if g.over {
			g.dismissOne(m)
			return
		}
		if g.undecided && g.s.crashes.lost != nil {
			g.again(m)
			return
		}
		if g.undecided && m.Method != methodDiscover {
			switch {
			case g.old != nil && m.Method == "ping":
				g.answer(m, map[string]any{})
			case g.hold(m, g.old != nil) != nil && g.old == nil:
				g.look()
			}
			return
		}
		g.request(m)
	case frame.Response:
		if !g.consumes(m) && g.opening != nil { // it has asked the client already
			g.opening.server.Stdin().Write(m.Raw)
		}
	case frame.Notification:
		switch {
		case m.Method == "notifications/cancelled":
			key := cancelledKey(m.Raw)
			g.forget(key)
			g.s.unauthorized.forget(key)
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
	case methodListen: // open until the end
		g.hold(m, false)
	case "ping", "logging/setLevel", "resources/unsubscribe":
		g.answer(m, completed(map[string]any{}, m.Modern))
	default:
		switch {
		case needsServer(m.Method):
			g.need(m)
		case isList(m.Method):
			g.list(m)
		default:
			g.s.out.refuse(m.ID, codeRefused, g.s.o.refusal(g.cause))
		}
	}
}

// needsServer tells whether only the server can answer a request.
func needsServer(method string) bool {
	switch method {
	case "tools/call", "prompts/get", "resources/read", "resources/subscribe", "completion/complete":
		return true
	}
	return false
}

func (g *gate) answer(m *frame.Message, result any) { g.s.out.send(resultLine(m.ID, result)) }

// need holds a request that only the server can answer, and has a credential looked for.
func (g *gate) need(m *frame.Message) {
	if input := inputOf(m); input != nil && !input.accepted {
		g.tellHeld(m, g.textDeclined())
		return
	}
	if g.hold(m, true) != nil {
		g.look()
	}
}

// hold keeps a message, for holdTime if it is not for ever. One that cannot be kept is told so, and nil.
func (g *gate) hold(m *frame.Message, limited bool) *held {
	if err := g.room(m); err != nil {
		if m.Kind == frame.Request {
			g.s.out.refuse(m.ID, codeInvalidRequest, err.Error())
		}
		return nil
	}
	h := &held{Message: kept(m), since: g.since}
	if h.since.IsZero() {
		h.since = time.Now()
	}
	g.held = append(g.held, h)
	g.size += len(h.Raw)
	if limited {
		h.timer = time.AfterFunc(time.Until(h.since.Add(holdTime)), func() { g.s.locked(func() { g.late(h) }) })
	}
	return h
}

// room tells why a message cannot be held.
func (g *gate) room(m *frame.Message) error {
	if len(g.held) == maxHeld || g.size > maxHeldSize {
		return errCrowded
	}
	same := func(h *held) bool { return h.Kind == frame.Request && h.ID.Key() == m.ID.Key() }
	if m.Kind == frame.Request && slices.ContainsFunc(g.held, same) {
		return errDuplicate
	}
	return nil
}

// late answers a request that has waited for long enough.
func (g *gate) late(h *held) {
	if !g.drop(h) {
		return
	}
	switch {
	case g.opening != nil || g.obstacle == due || g.cause == nil:
		g.tellHeld(h.Message, g.textLong())
	case g.obstacle == signedOut:
		g.tellHeld(h.Message, g.promptText())
	default:
		g.tellHeld(h.Message, g.s.o.refusal(g.cause))
	}
}

// drop takes a message out of those that are held, and tells whether it was there.
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

// take empties the gate, and gives what was held.
func (g *gate) take() []*held {
	all := g.held
	g.held, g.size = nil, 0
	for _, h := range all {
		if h.timer != nil {
			h.timer.Stop()
		}
	}
	return all
}

// forget drops a request that the client has cancelled.
func (g *gate) forget(key string) {
	for _, h := range slices.Clone(g.held) {
		if h.Kind == frame.Request && h.ID.Key() == key {
			g.drop(h)
		}
	}
}

// tellAll answers everything that waits for a person with a text.
func (g *gate) tellAll(text string) {
	for _, h := range slices.Clone(g.held) {
		if h.timer != nil && g.drop(h) {
			g.tellHeld(h.Message, text)
		}
	}
}

// dismiss answers everything that waits at the end of the session, and has what comes later answered at once.
func (g *gate) dismiss() {
	g.over = true
	for _, h := range g.take() {
		if h.Kind == frame.Request {
			g.dismissOne(h.Message)
		}
	}
}

func (g *gate) dismissOne(m *frame.Message) {
	switch {
	case g.ended != nil:
		g.s.out.refuse(m.ID, codeServerGone, exitText(g.ended.label, g.ended.code)+" before answering")
	case g.cause == nil || g.obstacle == due:
		g.s.out.refuse(m.ID, codeServerGone, g.s.o.label()+" was stopped before answering")
	default:
		g.tellHeld(m, g.s.o.refusal(g.cause))
	}
}

// waiting tells whether a request waits that needs a person.
func (g *gate) waiting() bool {
	return slices.ContainsFunc(g.held, func(h *held) bool { return h.timer != nil })
}

// remember keeps what a later server must be told again, of a message that is handled; mu is held.
func (s *session) remember(m *frame.Message) {
	s.era.learn(m)
	switch {
	case m.Kind == frame.Request && m.Method == "initialize":
		s.hello.params = paramsOf(m.Raw)
		s.hello.version = m.ProtocolVersion
		s.hello.answered, s.hello.initialized, s.hello.subscribed = nil, nil, nil
		s.served.Store(nil)
		s.hello.elicitsURLs = elicitsURLs(s.hello.params["capabilities"])
	case m.Kind == frame.Notification && m.Method == "notifications/initialized":
		s.hello.initialized = append([]byte(nil), m.Raw...)
	case m.Kind == frame.Request && m.Method == "logging/setLevel":
		s.hello.logLevel = paramsOf(m.Raw)
	case m.Kind == frame.Request && m.Method == "resources/subscribe" && len(s.hello.subscribed) < maxSubscribed:
		if s.hello.subscribed == nil {
			s.hello.subscribed = map[string]object{}
		}
		s.hello.subscribed[m.URI] = paramsOf(m.Raw)
	case m.Kind == frame.Request && m.Method == "resources/unsubscribe":
		delete(s.hello.subscribed, m.URI)
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
