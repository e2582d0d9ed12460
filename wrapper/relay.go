package wrapper

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"mcp-valet/wrapper/frame"
	"mcp-valet/wrapper/policy"
)

// JSON-RPC error codes of our answers. MCP reserves -32020 to -32099 for itself.
const (
	codeServerGone     = -32000 // the server cannot answer any more
	codeRefused        = -32001 // no credential can be had silently
	codeInvalidRequest = -32600
	codeNoMethod       = -32601
	codeBadAnswer      = -32603 // the server's answer cannot be passed on
)

// unanswered is what a request is told, behind what became of the server.
const unanswered = " before answering"

// deafTime is how long a server that takes no more messages is given to exit before its requests are answered.
const deafTime = 200 * time.Millisecond

// inbound reads the client's messages and answers those that are not to be read.
type inbound struct {
	source *source
	memory *frame.Memory // of large messages, both ways
	frames *frame.Reader
	out    *outlet
	err    *console
}

// newInbound makes the client's side of a relay; ahead is closed when the client's end is noticed while stuck.
func newInbound(o *Options, ahead chan<- struct{}) *inbound {
	src, memory := newSource(o.In, sync.OnceFunc(func() { close(ahead) })), new(frame.Memory)
	return &inbound{
		source: src,
		memory: memory,
		frames: memory.NewReader(src, frame.ClientToServer, o.maxMessage()),
		out:    newOutlet(o.Out),
		err:    newConsole(o.Err),
	}
}

// each hands every message to handle until the client has no more.
func (in *inbound) each(handle func(frame.Message)) {
	for {
		m, ok := in.next()
		if !ok {
			return
		}
		handle(m)
	}
}

// next is the next good message; there is none after the end, or in a broken stream, which is no different.
func (in *inbound) next() (m frame.Message, ok bool) {
	for {
		m, err := in.frames.Next()
		if err == nil {
			return m, true
		}
		bad, ok := errors.AsType[*frame.Violation](err)
		if !ok {
			return m, false
		}
		in.violation(bad)
	}
}

// violation answers a message that is not passed on. JSON-RPC 2.0 forbids to answer notifications and responses.
func (in *inbound) violation(v *frame.Violation) {
	if v.Kind == frame.Notification || v.Kind == frame.Response {
		in.err.note("a %s from the client (%d bytes) was left out: %s", v.Kind, v.Size, v.Reason)
		return
	}
	in.refuse(v.ID, v.Code, v.Reason)
}

// refuse answers a request, however long the client takes to read that.
func (in *inbound) refuse(id frame.ID, code int, text string) {
	in.source.stall()
	defer in.source.resume()
	in.out.refuse(id, code, text)
}

// relay passes messages on between a client and a server.
type relay struct {
	*session
	label     string // how texts name the server
	server    server
	with      Start // what it was started with
	pending   *pending
	masker    atomic.Pointer[masker]
	max       int
	life      life
	own       questions
	stdout    <-chan struct{} // closed at the end of the server's stdout
	stderr    <-chan struct{} // and of its stderr
	installed chan struct{}   // closed when it handles the client's messages
	quit      chan struct{}   // closed when the server is to end although its client goes on

	// Where another server takes this one's place:
	superseded chan struct{} // closed when that begins; under session.mu, as is the next
	verdict    chan bool     // whether it stays after all
	gone       chan struct{} // closed when it is no more

	failure atomic.Pointer[error]           // why the handshake with it failed
	fate    atomic.Pointer[string]          // what became of the server, once it is known
	deaf    bool                            // the server takes no more messages; under session.mu
	adopted sync.Map                        // keys of subscriptions that another server has acknowledged already
	user    atomic.Pointer[policy.User]     // whose token it has, for the policy; nil where nobody is known
	inMeta  atomic.Pointer[json.RawMessage] // the token for each request, as JSON; nil for none
	drained bool                            // its last words have been waited for; for one goroutine at a time, as is the next
	waited  bool                            // and what was under way to it
	strayed bool                            // a line of stdout was no message; for fromServer alone
}

// handle passes on a message of the client; session.mu is held.
func (r *relay) handle(m *frame.Message) {
	r.life.note(m)
	r.remember(m)
	switch m.Kind {
	case frame.Request:
		r.request(m)
		return
	case frame.Response:
		if r.gate.consumes(m) {
			return
		}
	case frame.Notification:
		if m.Method == "notifications/cancelled" {
			key := cancelledKey(m.Raw)
			r.pending.take(key)
			r.unauthorized.forget(key)
		}
	}
	r.deliver(m.Raw)
}

// request passes a request on, or answers it.
func (r *relay) request(m *frame.Message) {
	decided, may := r.permits(m)
	if !may {
		return
	}
	key, err := r.pending.add(m, r.rec.topicOf(m, r.hello.version), decided)
	switch {
	case errors.Is(err, errSettled):
		r.tell(m.ID, codeServerGone, *r.fate.Load()+unanswered)
	case errors.Is(err, errDuplicate):
		r.tell(m.ID, codeInvalidRequest, err.Error())
	case err != nil:
		r.tell(m.ID, codeServerGone, err.Error())
	case !r.deliver(r.withToken(r.gate.unmarked(m))):
		r.undelivered(m.ID, key)
	}
}

// tell answers a request with an error. Only the client's reader may say that it is stuck: another one that hands over
// what the gate has held may not.
func (r *relay) tell(id frame.ID, code int, text string) {
	if r.relay == r && !r.repeating {
		r.refuse(id, code, text)
		return
	}
	r.out.refuse(id, code, text)
}

