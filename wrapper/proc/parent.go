package proc

import (
	"context"
	"time"
)

// parentInterval is how often ParentGone looks. A client that ends closes our stdin in the same moment;
// this watch is for one that was killed while another process held the pipe open.
const parentInterval = 500 * time.Millisecond

// ParentGone gives a channel that is closed when our parent process, as it was when we started, has
// died: within about half a second. It is never closed when the parent cannot be watched or had died
// before we could look. The watch, one goroutine, ends with ctx.
func ParentGone(ctx context.Context) <-chan struct{} {
	gone := make(chan struct{})
	dead, release, ok := watchParent()
	if !ok {
		return gone
	}
	go func() {
		defer release()
		if poll(ctx, parentInterval, dead) {
			close(gone)
		}
	}()
	return gone
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
