package wrapper

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"

	"mcp-valet/keyring"
	"mcp-valet/wrapper/frame"
	"mcp-valet/wrapper/policy"
)

// session is one client from its first message to its end, and whoever answers it: the gate, or a relay with a server.
type session struct {
	host
	*inbound
	o     *Options
	ctx   context.Context // of what is done in the background
	tasks sync.WaitGroup
	ends  ends
	rec   *recorder

	starts turn // the Starter is for one goroutine at a time

	mu    turn   // held while a message is handled, and while who handles it changes
	relay *relay // nil while the gate handles
	gate  *gate
	hello hello
	era   era

	crashes      crashes
	user         atomic.Pointer[policy.User] // who was last known; nil for nobody
	refused      atomic.Bool                 // a server has answered initialize with an error
	served       atomic.Pointer[object]      // what a server answered to initialize; nil before that
	renewal      renewal
	unauthorized unauthorized
	repeating    bool             // a request is handled once more, and not by the client's reader
	tokens       []keyring.Secret // the latest tokens of the session
	retired      []*relay         // servers that still answer what they were asked
	asks         asks             // what servers asked the client
	leaving      sync.WaitGroup   // of the goroutines that stay with them
	stopped      chan struct{}    // closed by the first signal
	signal       os.Signal        // the first one; set before stopped is closed
	stopOnce     sync.Once

	relaunched bool // after a server that died of a probe
	remedied   bool // a server's silence or death before its first answer has led to a renewal
}

// ends are the reasons for a session to end, whoever answers the client.
type ends struct {
	client <-chan struct{} // nothing more comes from the client
	ahead  <-chan struct{} // the same, noticed while its reader is stuck
	gone   <-chan struct{} // the client takes no more
	parent <-chan struct{} // our parent process is gone
	ctx    context.Context
	stop   <-chan os.Signal
}

// maxSubscribed bounds the subscriptions that another server is told of.
const maxSubscribed = 1000

// hello is what a server must be told that takes the place of another in mid-session. It is under session.mu.
type hello struct {
	version     string            // protocol version that initialize asked for
	params      object            // of initialize; nil before it
	answered    object            // the result that the gate gave to it; nil when it gave none
	initialized []byte            // the notification, as it came
	logLevel    object            // params of logging/setLevel
	subscribed  map[string]object // params of resources/subscribe, by URI
	elicitsURLs bool
}

func (h host) run(ctx context.Context, o Options) (exit int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	ahead := make(chan struct{})
	in := newInbound(&o, ahead)
	s := &session{host: h, inbound: in, o: &o, ctx: ctx, starts: newTurn(), mu: newTurn(), stopped: make(chan struct{})}
	s.renewal.how = o.Renewal
	s.unauthorized.texts = o.unauthorizedTexts()
	s.ends = ends{ahead: ahead, gone: in.out.gone, parent: h.parent, ctx: ctx, stop: o.Stop}
	defer o.removeFile()
	defer s.tasks.Wait()
	defer cancel()

	start, sig, err := s.obtain(Stored)
	if sig != nil {
		s.turnAway()
		return signalCode(sig), nil
	}
	s.rec = newRecorder(o.Snapshot, start.Subject)
	defer s.rec.close()
	switch obstacleOf(err) {
	case hopeless:
		return exitFailure, h.refuseOn(ctx, &o, in, ahead, err)
	case noObstacle:
		return s.begin(start)
	}
	s.gate = newGate(s, err)
	return s.serve(nil)
}

// turnAway answers what a client has sent that is stopped before anything could be started.
func (s *session) turnAway() {
	reading := start(func() {
		s.each(func(m frame.Message) {
			if m.Kind == frame.Request {
				s.refuse(m.ID, codeServerGone, s.o.label()+" was stopped before answering")
			}
		})
	})
	wait(lateTime, reading)
	s.inbound.close(reading)
}

// begin is the session of a client whose server can be started at once.
func (s *session) begin(start Start) (exit int, err error) {
	r, err := s.newRelay(start)
	if err != nil {
		s.inbound.close()
		return startCode(err), err
	}
	s.gate = newGate(s, nil)
	s.install(r)
	return s.serve(r)
}

// install has r handle the client's messages; session.mu is held, or nobody else knows of it yet.
func (s *session) install(r *relay) {
	s.relay = r
	s.renewal.inForce(r.with)
	close(r.installed)
}

