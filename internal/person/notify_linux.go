package person

import (
	"context"
	"fmt"
	"html"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	desktop "github.com/esiqveland/notify"
	"github.com/godbus/dbus/v5"
)

const notifyTime = 3 * time.Second

// notify speaks to the notification service of the session (the desktop notifications specification 1.2), on a
// connection of its own, which ends with ctx.
func notify(ctx context.Context, title, text string) error {
	address, err := sessionBus(os.Getenv)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := dbus.Connect(address, dbus.WithContext(ctx))
	if err != nil {
		return noNotifications(ctx, err)
	}
	defer conn.Close() // nothing more is wanted of it
	can, err := desktop.GetCapabilities(conn)
	if err != nil {
		return noNotifications(ctx, err)
	}
	n := desktop.Notification{AppName: "mcp-valet", Summary: title, Body: text, ExpireTimeout: desktop.ExpireTimeoutSetByNotificationServer}
	if slices.Contains(can, "body-markup") {
		n.Body = html.EscapeString(text)
	}
	// "Critical notifications should not automatically expire": it holds what the person needs in the next minutes.
	n.SetUrgency(desktop.UrgencyCritical)
	if _, err := desktop.SendNotification(conn, n); err != nil {
		return noNotifications(ctx, err)
	}
	return nil
}

func noNotifications(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err() // the connection was closed for that
	}
	return fmt.Errorf("%w: %w", ErrNoNotifications, err)
}

// runRoot is where the login manager makes the users' runtime folders.
var runRoot = "/run/user"

// sessionBus is the address of the person's session bus, which a client may not have told us. One that is not of this
// machine is none of theirs; where there is none, godbus would start one, on which nobody listens.
func sessionBus(getenv func(string) string) (string, error) {
	if address := getenv("DBUS_SESSION_BUS_ADDRESS"); strings.HasPrefix(address, "unix:") {
		return address, nil
	}
	dirs := []string{filepath.Join(runRoot, strconv.Itoa(os.Geteuid()))}
	if dir := getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		dirs = append([]string{dir}, dirs...)
	}
	for _, dir := range dirs {
		if socket := filepath.Join(dir, "bus"); ownSocket(socket) {
			return "unix:path=" + dbus.EscapeBusAddressValue(socket), nil
		}
	}
	return "", fmt.Errorf("%w: no D-Bus session bus", ErrNoNotifications)
}

// ownSocket: somebody else's bus would be told the code.
func ownSocket(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != fs.ModeSocket {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}
