package person_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"mcp-valet/internal/person"
)

func init() {
	// The opener that has become the browser: it says good-bye when the test lets go of it, if it is still there.
	roles["stays"] = func() int {
		hold, err := os.Open(os.Getenv("HOLD"))
		if err != nil {
			return 3
		}
		if _, err := io.ReadFull(hold, make([]byte, 1)); err != nil {
			return 3
		}
		if os.WriteFile(os.Getenv("REPORT"), []byte("good-bye"), 0o600) != nil {
			return 3
		}
		return 0
	}
}

func TestOpenerThatStaysIsLeftAlone(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name string
		ctx  context.Context
		wait time.Duration
		want error
	}{
		{"time is over", t.Context(), time.Millisecond, nil},
		{"context is over", cancelled, time.Minute, context.Canceled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			hold, report := filepath.Join(dir, "hold"), filepath.Join(dir, "report")
			if err := errors.Join(syscall.Mkfifo(hold, 0o600), syscall.Mkfifo(report, 0o600)); err != nil {
				t.Fatal(err)
			}
			held, err := os.OpenFile(hold, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer held.Close()
			t.Setenv("PERSON_TEST_ROLE", "stays")
			t.Setenv("HOLD", hold)
			t.Setenv("REPORT", report)
			if err := person.StartOpener(tt.ctx, []string{self(t)}, tt.wait); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if _, err := held.WriteString("x"); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(report)
			if err != nil || string(b) != "good-bye" {
				t.Errorf("got %q, %v", b, err)
			}
		})
	}
}

func TestOpenerNeedsDisplay(t *testing.T) {
	env := map[string]string{"SSH_CONNECTION": "x", "BROWSER": "evil %s"}
	getenv := func(name string) string { return env[name] }
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	if argv, err := person.Opener(getenv); !errors.Is(err, person.ErrNoDisplay) {
		t.Errorf("got %v, %v", argv, err)
	}
	for _, display := range []string{"DISPLAY", "WAYLAND_DISPLAY"} {
		env = map[string]string{display: ":0", "BROWSER": "evil %s"}
		if argv, err := person.Opener(getenv); !errors.Is(err, person.ErrNoBrowser) {
			t.Errorf("got %v, %v", argv, err)
		}
	}
	program := filepath.Join(bin, "xdg-open")
	if err := os.WriteFile(program, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	if argv, err := person.Opener(getenv); err != nil || len(argv) != 1 || argv[0] != program {
		t.Errorf("got %v, %v", argv, err)
	}
	// A program that lies in the current folder is anybody's.
	t.Chdir(bin)
	t.Setenv("PATH", ".")
	if argv, err := person.Opener(getenv); !errors.Is(err, person.ErrNoBrowser) {
		t.Errorf("got %v, %v", argv, err)
	}
}
