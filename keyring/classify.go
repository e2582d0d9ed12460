package keyring

import (
	"errors"
	"io"
	"net"
	"os/exec"
	"strings"

	"github.com/godbus/dbus/v5"
	gokeyring "github.com/zalando/go-keyring"
)

// classify says which sentinel an error of go-keyring comes to. It exports two
// sentinels of its own; the rest is told by type, number and text.
func classify(err error) error {
	if err == nil {
		return nil
	}
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	return fail(sentinelOf(err), err)
}

func sentinelOf(err error) error {
	var busErr dbus.Error
	var exit interface{ ExitCode() int } // *exec.ExitError
	switch {
	case errors.Is(err, gokeyring.ErrNotFound):
		return ErrNotFound
	case errors.Is(err, gokeyring.ErrSetDataTooBig):
		return ErrFull
	case errors.As(err, &busErr):
		return sentinelOfName(busErr.Name)
	case errors.As(err, &exit):
		return sentinelOfExit(exit.ExitCode())
	}
	if s := sentinelOfErrno(err); s != nil {
		return s
	}
	return sentinelOfText(err.Error())
}

// dbusNames are the D-Bus errors that do not simply mean "unavailable".
var dbusNames = map[string]error{
	"org.freedesktop.Secret.Error.IsLocked":       ErrLocked,
	"org.freedesktop.DBus.Error.NoReply":          ErrTimeout,
	"org.freedesktop.DBus.Error.Timeout":          ErrTimeout,
	"org.freedesktop.DBus.Error.TimedOut":         ErrTimeout,
	"org.freedesktop.DBus.Error.LimitsExceeded":   ErrFull,
	"org.freedesktop.DBus.Error.NoMemory":         ErrFull,
	"org.gnome.keyring.Error.Denied":              ErrLocked,
	"org.freedesktop.Secret.Error.NoSuchObject":   ErrNotFound, // gone between search and read
	"org.freedesktop.DBus.Error.ServiceUnknown":   ErrUnavailable,
	"org.freedesktop.DBus.Error.NameHasNoOwner":   ErrUnavailable,
	"org.freedesktop.DBus.Error.AccessDenied":     ErrUnavailable,
	"org.freedesktop.DBus.Error.Spawn.ExecFailed": ErrUnavailable,
}

func sentinelOfName(name string) error {
	if s, ok := dbusNames[name]; ok {
		return s
	}
	return ErrUnavailable
}

// securityExits are the exit codes of macOS's security tool: an OSStatus of
// Security/SecBase.h modulo 256.
var securityExits = map[int]error{
	44:  ErrNotFound,    // errSecItemNotFound -25300
	36:  ErrLocked,      // errSecInteractionNotAllowed -25308: locked, nobody may be asked (SSH)
	29:  ErrLocked,      // errSecInteractionRequired -25315
	51:  ErrLocked,      // errSecAuthFailed -25293: wrong password, or access refused
	128: ErrLocked,      // userCanceledErr -128: the person closed the prompt
	24:  ErrLocked,      // errSecInDarkWake -25320
	222: ErrFull,        // dskFulErr -34
	37:  ErrUnavailable, // errSecNoDefaultKeychain -25307
	49:  ErrUnavailable, // errSecInvalidKeychain -25295
	50:  ErrUnavailable, // errSecNoSuchKeychain -25294
	52:  ErrUnavailable, // errSecReadOnly -25292
	53:  ErrUnavailable, // errSecNotAvailable -25291
}

func sentinelOfExit(code int) error {
	if s, ok := securityExits[code]; ok {
		return s
	}
	return ErrUnavailable
}

// windowsErrors are the numbers CredRead, CredWrite and CredDelete give.
var windowsErrors = map[uintptr]error{
	1168: ErrNotFound,    // ERROR_NOT_FOUND
	8:    ErrFull,        // ERROR_NOT_ENOUGH_MEMORY
	14:   ErrFull,        // ERROR_OUTOFMEMORY
	112:  ErrFull,        // ERROR_DISK_FULL
	1783: ErrFull,        // RPC_X_BAD_STUB_DATA: value too large
	1816: ErrFull,        // ERROR_NOT_ENOUGH_QUOTA
	258:  ErrTimeout,     // WAIT_TIMEOUT
	1460: ErrTimeout,     // ERROR_TIMEOUT
	1312: ErrUnavailable, // ERROR_NO_SUCH_LOGON_SESSION: a service, or a logon over the network
	5:    ErrUnavailable, // ERROR_ACCESS_DENIED
	1058: ErrUnavailable, // ERROR_SERVICE_DISABLED
	1062: ErrUnavailable, // ERROR_SERVICE_NOT_ACTIVE
	1722: ErrUnavailable, // RPC_S_SERVER_UNAVAILABLE
}

func sentinelOfWindows(number uintptr) error {
	if s, ok := windowsErrors[number]; ok {
		return s
	}
	return ErrUnavailable
}

// texts are pieces of messages that come without a type, first match wins.
var texts = []struct {
	piece    string
	sentinel error
}{
	{"failed to unlock correct collection", ErrLocked}, // go-keyring: locked, or no keyring was ever made
	{"cannot get secret of a locked object", ErrLocked},
	{"user interaction is not allowed", ErrLocked},
	{"the user name or passphrase you entered is not correct", ErrLocked},
	{"input exceeds array size limitation", ErrFull},
	{"no space left", ErrFull},
}

func sentinelOfText(text string) error {
	text = strings.ToLower(text)
	for _, t := range texts {
		if strings.Contains(text, t.piece) {
			return t.sentinel
		}
	}
	return ErrUnavailable
}

// cutShort reports whether a call that failed may have done its work: the
// keychain was asked, and no answer of its own came back.
func cutShort(err error) bool {
	var never unsent
	var notStarted *exec.Error
	var netErr *net.OpError
	switch {
	case err == nil, errors.As(err, &never), errors.As(err, &notStarted):
		return false
	case errors.As(err, &netErr):
		return netErr.Op != "dial"
	}
	return errors.Is(err, errBroken) || errors.Is(err, dbus.ErrClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, ErrTimeout) || errors.Is(sentinelOf(err), ErrTimeout)
}
