package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// tokenLife is a little more than the life of the tokens in the tests that see one expire (AT_TTL=5).
const tokenLife = 5500 * time.Millisecond

// serverConfig is a config with one server that says how long its token is.
func serverConfig(p *provider, store, account string) string {
	return `{
  "store": { "kind": "` + store + `" },
  "accounts": { "work": { "issuer": "` + p.issuer + `", "clientId": "valet", "scopes": ["openid", "offline_access"]` + account + ` } },
  "mcpServers": { "sdk": { "command": "` + built.sdkserver + `", "auth": { "account": "work" } } }
}`
}

// signedIn is an installation with the sealed store whose account "work" is signed in at p.
func signedIn(t *testing.T, p *provider, account string) *valet {
	t.Helper()
	v := newValet(t)
	v.writeConfig(serverConfig(p, "file", account))
	v.mustLogin("", "work")
	return v
}

// TestDeviceLogin signs in at real providers with the real keychain, and starts a server with the token.
func TestDeviceLogin(t *testing.T) {
	providers := map[string]func(*testing.T) *provider{
		"oidc-provider": func(t *testing.T) *provider { return panva(t, "INTERVAL=0") },
		"zitadel":       zitadel,
	}
	for name, start := range providers {
		t.Run(name, func(t *testing.T) {
			p := start(t)
			v := newValet(t)
			v.keychain(false)
			v.mustLogin("", "work", "--issuer", p.issuer, "--client-id", "valet", "--scope", "openid offline_access")

			if got := v.item("account/work"); got == "" {
				t.Error("the keychain's own tool finds no item")
			}
			v.writeConfig(serverConfig(p, "keychain", ""))
			if r := v.run("", "run", "sdk"); r.code != 5 || !strings.Contains(r.stderr+r.stdout, "mcp-valet trust sdk") {
				t.Errorf("a server that nobody agreed to: exit %d\n%s", r.code, r.stderr)
			}
			v.mustLogin("", "work") // not the first: it asks about the server, and nobody answers
			if r := v.run("", "run", "sdk"); r.code != 5 {
				t.Errorf("a server that a later login has listed: exit %d, want 5", r.code)
			}
			v.must("logout", "work")
			v.mustLogin("", "work") // the first again: it lists the server, and so trusts it
			if n := tokenLength(t, v); n < 100 {
				t.Errorf("the server got a token of %d bytes, want a JWT", n)
			}
			v.checkStatus("signed in")
			v.mustHoldNoToken()
		})
	}
}

// TestStoreSwitchedInConfig edits the config of a keychain's user so that it names the sealed file store: nothing that
// lies there is believed, no server is started, nothing is stored there, unless the command line says so.
func TestStoreSwitchedInConfig(t *testing.T) {
	p := panva(t)
	v := newValet(t)
	v.keychain(false)
	v.writeConfig(serverConfig(p, "keychain", ""))
	v.mustLogin("", "work")
	edited := `{ "store": { "kind": "file" }, "mcpServers": { "sdk": { "command": "/bin/sh", "args": ["-c", "echo started >&2"] } } }`
	v.writeConfig(edited)
	if r := v.run("", "run", "sdk"); r.code != 5 || strings.Contains(r.stderr, "started\n") {
		t.Errorf("run: exit %d, want 5\n%s", r.code, r.stderr)
	}
	v.writeConfig(serverConfig(p, "file", ""))
	if r := v.run("", "login", "work", "--no-open"); r.code != 5 || !strings.Contains(r.stderr, "--store file") {
		t.Errorf("login: exit %d, want 5\n%s", r.code, r.stderr)
	}
	if _, err := os.Stat(filepath.Join(v.state(), "store")); err == nil {
		t.Error("a sealed store was made")
	}
	v.must("status", "--store", "file")
}

