package frame

import (
	"sync"
	"time"
)

// keepTime is how long the memory of a large message is kept for the next one.
const keepTime = time.Second

// Memory is where readers put messages that are too large for their own buffers. Those of one client and its server
// share one: it is seldom that two messages are large at the same time, so the memory of a request becomes that of its
// answer, and is given back to the system soon after. The zero Memory is ready; it is safe for concurrent use.
type Memory struct {
	mu    sync.Mutex
	spare *region
	timer *time.Timer // gives spare back
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
	r := m.spare
	m.spare = nil
	m.mu.Unlock()
	if r != nil && len(r.bytes) >= size {
		return r
	}
	if r != nil {
		r.free()
	}
	return newRegion(size)
}

// give takes a region back, which nobody must look at any more.
func (m *Memory) give(r *region) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.spare != nil {
		r.free()
		return
	}
	m.spare = r
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
	if m.spare != nil {
		m.spare.free()
		m.spare = nil
	}
}
