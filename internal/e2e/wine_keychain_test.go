//go:build linux

package e2e

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// mostInItem is what the Credential Manager takes (CRED_MAX_CREDENTIAL_BLOB_SIZE).
const mostInItem = 2560

// testCredentialManager keeps secrets of several sizes, one over the other, and has the server get each. What does not
// go into an item lies in a sealed file beside it, which goes with the next value.
func testCredentialManager(t *testing.T, w *wine) {
	v := w.newValet(t)
	v.writeConfig(`{ "mcpServers": { "vault": { "command": %q, "env": { "SECRET": "keyring://vault/secret" } } } }`, windowsPath(w.server))
	for _, size := range []int{13, 2000, mostInItem, mostInItem + 1, 20_000, 13} {
		value := strings.Repeat("s3cr3t-", size/7+1)[:size]
		v.must(value+"\n", "secret", "set", "vault", "secret")
		item := v.item("secret/vault/secret")
		files, err := os.ReadDir(filepath.Join(v.dir, "state", "records"))
		if err != nil {
			t.Fatal(err)
		}
		whole := strings.Contains(item, value)
		if len(item) > mostInItem || whole != (size <= 2000) || len(files) != map[bool]int{true: 0, false: 1}[whole] {
			t.Errorf("%d bytes: an item of %d bytes, the value in it: %v; %d sealed files", size, len(item), whole, len(files))
		}
		v.mustHoldNone("s3cr3t-")
		if got := v.variable("vault", "SECRET"); got != digestOf(value) {
			t.Errorf("%d bytes: the server got %v", size, got)
		}
	}
	v.must("", "secret", "rm", "vault", "secret")
	if r := finish(t, v.command(v.credential, "mcp-valet:secret/vault/secret"), ""); r.code != 3 {
		t.Errorf("after secret rm, Windows says %d; want 3 (there is none): %s", r.code, r.stderr)
	}
	if r := v.run("", "secret", "rm", "vault", "secret"); r.code == 0 || !strings.Contains(r.stderr, "secret secret of vault is not in") {
		t.Errorf("a second secret rm: exit %d\n%s", r.code, r.stderr)
	}
}

// testKeepsCaseApart keeps two secrets whose names differ in nothing but case, which the Credential Manager takes for one.
func testKeepsCaseApart(t *testing.T, w *wine) {
	v := w.newValet(t)
	v.writeConfig(`{ "mcpServers": { "case": { "command": %q, "env": { "UPPER": "keyring://case/KEY", "LOWER": "keyring://case/key" } } } }`, windowsPath(w.server))
	for key, value := range map[string]string{"KEY": "the upper one's", "key": "the lower one's!"} {
		v.must(value, "secret", "set", "case", key)
	}
	if upper, lower := v.variable("case", "UPPER"), v.variable("case", "LOWER"); upper != digestOf("the upper one's") || lower != digestOf("the lower one's!") {
		t.Errorf("the server got %v and %v", upper, lower)
	}
}

// testWindowsLogin signs in at a real provider, and has the token renewed by the agent, which a launcher starts detached.
func testWindowsLogin(t *testing.T, w *wine) {
	p := panva(t, "INTERVAL=0", "AT_TTL=5")
	v := w.newValet(t)
	v.writeConfig(`{
  "accounts": { "work": { "issuer": %q, "clientId": "valet", "scopes": ["openid", "offline_access"] } },
  "mcpServers": { "mine": { "command": %q, "auth": { "account": "work" } } }
}`, p.issuer, windowsPath(w.server))
	cmd := v.command(v.valet, "login", "work", "--no-open")
	if r := playPerson(t, cmd); r.code != 0 {
		t.Fatalf("login: exit %d\n%s", r.code, r.stderr)
	}
	before := v.variable("mine", "MCP_AUTH_TOKEN")
	time.Sleep(tokenLife)
	after := v.variable("mine", "MCP_AUTH_TOKEN")
	if before.Length < 100 || after.Length < 100 || before == after {
		t.Errorf("the server got %v, and after the token's life %v", before, after)
	}
}

// item is what the Credential Manager holds.
func (v *windowsValet) item(user string) string {
	v.t.Helper()
	r := finish(v.t, v.command(v.credential, "mcp-valet:"+user), "")
	if r.code != 0 {
		v.t.Fatalf("the Credential Manager has no %s: exit %d\n%s", user, r.code, r.stderr)
	}
	return r.stdout
}

// mustHoldNone looks for a secret in all files of v.
func (v *windowsValet) mustHoldNone(secret string) {
	v.t.Helper()
	err := filepath.WalkDir(v.dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), secret) {
			v.t.Errorf("%s holds the secret", path)
		}
		return err
	})
	if err != nil {
		v.t.Fatal(err)
	}
}

// digest is what winserver tells of a variable.
type digest struct {
	Length int    `json:"length"`
	SHA256 string `json:"sha256"`
}

func digestOf(value string) digest {
	sum := sha256.Sum256([]byte(value))
	return digest{len(value), hex.EncodeToString(sum[:])}
}

// variable starts a server and asks what it got in a variable.
func (v *windowsValet) variable(server, name string) digest {
	v.t.Helper()
	session := connect(v.t, v.command(v.valet, "run", server))
	defer session.Close()
	return call[digest](v.t, session, "variable", map[string]any{"name": name})
}

// playPerson runs a login and is the person in front of the browser.
func playPerson(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer timer.Stop()
	var text strings.Builder
	approved := false
	for lines := bufio.NewScanner(errs); lines.Scan(); {
		text.WriteString(lines.Text() + "\n")
		if url := signInURL.FindString(lines.Text()); url != "" && !approved {
			approved = true
			approve(t, url)
		}
	}
	cmd.Wait() // an exit code is an error to it
	return result{"", text.String(), cmd.ProcessState.ExitCode()}
}
