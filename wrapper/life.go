package wrapper

import (
	"context"
	"sync/atomic"
	"time"

	"mcp-valet/wrapper/frame"
)

// silenceTime is how long a server may be silent before its first answer until its token comes under suspicion. One that
// is known to be slow has twice the time that it took. Tests have less patience.
var silenceTime = 8 * time.Second

const (
	// maxEarly and maxEarlySize bound the messages that are kept until the first answer, in number and bytes.
	maxEarly, maxEarlySize = 256, 1 << 20
)

// life is a server's time before its first answer: a token that looks good and was revoked shows now, when the server
// dies or falls silent. Until then the client's messages are kept, so that another server can be told them.
type life struct {
	canRemedy bool          // another credential may help
	waits     chan struct{} // the first request has been sent
	since     time.Time     // when that was
	heard     atomic.Bool   // the server has written something
	answered  atomic.Bool
	early     []*frame.Message // under session.mu, as are the next two
	size      int
	overflow  bool
}

// note keeps a message that the server is about to get; session.mu is held.
func (l *life) note(m *frame.Message) {
	if l.answered.Load() {
		l.early = nil
		return
	}
	if m.Kind == frame.Request && l.since.IsZero() && opens(m.Method) {
		l.since = time.Now()
		select {
		case l.waits <- struct{}{}:
		default:
		}
	}
	l.size += len(m.Raw)
	if l.overflow = l.overflow || len(l.early) == maxEarly || l.size > maxEarlySize; l.overflow {
		l.early = nil
		return
	}
	l.early = append(l.early, kept(m))
}

// opens tells whether a request is one that every server answers soon: a call may take its time.
func opens(method string) bool {
	return method == "initialize" || method == methodDiscover || isList(method)
}

// answer notes that the server has answered, and how long it took until the first answer; zero for later ones.
func (l *life) answer() (took time.Duration) {
	l.heard.Store(true)
	if l.answered.Swap(true) || l.since.IsZero() {
		return 0
	}
	return time.Since(l.since)
}

// silence is attend's watch over a server's first answer. It is for one goroutine.
type silence struct {
	relay  *relay
	timer  *time.Timer
	limit  time.Duration
	remedy <-chan result // nil until another credential is asked for
	cancel context.CancelFunc
}

func newSilence(r *relay) *silence {
	s := &silence{relay: r, timer: time.NewTimer(time.Hour), limit: silenceTime}
	s.timer.Stop()
	return s
}

func (s *silence) begin() {
	if s.relay.life.canRemedy {
		s.timer.Reset(s.limit)
	}
}

// over is the end of the time for the first answer.
func (s *silence) over() {
	r := s.relay
	if r.life.heard.Load() || r.life.answered.Load() || r.remedied {
		return
	}
	if patience := 2 * r.rec.slowest(); patience > s.limit {
		s.timer.Reset(patience - s.limit)
		s.limit = patience
		return
	}
	r.remedied = true
	r.err.note("%s has been silent since its start: its token is renewed, in case it does not take it", r.label)
	ctx, cancel := context.WithCancel(r.ctx)
	s.remedy, s.cancel = r.ask(ctx, Refused), cancel
}

// cured tells whether the server is to make way: for one with another credential, or for the gate. Whatever else came
// of the renewal, it is left in peace: it may be slow.
func (s *silence) cured(got *result) bool {
	s.remedy = nil
	s.cancel()
	if s.relay.life.answered.Load() {
		return false
	}
	o := obstacleOf(got.err)
	return o == noObstacle || o == signedOut
}

func (s *silence) end() {
	s.timer.Stop()
	if s.cancel != nil {
		s.cancel()
	}
}
