package person_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mcp-valet/internal/person"
)

// screen is the far end of a terminal: what a person sees and types.
type screen struct {
	t      *testing.T
	master *os.File
	tty    *os.File
	seen   bytes.Buffer
}

func newScreen(t *testing.T) *screen {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("needs pseudo-terminals: ", err)
	}
	t.Cleanup(func() { master.Close() })
	raw, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	err = errors.Join(raw.Control(func(fd uintptr) { // not Fd(), after which reads have no deadline
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}), err)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	return &screen{t: t, master: master, tty: tty}
}

// await reads until the person sees text.
func (s *screen) await(text string) {
	s.t.Helper()
	if err := s.master.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	for b := make([]byte, 1024); !strings.Contains(s.seen.String(), text); {
		n, err := s.master.Read(b)
		if err != nil {
			s.t.Fatalf("waiting for %q: %v; seen: %q", text, err, s.seen.String())
		}
		s.seen.Write(b[:n])
	}
}

func (s *screen) typed(text string) {
	s.t.Helper()
	if _, err := s.master.WriteString(text); err != nil {
		s.t.Fatal(err)
	}
}

// wantUsual fails unless the terminal shows and edits what is typed, as shells expect it.
func (s *screen) wantUsual() {
	s.t.Helper()
	mode, err := unix.IoctlGetTermios(int(s.tty.Fd()), unix.TCGETS)
	if err != nil {
		s.t.Fatal(err)
	}
	if mode.Lflag&unix.ECHO == 0 || mode.Lflag&unix.ICANON == 0 {
		s.t.Errorf("the terminal was left with modes %#x", mode.Lflag)
	}
}

type told struct {
	text string
	err  error
}

// ask runs a question; what comes of it is sent.
func ask(f func() (string, error)) <-chan told {
	c := make(chan told, 1)
	go func() {
		text, err := f()
		c <- told{text, err}
	}()
	return c
}

func TestReadSecret(t *testing.T) {
	for _, tt := range []struct {
		name, typed, want string
		err               error
	}{
		{"plain", "s3cr3t-canary\n", "s3cr3t-canary", nil},
		{"enter is a carriage return", "s3cr3t-canary\r", "s3cr3t-canary", nil},
		{"empty", "\n", "", nil},
		{"mended", "xx\x7f\x08s3cr3t-canaé\x7fary\n", "s3cr3t-canaary", nil},
		{"mended beyond its start", "\x7f\x7fs3cr3t-canary\n", "s3cr3t-canary", nil},
		{"begun anew", "wrong\x15s3cr3t-canary\n", "s3cr3t-canary", nil},
		{"longer than a terminal's line", strings.Repeat("s3cr3t-canary", 1000) + "\n", strings.Repeat("s3cr3t-canary", 1000), nil},
		{"ended by ^D", "s3cr3t-canary\x04", "s3cr3t-canary", nil},
		{"no input", "\x04", "", io.EOF},
		{"arrow key", "s3cr3t-canary\x1b[A\n", "", person.ErrControl},
		{"several lines", "s3cr3t-canary\nrm -rf /\n", "", person.ErrTwoLines},
		{"too long", strings.Repeat("s", person.MaxSecret+1) + "canary\n", "", person.ErrTooLong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScreen(t)
			got := ask(func() (string, error) { return person.TerminalOn(s.tty).ReadSecret(t.Context(), "Secret: ") })
			s.await("Secret: ")
			s.typed(tt.typed)
			if g := <-got; g.text != tt.want && tt.err == nil || !errors.Is(g.err, tt.err) {
				t.Errorf("got %.40q, %v", g.text, g.err)
			} else if g.err != nil && strings.Contains(g.err.Error(), "canary") {
				t.Errorf("the error repeats it: %v", g.err)
			}
			s.wantUsual()
			s.await("\r\n")
			if seen := s.seen.String(); seen != "Secret: \r\n" {
				t.Errorf("seen: %q", seen)
			}
			// Nothing is left over for the shell.
			after := ask(func() (string, error) { return person.TerminalOn(s.tty).ReadLine(t.Context(), "shell$ ") })
			s.await("shell$ ")
			s.typed("ls\n")
			if g := <-after; g.text != "ls" || g.err != nil {
				t.Errorf("then the shell gets %q, %v", g.text, g.err)
			}
		})
	}
}

