package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// desktop is a session of v's person, whose keychain the test can get at: a bus, and gnome-keyring on it.
type desktop struct {
	v      *valet
	t      *testing.T
	env    []string
	socket string
	daemon *exec.Cmd
	window *prompter // nil while nobody shows windows
}

// busWith is a session bus that starts the services of the given elements, and nothing else.
const busWith = `<busconfig><type>session</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>%s
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`

// desktop starts a bus and an unlocked keychain. services is "" for a bus that starts nothing by itself, so that a keychain
// that is gone stays away.
func (v *valet) desktop(t *testing.T, services string) *desktop {
	t.Helper()
	for _, program := range []string{"dbus-daemon", "dbus-send", "gnome-keyring-daemon", "secret-tool"} {
		if _, err := exec.LookPath(program); err != nil {
			need(t, program, "apt-get install gnome-keyring dbus libsecret-tools")
		}
	}
	run, data := filepath.Join(v.dir, "run"), filepath.Join(v.dir, "data")
	for _, dir := range []string{run, data} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	d := &desktop{v: v, t: t, socket: filepath.Join(run, "bus")}
	config := filepath.Join(v.dir, "bus.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, busWith, d.socket, services), 0o600); err != nil {
		t.Fatal(err)
	}
	address := "DBUS_SESSION_BUS_ADDRESS=unix:path=" + d.socket
	for i, e := range v.env {
		if strings.HasPrefix(e, "DBUS_SESSION_BUS_ADDRESS=") {
			v.env[i] = address
		}
	}
	d.env = append(v.env[:len(v.env):len(v.env)], "XDG_RUNTIME_DIR="+run, "XDG_DATA_HOME="+data)
	v.daemon(d.env, "", true, "dbus-daemon", "--config-file="+config, "--nofork", "--nopidfile", "--print-address")
	t.Cleanup(d.sweep)
	d.start()
	return d
}

// start starts a keychain and unlocks it, as a log-in does.
func (d *desktop) start() {
	d.t.Helper()
	cmd := exec.Command("gnome-keyring-daemon", "--unlock", "--foreground", "--components=secrets")
	cmd.Env, cmd.Stdin = d.env, strings.NewReader("pw")
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	d.daemon = cmd
	d.v.waitForKeychain(d.env)
}

// kill ends the keychain as a crash does.
func (d *desktop) kill() {
	d.daemon.Process.Kill()
	d.daemon.Wait()
}

func (d *desktop) stop()   { d.daemon.Process.Signal(syscall.SIGSTOP) }
func (d *desktop) resume() { d.daemon.Process.Signal(syscall.SIGCONT) }

// lock locks the keychain. One that is being asked something may open itself again.
func (d *desktop) lock() {
	d.t.Helper()
	await(d.t, "the keychain's lock", func() bool {
		d.v.onBus(d.t, "dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.secrets", "/org/freedesktop/secrets",
			"org.freedesktop.Secret.Service.Lock", "array:objpath:"+loginKeyring)
		return d.v.locked(d.t)
	})
}

func (d *desktop) unlock() { d.v.unlock(d.t) }

// ignore locks the keychain of a person who is not there, and whose desktop asks for its password.
func (d *desktop) ignore() {
	d.window = startPrompter(d.t, d.socket)
	d.lock()
}

// sweep ends a keychain that the bus has started.
func (d *desktop) sweep() {
	cmd := exec.Command("dbus-send", "--session", "--print-reply=literal", "--dest=org.freedesktop.DBus", "/",
		"org.freedesktop.DBus.GetConnectionUnixProcessID", "string:org.freedesktop.secrets")
	cmd.Env = d.env
	out, err := cmd.Output()
	var pid int
	if _, scanErr := fmt.Sscanf(strings.TrimSpace(string(out)), "uint32 %d", &pid); err == nil && scanErr == nil && pid > 1 {
		syscall.Kill(pid, syscall.SIGKILL)
	}
}

// outage is a time without a keychain, in the middle of a session.
type outage struct {
	name     string
	services string // of the bus
	begin    func(*desktop)
	says     string // what a call is told that needs a new token
	end      func(*desktop)
}

