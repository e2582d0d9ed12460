package keyring_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"mcp-valet/keyring"
)

// The tests of this file and of fakeservice_linux_test.go run again inside a
// D-Bus session of their own, with a home of their own.
const sessionVariable = "KEYRING_TEST_SESSION"

// bareBus is a session bus that starts no services.
const bareBus = `<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen>
<policy context="default"><allow send_destination="*" eavesdrop="false"/><allow receive_sender="*"/><allow own="*"/></policy></busconfig>`

func needTools(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			const hint = "%s is missing: apt-get install gnome-keyring dbus libsecret-tools"
			if os.Getenv("CI") == "true" {
				t.Fatalf(hint, tool)
			}
			t.Skipf(hint, tool)
		}
	}
}

// inSession reports whether the test is inside. Outside, it runs it there.
func inSession(t *testing.T, config string) bool {
	t.Helper()
	if os.Getenv(sessionVariable) == t.Name() {
		return true
	}
	needTools(t, "dbus-run-session", "gnome-keyring-daemon", "secret-tool")
	t.Parallel() // out here nothing is shared
	home := t.TempDir()
	run := filepath.Join(home, "run")
	if err := os.Mkdir(run, 0o700); err != nil {
		t.Fatal(err)
	}
	args := []string{"--", os.Args[0], "-test.v", "-test.timeout=90s", "-test.run=^" + t.Name() + "$"}
	if config != "" {
		file := filepath.Join(home, "bus.conf")
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append([]string{"--config-file=" + file}, args...)
	}
	// A file, not a pipe: a daemon that outlives the session would hold a pipe open.
	out, err := os.Create(filepath.Join(home, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.CommandContext(t.Context(), "dbus-run-session", args...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_RUNTIME_DIR=" + run, "TMPDIR=" + home,
		"XDG_DATA_HOME=" + filepath.Join(home, "data"), sessionVariable + "=" + t.Name(), "CI=" + os.Getenv("CI"),
	}
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	text, _ := os.ReadFile(out.Name())
	if err != nil || !strings.Contains(string(text), "--- PASS: "+t.Name()+" ") {
		t.Fatalf("inside the session: %v\n%s", err, text)
	}
	return false
}

// startDaemon starts an unlocked gnome-keyring and waits until it serves.
func startDaemon(t *testing.T) *os.Process {
	t.Helper()
	cmd := exec.Command("gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets")
	cmd.Stdin = strings.NewReader("password")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	secrets := service(t)
	await(t, "the login collection", func() bool {
		// Without auto-start: the bus would start a second daemon, a locked one.
		call := secrets.Call("org.freedesktop.DBus.Properties.Get", dbus.FlagNoAutoStart,
			"org.freedesktop.Secret.Service", "Collections")
		return call.Err == nil && strings.Contains(fmt.Sprint(call.Body...), login)
	})
	return cmd.Process
}

const login = "/org/freedesktop/secrets/collection/login"

// await polls for a state of another program, which nothing announces.
func await(t *testing.T, what string, reached func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !reached(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// privateBus is a connection that the keychain under test does not share.
func privateBus(t *testing.T) *dbus.Conn {
	t.Helper()
	conn, err := dbus.ConnectSessionBus()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func service(t *testing.T) dbus.BusObject {
	return privateBus(t).Object("org.freedesktop.secrets", "/org/freedesktop/secrets")
}

// long is a time limit that no working part runs into, however busy the
// machine; short is for parts that hang.
const (
	long  = 20 * time.Second
	short = 500 * time.Millisecond
)

func openReal(t *testing.T, dir string, limit time.Duration) *keyring.Store {
	t.Helper()
	s, err := keyring.Open(keyring.Options{StateDir: dir, Timeout: limit})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// within checks an error and that it came in time.
func within(t *testing.T, d time.Duration, call func() error, want ...error) {
	t.Helper()
	start := time.Now()
	err := call()
	if took := time.Since(start); took > d {
		t.Errorf("took %s, at most %s wanted (%v)", took, d, err)
	}
	for _, w := range want {
		if (err == nil) == (w == nil) && (w == nil || isError(err, w)) {
			return
		}
	}
	t.Errorf("got %v, want one of %v", err, want)
}

func secretTool(t *testing.T, user string) string {
	t.Helper()
	out, err := exec.Command("secret-tool", "lookup", "service", "mcp-valet", "username", user).Output()
	if err != nil {
		t.Fatalf("secret-tool: %v", err)
	}
	return string(out)
}

func TestRealKeychainRoundTrip(t *testing.T) {
	if !inSession(t, "") {
		return
	}
	startDaemon(t)
	dir := stateDir(t)
	s := openReal(t, dir, long)
	within(t, long, func() error { _, err := s.Get(t.Context(), work); return err }, keyring.ErrNotFound)
	value := "multi\nline ☃ \x01 " + sample
	mustSet(t, s, work, value)
	wantRecord(t, s, work, value)
	if got, want := secretTool(t, "account/work"), "mcp-valet/1 inline\n"+value; got != want {
		t.Errorf("secret-tool reads %q, want %q", got, want)
	}

	big := strings.Repeat("0123456789abcdef", 4096)
	mustSet(t, s, work, big)
	wantRecord(t, s, work, big)
	if got := secretTool(t, "account/work"); !strings.HasPrefix(got, "mcp-valet/1 sealed 1 AGE-SECRET-KEY-1") {
		t.Errorf("secret-tool reads %.40q", got)
	}
	mustSet(t, s, work, strings.Repeat("x", 2300))
	if names := filesIn(t, filepath.Join(dir, "records")); len(names) != 0 {
		t.Errorf("left over: %v", names)
	}

	c := someCredential()
	if err := s.SaveCredential(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Credential(t.Context(), "work"); err != nil || !sameCredential(got, c) {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := s.Delete(t.Context(), work); err != nil {
		t.Error(err)
	}
	within(t, long, func() error { _, err := s.Get(t.Context(), work); return err }, keyring.ErrNotFound)
}

// TestRealKeychainAhead holds that records read at once are those that would be read one by one, each given once.
func TestRealKeychainAhead(t *testing.T) {
	if !inSession(t, "") {
		return
	}
	startDaemon(t)
	s := openReal(t, stateDir(t), long)
	token, none := keyring.SecretKey("kb", "TOKEN"), keyring.SecretKey("kb", "NONE")
	mustSet(t, s, work, sample)
	mustSet(t, s, token, strings.Repeat("long ", 2000)) // more than an item takes
	view := s.Ahead(t.Context(), work, token, none)
	if view == s {
		t.Fatal("an open keychain is not read ahead")
	}
	mustSet(t, s, work, "newer")
	wantValue(t, view, work, sample) // as it was found
	wantValue(t, view, work, "newer")
	wantValue(t, view, token, strings.Repeat("long ", 2000))
	within(t, long, func() error { _, err := view.Get(t.Context(), none); return err }, keyring.ErrNotFound)

	view = s.Ahead(t.Context(), work, token)
	mustSet(t, view, work, "changed through it")
	wantValue(t, view, work, "changed through it")

	if s.Ahead(t.Context(), work) != s {
		t.Error("one record alone is read ahead")
	}
	if err := service(t).Call("org.freedesktop.Secret.Service.Lock", 0, []dbus.ObjectPath{login}).Err; err != nil {
		t.Fatal(err)
	}
	if s.Ahead(t.Context(), work, token) != s {
		t.Error("a locked keychain is asked for several records at once")
	}
}

func wantValue(t *testing.T, s *keyring.Store, k keyring.Key, want string) {
	t.Helper()
	v, err := s.Get(t.Context(), k)
	if err != nil || v.Reveal() != want {
		t.Errorf("%s: got %d bytes (%v), want %d", k, len(v.Reveal()), err, len(want))
	}
}

func TestRealKeychainLocked(t *testing.T) {
	if !inSession(t, "") {
		return
	}
	startDaemon(t)
	s := openReal(t, stateDir(t), long)
	mustSet(t, s, work, small)
	if err := service(t).Call("org.freedesktop.Secret.Service.Lock", 0, []dbus.ObjectPath{login}).Err; err != nil {
		t.Fatal(err)
	}
	within(t, long, func() error { _, err := s.Get(t.Context(), work); return err }, keyring.ErrLocked)
	within(t, long, func() error { return s.Set(t.Context(), work, keyring.NewSecret("x")) }, keyring.ErrLocked)
	within(t, long, func() error { return s.Delete(t.Context(), work) }, keyring.ErrLocked)
}

func TestRealKeychainStopped(t *testing.T) {
	if !inSession(t, "") {
		return
	}
	daemon := startDaemon(t)
	dir := stateDir(t)
	s, patientStore := openReal(t, dir, short), openReal(t, dir, long)
	mustSet(t, patientStore, work, large)
	for range 3 {
		daemon.Signal(syscall.SIGSTOP)
		get := func() error { _, err := s.Get(t.Context(), work); return err }
		ahead := func() error {
			_, err := s.Ahead(t.Context(), work, keyring.SecretKey("kb", "TOKEN")).Get(t.Context(), work)
			return err
		}
		within(t, short+5*time.Second, ahead, keyring.ErrTimeout)
		within(t, short+5*time.Second, get, keyring.ErrTimeout)
		within(t, short+5*time.Second, get, keyring.ErrTimeout)
		set := func() error { return s.Set(t.Context(), work, keyring.NewSecret(large+"2")) }
		within(t, 3*short+5*time.Second, set, keyring.ErrTimeout, keyring.ErrUnknown)
		daemon.Signal(syscall.SIGCONT)
		v, err := patientStore.Get(t.Context(), work)
		if got := v.Reveal(); err != nil || got != large && got != large+"2" {
			t.Fatalf("after going on: %d bytes, %v", len(got), err)
		}
		mustSet(t, patientStore, work, large)
		wantRecord(t, patientStore, work, large)
	}
}

func TestRealKeychainKilled(t *testing.T) {
	if !inSession(t, "") {
		return
	}
	daemon := startDaemon(t)
	s := openReal(t, stateDir(t), long)
	mustSet(t, s, work, small)
	daemon.Kill()
	daemon.Wait()
	// The bus starts another daemon, whose keyring is locked.
	get := func() error { _, err := s.Get(t.Context(), work); return err }
	within(t, 30*time.Second, get, keyring.ErrLocked, keyring.ErrUnavailable)
	within(t, 30*time.Second, func() error { return s.Set(t.Context(), work, keyring.NewSecret("x")) }, keyring.ErrLocked, keyring.ErrUnavailable)
}

func TestBusWithoutService(t *testing.T) {
	if !inSession(t, bareBus) {
		return
	}
	s := openReal(t, stateDir(t), long)
	for range 2 {
		within(t, 10*time.Second, func() error { _, err := s.Get(t.Context(), work); return err }, keyring.ErrUnavailable)
		within(t, 10*time.Second, func() error { return s.Set(t.Context(), work, keyring.NewSecret(large)) }, keyring.ErrUnavailable)
	}
	if keys, err := s.Index(); len(keys) != 0 || err != nil {
		t.Errorf("lists %v (%v)", keys, err)
	}
}

// The client handed on no environment but HOME and PATH; the bus is where
// login managers put it.
func TestBusInTheRuntimeFolder(t *testing.T) {
	if !inSession(t, "") {
		return
	}
	needTools(t, "dbus-daemon")
	root := t.TempDir()
	run := filepath.Join(root, fmt.Sprint(os.Geteuid()))
	if err := os.Mkdir(run, 0o700); err != nil {
		t.Fatal(err)
	}
	bus := exec.Command("dbus-daemon", "--session", "--nofork", "--address=unix:path="+filepath.Join(run, "bus"))
	bus.Stderr = os.Stderr
	if err := bus.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		bus.Process.Kill()
		bus.Wait()
	})
	await(t, "the bus", func() bool { _, err := os.Stat(filepath.Join(run, "bus")); return err == nil })
	t.Cleanup(keyring.SetRunRoot(root))
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
	t.Setenv("XDG_RUNTIME_DIR", "")
	if err := keyring.FindBus(); err != nil {
		t.Fatal(err)
	}
	startDaemon(t)
	s := openReal(t, stateDir(t), long)
	mustSet(t, s, work, small)
	wantRecord(t, s, work, small)
}

// Without a bus there is none: dbus-launch would start one of its own, with an
// empty keychain.
func TestNoBusIsUnavailableAtOnce(t *testing.T) {
	bin := t.TempDir()
	trace := filepath.Join(bin, "was-run")
	script := "#!/bin/sh\ntouch " + trace + "\n"
	if err := os.WriteFile(filepath.Join(bin, "dbus-launch"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	t.Cleanup(keyring.SetRunRoot(t.TempDir()))
	s := openReal(t, stateDir(t), long)
	for _, address := range []string{"", "autolaunch:", "unix:path=/nonexistent/bus", "nonsense"} {
		t.Setenv("DBUS_SESSION_BUS_ADDRESS", address)
		within(t, 5*time.Second, func() error { _, err := s.Get(t.Context(), work); return err }, keyring.ErrUnavailable)
		within(t, 5*time.Second, func() error { return s.Set(t.Context(), work, keyring.NewSecret(small)) }, keyring.ErrUnavailable)
	}
	if _, err := os.Stat(trace); err == nil {
		t.Error("dbus-launch was run")
	}
}

func TestFindBus(t *testing.T) {
	runtimeDir, root := t.TempDir(), t.TempDir()
	usual := filepath.Join(root, fmt.Sprint(os.Geteuid()))
	if err := os.Mkdir(usual, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(keyring.SetRunRoot(root))
	t.Setenv("XDG_RUNTIME_DIR", runtimeDir)
	found := func() string {
		os.Unsetenv("DBUS_SESSION_BUS_ADDRESS")
		if err := keyring.FindBus(); err != nil {
			return ""
		}
		return os.Getenv("DBUS_SESSION_BUS_ADDRESS")
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/given")
	if err := keyring.FindBus(); err != nil || os.Getenv("DBUS_SESSION_BUS_ADDRESS") != "unix:path=/given" {
		t.Errorf("a given address is not kept: %v", err)
	}
	if got := found(); got != "" {
		t.Errorf("found %q where nothing is", got)
	}
	os.WriteFile(filepath.Join(runtimeDir, "bus"), nil, 0o600)
	if got := found(); got != "" {
		t.Errorf("took a file for a bus: %q", got)
	}
	listen(t, filepath.Join(usual, "bus"))
	if got, want := found(), "unix:path="+usual+"/bus"; got != want {
		t.Errorf("found %q, want %q", got, want)
	}
	os.Remove(filepath.Join(runtimeDir, "bus"))
	os.Symlink(filepath.Join(usual, "bus"), filepath.Join(runtimeDir, "bus"))
	if got, want := found(), "unix:path="+usual+"/bus"; got != want {
		t.Errorf("followed a link: %q", got)
	}
	os.Remove(filepath.Join(runtimeDir, "bus"))
	listen(t, filepath.Join(runtimeDir, "bus"))
	if got, want := found(), "unix:path="+runtimeDir+"/bus"; got != want {
		t.Errorf("found %q, want %q", got, want)
	}
}
