package person_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"mcp-valet/internal/person"
)

// bareBus is a session bus that starts no services, so that none of this machine answers.
const bareBus = `<busconfig><type>session</type><listen>unix:path=%s</listen>
<policy context="default"><allow send_destination="*" eavesdrop="false"/><allow receive_sender="*"/><allow own="*"/></policy></busconfig>`

// startBus starts a session bus on a socket.
func startBus(t *testing.T, socket string) {
	t.Helper()
	if _, err := exec.LookPath("dbus-daemon"); err != nil {
		const hint = "dbus-daemon is missing: apt-get install dbus"
		if os.Getenv("CI") == "true" {
			t.Fatal(hint)
		}
		t.Skip(hint)
	}
	config := filepath.Join(t.TempDir(), "bus.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, bareBus, socket), 0o600); err != nil {
		t.Fatal(err)
	}
	bus := exec.Command("dbus-daemon", "--config-file="+config, "--nofork", "--nopidfile", "--print-address")
	out, err := bus.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := bus.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		bus.Process.Kill() // it has no more to do
		bus.Wait()
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the bus does not start: %v", err)
	}
}

// noticeBoard is a notification service. Its exported methods are those of the specification.
type noticeBoard struct {
	capabilities []string
	silent       chan struct{} // not nil: Notify hangs until it is closed

	mu    sync.Mutex
	notes []note
}

type note struct {
	app, title, text string
	urgency          any
	timeout          int32
	actions          []string
}

func (b *noticeBoard) GetCapabilities() ([]string, *dbus.Error) { return b.capabilities, nil }

func (b *noticeBoard) Notify(app string, _ uint32, _, title, text string, actions []string, hints map[string]dbus.Variant, timeout int32) (uint32, *dbus.Error) {
	if b.silent != nil {
		<-b.silent
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.notes = append(b.notes, note{app, title, text, hints["urgency"].Value(), timeout, actions})
	return 1, nil
}

func (b *noticeBoard) last(t *testing.T) note {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.notes) == 0 {
		t.Fatal("nothing was shown")
	}
	return b.notes[len(b.notes)-1]
}

// serve puts the board on the bus.
func (b *noticeBoard) serve(t *testing.T, socket string) *dbus.Conn {
	t.Helper()
	conn, err := dbus.Connect("unix:path=" + socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.Export(b, "/org/freedesktop/Notifications", "org.freedesktop.Notifications"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.RequestName("org.freedesktop.Notifications", dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	return conn
}

// clientEnvironment is what a client hands on: no bus, no runtime folder.
func clientEnvironment(t *testing.T, runRoot string) {
	t.Helper()
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
	t.Setenv("XDG_RUNTIME_DIR", "")
	t.Cleanup(person.SetRunRoot(runRoot))
}

// socketDir is a folder whose name is short enough for a socket in it.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bus")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) }) // what is left is the system's to tidy up
	return dir
}

func TestNotify(t *testing.T) {
	run := socketDir(t)
	own := filepath.Join(run, fmt.Sprint(os.Geteuid()))
	if err := os.Mkdir(own, 0o700); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(own, "bus")
	startBus(t, socket)
	board := &noticeBoard{}
	conn := board.serve(t, socket)
	clientEnvironment(t, run)

	if err := person.Notify(t.Context(), "mcp-valet: sign in", "Open https://idp.test/?a=1&b=2 and enter\nthe code ABCD-EFGH.\x1b[31m <b>!</b>"); err != nil {
		t.Fatal(err)
	}
	got := board.last(t)
	if got.app != "mcp-valet" || got.title != "mcp-valet: sign in" || got.urgency != byte(2) || got.timeout != -1 || len(got.actions) != 0 {
		t.Errorf("got %+v", got)
	}
	if want := "Open https://idp.test/?a=1&b=2 and enter the code ABCD-EFGH. <b>!</b>"; got.text != want {
		t.Errorf("got %q, want %q", got.text, want)
	}
	if err := person.Notify(t.Context(), strings.Repeat("t", 1000), strings.Repeat("x", 10000)); err != nil {
		t.Fatal(err)
	}
	if got := board.last(t); len([]rune(got.title)) != 80 || len([]rune(got.text)) != 400 {
		t.Errorf("%d and %d characters", len(got.title), len(got.text))
	}
	// The connections were closed, and the bus hears of it soon.
	for end := time.Now().Add(10 * time.Second); others(t, conn) > 0; {
		if time.Now().After(end) {
			t.Fatal("a connection was left open")
		}
	}
}

// others is how many programs besides conn are on its bus.
func others(t *testing.T, conn *dbus.Conn) (n int) {
	t.Helper()
	var names []string
	if err := conn.BusObject().Call("org.freedesktop.DBus.ListNames", 0).Store(&names); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, ":") && name != conn.Names()[0] {
			n++
		}
	}
	return n
}

