package keyring

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"github.com/godbus/dbus/v5"
)

// ignoresCase: the Secret Service compares attributes as they are.
const ignoresCase = false

const busVariable = "DBUS_SESSION_BUS_ADDRESS"

var errNoBus = errors.New("no D-Bus session bus: " + busVariable + " is not set and the runtime folder has no bus")

// connectKeychain finds the session bus and connects to it before go-keyring
// does, which shares the connection. Closing it makes a call under way return;
// the next call then connects afresh.
func connectKeychain() (hangUp func(), err error) {
	if err := findBus(); err != nil {
		return nil, fail(ErrUnavailable, err)
	}
	conn, err := dbus.SessionBus()
	if err != nil {
		return nil, classify(err)
	}
	return func() { conn.Close() }, nil // closing is all we want; how it went changes nothing
}

// isOpen tells whether the keychain is surely not locked, and isLocked whether it surely is.
func isOpen() bool {
	locked, known := lockedNow()
	return known && !locked
}

func isLocked() bool {
	locked, known := lockedNow()
	return known && locked
}

// lockedNow looks at the collection that go-keyring would take: the one called login, else the default one.
func lockedNow() (locked, known bool) {
	conn, err := dbus.SessionBus()
	if err != nil {
		return false, false
	}
	for _, path := range []dbus.ObjectPath{"/org/freedesktop/secrets/collection/login", "/org/freedesktop/secrets/aliases/default"} {
		v, err := conn.Object("org.freedesktop.secrets", path).GetProperty("org.freedesktop.Secret.Collection.Locked")
		if locked, ok := v.Value().(bool); err == nil && ok {
			return locked, true
		}
	}
	return false, false
}

var busMutex sync.Mutex

// findBus makes the session bus known where the client that started us handed
// on no environment. Without it godbus would run dbus-launch, which starts a
// private bus, and on that an empty keychain: worse than none.
//
// The variable is the only way to tell godbus where its shared connection goes
// (it sets the variable itself when it finds a bus). It is set here alone, once,
// to what the session would have given, so that it does no harm to whoever reads it.
func findBus() error {
	busMutex.Lock()
	defer busMutex.Unlock()
	if address := os.Getenv(busVariable); address != "" && address != "autolaunch:" {
		return nil
	}
	for _, dir := range runtimeDirs() {
		socket := filepath.Join(dir, "bus")
		if ownSocket(socket) {
			return os.Setenv(busVariable, "unix:path="+dbus.EscapeBusAddressValue(socket))
		}
	}
	return errNoBus
}

// runRoot is where the login manager makes the users' runtime folders.
var runRoot = "/run/user"

func runtimeDirs() []string {
	var dirs []string
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		dirs = append(dirs, dir)
	}
	return append(dirs, filepath.Join(runRoot, strconv.Itoa(os.Geteuid())))
}

// ownSocket: somebody else's bus would be handed our secrets.
func ownSocket(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != fs.ModeSocket {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// sentinelOfErrno has nothing to add: on Linux numbers come from the
// connection to the bus, and they all mean that it is not there.
func sentinelOfErrno(error) error { return nil }