// deliver sends a message to the server, however long it takes to read it.
func (r *relay) deliver(line []byte) bool {
	if r.deaf {
		return false
	}
	if r.relay == r && !r.repeating { // else it is not the client's reader that waits here
		r.source.stall()
		defer r.source.resume()
	}
	_, err := r.server.Stdin().Write(line)
	return err == nil
}

// undelivered settles a request that the server did not take. Most likely it has exited, and how is about to be
// known and told to all that wait; a server that only closed its stdin lives on.
func (r *relay) undelivered(id frame.ID, key string) {
	r.pending.unsent(key)
	if !r.deaf {
		r.deaf = true
		wait(deafTime, r.server.Done())
	}
	if exited(r.server) {
		return
	}
	if _, waits := r.pending.take(key); !waits {
		return
	}
	r.tell(id, codeServerGone, r.label+" does not read its messages any more")
}

// cancelledKey is the key of the request that a notifications/cancelled is about; "" when it names none.
func cancelledKey(line []byte) string {
	return keyOf(paramsOf(line)["requestId"])
}

// keyOf is the key of an id that is written somewhere in a message; "" when it is none.
func keyOf(id json.RawMessage) string {
	if id == nil {
		return ""
	}
	answer := fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"result":{}}`+"\n", id)
	read, err := frame.NewReader(bytes.NewReader(answer), frame.ClientToServer, 0).Next() // keyed as its request was
	if err != nil {
		return ""
	}
	return read.ID.Key()
}

// fromServer passes on what the server writes to stdout, until its end.
func (r *relay) fromServer() {
	frames := r.memory.NewReader(r.server.Stdout(), frame.ServerToClient, r.max)
	masks, text := newMessages(r.masker.Load()), newText(r.masker.Load())
	for {
		m, err := frames.Next()
		if masker := r.masker.Load(); masker != masks.masker {
			masks, text = newMessages(masker), newText(masker)
		}
		if err == nil {
			r.passBack(&m, masks)
			continue
		}
		bad, ok := errors.AsType[*frame.Violation](err)
		if !ok {
			return
		}
		r.stray(bad, text)
	}
}

// passBack gives the client a message of the server. When there is no client any more the server is read on, so
// that it can come to its end.
func (r *relay) passBack(m *frame.Message, masks *messages) {
	asked, ours := request{}, false // the client asked with this id, and must know it again
	took := time.Duration(0)
	switch m.Kind {
	case frame.Response:
		took = r.life.answer()
		if r.own.answer(m) {
			return
		}
		asked, ours = r.pending.take(m.ID.Key())
	case frame.Request:
		r.era.serverAsks(r.err)
	}
	line := masks.mask(m.Raw, ours)
	switch {
	case m.Kind == frame.Request:
		line = r.asks.add(r, m, line)
	case m.Method == "notifications/cancelled":
		line = r.asks.cancelled(r, m, line)
	case asked.greets:
		result := asObject(asObject(line)["result"])
		if result != nil {
			r.served.Store(&result)
		}
		r.refused.Store(result == nil)
	case m.Method == "notifications/tools/list_changed":
		r.rec.unmark()
	case m.Method == methodAcknowledged && r.adopts(m):
		return // the client was told by the server before
	}
	if ours {
		r.o.Guard.answered(&asked, line)
	}
	whole := line
	if asked.list != 0 {
		line = r.filter(r.user.Load(), asked.id, lists[asked.list-1], line)
	}
	if ours && r.withhold(&asked, line) {
		return
	}
	r.out.send(line)
	if asked.topic != nil {
		r.rec.answer(asked.topic, whole, took) // for whoever looks at it next, with roles of their own
	}
}

// stray deals with a line of stdout that is not passed on. It is shown on stderr, where it belongs, unless it is too
// long. If it answers a request, somebody waits for it.
func (r *relay) stray(v *frame.Violation, text *text) {
	r.life.heard.Store(true)
	if !v.ID.IsZero() && v.Kind != frame.Request && r.settles(v.ID.Key()) {
		r.out.refuse(v.ID, codeBadAnswer, fmt.Sprintf("the answer of %s cannot be passed on: %s", r.label, v.Reason))
	}
	if v.Size > int64(r.max) {
		r.err.note("%s wrote %d bytes to stdout that are not passed on: %s", r.label, v.Size, v.Reason)
		return
	}
	if !r.strayed {
		r.strayed = true
		r.err.note("%s writes to stdout what is no message (%s); it is shown here instead", r.label, v.Reason)
	}
	line := append([]byte(nil), text.mask(v.Line)...)
	line = append(line, text.end()...)
	if len(line) > 0 && line[len(line)-1] != '\n' {
		line = append(line, '\n')
	}
	r.err.line(line)
}

func (r *relay) settles(key string) bool {
	_, waits := r.pending.take(key)
	return waits
}

// fromStderr passes on what the server writes to stderr, until its end.
func (r *relay) fromStderr() {
	text := newText(r.masker.Load())
	room := make([]byte, 32<<10)
	for {
		n, err := r.server.Stderr().Read(room)
		if masker := r.masker.Load(); masker != text.masker {
			text = text.under(masker)
		}
		if n > 0 {
			r.life.heard.Store(true)
		}
		r.err.relay(text.mask(room[:n]))
		if err != nil {
			r.err.relay(text.end())
			return
		}
	}
}

// settle answers every request that still waits, and from now on those that come.
func (r *relay) settle(fate string) {
	r.fate.Store(&fate)
	for _, q := range r.pending.settle() {
		text := fate + unanswered
		if q.calls && !q.unsent {
			text += "; the call may have been carried out: check before repeating it"
		}
		r.out.refuse(q.id, codeServerGone, text)
	}
}
