package cli_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"mcp-valet/keyring"
)

// builtLauncher is the program as it is released, with a server to stand before and a home of its own.
type builtLauncher struct {
	program, server, home string
	args                  []string // of a run
	env                   []string
}

const (
	firstMessage = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"client","version":"1"}}}` + "\n"

	launcherConfig = `{
  "accounts": { "work": { "issuer": "https://login.example.com", "clientId": "client", "scopes": ["openid"] } },
  "mcpServers": { "echo": { "command": %q%s } }%s
}
`
)

// buildLauncher builds the program, and the server of the benchmarks.
func buildLauncher(t *testing.T) *builtLauncher {
	t.Helper()
	dir := t.TempDir()
	l := &builtLauncher{program: filepath.Join(dir, "mcp-valet"), server: filepath.Join(dir, "echo"), home: filepath.Join(dir, "home")}
	for output, source := range map[string]string{l.program: module, l.server: "../bench/echo/main.go"} {
		build := exec.Command("go", "build", "-trimpath", "-o", output, source)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if said, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
	}
	if err := os.Mkdir(l.home, 0o700); err != nil {
		t.Fatal(err)
	}
	config, state := filepath.Join(l.home, "config.json"), filepath.Join(l.home, "state")
	l.args = []string{"run", "echo", "--config", config, "--state", state}
	l.env = []string{"HOME=" + l.home, "PATH=" + os.Getenv("PATH"), "DBUS_SESSION_BUS_ADDRESS=unix:path=" + filepath.Join(l.home, "no-bus")}
	l.configure(t, "", "")
	return l
}

// configure writes the config, with more about the server and at its end.
func (l *builtLauncher) configure(t *testing.T, server, more string) {
	t.Helper()
	text := fmt.Appendf(nil, launcherConfig, l.server, server, more)
	if err := os.WriteFile(filepath.Join(l.home, "config.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// signIn gives the server an account, whose token lies in a sealed file and is good for hours.
func (l *builtLauncher) signIn(t *testing.T) {
	t.Helper()
	key := filepath.Join(l.home, "key")
	l.configure(t, `, "auth": { "account": "work" }`, fmt.Sprintf(`, "store": { "kind": "file", "keyFile": %q }`, key))
	if err := keyring.NewKeyFile(key); err != nil {
		t.Fatal(err)
	}
	store, err := keyring.Open(keyring.Options{Kind: keyring.KindFile, StateDir: filepath.Join(l.home, "state"), KeyFile: key})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	now := time.Now()
	err = store.SaveCredential(ctx, &keyring.Credential{
		Account: "work", Issuer: "https://login.example.com", TokenEndpoint: "https://login.example.com/token", ClientID: "client",
		Scopes: []string{"openid"}, Subject: "ana", TokenType: "Bearer", ObtainedAt: now, Expiry: now.Add(24 * time.Hour),
		AccessToken: keyring.NewSecret("an-access-token"), RefreshToken: keyring.NewSecret("a-refresh-token"),
	})
	if err != nil {
		t.Fatal(err)
	}
	err = store.SaveTrust(ctx, &keyring.Trust{
		Server: "echo", Command: l.server, Path: l.server, Account: "work", Issuer: "https://login.example.com", ClientID: "client",
		Scopes: []string{"openid"}, TokenEnv: "MCP_AUTH_TOKEN",
	})
	if err != nil {
		t.Fatal(err)
	}
}

// needTool skips a test whose tool is missing; where everything must be tested, that is a failure.
func needTool(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is missing: apt-get install %s", name, name)
		}
		t.Skipf("to run this: apt-get install %s", name)
	}
}
