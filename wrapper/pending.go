package wrapper

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"sync"

	"mcp-valet/wrapper/frame"
)

const (
	// maxPending bounds the requests that wait for an answer at one time.
	maxPending = 10_000
	// maxRepeated is the longest request in bytes that is kept in order to be repeated, maxKept bounds all of them.
	maxRepeated, maxKept = 64 << 10, 8 << 20
)

var (
	errDuplicate = errors.New("a request with this id is still waiting for its answer")
	errCrowded   = errors.New("too many requests are waiting for their answers")
	errSettled   = errors.New("the server is gone")
)

// request is one that the server has not answered.
type request struct {
	id       frame.ID
	seq      int
	calls    bool           // a tool: asking twice may do twice
	decision *Decision      // nil where nothing was decided
	list     uint8          // 1 + the place in lists of what a policy filters; 0 for all else
	greets   bool           // it is the client's initialize
	listens  bool           // it is a subscription, which stays open (MCP 2026-07-28)
	kept     *frame.Message // itself, where it may have to be sent again
	unsent   bool           // it did not reach the server
	topic    *topic         // what its answer tells of the server; nil for nothing
}

// pending are the requests that wait for an answer, by the key of their id. It is safe for concurrent use.
type pending struct {
	mu      sync.Mutex
	waiting map[string]request
	seq     int
	settled bool
	filters bool          // lists are
	keeps   bool          // requests that may be repeated
	size    int           // of those that are kept, in bytes
	open    int           // of those that wait: subscriptions, which no answer ends
	none    chan struct{} // closed when nothing else waits; nil until somebody wants to know
}

func newPending(keeps, filters bool) *pending {
	return &pending{waiting: map[string]request{}, keeps: keeps, filters: filters}
}

// add notes a request before it is sent; the error says why it must not be.
func (p *pending) add(m *frame.Message, about *topic, decided *Decision) (key string, err error) {
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
	r := request{id: m.ID, seq: p.seq, calls: m.Method == "tools/call", greets: m.Method == "initialize", topic: about, decision: decided}
	if p.filters {
		r.list = uint8(1 + slices.Index(lists, m.Method))
	}
	if r.listens = m.Method == methodListen; r.listens {
		r.kept = kept(m)
		p.open++
	} else if p.keeps && isRepeatable(m.Method) && len(m.Raw) <= maxRepeated && p.size < maxKept {
		r.kept = kept(m)
		p.size += len(m.Raw)
	}
	p.waiting[key] = r
	return key, nil
}

// take removes a request that is answered, or that nobody waits for any more, and tells whether it was there.
func (p *pending) take(key string) (request, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, ok := p.waiting[key]
	if ok {
		p.drop(key, r)
	}
	return r, ok
}

// busy tells whether anything waits but subscriptions.
func (p *pending) busy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waiting) > p.open
}

// waits tells whether a request waits.
func (p *pending) waits(key string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.waiting[key]
	return ok
}

// drop removes a request; mu is held.
func (p *pending) drop(key string, r request) {
	delete(p.waiting, key)
	switch {
	case r.listens:
		p.open--
	case r.kept != nil:
		p.size -= len(r.kept.Raw)
	}
	p.tell()
}

// tell closes none when its time has come; mu is held.
func (p *pending) tell() {
	if p.none != nil && len(p.waiting) == p.open {
		close(p.none)
		p.none = nil
	}
}

// whenAnswered is closed as soon as nothing waits but subscriptions. It is for one caller.
func (p *pending) whenAnswered() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	none := make(chan struct{})
	p.none = none
	p.tell()
	return none
}

// takeListens removes the subscriptions, oldest first.
func (p *pending) takeListens() (all []*frame.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.sorted() {
		if r.listens {
			p.drop(r.id.Key(), r)
			all = append(all, r.kept)
		}
	}
	return all
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
	left := p.sorted()
	clear(p.waiting)
	p.open, p.size = 0, 0
	p.tell()
	return left
}

// sorted are all that wait, oldest first; mu is held.
func (p *pending) sorted() []request {
	all := slices.Collect(maps.Values(p.waiting))
	slices.SortFunc(all, func(a, b request) int { return cmp.Compare(a.seq, b.seq) })
	return all
}
