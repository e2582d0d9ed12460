package wrapper

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"mcp-valet/wrapper/frame"
)

// maxWithheld bounds the answers that are withheld at one time; each has maxRepeated bytes at most.
const maxWithheld = 100

// A server that refuses one token after another is not in want of a token: what it may set off gets rarer.
const leastPause, mostPause = time.Minute, time.Hour

// unauthorized is what is known of answers by which a server says that it does not take its token: the texts that tell
// them are the config's (auth.onUnauthorized). It is safe for concurrent use.
type unauthorized struct {
	texts []string // in lower case

	mu       sync.Mutex
	withheld []*withheld     // until it is known whether there is a better token
	busy     bool            // that is being found out
	repeated map[string]bool // keys of requests that have been repeated and not been answered yet
	next     time.Time       // before it no other token is got
	pause    time.Duration   // after the next one
	left     *relay          // whose place another one took because of that; what else it refuses fares better there
	closed   bool
}

// withheld is an answer that the client gets unless the request can be repeated with a better token.
type withheld struct {
	line    []byte
	request *frame.Message
	since   time.Time
}

// isRepeatable tells whether requests may be sent twice: those that change nothing, and calls of tools of which the server
// says so.
func isRepeatable(method string) bool {
	switch method {
	case "prompts/get", "resources/read", "completion/complete", "tools/call":
		return true
	}
	return isList(method)
}

// mayRepeat tells whether a request that was kept may be sent again.
func (r *relay) mayRepeat(m *frame.Message) bool {
	return m.Method != "tools/call" || r.rec.harmless(m.Name)
}

// unmark forgets what the server has said of its tools: it has others now, until the client asks for them.
func (r *recorder) unmark() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.marked = false
}

// harmless tells whether a server says of a tool, wherever it speaks of it, that calling it twice does no more than calling
// it once.
func (r *recorder) harmless(tool string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.marked {
		return false
	}
	said := r.annotations(tool)
	harms := func(hints object) bool { return !isTrue(hints["readOnlyHint"]) && !isTrue(hints["idempotentHint"]) }
	return len(said) > 0 && !slices.ContainsFunc(said, harms)
}

// hints are a tool's annotations, as the server has told them; nil where nothing is known.
func (r *recorder) hints(tool string) object {
	r.mu.Lock()
	defer r.mu.Unlock()
	if said := r.annotations(tool); len(said) > 0 {
		return said[0]
	}
	return nil
}

// annotations are what is known to be said of a tool, in each version of the protocol; mu is held.
func (r *recorder) annotations(tool string) (all []object) {
	if r.known == nil {
		return nil
	}
	for _, version := range slices.Sorted(maps.Keys(r.known.Talks)) {
		for method, page := range r.known.Talks[version].Lists {
			if !strings.HasPrefix(method, "tools/list") {
				continue
			}
			if hints, there := hintsOf(page, tool); there {
				all = append(all, hints)
			}
		}
	}
	return all
}

// hintsOf are the annotations of a tool in a page of tools.
func hintsOf(page json.RawMessage, tool string) (hints object, there bool) {
	var tools []object
	json.Unmarshal(asObject(page)["tools"], &tools)
	for _, t := range tools {
		if textIn(t, "name") == tool {
			return asObject(t["annotations"]), true
		}
	}
	return nil, false
}

func isTrue(v json.RawMessage) bool { return string(v) == "true" }

// refuses tells whether an answer says what one of the texts says.
func (u *unauthorized) refuses(line []byte) bool {
	if !bytes.Contains(line, []byte(`"error"`)) && !bytes.Contains(line, []byte(`"isError"`)) {
		return false
	}
	answer := asObject(line)
	said := strings.ToLower(string(answer["error"]))
	if result := asObject(answer["result"]); isTrue(result["isError"]) {
		said = strings.ToLower(contentText(result["content"]))
	}
	return slices.ContainsFunc(u.texts, func(text string) bool { return strings.Contains(said, text) })
}

func contentText(content json.RawMessage) string {
	var parts []object
	json.Unmarshal(content, &parts)
	var b strings.Builder
	for _, part := range parts {
		b.WriteString(textIn(part, "text"))
		b.WriteByte('\n')
	}
	return b.String()
}

