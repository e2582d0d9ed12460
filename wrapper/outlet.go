package wrapper

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"mcp-valet/wrapper/frame"
	"mcp-valet/wrapper/proc"
)

var errShut = errors.New("the client takes no more messages")

// outlet is the way to the client: whole messages, each in one write, from any goroutine.
type outlet struct {
	w    io.Writer
	turn turn   // taken while w takes a message
	line []byte // an answer of ours, under turn
	pipe proc.Widener
	shut atomic.Bool
	fail sync.Once
	gone chan struct{} // closed when w has failed: there is no client any more
}

func newOutlet(w io.Writer) *outlet { return &outlet{w: w, turn: newTurn(), gone: make(chan struct{})} }

// send writes one message, newline included. After an error nothing more is written.
func (o *outlet) send(line []byte) error {
	o.turn.take()
	defer o.turn.pass()
	return o.write(line)
}

// refuse answers the request id with an error of ours.
func (o *outlet) refuse(id frame.ID, code int, text string) {
	o.turn.take()
	defer o.turn.pass()
	o.line = frame.AppendError(o.line[:0], id, code, speaker+text)
	o.write(o.line) // an error means that nobody waits for the answer
}

func (o *outlet) write(line []byte) error {
	if o.shut.Load() {
		return errShut
	}
	o.pipe.Passed(o.w, len(line))
	if _, err := o.w.Write(line); err != nil {
		o.shut.Store(true)
		o.fail.Do(func() { close(o.gone) })
		return err
	}
	return nil
}

// close ends all output. A message that the client does not take within limit cannot be taken back; it is cut off
// where w can do that, so that its goroutine ends.
func (o *outlet) close(limit time.Duration) {
	o.shut.Store(true)
	if o.turn.comes(limit) {
		return
	}
	if w, ok := o.w.(interface{ SetWriteDeadline(time.Time) error }); ok && w.SetWriteDeadline(time.Now()) == nil {
		o.turn.comes(limit)
	}
}
