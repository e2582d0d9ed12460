//go:build unix

package proc

import (
	"io"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// pipeEnd does not block in read(2) or write(2): it waits in poll(2), for the pipe and for a second
// pipe whose end is the interrupt.
type pipeEnd struct {
	fd       int // non-blocking; the child's end is an open file of its own and stays blocking
	wakeRead int
	wake     *os.File
	once     sync.Once // wake is closed once
	flows    bool      // the last read brought much: the next need not wait, most likely
	wide     bool      // it has been widened, as far as that can be done
}

func newPipe(weWrite bool) (*pipeEnd, *os.File, error) {
	r, w, err := cloexecPipe()
	if err != nil {
		return nil, nil, err
	}
	wr, ww, err := cloexecPipe()
	if err != nil {
		closeAll(r, w)
		return nil, nil, err
	}
	our, their := r, w
	if weWrite {
		our, their = w, r
	}
	if err := unix.SetNonblock(our, true); err != nil {
		closeAll(r, w, wr, ww)
		return nil, nil, os.NewSyscallError("fcntl", err)
	}
	end := &pipeEnd{fd: our, wakeRead: wr, wake: os.NewFile(uintptr(ww), "wake")}
	return end, os.NewFile(uintptr(their), "pipe"), nil
}

// cloexecPipe is pipe2(O_CLOEXEC), which macOS lacks: the lock keeps another goroutine from forking
// between the two calls.
func cloexecPipe() (r, w int, err error) {
	var p [2]int
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := unix.Pipe(p[:]); err != nil {
		return 0, 0, os.NewSyscallError("pipe", err)
	}
	unix.CloseOnExec(p[0])
	unix.CloseOnExec(p[1])
	return p[0], p[1], nil
}

// read waits before it tries, unless much is under way: a message comes alone, as a rule, and is awaited.
func (p *pipeEnd) read(b []byte) (int, error) {
	if !p.flows {
		if err := p.await(unix.POLLIN); err != nil {
			return 0, err
		}
	}
	for {
		n, err := unix.Read(p.fd, b)
		p.flows = n >= muchToPass
		switch {
		case n > 0:
			if p.flows {
				p.widen()
			}
			return n, nil
		case err == unix.EAGAIN:
			if err := p.await(unix.POLLIN); err != nil {
				return 0, err
			}
		case err == unix.EINTR:
		case err != nil:
			return 0, os.NewSyscallError("read", err)
		default:
			return 0, io.EOF
		}
	}
}

func (p *pipeEnd) write(b []byte) (int, error) {
	if len(b) >= muchToPass {
		p.widen()
	}
	written := 0
	for written < len(b) {
		n, err := unix.Write(p.fd, b[written:])
		written += max(n, 0)
		switch {
		case err == nil || err == unix.EINTR:
		case err == unix.EAGAIN:
			if err := p.await(unix.POLLOUT); err != nil {
				return written, err
			}
		default:
			return written, os.NewSyscallError("write", err)
		}
	}
	return written, nil
}

func (p *pipeEnd) widen() {
	if !p.wide {
		p.wide = true
		widen(p.fd)
	}
}

// await waits until the pipe is ready for event, or at its end, or interrupted.
func (p *pipeEnd) await(event int16) error {
	fds := []unix.PollFd{{Fd: int32(p.fd), Events: event}, {Fd: int32(p.wakeRead), Events: unix.POLLIN}}
	_, err := unix.Poll(fds, -1)
	switch {
	case err != nil && err != unix.EINTR:
		return os.NewSyscallError("poll", err)
	case fds[1].Revents != 0:
		return errInterrupted
	}
	return nil
}

func (p *pipeEnd) buffered() []byte {
	var all []byte
	chunk := make([]byte, 64<<10)
	for len(all) < maxBuffered {
		n, err := unix.Read(p.fd, chunk)
		if err == unix.EINTR {
			continue
		}
		if n <= 0 {
			break
		}
		all = append(all, chunk[:n]...)
	}
	return all
}

func (p *pipeEnd) interrupt() {
	p.once.Do(func() { _ = p.wake.Close() }) // POLLHUP on wakeRead, for good
}

func (p *pipeEnd) close() {
	p.interrupt()
	closeAll(p.fd, p.wakeRead)
}

func closeAll(fds ...int) {
	for _, fd := range fds {
		_ = unix.Close(fd) // a pipe loses nothing by a failed close
	}
}
