package wrapper

import (
	"io"
	"sync"
	"time"

	"mcp-valet/wrapper/proc"
)

const (
	// stallTime is how long a message may take on its way, at least, before we look whether the client is still there.
	stallTime = 250 * time.Millisecond
	// aheadLimit bounds in bytes what is read from the client while nothing can be passed on.
	aheadLimit = 1 << 20
)

// source is the stream from the client. While its reader is stuck passing a message on, it reads ahead: the end of
// the stream must be noticed when the server has stopped reading, or nothing would ever end.
type source struct {
	r     io.Reader
	ended func() // called when the end is noticed ahead of the reader
	pipe  proc.Widener

	mu      sync.Mutex
	idle    sync.Cond   // signalled when ahead has finished reading
	timer   *time.Timer // runs for stallTime from a stall on; not for each, as that would cost more than most messages
	armed   bool        // timer runs
	stalls  int         // calls of stall so far
	watched int         // the stall that timer was started for
	stuck   bool        // between stall and resume
	reading bool        // ahead is inside r.Read
	ahead   []byte      // read ahead and not yet given to the reader
	err     error       // what comes after ahead
}

func newSource(r io.Reader, ended func()) *source {
	s := &source{r: r, ended: ended}
	s.idle.L = &s.mu
	s.timer = time.AfterFunc(time.Hour, s.look)
	s.timer.Stop()
	return s
}

// Read is for one reader, which is not between stall and resume.
func (s *source) Read(p []byte) (n int, err error) {
	s.mu.Lock()
	for s.reading && len(s.ahead) == 0 {
		s.idle.Wait()
	}
	if len(s.ahead) > 0 {
		n := copy(p, s.ahead)
		s.ahead = s.ahead[n:]
		s.mu.Unlock()
		return n, nil
	}
	err = s.err
	s.mu.Unlock()
	if err != nil {
		return 0, err
	}
	n, err = s.r.Read(p)
	s.pipe.Passed(s.r, n)
	return n, err
}

// stall says that the reader begins something that may take long.
func (s *source) stall() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stuck = true
	s.stalls++
	if !s.armed {
		s.watch()
	}
}

// resume says that the reader goes on.
func (s *source) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stuck = false
}

// watch starts the timer for the latest stall; mu is held.
func (s *source) watch() {
	s.armed, s.watched = true, s.stalls
	s.timer.Reset(stallTime)
}

// look runs when the timer does: is it still the stall that it was started for?
func (s *source) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = false
	switch {
	case !s.stuck:
	case s.watched != s.stalls:
		s.watch()
	case !s.reading:
		s.readAhead()
	}
}

// readAhead reads until the reader goes on; mu is held, except for the reading itself.
func (s *source) readAhead() {
	room := make([]byte, 64<<10)
	for s.stuck && s.err == nil && len(s.ahead) < aheadLimit {
		s.reading = true
		s.mu.Unlock()
		n, err := s.r.Read(room)
		s.mu.Lock()
		s.reading = false
		s.ahead, s.err = append(s.ahead, room[:n]...), err
		s.idle.Signal()
		if err != nil {
			s.ended()
		}
	}
}

// close makes a read under way return, where r has deadlines. Otherwise it stays until r has something: os.Stdin is
// such a reader, as a rule, and its goroutine ends with the process.
func (s *source) close() (closed bool) {
	s.timer.Stop()
	r, ok := s.r.(interface{ SetReadDeadline(time.Time) error })
	return ok && r.SetReadDeadline(time.Now()) == nil
}
