package wrapper

import (
	"cmp"
	"errors"
	"slices"
	"sync"

	"mcp-valet/wrapper/frame"
)

// maxPending bounds the requests that wait for an answer at one time.
const maxPending = 10_000

var (
	errDuplicate = errors.New("a request with this id is still waiting for its answer")
	errCrowded   = errors.New("too many requests are waiting for their answers")
	errSettled   = errors.New("the server is gone")
)

// request is one that the server has not answered.
type request struct {
	id     frame.ID
	seq    int
	calls  bool   // a tool: asking twice may do twice
	unsent bool   // it did not reach the server
	topic  *topic // what its answer tells of the server; nil for nothing
}

// pending are the requests that wait for an answer, by the key of their id. It is safe for concurrent use.
type pending struct {
	mu      sync.Mutex
	waiting map[string]request
	seq     int
	settled bool
}

func newPending() *pending { return &pending{waiting: map[string]request{}} }

// add notes a request before it is sent; the error says why it must not be.
func (p *pending) add(m *frame.Message, about *topic) (key string, err error) {
	key = m.ID.Key()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.settled {
		return key, errSettled
	}
	if _, ok := p.waiting[key]; ok {
		return key, errDuplicate
	}
	if len(p.waiting) == maxPending {
		return key, errCrowded
	}
	p.seq++
	p.waiting[key] = request{id: m.ID, seq: p.seq, calls: m.Method == "tools/call", topic: about}
	return key, nil
}

// take removes a request that is answered, or that nobody waits for any more, and tells whether it was there.
func (p *pending) take(key string) (request, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, ok := p.waiting[key]
	delete(p.waiting, key)
	return r, ok
}

// unsent notes that a request has not reached the server.
func (p *pending) unsent(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r, ok := p.waiting[key]; ok {
		r.unsent = true
		p.waiting[key] = r
	}
}

// settle ends the waiting: it returns what is left, oldest first, and nothing is added after it.
func (p *pending) settle() []request {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settled = true
	left := make([]request, 0, len(p.waiting))
	for _, r := range p.waiting {
		left = append(left, r)
	}
	clear(p.waiting)
	slices.SortFunc(left, func(a, b request) int { return cmp.Compare(a.seq, b.seq) })
	return left
}
