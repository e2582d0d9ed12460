package wrapper_test

import (
	"io"
	"os"
	"sync"
	"time"
)

// hose is a pipe with room for some bytes. Unlike an io.Pipe it lets nobody wait for a mutex, which would stop the clock
// of a bubble.
type hose struct {
	room int // 0: any number

	mu       sync.Mutex
	moved    sync.Cond
	bytes    []byte
	writing  bool // somebody is, whose text is not to be torn
	ended    bool // nothing more is written
	cut      bool // nothing more is read
	readEnds time.Time
}

func newHose(room int) *hose {
	h := &hose{room: room}
	h.moved.L = &h.mu
	return h
}

func (h *hose) Write(p []byte) (n int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.writing {
		h.moved.Wait()
	}
	h.writing = true
	defer func() { h.writing = false; h.moved.Broadcast() }()
	for n < len(p) {
		switch {
		case h.ended || h.cut:
			return n, io.ErrClosedPipe
		case h.room > 0 && len(h.bytes) >= h.room:
			h.moved.Wait()
			continue
		}
		more := p[n:]
		if h.room > 0 {
			more = more[:min(len(more), h.room-len(h.bytes))]
		}
		h.bytes = append(h.bytes, more...)
		n += len(more)
		h.moved.Broadcast()
	}
	return n, nil
}

func (h *hose) Read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.cut:
			return 0, io.ErrClosedPipe
		case len(h.bytes) > 0:
			n := copy(p, h.bytes)
			h.bytes = h.bytes[n:]
			h.moved.Broadcast()
			return n, nil
		case h.ended:
			return 0, io.EOF
		case !h.readEnds.IsZero() && !time.Now().Before(h.readEnds):
			return 0, os.ErrDeadlineExceeded
		}
		h.moved.Wait()
	}
}

func (h *hose) set(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
	h.moved.Broadcast()
}

// Close ends the writing; what was written can still be read.
func (h *hose) Close() error { h.set(func() { h.ended = true }); return nil }

// leave ends the reading.
func (h *hose) leave() { h.set(func() { h.cut = true }) }

// SetReadDeadline is for deadlines that are over.
func (h *hose) SetReadDeadline(t time.Time) error { h.set(func() { h.readEnds = t }); return nil }