// TestBareEnvironment finds the keychain as a launcher that a desktop client starts must: with HOME and PATH alone.
func TestBareEnvironment(t *testing.T) {
	p := panva(t)
	v := newValet(t)
	v.keychain(true)
	v.writeConfig(serverConfig(p, "keychain", ""))
	v.mustLogin("", "work")
	if n := tokenLength(t, v); n < 100 {
		t.Errorf("the server got a token of %d bytes, want a JWT", n)
	}
}

// TestBrowserLogin signs in by authorization code and PKCE on the loopback interface.
func TestBrowserLogin(t *testing.T) {
	t.Parallel()
	p := panva(t)
	v := newValet(t)
	v.writeConfig(serverConfig(p, "file", ""))
	v.mustLogin("", "work", "--browser")
	if n := tokenLength(t, v); n < 100 {
		t.Errorf("the server got a token of %d bytes, want a JWT", n)
	}
}

// TestConfidentialClient signs in and renews with a client secret, which lies in the store and nowhere else.
func TestConfidentialClient(t *testing.T) {
	t.Parallel()
	p := panva(t, "AT_TTL=5")
	v := newValet(t)
	const secret = "not-a-real-secret-0123456789"
	v.mustLogin(secret+"\n", "work", "--store", "file", "--issuer", p.issuer, "--client-id", "valet-confidential",
		"--client-secret-stdin", "--scope", "openid offline_access", "--export")
	time.Sleep(tokenLife) // the token's life
	if r := v.must("token", "work"); strings.Count(r.stdout, ".") != 2 {
		t.Errorf("no JWT on stdout: %d bytes", len(r.stdout))
	}
	v.mustHoldNone(secret)
}

// TestSilentRefresh starts several launchers at once after the token has expired: one refresh, and all have a token.
func TestSilentRefresh(t *testing.T) {
	t.Parallel()
	p := panva(t, "AT_TTL=5")
	v := signedIn(t, p, "")
	time.Sleep(tokenLife) // the token's life
	var launchers sync.WaitGroup
	for range 4 {
		launchers.Go(func() {
			if n := tokenLength(t, v); n < 100 {
				t.Errorf("the server got a token of %d bytes, want a JWT", n)
			}
		})
	}
	launchers.Wait()
	// A launcher that was slow to start may have found the renewed token expired again: then it renewed once more.
	if got := p.stats(); got["refresh_token.consumed"] < 1 || got["grant.revoked"] != 0 || got["grant.error"] != 0 {
		t.Errorf("the provider saw %v, want refreshes and no error", got)
	}
}

// TestReusedRefreshToken presents an old refresh token, as after a restored backup: the provider ends the sign-in, the
// launcher says what to do, and does not ask again and again.
func TestReusedRefreshToken(t *testing.T) {
	t.Parallel()
	p := panva(t, "AT_TTL=5")
	v := signedIn(t, p, `, "export": true`)
	old := v.backup()
	time.Sleep(tokenLife)
	v.must("token", "work")
	v.restore(old)
	for range 3 {
		if r := v.run("", "token", "work"); r.code != 4 || !strings.Contains(r.stderr, "mcp-valet login work") {
			t.Fatalf("after reuse: exit %d, want 4\n%s", r.code, r.stderr)
		}
	}
	if got := p.stats(); got["grant.error"] != 1 || got["grant.revoked"] != 1 {
		t.Errorf("the provider saw %v, want one error and one end of the sign-in", got)
	}
	v.checkStatus("sign-in needed")
	v.mustLogin("", "work")
	v.must("token", "work")
}

// TestLogoutRevokes shows that after logout even a copy of the store is worth nothing.
func TestLogoutRevokes(t *testing.T) {
	t.Parallel()
	p := panva(t, "AT_TTL=5")
	v := signedIn(t, p, `, "export": true`)
	old := v.backup()
	v.must("logout", "work")
	if r := v.run("", "token", "work"); r.code != 4 {
		t.Errorf("after logout: exit %d, want 4\n%s", r.code, r.stderr)
	}
	v.restore(old)
	time.Sleep(tokenLife)
	if r := v.run("", "token", "work"); r.code != 4 {
		t.Errorf("with the old store: exit %d, want 4\n%s", r.code, r.stderr)
	}
}

