//go:build linux

package e2e

import (
	"encoding/binary"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// loginKeyring is the keyring of gnome-keyring that holds what is stored.
const loginKeyring = "/org/freedesktop/secrets/collection/login"

// lock locks v's keychain, as a desktop does after a while.
func (v *valet) lock(t *testing.T) {
	t.Helper()
	v.onBus(t, "dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.secrets", "/org/freedesktop/secrets",
		"org.freedesktop.Secret.Service.Lock", "array:objpath:"+loginKeyring)
	if !v.locked(t) {
		t.Fatal("the keychain is not locked")
	}
}

// unlock is a person who types the password at the screen lock: gnome-keyring is told as its PAM module does, by its control
// socket.
func (v *valet) unlock(t *testing.T) {
	t.Helper()
	conn, err := net.Dial("unix", filepath.Join(v.dir, "run", "keyring", "control"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const unlock, password = 1, "pw"
	request := []byte{0} // who is asking is known by the socket
	request = binary.BigEndian.AppendUint32(request, uint32(4+4+4+len(password)))
	request = binary.BigEndian.AppendUint32(request, unlock)
	request = binary.BigEndian.AppendUint32(request, uint32(len(password)))
	if _, err := conn.Write(append(request, password...)); err != nil {
		t.Fatal(err)
	}
	var answer struct{ Size, Result uint32 }
	if err := binary.Read(conn, binary.BigEndian, &answer); err != nil || answer.Result != 0 || v.locked(t) {
		t.Fatalf("the keychain is not unlocked: %+v %v", answer, err)
	}
}

func (v *valet) locked(t *testing.T) bool {
	t.Helper()
	return strings.Contains(v.onBus(t, "dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.secrets", loginKeyring,
		"org.freedesktop.DBus.Properties.Get", "string:org.freedesktop.Secret.Collection", "string:Locked"), "boolean true")
}

func (v *valet) onBus(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(v.env[:len(v.env):len(v.env)], "XDG_RUNTIME_DIR="+filepath.Join(v.dir, "run"), "XDG_DATA_HOME="+filepath.Join(v.dir, "data"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

// TestGateKeychainLocked starts a server while the keychain is locked: the client is answered, nobody is asked to sign in,
// and a call goes on once the keychain is unlocked.
func TestGateKeychainLocked(t *testing.T) {
	t.Parallel()
	p := panva(t, "AT_TTL=300")
	v := newValet(t)
	v.keychain(false)
	v.writeConfig(gateConfig(p, "keychain", "-without-token=end", "-legacy"))
	v.mustLogin("", "work")
	want := v.use(t, claudeDesktop)
	before, login := p.stats(), v.signIn(t)
	v.lock(t)
	c := v.start(t, claudeDesktop)
	if got := c.begin(); got != want {
		t.Errorf("with a locked keychain the client is told\n%s\nbefore it was\n%s", got, want)
	}
	held := c.note("held")
	if ping := c.answered("ping", c.ask("ping", "{}"), holdLimit); ping.Error != nil {
		t.Errorf("ping: %v", ping.Error)
	}
	c.pending(held)
	v.unlock(t)
	c.stop(c.carriedOut(c.answered("the call that was held", held, holdLimit)))
	v.mustHaveNoted(t, "held")
	if now := p.stats(); now["device_authorization"] != before["device_authorization"] || v.signIn(t) != login {
		t.Errorf("a sign-in was begun: %v, before it %v", now, before)
	}
}
