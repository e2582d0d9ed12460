package proc

import "syscall"

// usualCapacity is what a pipe holds in bytes on most systems; a message that is larger passes in pieces, with a change
// of process for each.
const usualCapacity = 64 << 10

// muchToPass is the size in bytes from which a pipe is widened.
const muchToPass = usualCapacity / 2

// Widener widens the pipe behind one of our own streams when a message is too large for it. It is for one goroutine.
type Widener struct{ done bool }

// Passed notes that a message, or a piece of one, of n bytes passes through stream. A stream that is no pipe of this
// system's stays as it is, and so does one that the system does not let grow.
func (w *Widener) Passed(stream any, n int) {
	if n < muchToPass || w.done {
		return
	}
	w.done = true
	file, ok := stream.(syscall.Conn)
	if !ok {
		return
	}
	if raw, err := file.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { widen(int(fd)) })
	}
}
