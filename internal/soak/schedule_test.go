//go:build linux

package soak

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mcp-valet/keyring"
)

const account = "work"

// schedule is a run of a plan.
type schedule struct {
	plan
	t      *testing.T
	issuer *issuer
	dir    string // home
	key    string // of the store, where it comes in the environment
	began  time.Time
	tmpfs  bool // the state folder is a small disk of its own

	mu       sync.Mutex
	log      strings.Builder
	breaches []string
	excuses  map[string]int
	clients  []*client
	current  map[int]*client
}

// Excuses for what a schedule has cost.
const (
	deadByPlan   = "the issuer ended the sign-in"
	lostAnswer   = "the answer to a rotation was lost"
	killedAgent  = "an agent was killed"
	corrupted    = "a file was corrupted"
	diskFull     = "the disk was full"
	byHand       = "a person signed in by hand"
	killLauncher = "a launcher was killed"
)

func (s *schedule) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(&s.log, "%8.3f  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

// breach notes a broken invariant.
func (s *schedule) breach(invariant, format string, args ...any) {
	text := invariant + ": " + fmt.Sprintf(format, args...)
	s.note("BROKEN: %s", text)
	met("BROKEN: %s", invariant)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.breaches = append(s.breaches, text)
}

func (s *schedule) excuse(kind string) {
	s.note("excuse: %s", kind)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.excuses[kind]++
}

func (s *schedule) excused(kinds ...string) bool { return s.times(kinds...) > 0 }

func (s *schedule) times(kinds ...string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range kinds {
		n += s.excuses[k]
	}
	return n
}

func (s *schedule) add(c *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients = append(s.clients, c)
}

func (s *schedule) setCurrent(n int, c *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current[n] = c
}

func (s *schedule) currentOf(n int) *client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current[n]
}

var secretText = regexp.MustCompile(regexp.QuoteMeta(secretMark) + `[0-9a-z-]*|eyJhbGci[A-Za-z0-9_.-]*|AGE-SECRET-KEY-1[0-9A-Z]*`)

// redact takes the secrets out of a text that is shown.
func (s *schedule) redact(text string) string {
	return secretText.ReplaceAllStringFunc(text, func(token string) string { return "[" + s.issuer.known(token) + "]" })
}

func runSchedule(t *testing.T, p plan) {
	s := &schedule{plan: p, t: t, dir: t.TempDir(), began: time.Now(), excuses: map[string]int{}, current: map[int]*client{}}
	s.issuer = startIssuer(s)
	defer s.issuer.Close()
	defer s.sweep()
	if !s.setUp() {
		return
	}
	s.past()
	s.began = time.Now()
	s.issuer.setFaults(true)
	var all sync.WaitGroup
	for i, l := range p.launchers {
		all.Go(func() { s.play(l, serverName(i), i) })
	}
	for _, f := range p.machine {
		all.Go(func() { s.happen(f) })
	}
	if p.shiftBy != 0 {
		all.Go(s.shiftClock)
	}
	all.Wait()
	s.issuer.setFaults(false)
	s.note("the faults are over")
	s.verify()
	met("schedules")
	s.tell()
}

// tell reports what was broken.
func (s *schedule) tell() {
	if len(s.breaches) == 0 {
		return
	}
	s.t.Errorf("seed %d: %d breaches\n%s\nplan:\n%s\nwhat happened:\n%s", s.seed, len(s.breaches), strings.Join(s.breaches, "\n"), s.plan, s.log.String())
	for _, c := range s.clients {
		text := c.stderr.String()
		if len(text) > 4000 {
			text = text[:2000] + "\n…\n" + text[len(text)-2000:]
		}
		s.t.Logf("%s, stderr:\n%s", c.label, s.redact(text))
	}
}

func serverName(i int) string { return fmt.Sprint("server-", i) }

func (s *schedule) state() string { return filepath.Join(s.dir, ".local", "state", "mcp-valet") }
func (s *schedule) config() string {
	return filepath.Join(s.dir, ".config", "mcp-valet", "config.json")
}
func (s *schedule) notes() string   { return filepath.Join(s.dir, "notes") }
func (s *schedule) keyFile() string { return filepath.Join(s.dir, "store.key") }

