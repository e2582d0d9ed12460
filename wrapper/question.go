package wrapper

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"mcp-valet/wrapper/frame"
)

// ownIDs begins the ids of requests that are ours and not the client's.
const ownIDs = "mcp-valet-"

var (
	errNoAnswer = errors.New("it has not answered")
	errRefused  = errors.New("it answered with an error")
)

// questions are requests of ours to a server, which the client knows nothing of. It is safe for concurrent use.
type questions struct {
	mu      sync.Mutex
	asked   atomic.Int32 // so that a relay which has asked nothing pays for no lock
	waiting map[string]chan<- object
}

// ask adds a question; its answer comes through the channel. send must send the line.
func (q *questions) ask(method string, params object) (line []byte, id string, answer <-chan object) {
	q.mu.Lock()
	defer q.mu.Unlock()
	id = fmt.Sprintf("%s%d", ownIDs, q.asked.Add(1))
	c := make(chan object, 1)
	if q.waiting == nil {
		q.waiting = map[string]chan<- object{}
	}
	q.waiting[id] = c
	return requestLine(id, method, params), id, c
}

// answer tells whether m answers a question, and passes it on to who asked.
func (q *questions) answer(m *frame.Message) bool {
	if q.asked.Load() == 0 {
		return false
	}
	message := asObject(m.Raw)
	id := textIn(message, "id")
	if !strings.HasPrefix(id, ownIDs) {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if c, ok := q.waiting[id]; ok {
		delete(q.waiting, id)
		c <- message
	}
	return true // a second answer is nothing to the client either
}

// drop forgets a question that nobody waits for any more.
func (q *questions) drop(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.waiting, id)
}

// inquire asks the server and waits for the result.
func (r *relay) inquire(ctx context.Context, method string, params object) (object, error) {
	line, id, answer := r.own.ask(method, params)
	line = r.withToken(line)
	if _, err := r.server.Stdin().Write(line); err != nil {
		return nil, errNoAnswer
	}
	select {
	case m := <-answer:
		if result := asObject(m["result"]); result != nil {
			return result, nil
		}
		return nil, errRefused
	case <-r.server.Done():
	case <-ctx.Done():
		r.own.drop(id)
	}
	return nil, errNoAnswer
}

// requestLine is a request of ours.
func requestLine(id, method string, params object) []byte {
	m := object{"jsonrpc": encode("2.0"), "id": encode(id), "method": encode(method)}
	if params != nil {
		m["params"] = encode(params)
	}
	return append(encode(m), '\n')
}

// resultLine answers a request of the client.
func resultLine(id frame.ID, result any) []byte {
	line := append([]byte(`{"jsonrpc":"2.0","id":`), id.Raw()...)
	line = append(append(line, `,"result":`...), encode(result)...)
	return append(line, "}\n"...)
}
