package proc

import (
	"bytes"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A pipeEnd is our end of one pipe, without the Go runtime's poller: a read or write that must wait
// does so in the kernel, on its own thread. Between a client and a server, one message of 1 MiB passes
// four times as fast that way (BenchmarkPipe). Unlike plain blocking descriptors these can be
// interrupted, so that no goroutine hangs when a stray process holds the other end open.
//
// Each platform has:
//
//	newPipe(weWrite bool) (our *pipeEnd, their *os.File, err error)
//	read(b) (n, err)      waits; io.EOF at the end, errInterrupted after interrupt
//	write(b) (n, err)     writes all of b, or gives an error
//	buffered() []byte     takes what lies in the pipe now, without waiting, at most maxBuffered bytes
//	interrupt()           ends a read or write under way; called until the caller has the end to itself
//	close()

// errInterrupted ends a read or write that interrupt woke.
var errInterrupted = errors.New("interrupted")

// maxBuffered bounds what is kept of a stopped pipe. The kernel holds 64 KiB unless a child asked for
// more, and 1 MiB is the most that it may ask for on Linux without privileges.
const maxBuffered = 1 << 20

// retryInterrupt is the pause between two interrupts of the same read or write.
const retryInterrupt = time.Millisecond

// writeEnd writes to the child.
type writeEnd struct {
	pipe   *pipeEnd
	mu     sync.Mutex // held while pipe is in use
	closed atomic.Bool
}

// Write writes all of b, or gives an error: os.ErrClosed after Close. Two Writes do not mix their bytes.
func (w *writeEnd) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed.Load() {
		return 0, os.ErrClosed
	}
	n, err := w.pipe.write(b)
	if errors.Is(err, errInterrupted) {
		err = os.ErrClosed
	}
	return n, err
}

// Close ends the stream, and a Write under way with it. It never fails.
func (w *writeEnd) Close() error {
	if w.closed.Swap(true) {
		return nil
	}
	takeOver(&w.mu, w.pipe)
	defer w.mu.Unlock()
	w.pipe.close()
	return nil
}

// readEnd reads from the child.
type readEnd struct {
	pipe    *pipeEnd
	mu      sync.Mutex  // held while pipe is in use
	ending  atomic.Bool // stop was called: no more reads
	stopped chan struct{}
	rest    *bytes.Reader // what lay in the pipe when it was stopped; set before stopped is closed
}

func newReadEnd(p *pipeEnd) *readEnd { return &readEnd{pipe: p, stopped: make(chan struct{})} }

// Read gives what the child wrote, and io.EOF at its end or after stop.
func (r *readEnd) Read(b []byte) (int, error) {
	n, err := r.readPipe(b)
	if errors.Is(err, errInterrupted) {
		<-r.stopped
		return r.readRest(b)
	}
	return n, err
}

func (r *readEnd) readPipe(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ending.Load() {
		return 0, errInterrupted
	}
	if len(b) == 0 {
		return 0, nil
	}
	return r.pipe.read(b)
}

func (r *readEnd) readRest(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rest.Read(b)
}

// stop ends the stream whoever still holds the other end. What was written before is not lost:
// the last answer of a child may still lie in the pipe when the child is gone.
func (r *readEnd) stop() {
	r.ending.Store(true)
	takeOver(&r.mu, r.pipe)
	defer r.mu.Unlock()
	r.rest = bytes.NewReader(r.pipe.buffered())
	r.pipe.close()
	close(r.stopped)
}

// takeOver locks mu, interrupting whoever holds it in a read or write. It tries again and again,
// as a holder just about to wait cannot be interrupted yet.
func takeOver(mu *sync.Mutex, p *pipeEnd) {
	for !mu.TryLock() {
		p.interrupt()
		time.Sleep(retryInterrupt)
	}
}
