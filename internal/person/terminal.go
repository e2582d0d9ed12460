// Package person speaks to the person at this machine: in a terminal, through a browser, with a code to scan.
package person

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

var (
	// ErrNoTerminal says that there is no person to ask.
	ErrNoTerminal = errors.New("no terminal to ask in")
	// ErrInterrupted says that the person gave up with ^C, or the process was asked to end. It is a [context.Canceled].
	ErrInterrupted = fmt.Errorf("interrupted: %w", context.Canceled)
)

// What a person types is bounded, in bytes.
const (
	maxLine   = 4 << 10
	maxSecret = 64 << 10
)

var (
	errTooLong  = errors.New("what was typed is too long")
	errControl  = errors.New("what was typed holds a control character, such as that of an arrow key")
	errTwoLines = errors.New("what was pasted has more than one line")
)

// Terminal asks the person who started this process. It speaks to the terminal itself, because stdin and stdout may
// belong to somebody else. It is for one goroutine at a time.
type Terminal struct{ in, out *os.File }

// OpenTerminal opens the terminal of this process. Without one it gives [ErrNoTerminal], as it does when stderr leads
// elsewhere or another job has the terminal: then we were started by a program that has the person's attention, and a
// question would go unseen or into its screen.
func OpenTerminal() (*Terminal, error) {
	if !IsTerminal(os.Stderr) {
		return nil, ErrNoTerminal
	}
	t, err := openTerminal()
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrNoTerminal, err)
	}
	return t, nil
}

// Close lets go of the terminal.
func (t *Terminal) Close() error {
	if t.in == t.out {
		return t.in.Close()
	}
	return errors.Join(t.in.Close(), t.out.Close())
}

// Interactive tells whether there is a person to ask.
func Interactive() bool {
	t, err := OpenTerminal()
	return err == nil && t.Close() == nil
}

// IsTerminal tells whether f is a terminal.
func IsTerminal(f *os.File) bool { return f != nil && term.IsTerminal(int(f.Fd())) }

// ReadLine asks for one line, which is seen while it is typed. It gives [io.EOF] when the person ends the input instead,
// and what ended ctx when that ends first.
func (t *Terminal) ReadLine(ctx context.Context, prompt string) (string, error) {
	return t.ask(ctx, prompt, true)
}

// ReadSecret asks for one line that is not seen while it is typed. Whatever ends it, the terminal shows afterwards what
// is typed. A secret of several lines is refused, and the rest of a longer paste is thrown away, so that it does not
// become commands of the shell. It gives the same errors as ReadLine.
func (t *Terminal) ReadSecret(ctx context.Context, prompt string) (string, error) {
	secret, err := t.ask(ctx, prompt, false)
	fmt.Fprintln(t.out) // the person's own was not shown
	return secret, err
}

// Confirm asks a question that is answered with yes or no; no answer, and one that is neither three times over, is no.
// It gives what ended ctx when that ends first.
func (t *Terminal) Confirm(ctx context.Context, question string) (bool, error) {
	for range 3 {
		answer, err := t.ask(ctx, question+" [y/N] ", true)
		if errors.Is(err, io.EOF) {
			fmt.Fprintln(t.out)
			return false, nil
		}
		if err != nil {
			return false, err
		}
		switch strings.ToLower(strings.TrimSpace(answer)) {
		case "y", "yes":
			return true, nil
		case "", "n", "no":
			return false, nil
		}
		fmt.Fprintln(t.out, "Please answer yes or no.")
	}
	return false, nil
}

func (t *Terminal) ask(ctx context.Context, prompt string, echo bool) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	line, err := t.readLine(ctx, prompt, echo)
	if err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil {
		err = fmt.Errorf("asking in the terminal: %w", err)
	}
	return line, err
}

func limit(echo bool) int {
	if echo {
		return maxLine
	}
	return maxSecret
}