var outages = []outage{
	{"locked", "", (*desktop).lock, "the keychain is locked", (*desktop).unlock},
	{"stopped", "", (*desktop).stop, "the keychain did not answer in time", (*desktop).resume},
	{"away", "", (*desktop).kill, "the keychain cannot be used", (*desktop).start},
	{"started-by-the-bus", "<standard_session_servicedirs/>", (*desktop).kill, "the keychain is locked", (*desktop).unlock},
	{"unanswered", "", (*desktop).ignore, "the keychain is locked", (*desktop).unlock},
}

const (
	outageLife = 8 * time.Second         // of a token
	tokenGood  = 4800 * time.Millisecond // from its first use on it can surely be used, and for the last of it is due for renewal
	tokenEnds  = 6200 * time.Millisecond // from its first use on it surely cannot
	promptly   = time.Second
	// toldWithin is how long a call is held, and a busy machine's delay.
	toldWithin = 22 * time.Second
	// mostWindows is one for each call that waits, and one for what was asked before the outage.
	mostWindows = 3
)

// TestKeychainOutage takes the keychain away from a session whose token is about to end. As long as the token is good, calls
// are carried out; then they wait, and are told why; and with the keychain back the session goes on, with the same sign-in:
// nothing was asked of the issuer that could not have been kept.
func TestKeychainOutage(t *testing.T) {
	t.Parallel()
	together(t, outages, func(o outage) string { return o.name }, func(t *testing.T, o outage) {
		s := startShift(t, o.services)
		before := s.issuer.stats()
		o.begin(s.desktop)
		s.callsFor(tokenGood - time.Since(s.since))
		s.pingUntil("the token's end", func() bool { return time.Since(s.since) > tokenEnds })

		asked := time.Now()
		held := s.c.note("told why")
		var answer message
		s.pingUntil("the answer to a call without a token", func() bool { return received(held, &answer) })
		text := s.c.toldWhy(answer)
		t.Logf("told after %s: %s", time.Since(asked).Round(time.Millisecond), text)
		if !strings.Contains(text, o.says) || time.Since(asked) > toldWithin {
			t.Errorf("after %s told %q, want %q", time.Since(asked), text, o.says)
		}

		waits := s.c.note("waits")
		s.lines = append(s.lines, "waits")
		s.pingUntil("a second", func() bool { return time.Since(asked) > 22*time.Second })
		s.c.pending(waits)
		if now := s.issuer.stats(); now["token:refresh_token"] != before["token:refresh_token"] {
			t.Errorf("without a keychain a refresh token was spent: %v, before it %v", now, before)
		}
		if s.desktop.window != nil {
			t.Logf("windows: %s", s.desktop.window)
			if n := len(s.desktop.window.windows()); n > mostWindows {
				t.Errorf("a person was asked %d times", n)
			}
		}
		o.end(s.desktop)
		back := time.Now()
		s.pingUntil("the answer to the call that waits", func() bool { return received(waits, &answer) })
		s.server = s.c.carriedOut(answer)
		t.Logf("with the keychain back, a call that waited is answered after %s", time.Since(back).Round(time.Millisecond))
		s.mustGoOn(before, 1)
	})
}

// TestKeychainReborn has the keychain crash and another one in its place, before a token is needed: nobody notices.
func TestKeychainReborn(t *testing.T) {
	t.Parallel()
	s := startShift(t, "")
	before := s.issuer.stats()
	s.desktop.kill()
	s.desktop.start()
	s.untilRenewed()
	s.mustGoOn(before, 1)
}

// TestKeychainByHomeAndPath has a client start the launcher that hands on nothing but HOME and PATH: the keychain is found on
// the session's bus, also by who renews the token in mid-session. It runs alone: there is one place for that bus.
func TestKeychainByHomeAndPath(t *testing.T) {
	p := panva(t, "AT_TTL=4")
	v := newValet(t)
	v.keychain(true)
	v.env = []string{"HOME=" + v.dir, "PATH=" + os.Getenv("PATH")}
	v.writeConfig(gateConfig(p, "keychain"))
	v.mustLogin("", "work")
	bare := claudeDesktop
	bare.environ = []string{"HOME", "PATH"}
	c := v.start(t, bare)
	if !slices.Equal(c.cmd.Env, v.env) {
		t.Fatalf("the launcher's environment is %q", c.cmd.Env)
	}
	c.begin()
	s := &shift{t: t, issuer: p, desktop: &desktop{v: v, t: t}, c: c, login: v.signIn(t)}
	s.server = s.call()
	before := p.stats()
	s.untilRenewed()
	s.mustGoOn(before, 2)
}