func TestReadSecretEndsWithContext(t *testing.T) {
	s := newScreen(t)
	ctx, cancel := context.WithCancel(t.Context())
	got := ask(func() (string, error) { return person.TerminalOn(s.tty).ReadSecret(ctx, "Secret: ") })
	s.await("Secret: ")
	s.typed("s3cr3t-canary")
	cancel()
	if g := <-got; g.text != "" || !errors.Is(g.err, context.Canceled) {
		t.Errorf("got %q, %v", g.text, g.err)
	}
	s.wantUsual()
	if _, err := person.TerminalOn(s.tty).ReadSecret(ctx, "again: "); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	s.await("\r\n")
	if seen := s.seen.String(); strings.Contains(seen, "canary") || strings.Contains(seen, "again") {
		t.Errorf("seen: %q", seen)
	}
}

func TestReadSecretEndsWithTerminal(t *testing.T) {
	s := newScreen(t)
	got := ask(func() (string, error) { return person.TerminalOn(s.tty).ReadSecret(t.Context(), "Secret: ") })
	s.await("Secret: ")
	s.master.Close()
	if g := <-got; g.text != "" || g.err == nil {
		t.Errorf("got %q, %v", g.text, g.err)
	}
}

func TestReadLine(t *testing.T) {
	s := newScreen(t)
	tty := person.TerminalOn(s.tty)
	got := ask(func() (string, error) { return tty.ReadLine(t.Context(), "Name: ") })
	s.await("Name: ")
	s.typed("Annx\x7f\nand more\n")
	if g := <-got; g.text != "Ann" || g.err != nil {
		t.Errorf("got %q, %v", g.text, g.err)
	}
	if text, err := tty.ReadLine(t.Context(), "More: "); text != "and more" || err != nil {
		t.Errorf("got %q, %v", text, err)
	}
	s.await("Ann")
	got = ask(func() (string, error) { return tty.ReadLine(t.Context(), "End: ") })
	s.await("End: ")
	s.typed("\x04")
	if g := <-got; !errors.Is(g.err, io.EOF) {
		t.Errorf("got %q, %v", g.text, g.err)
	}
}

func TestConfirm(t *testing.T) {
	for typed, want := range map[string]bool{
		"y\n": true, "YES\n": true, " y \n": true, "n\n": false, "\n": false, "no\n": false, "\x04": false,
		"maybe\ny\n": true, "yess\nyep\nja\ny\n": false,
	} {
		t.Run(strconv.Quote(typed), func(t *testing.T) {
			s := newScreen(t)
			got := ask(func() (string, error) {
				yes, err := person.TerminalOn(s.tty).Confirm(t.Context(), "Start it?")
				return strconv.FormatBool(yes), err
			})
			s.await("Start it? [y/N] ")
			s.typed(typed)
			if g := <-got; g.text != strconv.FormatBool(want) || g.err != nil {
				t.Errorf("got %s, %v", g.text, g.err)
			}
		})
	}
	s := newScreen(t)
	ctx, cancel := context.WithCancel(t.Context())
	got := ask(func() (string, error) {
		yes, err := person.TerminalOn(s.tty).Confirm(ctx, "Start it?")
		return strconv.FormatBool(yes), err
	})
	s.await("[y/N] ")
	s.typed("y")
	cancel()
	if g := <-got; g.text != "false" || !errors.Is(g.err, context.Canceled) {
		t.Errorf("got %s, %v", g.text, g.err)
	}
}

