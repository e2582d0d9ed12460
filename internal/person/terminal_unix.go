//go:build linux || darwin

package person

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// openTerminal opens the terminal that a person has in front, or fails.
func openTerminal() (*Terminal, error) {
	f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	front, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCGPGRP)
	if err == nil && front != unix.Getpgrp() {
		err = errors.New("another job is in front")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &Terminal{in: f, out: f}, nil
}

const (
	tick  = 100 * time.Millisecond // how soon the end of a context is noticed
	pause = 50 * time.Millisecond  // without input, after which a paste is over
)

// readLine asks for a line and reads it, shown while it is typed or not. Of a line that is shown it takes no more than that
// from the terminal.
func (t *Terminal) readLine(ctx context.Context, prompt string, echo bool) (line string, err error) {
	fd := int(t.in.Fd())
	// ^C empties the terminal's input: what was readable a moment ago would then block the read.
	if err := unix.SetNonblock(fd, true); err != nil {
		return "", err
	}
	defer unix.SetNonblock(fd, false)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGCONT)
	defer signal.Stop(signals)
	if !echo {
		old, stateErr := term.GetState(fd)
		if stateErr != nil {
			return "", stateErr
		}
		defer term.Restore(fd, old)
		if err := silence(fd); err != nil {
			return "", err
		}
		defer func() {
			if discard(fd) && err == nil {
				line, err = "", errTwoLines
			}
		}()
	}
	if _, err := io.WriteString(t.out, prompt); err != nil { // only now, so that nothing is typed too early and seen
		return "", err
	}
	return readTyped(ctx, fd, echo, signals)
}

// readTyped reads up to the end of the line.
func readTyped(ctx context.Context, fd int, echo bool, signals <-chan os.Signal) (string, error) {
	typed := typing{cooked: echo, limit: limit(echo)}
	for {
		err := waitForInput(ctx, fd, signals)
		if errors.Is(err, errResumed) {
			if err = nil; !echo {
				err = silence(fd) // the shell has set the terminal as it likes it
			}
			if err == nil {
				continue
			}
		}
		if err != nil {
			return "", err
		}
		var b [1]byte
		switch n, err := unix.Read(fd, b[:]); {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
			continue
		case err != nil:
			return "", err
		case n == 0:
			return "", io.EOF
		}
		if done, err := typed.add(b[0]); done || err != nil {
			return typed.line(), err
		}
	}
}

// silence turns off the echo and the terminal's own line editing, under which a line has 1024 bytes (macOS) or 4096
// (Linux) and the rest of a longer secret would be lost without a word.
func silence(fd int) error {
	mode, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return err
	}
	mode.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.IEXTEN
	mode.Lflag |= unix.ISIG
	mode.Iflag |= unix.ICRNL
	mode.Cc[unix.VMIN], mode.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(fd, setTermios, mode)
}

var errResumed = errors.New("resumed after a stop")

// waitForInput waits until there is something to read.
func waitForInput(ctx context.Context, fd int, signals <-chan os.Signal) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case s := <-signals:
			if s == unix.SIGCONT {
				return errResumed
			}
			return ErrInterrupted
		default:
		}
		if ready, err := readable(fd, tick); ready || err != nil {
			return err
		}
	}
}

// readable waits a while for input. It is select(2) since macOS knows no poll(2) for terminals.
func readable(fd int, wait time.Duration) (bool, error) {
	if fd >= unix.FD_SETSIZE {
		return false, errors.New("too many files are open")
	}
	var set unix.FdSet
	set.Set(fd)
	timeout := unix.NsecToTimeval(wait.Nanoseconds())
	n, err := unix.Select(fd+1, &set, nil, nil, &timeout)
	if errors.Is(err, unix.EINTR) {
		return false, nil
	}
	return n > 0, err
}

// discard throws away what has been typed ahead, and tells whether there was any.
func discard(fd int) bool {
	var b [4096]byte
	found := false
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); {
		if ready, err := readable(fd, pause); !ready || err != nil {
			break
		}
		if n, err := unix.Read(fd, b[:]); n <= 0 || err != nil {
			break
		}
		found = true
	}
	return found
}

// typing is a line in the making.
type typing struct {
	cooked bool // the terminal has edited the line already
	limit  int
	b      []byte
}

const (
	ctrlD     = 0x04
	backspace = 0x08
	ctrlU     = 0x15
	del       = 0x7f
)

// add takes the next byte and tells whether the line is done.
func (t *typing) add(c byte) (done bool, err error) {
	switch {
	case c == '\n':
		return true, nil
	case t.cooked:
	case c == ctrlD && len(t.b) == 0:
		return false, io.EOF
	case c == ctrlD:
		return true, nil
	case c == backspace, c == del:
		_, n := utf8.DecodeLastRune(t.b)
		t.b = t.b[:len(t.b)-n]
		return false, nil
	case c == ctrlU:
		t.b = t.b[:0]
		return false, nil
	case c < ' ':
		return false, errControl
	}
	if len(t.b) == t.limit {
		return false, errTooLong
	}
	t.b = append(t.b, c)
	return false, nil
}

func (t *typing) line() string { return string(t.b) }