// setUp makes an installation that is signed in.
func (s *schedule) setUp() bool {
	for _, dir := range []string{filepath.Dir(s.config()), s.state()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			s.t.Error(err)
			return false
		}
	}
	if s.needsDisk() && syscall.Mount("tmpfs", s.state(), "tmpfs", 0, "size=2m,mode=0700") == nil {
		s.tmpfs = true
	}
	if err := s.writeConfig(); err != nil {
		s.t.Error(err)
		return false
	}
	if code, stderr := s.run("login", "--no-open", "--export", account); code != 0 {
		s.t.Errorf("login: exit %d\n%s", code, stderr)
		return false
	}
	return true
}

// past is what happened before the clients start.
func (s *schedule) past() {
	if s.used {
		met("servers used before")
		for i, l := range s.launchers {
			s.useOnce(launcherPlan{renew: l.renew, end: "eof"}, serverName(i), fmt.Sprint("earlier ", i))
		}
	}
	if s.monday {
		met("sign-ins dead at the start")
		s.excuse(deadByPlan)
		s.issuer.endAll()
		time.Sleep(s.life)
	}
}

func (s *schedule) needsDisk() bool {
	for _, f := range s.machine {
		if f.kind == "disk-full" {
			return true
		}
	}
	return false
}

func (s *schedule) writeConfig() error {
	if err := os.WriteFile(s.notes(), nil, 0o600); err != nil {
		return err
	}
	if err := keyring.NewKeyFile(s.keyFile()); err != nil {
		return err
	}
	store := map[string]any{"kind": "file", "keyFile": s.keyFile()}
	if s.keyInEnv {
		text, err := os.ReadFile(s.keyFile())
		if err != nil {
			return err
		}
		s.key = regexp.MustCompile(`AGE-SECRET-KEY-1[0-9A-Z]+`).FindString(string(text))
		if err := os.Remove(s.keyFile()); err != nil {
			return err
		}
		store = map[string]any{"kind": "file"}
	}
	acc := map[string]any{"issuer": s.issuer.URL, "clientId": "valet", "scopes": []string{"openid", "offline_access"}, "export": true}
	if s.audience {
		acc["audience"] = "api"
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	servers := map[string]any{}
	for i, l := range s.launchers {
		servers[serverName(i)] = map[string]any{
			"command": exe, "env": map[string]string{roleVar: "server", notesVar: s.notes(), habitsVar: l.server},
			"auth": map[string]string{"account": account, "renew": l.renew},
		}
	}
	text, err := json.MarshalIndent(map[string]any{"store": store, "accounts": map[string]any{account: acc}, "mcpServers": servers}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(s.config(), text, 0o600)
}

func (s *schedule) command(args ...string) *exec.Cmd {
	return s.environed(exec.Command(valetPath, append([]string{"--store", "file"}, args...)...))
}

// limited is command with a limit on open files.
func (s *schedule) limited(files int, args ...string) *exec.Cmd {
	script := fmt.Sprintf(`ulimit -n %d; exec "$@"`, files)
	return s.environed(exec.Command("/bin/sh", append([]string{"-c", script, "sh", valetPath, "--store", "file"}, args...)...))
}

func (s *schedule) environed(cmd *exec.Cmd) *exec.Cmd {
	cmd.Dir = s.dir
	cmd.WaitDelay = 3 * time.Second
	cmd.Env = []string{
		"HOME=" + s.dir, "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "MCP_VALET_NO_OPEN=1", "GORACE=atexit_sleep_ms=0",
		"DBUS_SESSION_BUS_ADDRESS=unix:path=" + filepath.Join(s.dir, "no-bus"), // never the real keychain
	}
	if s.key != "" {
		cmd.Env = append(cmd.Env, "MCP_VALET_STORE_KEY="+s.key)
	}
	return cmd
}

// run runs mcp-valet to its end.
func (s *schedule) run(args ...string) (code int, stderr string) {
	cmd := s.command(args...)
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		return -1, err.Error()
	}
	timer := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer timer.Stop()
	cmd.Wait()
	s.note("mcp-valet %s: %s", strings.Join(args, " "), cmd.ProcessState)
	s.search("stderr of mcp-valet "+args[0], errs.String())
	return cmd.ProcessState.ExitCode(), s.redact(errs.String())
}
