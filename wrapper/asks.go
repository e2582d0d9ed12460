package wrapper

import (
	"encoding/json"
	"fmt"
	"maps"
	"sync"

	"mcp-valet/wrapper/frame"
)

// asks are the requests of servers that wait for the client's answer, by the key of their id as the client knows it: an
// answer belongs to the server that asked, be it gone: what a person has agreed to there is nothing to another one. While one
// server takes the place of another, both may ask under the same id; the later one's is changed on its way. It is safe for concurrent use.
type asks struct {
	mu      sync.Mutex
	waiting map[string]ask
	renamed int
}

type ask struct {
	from     *relay
	id       json.RawMessage // as the server wrote it, where it was changed; else nil
	more     int             // as often the server has used the id again meanwhile
	progress string          // the token under which it wants to be told of progress, as JSON; "" for none
}

// add notes a request of r, and gives it as the client is to get it.
func (a *asks) add(r *relay, m *frame.Message, line []byte) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting == nil {
		a.waiting = map[string]ask{}
	}
	if len(a.waiting) >= maxPending {
		maps.DeleteFunc(a.waiting, func(_ string, q ask) bool { return isClosed(q.from.gone) })
	}
	if len(a.waiting) >= maxPending {
		return line // its answer goes to the server that then answers the client
	}
	q := ask{from: r, progress: progressOf(m)}
	key := m.ID.Key()
	switch other, taken := a.waiting[key]; {
	case taken && other.from == r:
		q.more = other.more + 1
	case taken:
		a.renamed++
		name := fmt.Sprintf("%sserver-%d", ownIDs, a.renamed)
		q.id, key = m.ID.Raw(), "s"+name
		line = withID(line, encode(name))
	}
	a.waiting[key] = q
	return line
}

// progressOf is the progress token of a request, as JSON; "" for none.
func progressOf(m *frame.Message) string {
	return string(asObject(paramsOf(m.Raw)["_meta"])["progressToken"])
}

// take finds out who asked what a response answers, and gives the response as that server is to get it; nil when it is
// not known.
func (a *asks) take(m *frame.Message) (from *relay, line []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) == 0 {
		return nil, m.Raw
	}
	key := m.ID.Key()
	q, ok := a.waiting[key]
	if !ok {
		return nil, m.Raw
	}
	delete(a.waiting, key)
	if q.more > 0 {
		q.more--
		a.waiting[key] = q
	}
	if q.id != nil {
		return q.from, withID(m.Raw, q.id)
	}
	return q.from, m.Raw
}

// whose finds out whose request a progress token belongs to; nil when that is not known.
func (a *asks) whose(token json.RawMessage) *relay {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, q := range a.waiting {
		if q.progress != "" && q.progress == string(token) {
			return q.from
		}
	}
	return nil
}

// cancelled is a server's notifications/cancelled as the client is to get it: about the id that the client knows.
func (a *asks) cancelled(r *relay, m *frame.Message, line []byte) []byte {
	params := paramsOf(m.Raw)
	key := keyOf(params["requestId"])
	a.mu.Lock()
	defer a.mu.Unlock()
	for known, q := range a.waiting {
		if q.from == r && q.id != nil && keyOf(q.id) == key {
			message := asObject(line)
			params["requestId"] = encode(known[1:]) // behind the letter for its type
			message["params"] = encode(params)
			return append(encode(message), '\n')
		}
	}
	return line
}

// withID is a message under another id.
func withID(line []byte, id json.RawMessage) []byte {
	m := asObject(line)
	m["id"] = id
	return append(encode(m), '\n')
}