// serve reads the client's messages and goes from the gate to a relay, and sometimes back, until the end.
func (s *session) serve(r *relay) (exit int, err error) {
	s.locked(func() { s.ends.client = start(func() { s.each(s.handle) }) })
	if s.renewal.how != RenewOff {
		s.tasks.Go(s.keepFresh)
	}
	for {
		if r == nil {
			var sig os.Signal
			if r, sig = s.gate.wait(); r == nil {
				return s.leave(sig)
			}
		}
		how := r.attend(s.ends)
		if how.superseded {
			s.superseded(r)
		} else if !s.goesOn(r, how) {
			s.partAll()
			return r.finish(s.ends.client, how.stopped), nil
		}
		r = nil
	}
}

// handle gives a message to whoever handles them now.
func (s *session) handle(m frame.Message) {
	if !s.mu.free() { // who holds it may be stuck: the client's end must be noticed all the same
		s.source.stall()
		s.mu.take()
		s.source.resume()
	}
	defer s.mu.pass()
	if other := s.owner(&m); other != nil {
		s.passTo(other, &m)
		return
	}
	if s.relay != nil && !s.changeFor(&m) {
		s.relay.handle(&m)
		return
	}
	s.source.stall() // the client may not be reading our answers
	defer s.source.resume()
	s.gate.handle(&m)
}

// leave ends a session at the gate.
func (s *session) leave(sig os.Signal) (exit int, err error) {
	s.partAll()
	ended, crashes := (*errEnded)(nil), crashes{}
	s.soon(lastTime, func() {
		ended = s.gate.ended
		s.gate.undecided = true // what comes now waits for the next step
	})
	if ended != nil {
		wait(lateTime, s.ends.client)
	}
	s.soon(lastTime, func() { err, crashes = s.gate.cause, s.crashes })
	s.lastAnswers()
	s.inbound.close(s.ends.client)
	switch {
	case sig != nil:
		return signalCode(sig), nil
	case ended != nil:
		return ended.code, nil
	case errors.Is(err, ErrDue) && crashes.lost != nil:
		return crashes.code, nil
	case errors.Is(err, ErrDue):
		return 0, nil // only probed, or gone before its renewal had ended
	}
	return exitFailure, err
}

// result is what a Starter gave.
type result struct {
	Start
	err error
}

// obtain asks the Starter, unless a signal comes first.
func (s *session) obtain(effort Effort) (Start, os.Signal, error) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	got := s.ask(ctx, effort)
	select {
	case r := <-got:
		return r.Start, nil, r.err
	case sig := <-s.o.Stop:
		cancel()
		<-got
		return Start{}, sig, nil
	}
}

// ask asks the Starter in the background.
func (s *session) ask(ctx context.Context, effort Effort) <-chan result {
	got := make(chan result, 1)
	s.tasks.Go(func() {
		s.starts.take()
		defer s.starts.pass()
		start, err := s.o.Starter.Start(ctx, effort)
		if start.User != nil {
			s.user.Store(start.User)
		}
		got <- result{start, err}
	})
	return got
}

// newRelay starts a server and the passing on of what it says.
func (s *session) newRelay(with Start) (*relay, error) {
	child, err := s.launch(s.o, with)
	if err != nil {
		return nil, err
	}
	r := &relay{
		session: s, label: s.o.label(), server: child, pending: newPending(len(s.unauthorized.texts) > 0, s.o.Guard.Policy != nil), max: s.o.maxMessage(),
		with: with, quit: make(chan struct{}), installed: make(chan struct{}),
		superseded: make(chan struct{}), verdict: make(chan bool, 1), gone: make(chan struct{}),
	}
	r.masker.Store(newMasker(s.secretsOf(with)))
	r.setMeta(with.Token)
	r.user.Store(with.User)
	r.life.waits = make(chan struct{}, 1)
	r.life.canRemedy = !with.Token.IsZero() && s.o.SignIns != nil && !s.remedied
	s.rec.become(with.Subject)
	r.stdout, r.stderr = start(r.fromServer), start(r.fromStderr)
	return r, nil
}

// superseded leaves a server whose place another one takes to a goroutine of its own.
func (s *session) superseded(r *relay) {
	verdict := r.verdict
	s.leaving.Add(1)
	s.tasks.Go(func() {
		defer s.leaving.Done()
		s.retire(r, verdict)
	})
}
