package person

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/term"
)

// openTerminal opens the console that a person has in front, or fails.
func openTerminal() (*Terminal, error) {
	in, err := os.OpenFile("CONIN$", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	out, err := os.OpenFile("CONOUT$", os.O_RDWR, 0)
	if err != nil {
		in.Close()
		return nil, err
	}
	return &Terminal{in: in, out: out}, nil
}

// lastWord is how long a read may take to end after it was interrupted.
const lastWord = time.Second

type answer struct {
	line string
	err  error
}

// readLine asks for a line and reads it, shown while it is typed or not. A console read cannot be cancelled, so that it is ended by a
// key press of our own.
func (t *Terminal) readLine(ctx context.Context, prompt string, echo bool) (string, error) {
	if _, err := io.WriteString(t.out, prompt); err != nil {
		return "", err
	}
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	old, err := term.GetState(int(t.in.Fd()))
	if err != nil {
		return "", err
	}
	defer term.Restore(int(t.in.Fd()), old)
	answers := make(chan answer, 1)
	go func() { // ends with the line, or with the key press below
		line, err := t.readConsole(echo)
		answers <- answer{line, err}
	}()
	select {
	case a := <-answers:
		return t.accept(ctx, a, echo, interrupts)
	case <-interrupts:
		err = ErrInterrupted
	case <-ctx.Done():
		err = ctx.Err()
	}
	if pressErr := pressEnter(windows.Handle(t.in.Fd())); pressErr != nil {
		return "", fmt.Errorf("%w (%w)", err, pressErr)
	}
	select {
	case <-answers:
	case <-time.After(lastWord):
	}
	return "", err
}

// accept judges what was read. A read that ^C has ended looks like one at the end of the input, until the signal comes.
func (t *Terminal) accept(ctx context.Context, a answer, echo bool, interrupts <-chan os.Signal) (string, error) {
	if a.err != nil {
		select {
		case <-interrupts:
			return "", ErrInterrupted
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(100 * time.Millisecond):
			return "", a.err
		}
	}
	if len(a.line) > limit(echo) {
		return "", errTooLong
	}
	if echo {
		return a.line, nil
	}
	// The rest of a paste must not become commands of the shell.
	if err := windows.FlushConsoleInputBuffer(windows.Handle(t.in.Fd())); err != nil {
		return "", err
	}
	if strings.ContainsFunc(a.line, func(c rune) bool { return c < ' ' }) {
		return "", errControl
	}
	return a.line, nil
}

func (t *Terminal) readConsole(echo bool) (string, error) {
	if !echo {
		b, err := term.ReadPassword(int(t.in.Fd()))
		return string(b), err
	}
	var line []byte
	for b := make([]byte, 1); ; {
		switch n, err := t.in.Read(b); {
		case err != nil:
			return "", err
		case n == 0:
			return "", io.EOF
		case b[0] == '\n':
			return strings.TrimSuffix(string(line), "\r"), nil
		case len(line) > maxLine: // kept one too long, which accept refuses
		default:
			line = append(line, b[0])
		}
	}
}

// keyRecord is an INPUT_RECORD that holds a KEY_EVENT_RECORD.
type keyRecord struct {
	eventType uint16
	_         uint16
	down      int32
	repeat    uint16
	key       uint16
	scan      uint16
	char      uint16
	control   uint32
}

var writeConsoleInput = windows.NewLazySystemDLL("kernel32.dll").NewProc("WriteConsoleInputW")

// pressEnter puts a press of the Enter key into a console's input.
func pressEnter(console windows.Handle) error {
	const keyEvent, vkReturn = 1, 0x0d
	if err := writeConsoleInput.Find(); err != nil {
		return err
	}
	press := keyRecord{eventType: keyEvent, down: 1, repeat: 1, key: vkReturn, char: '\r'}
	var written uint32
	ok, _, err := writeConsoleInput.Call(uintptr(console), uintptr(unsafe.Pointer(&press)), 1, uintptr(unsafe.Pointer(&written)))
	if ok == 0 {
		return err
	}
	return nil
}
