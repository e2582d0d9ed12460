package wrapper

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// speaker begins every line that is ours, on stderr and in answers.
	speaker = "mcp-valet: "
	// maxWaiting bounds the lines that wait while nobody reads stderr.
	maxWaiting = 128
	// noteBurst notes may come at once, and noteRate in a second after that.
	noteBurst, noteRate = 20, 2
)

// console is our stderr, shared by what the server writes to its own, what it wrote to stdout by mistake, and our
// notes. A client need not read it: the server then waits as it would without us, but the relay never does.
type console struct {
	w     io.Writer
	turn  turn // taken while w takes something
	open  bool // the last byte was no newline, under turn
	shut  atomic.Bool
	lines chan []byte   // whole lines on their way to w
	lost  atomic.Int64  // lines that found no room
	stop  chan struct{} // closed when no more lines are worth waiting for
	done  chan struct{} // closed when lines has been emptied after that
	notes rate
}

func newConsole(w io.Writer) *console {
	c := &console{
		w: w, turn: newTurn(), lines: make(chan []byte, maxWaiting), notes: rate{left: noteBurst},
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	go c.print() // joined by close
	return c
}

// print writes the lines that wait, until close.
func (c *console) print() {
	defer close(c.done)
	for {
		select {
		case line := <-c.lines:
			c.whole(line)
		case <-c.stop:
			for len(c.lines) > 0 {
				c.whole(<-c.lines)
			}
			return
		}
	}
}

// whole writes a whole line, and before it how many went missing.
func (c *console) whole(line []byte) {
	if n := c.lost.Swap(0); n > 0 {
		c.write(fmt.Appendf(nil, "%s%d lines are missing here, as nobody was reading\n", speaker, n), true)
	}
	c.write(line, true)
}

// relay writes what the server wrote, when w takes it.
func (c *console) relay(p []byte) { c.write(p, false) }

// line queues a whole line, which it keeps.
func (c *console) line(p []byte) {
	select {
	case c.lines <- p:
	default:
		c.lost.Add(1)
	}
}

// note queues a line of ours, unless there were too many.
func (c *console) note(format string, args ...any) {
	ok, skipped := c.notes.allow()
	if !ok {
		return
	}
	text := speaker + fmt.Sprintf(format, args...)
	if skipped > 0 {
		text += fmt.Sprintf(" (%d lines before this one left out)", skipped)
	}
	c.line([]byte(text + "\n"))
}

// write writes p; a whole line begins on a new one. Whether w takes it is nobody's concern.
func (c *console) write(p []byte, whole bool) {
	if len(p) == 0 {
		return
	}
	c.turn.take()
	defer c.turn.pass()
	if c.shut.Load() {
		return
	}
	if whole && c.open {
		p = append([]byte{'\n'}, p...)
	}
	c.w.Write(p)
	c.open = p[len(p)-1] != '\n'
}

// close ends all output when the lines that wait are written, or after limit.
func (c *console) close(limit time.Duration) {
	close(c.stop)
	wait(limit, c.done)
	c.shut.Store(true)
	c.turn.comes(limit)
}

// rate is how many notes are still allowed. It is safe for concurrent use.
type rate struct {
	mu      sync.Mutex
	left    float64
	last    time.Time
	skipped int
}

// allow tells whether a note may be written, and how many were not since the last one that might.
func (r *rate) allow() (ok bool, skipped int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if !r.last.IsZero() {
		r.left = min(noteBurst, r.left+now.Sub(r.last).Seconds()*noteRate)
	}
	r.last = now
	if r.left < 1 {
		r.skipped++
		return false, 0
	}
	r.left--
	skipped, r.skipped = r.skipped, 0
	return true, skipped
}
