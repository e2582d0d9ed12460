package frame

import (
	"sync"
	"time"
)

const (
	// keepTime is how long the memory of a large message is kept for the next one.
	keepTime = time.Second
	// maxSpareRegions is how many regions are kept: of a request that is just being let go, and of its answer.
	maxSpareRegions = 2
)

// Memory is where readers put messages that are too large for their own buffers. Those of one client and its server
// share one: it is seldom that many messages are large at the same time, so the memory of a request becomes that of a
// later answer, and is given back to the system soon after the last one. The zero Memory is ready; it is safe for
// concurrent use.
type Memory struct {
	mu    sync.Mutex
	spare []*region
	timer *time.Timer // gives the spare ones back
}

// region is memory from outside Go's heap: its pages cost nothing until they are written to, and giving it back needs
// no garbage collection.
type region struct {
	bytes  []byte
	system bool // the bytes are the system's, not Go's
}

// take returns a region of at least size bytes, of any content.
func (m *Memory) take(size int) *region {
	m.mu.Lock()
	defer m.mu.Unlock()
	for n := len(m.spare); n > 0; n = len(m.spare) {
		r := m.spare[n-1]
		m.spare = m.spare[:n-1]
		if len(r.bytes) >= size {
			return r
		}
		r.free()
	}
	return newRegion(size)
}

// give takes a region back, which nobody must look at any more.
func (m *Memory) give(r *region) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.spare) == maxSpareRegions {
		r.free()
		return
	}
	m.spare = append(m.spare, r)
	if m.timer == nil {
		m.timer = time.AfterFunc(keepTime, m.release)
		return
	}
	m.timer.Reset(keepTime)
}

// release gives what is not in use back to the system.
func (m *Memory) release() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.spare {
		r.free()
	}
	m.spare = nil
}