// shift is a session of a client that works.
type shift struct {
	t       *testing.T
	issuer  *provider
	desktop *desktop
	c       *peer
	login   signIn    // how it stands since the person has signed in
	lines   []string  // that must have been noted
	server  int       // that answers now
	since   time.Time // when it got its token
}

// startShift is a session that has renewed its token once, a moment ago.
func startShift(t *testing.T, services string) *shift {
	t.Helper()
	p := panva(t, fmt.Sprintf("AT_TTL=%d", int(outageLife.Seconds())))
	v := newValet(t)
	s := &shift{t: t, issuer: p, desktop: v.desktop(t, services)}
	v.writeConfig(gateConfig(p, "keychain"))
	v.mustLogin("", "work")
	s.login = v.signIn(t)
	s.c = v.start(t, claudeDesktop)
	s.c.begin()
	s.server = s.call()
	s.untilRenewed()
	return s
}

// call is a call that is to be carried out now.
func (s *shift) call() (server int) {
	s.t.Helper()
	line := fmt.Sprintf("call %d", len(s.lines))
	s.lines = append(s.lines, line)
	return s.c.carriedOut(s.c.answered(line, s.c.note(line), 5*time.Second))
}

// callsFor makes calls, each of which is answered promptly, by the server that there is.
func (s *shift) callsFor(d time.Duration) {
	s.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		s.ping()
		asked := time.Now()
		if server := s.call(); server != s.server || time.Since(asked) > promptly {
			s.t.Errorf("%s after the renewal a call was answered after %s by %d, not %d", asked.Sub(s.since), time.Since(asked), server, s.server)
		}
	}
}

// untilRenewed makes calls until another server answers, with a token that has just been got.
func (s *shift) untilRenewed() {
	s.t.Helper()
	await(s.t, "a renewal", func() bool {
		was := s.server
		s.server = s.call()
		return s.server != was
	})
	s.since = time.Now()
}

func (s *shift) ping() {
	s.t.Helper()
	if m := s.c.answered("a ping", s.c.ask("ping", "{}"), promptly); m.Error != nil {
		s.t.Errorf("ping: %v", m.Error)
	}
}

// pingUntil has the client look whether the server is there, until something has happened.
func (s *shift) pingUntil(what string, happened func() bool) {
	s.t.Helper()
	for late := time.Now().Add(30 * time.Second); !happened(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(late) {
			s.t.Fatalf("waited in vain for %s", what)
		}
		s.ping()
	}
}

// mustGoOn makes sure that the session goes on with the sign-in that it had, with at least so many renewals since.
func (s *shift) mustGoOn(before map[string]int, renewals int) {
	s.t.Helper()
	s.untilRenewed()
	now := s.issuer.stats()
	if now["device_authorization"] != before["device_authorization"] || now["grant.revoked"] != 0 || s.desktop.v.signIn(s.t) != s.login {
		s.t.Errorf("a sign-in was begun, or a refresh token used twice: %v, before it %v", now, before)
	}
	if now["token:refresh_token"]-before["token:refresh_token"] < renewals {
		s.t.Errorf("not renewed: %v, before it %v", now, before)
	}
	s.c.stop(s.server)
	s.desktop.v.mustHaveNoted(s.t, s.lines...)
}

func received(c <-chan message, m *message) bool {
	select {
	case *m = <-c:
		return true
	default:
		return false
	}
}

func (p *prompter) String() string {
	var b strings.Builder
	for _, w := range p.windows() {
		open := "still open"
		if !w.closed.IsZero() {
			open = w.closed.Sub(w.opened).Round(time.Millisecond).String()
		}
		fmt.Fprintf(&b, "%s: %s; ", w.opened.Format("05.000"), open)
	}
	return b.String()
}
