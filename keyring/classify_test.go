package keyring_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"syscall"
	"testing"

	"github.com/godbus/dbus/v5"
	gokeyring "github.com/zalando/go-keyring"

	"mcp-valet/keyring"
)

type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }
func (e exitStatus) ExitCode() int { return int(e) }

func busError(name, text string) error { return dbus.Error{Name: name, Body: []any{text}} }

func netError(op string, err error) error {
	return &net.OpError{Op: op, Net: "unix", Err: err}
}

func TestClassify(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want error
		cut  bool // the call may have done its work
	}{
		{"missing item", gokeyring.ErrNotFound, keyring.ErrNotFound, false},
		{"too big", gokeyring.ErrSetDataTooBig, keyring.ErrFull, false},
		{"other system", gokeyring.ErrUnsupportedPlatform, keyring.ErrUnavailable, false},

		{"no dbus-launch", &exec.Error{Name: "dbus-launch", Err: exec.ErrNotFound}, keyring.ErrUnavailable, false},
		{"stale bus address", netError("dial", syscall.ENOENT), keyring.ErrUnavailable, false},
		{"no secret service", busError("org.freedesktop.DBus.Error.ServiceUnknown", "The name org.freedesktop.secrets was not provided by any .service files"), keyring.ErrUnavailable, false},
		{"service does not start", busError("org.freedesktop.DBus.Error.Spawn.ChildExited", "exited"), keyring.ErrUnavailable, false},
		{"locked, no display", errors.New("failed to unlock correct collection '/org/freedesktop/secrets/collection/login'"), keyring.ErrLocked, false},
		{"no keyring ever made", errors.New("failed to unlock correct collection '/org/freedesktop/secrets/aliases/default'"), keyring.ErrLocked, false},
		{"locked item", busError("org.freedesktop.Secret.Error.IsLocked", "Cannot get secret of a locked object"), keyring.ErrLocked, false},
		{"item just deleted", busError("org.freedesktop.Secret.Error.NoSuchObject", "gone"), keyring.ErrNotFound, false},
		{"service died in the call", busError("org.freedesktop.DBus.Error.NoReply", "Message recipient disconnected from message bus without replying"), keyring.ErrTimeout, true},
		{"bus is full", busError("org.freedesktop.DBus.Error.LimitsExceeded", "too many"), keyring.ErrFull, false},
		{"value beyond the wire's limit", errors.New("dbus: wire format error: input exceeds array size limitation"), keyring.ErrFull, false},
		{"bus closed by us", dbus.ErrClosed, keyring.ErrUnavailable, true},
		{"bus gone", io.EOF, keyring.ErrUnavailable, true},
		{"bus gone while reading", netError("read", syscall.ECONNRESET), keyring.ErrUnavailable, true},
		{"go-keyring panicked", keyring.ErrBroken, keyring.ErrUnavailable, true},
		{"bus gone before the call", keyring.Unsent(io.EOF), keyring.ErrUnavailable, false},

		{"macOS: missing item", exitStatus(44), keyring.ErrNotFound, false},
		{"macOS: no interaction allowed", exitStatus(36), keyring.ErrLocked, false},
		{"macOS: wrong password", exitStatus(51), keyring.ErrLocked, false},
		{"macOS: prompt closed", exitStatus(128), keyring.ErrLocked, false},
		{"macOS: no default keychain", exitStatus(37), keyring.ErrUnavailable, false},
		{"macOS: read-only", exitStatus(52), keyring.ErrUnavailable, false},
		{"macOS: anything else", exitStatus(1), keyring.ErrUnavailable, false},
		{"macOS: disk full", exitStatus(222), keyring.ErrFull, false},
		{"macOS: in words", errors.New("SecKeychainItemCopyContent: User interaction is not allowed."), keyring.ErrLocked, false},
		{"macOS: no security tool", &exec.Error{Name: "/usr/bin/security", Err: exec.ErrNotFound}, keyring.ErrUnavailable, false},

		{"wrapped", fmt.Errorf("outer: %w", gokeyring.ErrNotFound), keyring.ErrNotFound, false},
		{"anything else", errors.New("???"), keyring.ErrUnavailable, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := keyring.Classify(tt.err)
			var e *keyring.Error
			if !errors.As(got, &e) || e.Err != tt.want || e.Cause.Error() != tt.err.Error() {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if cut := keyring.CutShort(tt.err); cut != tt.cut {
				t.Errorf("cut short: got %v, want %v", cut, tt.cut)
			}
		})
	}
	if keyring.Classify(nil) != nil || keyring.CutShort(nil) {
		t.Error("no error is taken for one")
	}
}

func TestClassifyWindowsNumbers(t *testing.T) {
	for number, want := range map[uintptr]error{
		1168: keyring.ErrNotFound,
		1312: keyring.ErrUnavailable, // ERROR_NO_SUCH_LOGON_SESSION
		5:    keyring.ErrUnavailable,
		1783: keyring.ErrFull,
		8:    keyring.ErrFull,
		112:  keyring.ErrFull,
		1460: keyring.ErrTimeout,
		1722: keyring.ErrUnavailable,
		4242: keyring.ErrUnavailable,
	} {
		if got := keyring.SentinelOfWindows(number); got != want {
			t.Errorf("%d: got %v, want %v", number, got, want)
		}
	}
}