func init() {
	// A program at a terminal of its own: it asks for a secret and reports on stdout.
	roles["asks"] = func() int {
		tty, err := person.OpenTerminal()
		if err != nil {
			fmt.Printf("no terminal: %v\n", errors.Is(err, person.ErrNoTerminal) && !person.Interactive())
			return 0
		}
		defer tty.Close()
		secret, err := tty.ReadSecret(context.Background(), "Secret: ")
		fmt.Printf("%q interrupted: %v cancelled: %v\n", secret, errors.Is(err, person.ErrInterrupted), errors.Is(err, context.Canceled))
		return 0
	}
	// A program that starts another as a job in the background.
	roles["shell"] = func() int {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "PERSON_TEST_ROLE=asks")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if cmd.Run() != nil {
			return 3
		}
		return 0
	}
}

// program is a run of this binary in a role, at the terminal s, with stdin and stdout elsewhere.
func program(t *testing.T, s *screen, role string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), self(t))
	cmd.Env = append(os.Environ(), "PERSON_TEST_ROLE="+role)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, s.tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 2}
	return cmd, &out
}

func TestInterruptRestoresEcho(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(*screen, *os.Process)
		want string
	}{
		"answer": {func(s *screen, _ *os.Process) { s.typed("s3cr3t-canary\n") }, `"s3cr3t-canary" interrupted: false cancelled: false`},
		"^C":     {func(s *screen, _ *os.Process) { s.typed("s3cr3t-canary\x03") }, `"" interrupted: true cancelled: true`},
		"SIGTERM": {func(s *screen, p *os.Process) {
			s.typed("s3cr3t-canary")
			_ = p.Signal(syscall.SIGTERM)
		}, `"" interrupted: true cancelled: true`},
		"stopped and resumed": {func(s *screen, p *os.Process) {
			// What a shell does meanwhile to the terminal.
			mode, err := unix.IoctlGetTermios(int(s.tty.Fd()), unix.TCGETS)
			if err != nil {
				s.t.Fatal(err)
			}
			mode.Lflag |= unix.ECHO | unix.ICANON
			if err := unix.IoctlSetTermios(int(s.tty.Fd()), unix.TCSETS, mode); err != nil {
				s.t.Fatal(err)
			}
			_ = p.Signal(syscall.SIGCONT)
			s.awaitSilence()
			s.typed("s3cr3t-canary\n")
		}, `"s3cr3t-canary" interrupted: false cancelled: false`},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScreen(t)
			cmd, out := program(t, s, "asks")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			s.await("Secret: ")
			tt.end(s, cmd.Process)
			if err := cmd.Wait(); err != nil {
				t.Fatal(err)
			}
			if got := strings.TrimSpace(out.String()); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			s.wantUsual()
			s.await("\r\n")
			if seen := s.seen.String(); strings.Contains(seen, "canary") {
				t.Errorf("seen: %q", seen)
			}
		})
	}
}

// awaitSilence waits until the terminal does not show what is typed.
func (s *screen) awaitSilence() {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		mode, err := unix.IoctlGetTermios(int(s.tty.Fd()), unix.TCGETS)
		if err != nil {
			s.t.Fatal(err)
		}
		if mode.Lflag&unix.ECHO == 0 {
			return
		}
	}
	s.t.Fatal("the terminal shows what is typed")
}

func TestOpenTerminalNeedsPerson(t *testing.T) {
	const none = "no terminal: true"
	for name, change := range map[string]func(*exec.Cmd){
		"stderr elsewhere":        func(c *exec.Cmd) { c.Stderr, c.Stdin, c.SysProcAttr.Ctty = io.Discard, nil, 0 },
		"no controlling terminal": func(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setsid: true} },
		"job in the background":   func(c *exec.Cmd) { c.Env = append(c.Env, "PERSON_TEST_ROLE=shell") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScreen(t)
			cmd, out := program(t, s, "asks")
			change(cmd)
			if name == "stderr elsewhere" {
				cmd.Stdin = s.tty
			}
			if err := cmd.Run(); err != nil {
				t.Fatal(err)
			}
			if got := strings.TrimSpace(out.String()); got != none {
				t.Errorf("got %q", got)
			}
		})
	}
	if person.IsTerminal(nil) {
		t.Error("no file is a terminal")
	}
}
