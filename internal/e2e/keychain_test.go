package e2e

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// keychain gives v a real keychain of its own: gnome-keyring on a session bus, unlocked. With usualPlace the bus is at
// /run/user/UID/bus and v's environment says nothing of it, as when a desktop client starts us.
func (v *valet) keychain(usualPlace bool) {
	v.t.Helper()
	for _, program := range []string{"dbus-daemon", "dbus-send", "gnome-keyring-daemon", "secret-tool"} {
		if _, err := exec.LookPath(program); err != nil {
			need(v.t, program, "apt-get install gnome-keyring dbus libsecret-tools")
		}
	}
	run := filepath.Join(v.dir, "run")
	socket := filepath.Join(run, "bus")
	if usualPlace {
		socket = v.usualBus()
	}
	for _, dir := range []string{run, filepath.Join(v.dir, "data")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			v.t.Fatal(err)
		}
	}
	v.env = slices.DeleteFunc(v.env, func(e string) bool { return strings.HasPrefix(e, "DBUS_SESSION_BUS_ADDRESS=") })
	env := append(v.env[:len(v.env):len(v.env)], "XDG_RUNTIME_DIR="+run, "XDG_DATA_HOME="+filepath.Join(v.dir, "data"))
	v.daemon(env, "", true, "dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address", "--address=unix:path="+socket)
	address := "DBUS_SESSION_BUS_ADDRESS=unix:path=" + socket
	v.daemon(append(env, address), "pw", false, "gnome-keyring-daemon", "--unlock", "--foreground", "--components=secrets")
	if !usualPlace {
		v.env = append(v.env, address)
	}
	v.waitForKeychain(append(env, address))
}

// usualBus is where systemd puts the session bus; the test makes the folder when the machine has no session there.
func (v *valet) usualBus() string {
	v.t.Helper()
	dir := fmt.Sprintf("/run/user/%d", os.Getuid())
	socket := filepath.Join(dir, "bus")
	if _, err := os.Stat(socket); err == nil {
		v.t.Skipf("%s is a real session's bus: left alone", socket)
	}
	if _, err := os.Stat(dir); err != nil {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			v.t.Skipf("making %s: %v", dir, err)
		}
		v.t.Cleanup(func() { os.Remove(dir) })
	}
	v.t.Cleanup(func() { os.Remove(socket) })
	return socket
}

// daemon runs a program until the test ends; one that speaks has started when it has printed a line.
func (v *valet) daemon(env []string, stdin string, speaks bool, name string, args ...string) {
	v.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Stdin = env, strings.NewReader(stdin)
	out, err := cmd.StdoutPipe()
	if err != nil {
		v.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	if !speaks {
		return
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		v.t.Fatalf("%s did not start: %v", name, err)
	}
}

// waitForKeychain waits until the daemon has its name on the bus: whoever asks before that has the bus start another
// daemon, a locked one. Then it must take an item.
func (v *valet) waitForKeychain(env []string) {
	v.t.Helper()
	ask := func(stdin, name string, args ...string) string {
		cmd := exec.Command(name, args...)
		cmd.Env, cmd.Stdin = env, strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return err.Error()
		}
		return string(out)
	}
	for range 100 {
		owned := ask("", "dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.DBus", "/",
			"org.freedesktop.DBus.NameHasOwner", "string:org.freedesktop.secrets")
		if strings.Contains(owned, "boolean true") {
			if said := ask("yes", "secret-tool", "store", "--label=ready", "test", "ready"); said != "" {
				v.t.Fatalf("the keychain does not take an item: %s", said)
			}
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	v.t.Fatal("the keychain daemon does not get its name on the bus")
}

// item reads an item of mcp-valet's with the desktop's own tool.
func (v *valet) item(user string) string {
	v.t.Helper()
	cmd := exec.Command("secret-tool", "lookup", "service", "mcp-valet", "username", user)
	cmd.Env = v.env
	out, err := cmd.Output()
	if err != nil {
		v.t.Fatalf("secret-tool lookup %s: %v", user, err)
	}
	return string(out)
}