// withhold tells whether an answer is withheld, as its request may be repeated soon. line is it as the client would get it.
func (r *relay) withhold(asked *request, line []byte) bool {
	u := &r.unauthorized
	if len(u.texts) == 0 {
		return false
	}
	refused := u.refuses(line)
	u.mu.Lock()
	defer u.mu.Unlock()
	key := asked.id.Key()
	again := u.repeated[key]
	delete(u.repeated, key)
	switch now := time.Now(); {
	case !refused && again: // it was the token
		u.pause = leastPause
		return false
	case !refused || again || u.closed:
		return false
	case !u.busy && u.left == r:
		u.busy = true
		r.tasks.Go(r.betterToken)
	case !u.busy && now.Before(u.next):
		return false
	case !u.busy:
		u.busy = true
		u.pause = min(max(u.pause, leastPause), mostPause)
		u.next, u.pause = now.Add(u.pause), 2*u.pause
		r.tasks.Go(r.betterToken)
	}
	if asked.kept == nil || asked.listens || len(line) > maxRepeated || len(u.withheld) == maxWithheld || !r.mayRepeat(asked.kept) {
		return false
	}
	u.withheld = append(u.withheld, &withheld{slices.Clone(line), asked.kept, time.Now()})
	return true
}

// betterToken has the token renewed, once, and what was withheld repeated with it.
func (r *relay) betterToken() {
	replaced := false
	r.locked(func() { replaced = r.relay != r })
	var got result
	if !replaced {
		r.err.note("%s does not take its token: a new one is got", r.label)
		ctx, cancel := context.WithTimeout(r.ctx, holdTime)
		defer cancel()
		select {
		case got = <-r.ask(ctx, Refused):
		case <-ctx.Done():
			got.err = ctx.Err()
		}
	}
	var all []*withheld
	r.locked(func() {
		all = r.unauthorized.take()
		if r.takesEffect(&got) {
			r.repeat(all)
			all = nil
		}
	})
	r.giveBack(all)
}

// take ends the finding out of whether there is a better token.
func (u *unauthorized) take() []*withheld {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := u.withheld
	u.withheld, u.busy = nil, false
	return all
}

// takesEffect gives a token that no server has refused yet to whoever answers the client, unless another server has taken
// this one's place already, and tells whether a request may fare better now; session.mu is held.
func (r *relay) takesEffect(got *result) bool {
	switch {
	case r.ctx.Err() != nil || isClosed(r.stopped) || isClosed(r.ends.client) || r.greeting():
		return false
	case r.relay != r:
		return true
	case got.err != nil || got.Token.Equal(r.with.Token) || len(r.retired) == maxRetired:
		return false
	case r.renewal.how == RenewExclusive && r.pending.busy() && !r.renewal.ended(wallClock()):
		r.renewal.fresh = &got.Start // nobody has to wait for what the server is doing
		return false
	}
	r.change(&got.Start)
	if r.renewal.how != RenewFile && r.renewal.how != RenewMeta {
		r.unauthorized.leave(r)
	}
	return true
}

// repeat handles requests once more; session.mu is held.
func (s *session) repeat(all []*withheld) {
	s.repeating = true // this is not the client's reader
	defer func() { s.repeating = false }()
	for _, w := range all {
		s.unauthorized.repeat(w.request.ID.Key())
		if s.relay != nil {
			s.relay.handle(w.request)
			continue
		}
		s.gate.since = w.since
		s.gate.handle(w.request)
		s.gate.since = time.Time{}
	}
}

func (u *unauthorized) repeat(key string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.repeated == nil {
		u.repeated = map[string]bool{}
	}
	u.repeated[key] = true
}

func (u *unauthorized) leave(r *relay) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.left = r
}

// giveBack sends answers that were withheld in vain.
func (s *session) giveBack(all []*withheld) {
	for _, w := range all {
		s.out.send(w.line)
	}
}

// forget drops what the client has cancelled.
func (u *unauthorized) forget(key string) {
	if len(u.texts) == 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.repeated, key)
	u.withheld = slices.DeleteFunc(u.withheld, func(w *withheld) bool { return w.request.ID.Key() == key })
}

// close ends the waiting at the end of the session, and gives what is left.
func (u *unauthorized) close() []*withheld {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	all := u.withheld
	u.withheld = nil
	return all
}
