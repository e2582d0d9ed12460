package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
)

// ErrReleased is what Wait gives after Release.
var ErrReleased = errors.New("detached child was released")

// Detached is a child that outlives us. Its methods may be called from any goroutine.
type Detached struct {
	exit int // set before done is closed
	done chan struct{}

	releaseOnce sync.Once
	released    chan struct{}
}

// Detach starts a child that lives on when we, our process group or our terminal are killed: in a
// session of its own on Unix, outside our console and, where permitted, our Job Object on Windows.
// Its standard streams are the null device, and it starts in the root directory unless s.Dir says
// otherwise, so it must be given absolute paths and tell its outcome by exit code or file.
//
// Errors are those of Start. One goroutine stays until the child ends, to reap it; it holds nothing else.
func Detach(s Spec) (*Detached, error) {
	if s.Dir == "" {
		s.Dir = rootOf(s.Path)
	}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("starting %q: %w", s.Path, err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("starting %q: %w", s.Path, err)
	}
	defer null.Close()
	child, err := startDetached(s, []*os.File{null, null, null})
	if err != nil {
		return nil, fmt.Errorf("starting %q: %w", s.Path, explain(s.Path, err))
	}
	d := &Detached{done: make(chan struct{}), released: make(chan struct{})}
	go d.reap(child)
	return d, nil
}

func (d *Detached) reap(child *os.Process) {
	defer close(d.done)
	state, err := child.Wait()
	if err != nil {
		d.exit = 255
		return
	}
	d.exit = stateCode(state)
}

// Wait waits until the child has ended and gives its exit code as Process.ExitCode does. When ctx ends
// first it gives ctx's error, and ErrReleased after Release; the child runs on then.
func (d *Detached) Wait(ctx context.Context) (exit int, err error) {
	select {
	case <-d.done: // also when ctx has ended, too
		return d.exit, nil
	default:
	}
	select {
	case <-d.done:
		return d.exit, nil
	case <-d.released:
		return -1, ErrReleased
	case <-ctx.Done():
		return -1, ctx.Err()
	}
}

// Release gives the child up: each Wait under way ends with ErrReleased.
func (d *Detached) Release() {
	d.releaseOnce.Do(func() { close(d.released) })
}