// A service that reads markup gets the text as text.
func TestNotifyMarkup(t *testing.T) {
	socket := filepath.Join(socketDir(t), "bus")
	startBus(t, socket)
	board := &noticeBoard{capabilities: []string{"body", "body-markup"}}
	board.serve(t, socket)
	clientEnvironment(t, t.TempDir())
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+socket)
	if err := person.Notify(t.Context(), "title", `<a href="https://evil.test">x</a> & y`); err != nil {
		t.Fatal(err)
	}
	if got := board.last(t); got.text != `&lt;a href=&#34;https://evil.test&#34;&gt;x&lt;/a&gt; &amp; y` {
		t.Errorf("got %q", got.text)
	}
}

// Whatever does not answer is given up, and says so.
func TestNotifyWithoutAnswer(t *testing.T) {
	dir := socketDir(t)
	clientEnvironment(t, filepath.Join(dir, "nowhere"))
	if err := person.Notify(t.Context(), "title", "text"); !errors.Is(err, person.ErrNoNotifications) {
		t.Errorf("no bus: %v", err)
	}
	for _, address := range []string{"autolaunch:", "tcp:host=127.0.0.1,port=1", "unixexec:path=/bin/false", "unix:path=" + filepath.Join(dir, "gone")} {
		t.Setenv("DBUS_SESSION_BUS_ADDRESS", address)
		if err := person.Notify(t.Context(), "title", "text"); !errors.Is(err, person.ErrNoNotifications) {
			t.Errorf("%s: %v", address, err)
		}
	}
	deaf, err := net.Listen("unix", filepath.Join(dir, "deaf"))
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	socket := filepath.Join(dir, "bus")
	startBus(t, socket)
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+socket)
	if err := person.Notify(t.Context(), "title", "text"); !errors.Is(err, person.ErrNoNotifications) {
		t.Errorf("no service: %v", err)
	}
	board := &noticeBoard{silent: make(chan struct{})}
	board.serve(t, socket)
	defer close(board.silent)
	for _, at := range []string{"deaf", "bus"} {
		t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+filepath.Join(dir, at))
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		begun := time.Now()
		if err := person.Notify(ctx, "title", "text"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", at, err)
		}
		cancel()
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("%s: it took %v", at, took)
		}
	}
}

// Somebody else's socket, or something that is none, is no bus of ours.
func TestSessionBus(t *testing.T) {
	dir := socketDir(t)
	defer person.SetRunRoot(filepath.Join(dir, "nowhere"))()
	env := map[string]string{"XDG_RUNTIME_DIR": dir}
	getenv := func(name string) string { return env[name] }
	if err := os.WriteFile(filepath.Join(dir, "bus"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if address, err := person.SessionBus(getenv); err == nil {
		t.Errorf("a plain file was taken for a bus: %s", address)
	}
	if err := os.Remove(filepath.Join(dir, "bus")); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "bus"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if address, err := person.SessionBus(getenv); err != nil || address != "unix:path="+filepath.Join(dir, "bus") {
		t.Errorf("got %s, %v", address, err)
	}
	env["XDG_RUNTIME_DIR"] = "relative"
	if address, err := person.SessionBus(getenv); err == nil {
		t.Errorf("got %s", address)
	}
}
