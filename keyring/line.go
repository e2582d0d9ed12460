package keyring

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

var (
	errStuck  = errors.New("an earlier call is still waiting for an answer")
	errBroken = errors.New("the connection broke off in the middle of the call")
)

// hangUpWait is how long a given-up call gets to return after its connection
// was closed, before it counts as stuck.
const hangUpWait = 200 * time.Millisecond

// A line lets one call at a time through to a keychain whose calls take no
// context and may never return. It is one for the process, as the connection
// to the session bus is, which is closed to end a call that hangs.
//
// A call that does not return even then is abandoned: its goroutine is owned
// by the line, which takes no other call until it ends. So there is at most one.
type line struct {
	connect func() (hangUp func(), err error) // before each call; hangUp may be nil
	free    chan struct{}                     // holds a token while no call runs

	mu    sync.Mutex
	stuck bool // an abandoned call still runs
}

func newLine(connect func() (func(), error)) *line {
	l := &line{connect: connect, free: make(chan struct{}, 1)}
	l.free <- struct{}{}
	return l
}

var keychainLine = newLine(connectKeychain)

// A call is one use of the line. done is closed when its goroutine ends.
type call struct {
	line *line
	done chan struct{}

	mu      sync.Mutex
	givenUp bool
	hangUp  func()
}

type answer[T any] struct {
	value T
	err   error
}

// unsent marks an error of a call that never reached the keychain.
type unsent struct{ error }

func (u unsent) Unwrap() error { return u.error }

// ask runs op on the line, no longer than limit and ctx allow. op must not
// touch anything of the caller's, which may be gone when it ends.
func ask[T any](ctx context.Context, l *line, limit time.Duration, op func() (T, error)) (T, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %s", limit))
	defer cancel()
	var none T
	if err := l.enter(ctx); err != nil {
		return none, fail(ErrTimeout, unsent{err})
	}
	c := &call{line: l, done: make(chan struct{})}
	answers := make(chan answer[T], 1)
	go func() {
		defer c.leave()
		answers <- run(c, op)
	}()
	select {
	case a := <-answers:
		<-c.done // so that the line is free for the caller's next call
		return a.value, a.err
	case <-ctx.Done():
		c.giveUp()
		return none, fail(ErrTimeout, context.Cause(ctx))
	}
}

func (l *line) enter(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	l.mu.Lock()
	stuck := l.stuck
	l.mu.Unlock()
	if stuck {
		return errStuck
	}
	select {
	case <-l.free:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func run[T any](c *call, op func() (T, error)) answer[T] {
	return guarded(func() (none T, err error) {
		hangUp, err := c.line.connect()
		if err != nil {
			return none, unsent{err}
		}
		if !c.connected(hangUp) {
			return none, unsent{errStuck} // nobody waits any more: a late change would surprise
		}
		return op()
	})
}

// guarded runs op. go-keyring runs into a nil pointer when the bus closes
// while a prompt is shown, and trusts the shape of what the service sends.
func guarded[T any](op func() (T, error)) (a answer[T]) {
	defer func() {
		if recover() != nil {
			a = answer[T]{err: errBroken}
		}
	}()
	v, err := op()
	return answer[T]{v, err}
}

// connected reports whether the call is still wanted.
func (c *call) connected(hangUp func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hangUp = hangUp
	return !c.givenUp
}

// giveUp closes the connection under the call and gives it a moment to end.
func (c *call) giveUp() {
	c.mu.Lock()
	c.givenUp = true
	hangUp := c.hangUp
	c.mu.Unlock()
	if hangUp != nil {
		// Its own goroutine, as it waits for a write that is under way; it ends
		// no later than the call does.
		go hangUp()
	}
	t := time.NewTimer(hangUpWait)
	defer t.Stop()
	select {
	case <-c.done:
	case <-t.C:
		c.abandon()
	}
}

func (c *call) abandon() {
	c.line.mu.Lock()
	defer c.line.mu.Unlock()
	select {
	case <-c.done:
	default:
		c.line.stuck = true
	}
}

// leave frees the line.
func (c *call) leave() {
	c.line.mu.Lock()
	defer c.line.mu.Unlock()
	c.line.stuck = false
	c.line.free <- struct{}{}
	close(c.done)
}