// TestKeyRotation verifies tokens in full across a change of the issuer's keys.
func TestKeyRotation(t *testing.T) {
	for _, alg := range []string{"RS256", "ES256"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			p := panva(t, "AT_TTL=5", "ALG="+alg)
			v := signedIn(t, p, `, "export": true, "audience": "`+p.issuer+`/mcp"`)
			v.must("token", "work")
			p.rotate()
			time.Sleep(10500 * time.Millisecond) // the token's life, and the least time between two looks at the issuer's keys
			v.must("token", "work")
		})
	}
}

// TestForeignAudience refuses a token that is for somebody else.
func TestForeignAudience(t *testing.T) {
	t.Parallel()
	p := panva(t)
	v := signedIn(t, p, `, "export": true`)
	v.writeConfig(serverConfig(p, "file", `, "export": true, "audience": "https://other.example"`))
	if r := v.run("", "token", "work"); r.code != 5 {
		t.Errorf("exit %d, want 5\n%s", r.code, r.stderr)
	}
}

// TestIssuerGone keeps a person signed in while the issuer cannot be reached, says which of the two it is, and goes on
// by itself when the issuer is back.
func TestIssuerGone(t *testing.T) {
	t.Parallel()
	network := startForwarder(t)
	p := panva(t, "AT_TTL=5", "ISSUER="+network.url)
	network.to(p.issuer)
	p.issuer = network.url
	v := signedIn(t, p, `, "export": true`)
	time.Sleep(tokenLife) // the token's life
	network.down.Store(true)
	if r := v.run("", "token", "work"); r.code != 6 || strings.Contains(r.stderr, "login") {
		t.Errorf("while the issuer is gone: exit %d, want 6 and no word of a login\n%s", r.code, r.stderr)
	}
	v.checkStatus("issuer unreachable")
	network.down.Store(false)
	for range 30 {
		if v.run("", "token", "work").code == 0 {
			return
		}
		time.Sleep(time.Second)
	}
	t.Error("half a minute after the issuer came back there is no token")
}

// checkStatus compares the state of the account "work".
func (v *valet) checkStatus(want string) {
	v.t.Helper()
	var report struct {
		Accounts []struct{ Name, State string }
	}
	if err := json.Unmarshal([]byte(v.must("status", "--json").stdout), &report); err != nil {
		v.t.Fatal(err)
	}
	if len(report.Accounts) != 1 || report.Accounts[0].State != want {
		v.t.Errorf("status says %+v, want %q", report.Accounts, want)
	}
}

// backup reads the files of the sealed store.
func (v *valet) backup() map[string][]byte {
	v.t.Helper()
	files := map[string][]byte{}
	paths, err := filepath.Glob(filepath.Join(v.state(), "store", "*"))
	if err != nil || len(paths) == 0 {
		v.t.Fatalf("the sealed store has no files: %v", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			v.t.Fatal(err)
		}
		files[path] = text
	}
	return files
}

func (v *valet) restore(files map[string][]byte) {
	v.t.Helper()
	for path, text := range files {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			v.t.Fatal(err)
		}
	}
}

// mustHoldNoToken looks for a JWT in every file of the installation.
func (v *valet) mustHoldNoToken() {
	v.t.Helper()
	v.mustHoldNone("eyJ")
}

// mustHoldNone looks for a secret in every file of the installation.
func (v *valet) mustHoldNone(secret string) {
	v.t.Helper()
	for _, dir := range []string{filepath.Dir(v.config()), v.state()} {
		filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			text, err := os.ReadFile(path)
			if strings.Contains(string(text), secret) {
				v.t.Errorf("%s holds a secret in plain text", path)
			}
			return err
		})
	}
}
