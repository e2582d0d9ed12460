package proc

import (
	"context"
	"time"
)

// parentInterval is how often ParentGone looks, where the system does not tell by itself. A client that ends closes our
// stdin in the same moment; this watch is for one that was killed while another process held the pipe open.
const parentInterval = 500 * time.Millisecond

// ParentGone gives a channel that is closed when our parent process, as it was when we started, has
// died: within about half a second. It is never closed when the parent cannot be watched or had died
// before we could look. The watch, one goroutine, ends with ctx; where the system tells of a death, it sleeps until then.
func ParentGone(ctx context.Context) <-chan struct{} {
	gone := make(chan struct{})
	p, ok := watchParent()
	if !ok {
		return gone
	}
	go func() {
		defer p.release()
		p.await(ctx)
		if poll(ctx, parentInterval, p.dead) {
			close(gone)
		}
	}()
	return gone
}

// parent is our parent process, as it was when we started.
type parent struct {
	dead    func() bool
	await   func(ctx context.Context) // returns when it has died or ctx has ended; at once, where the system does not tell
	release func()
}

// poll waits until dead says yes, or ctx ends.
func poll(ctx context.Context, interval time.Duration, dead func() bool) bool {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for !dead() {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}
