package wrapper

import (
	"fmt"
	"time"
)

// The times of the end. Clients kill us one to two seconds after they close our stdin or send SIGTERM, so the
// server must be gone, its last words passed on and its requests answered before that.
const (
	eofGrace  = time.Second            // from the client's end, or the server's, to SIGTERM
	termGrace = 500 * time.Millisecond // from there to the kill
	stopGrace = 700 * time.Millisecond // from a signal, passed on at once, to the kill
	reapGrace = 500 * time.Millisecond // from the kill until the server is given up

	drainOwn     = 500 * time.Millisecond // for the output of a server that ended by itself: a grandchild may hold it
	drainStopped = 200 * time.Millisecond // for that of a server that was ended
	lateTime     = 50 * time.Millisecond  // for requests under way to a server that ended by itself
	lastTime     = 100 * time.Millisecond // for each other step that a client may keep waiting
)

// killedCode is the exit code of a server that outlived its kill: what a shell says of one that did not.
const killedCode = 128 + 9

// ending is how a server came to its end.
type ending struct {
	stopped    bool    // not by itself
	final      bool    // the client, or whoever started us, wants no other server
	superseded bool    // it lives on, and another server takes its place
	remedy     *result // what came of asking for another credential, where the server's silence was a reason to
}

// attend waits until the server has ended, and ends it when its time has come. Only one side needs to go: neither is of
// use without the other.
func (r *relay) attend(s ends) (how ending) {
	e := newEscalation(r.server)
	defer e.timer.Stop()
	stdout, quit, cancelled, installed, superseded := r.stdout, r.quit, s.ctx.Done(), r.installed, r.superseded
	silence := newSilence(r)
	defer silence.end()
	for {
		select {
		case <-superseded:
			how.superseded = true
			return how
		case <-r.server.Done():
			how.stopped = e.next > 0
			return how
		case <-s.client: // the server has got all that there was
			s.client, how.final = nil, true
			e.begin(eofGrace, termGrace)
			if installed == nil {
				e.server.Stdin().Close()
			}
		case <-installed:
			installed = nil
			if s.client == nil {
				e.server.Stdin().Close()
			}
		case <-s.ahead: // the server may yet read what it was sent
			s.ahead, how.final = nil, true
			e.begin(eofGrace, termGrace)
		case <-s.gone:
			s.gone, how.final = nil, true
			e.hangUp(eofGrace, termGrace)
		case <-stdout:
			stdout = nil
			e.hangUp(eofGrace, termGrace)
		case <-s.parent:
			s.parent, how.final = nil, true
			e.hangUp(eofGrace, termGrace)
		case <-cancelled:
			cancelled, how.final = nil, true
			e.hangUp(0, stopGrace)
		case sig := <-s.stop:
			how.final = true
			r.stopAll(sig)
			e.signal()
		case <-quit:
			quit = nil
			e.hangUp(0, stopGrace)
		case <-r.life.waits:
			silence.begin()
		case <-silence.timer.C:
			silence.over()
		case got := <-silence.remedy:
			if silence.cured(&got) {
				how.remedy = &got
				e.hangUp(0, stopGrace)
			}
		case <-e.timer.C:
			if !e.step() {
				how.stopped = true
				return how
			}
		}
	}
}

// escalation ends a server in three steps: it is asked, it is killed, it is given up.
type escalation struct {
	server server
	at     [3]time.Time
	next   int // of at
	timer  *time.Timer
	asked  int // signals so far
}

func newEscalation(s server) *escalation {
	e := &escalation{server: s, timer: time.NewTimer(time.Hour)}
	e.timer.Stop()
	return e
}

// hangUp closes the server's stdin and begins.
func (e *escalation) hangUp(ask, kill time.Duration) {
	e.server.Stdin().Close()
	e.begin(ask, kill)
}

// signal passes a signal on; by the second one somebody is losing patience.
func (e *escalation) signal() {
	if e.asked++; e.asked > 1 {
		e.hangUp(0, 0)
		return
	}
	e.hangUp(0, stopGrace)
}

// begin sets the time to ask, and the time after that to kill; what has an earlier time keeps it.
func (e *escalation) begin(ask, kill time.Duration) {
	now := time.Now()
	for i, after := range [...]time.Duration{ask, ask + kill, ask + kill + reapGrace} {
		if t := now.Add(after); e.at[i].IsZero() || t.Before(e.at[i]) {
			e.at[i] = t
		}
	}
	e.timer.Reset(time.Until(e.at[e.next]))
}

// step takes the next step and tells whether there is another one. A step that fails is followed by a stronger one.
func (e *escalation) step() bool {
	switch e.next {
	case 0:
		e.server.Stdin().Close()
		e.server.Terminate()
	case 1:
		e.server.Kill()
	default:
		return false
	}
	e.next++
	e.timer.Reset(time.Until(e.at[e.next]))
	return true
}

// finish passes on the last words of a server that has ended, answers who still waits for it, and ends all output.
// It returns the server's exit code.
func (r *relay) finish(client <-chan struct{}, stopped bool) int {
	code := r.bury(stopped)
	settled := start(func() { r.settle(r.obituary(code, stopped)) })
	wait(lastTime, settled)
	r.late(stopped)
	r.lastAnswers()
	r.inbound.close(client)
	return code
}

// bury passes on the last words of a server that has ended, and lets go of what is left of it.
func (r *relay) bury(stopped bool) (code int) {
	code = killedCode
	if exited(r.server) {
		code = r.server.ExitCode()
	}
	r.drain(stopped)
	r.server.Close() // whatever of it is left; our ends of its streams end with it
	wait(lastTime, r.stdout, r.stderr)
	return code
}

// drain waits, once, for the last words of a server that has ended.
func (r *relay) drain(stopped bool) {
	limit := drainOwn
	if stopped {
		limit = drainStopped
	}
	if !r.drained {
		r.drained = true
		wait(limit, r.stdout, r.stderr)
	}
}

// late waits, once, for what the client has sent to a server that it did not know to be gone.
func (r *relay) late(stopped bool) {
	if !stopped && !r.waited {
		r.waited = true
		wait(lateTime, r.ends.client)
	}
}

// lastAnswers answers what waits at the end of the session, at the gate or for a better token. The client may not be
// reading.
func (s *session) lastAnswers() {
	wait(2*lastTime, start(func() {
		s.soon(lastTime, s.gate.dismiss)
		s.giveBack(s.unauthorized.close())
	}))
}

// close ends all output and, where it can, the reading of the client's messages that goes on.
func (in *inbound) close(reading ...<-chan struct{}) {
	in.out.close(lastTime)
	in.err.close(lastTime)
	if in.source.close() {
		wait(lastTime, reading...)
	}
}

// obituary says what has become of the server.
func (r *relay) obituary(code int, stopped bool) string {
	if stopped {
		return r.label + " was stopped"
	}
	return exitText(r.label, code)
}

func exitText(label string, code int) string {
	return fmt.Sprintf("%s exited with code %d", label, code)
}

// start runs f; the channel is closed when it returns.
func start(f func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	return done
}

// wait waits for all of done, at most for limit, and tells whether it got them.
func wait(limit time.Duration, done ...<-chan struct{}) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for _, c := range done {
		select {
		case <-c:
		case <-timer.C:
			return false
		}
	}
	return true
}

func exited(s server) bool { return isClosed(s.Done()) }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
