//go:build linux

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// packagedConfig is a client's config as its people may have written it: blanks, line ends and all.
const packagedConfig = "{\r\n\t\"theme\" : \"dark\",\r\n\t\"mcpServers\":\r\n\t{\r\n\t\t\"other\": { \"command\": \"other.exe\" },\r\n" +
	"\t\t\"packaged kb\": { \"command\":  COMMAND, \"args\": [ \"one two\", \"gr\\u00fc\\u00dfe\" ],\r\n" +
	"\t\t\t\"env\": { \"DB_PASSWORD\": \"hunter2-hunter\\u0032-hunter2\", \"MODE\": \"fast\" } }\r\n\t}\r\n}"

// testPackagedClient installs into the config of a client that is a Windows package, starts the server as that client
// would, and takes everything out again. While the client runs, nothing is touched.
func testPackagedClient(t *testing.T, w *wine) {
	v := w.newValet(t)
	command, err := json.Marshal(windowsPath(w.server))
	if err != nil {
		t.Fatal(err)
	}
	original := strings.Replace(packagedConfig, "COMMAND", string(command), 1)
	file := w.packagedFile(t, original)
	install := []string{"install", "packaged kb", "--as", "packaged", "--yes"}

	stop := w.packagedClient(t, v)
	if r := v.run("", install...); r.code == 0 || !strings.Contains(r.stderr, "Claude Desktop is running") {
		t.Errorf("while the client runs: exit %d\n%s", r.code, r.stderr)
	}
	mustBe(t, file, original)
	stop()

	v.must("", install...)
	var entry struct {
		Command string
		Args    []string
	}
	text := clientEntry(t, file, "packaged kb", &entry)
	if entry.Command != `C:\Program Files\mcp-valet\mcp-valet.exe` || strings.Contains(text, "hunter") {
		t.Errorf("the client's config is now:\n%s", text)
	}
	v.mustHoldNone("hunter2")
	session := connect(t, v.command(entry.Command, entry.Args...))
	if got := call[digest](t, session, "variable", map[string]any{"name": "DB_PASSWORD"}); got != digestOf("hunter2-hunter2-hunter2") {
		t.Errorf("the server got %v", got)
	}
	if got := call[arguments](t, session, "arguments", nil).All; len(got) != 2 || got[0] != "one two" || got[1] != "grüße" {
		t.Errorf("the server got the arguments %q", got)
	}
	session.Close()

	v.must("", "uninstall", "packaged", "--restore-secrets")
	mustBe(t, file, original)
}

// packagedFile writes the config of a packaged client, where Windows leads such a client's AppData.
func (w *wine) packagedFile(t *testing.T, text string) string {
	t.Helper()
	local, err := filepath.Glob(filepath.Join(w.folder, "users", "*", "AppData", "Local"))
	if err != nil || len(local) != 1 {
		t.Fatalf("the folders of users: %v, %v", local, err)
	}
	dir := filepath.Join(local[0], "Packages", "Claude_pzs8sxrjxfjjc", "LocalCache", "Roaming", "Claude")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "claude_desktop_config.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// packagedClient runs a program that lies where a packaged client does.
func (w *wine) packagedClient(t *testing.T, v *windowsValet) (stop func()) {
	t.Helper()
	dir := filepath.Join(w.folder, "Program Files", "WindowsApps", "Claude_1.0.0.0_x64__pzs8sxrjxfjjc", "app")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "claude.exe")
	if err := os.Link(w.server, program); err != nil {
		t.Fatal(err)
	}
	cmd := v.command(program)
	session := connect(t, cmd)
	return func() { session.Close() }
}

// clientEntry reads one entry of a client's config, and gives the whole text.
func clientEntry(t *testing.T, file, name string, entry any) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		MCPServers map[string]json.RawMessage `json:"mcpServers"`
	}
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(config.MCPServers[name], entry); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func mustBe(t *testing.T, file, want string) {
	t.Helper()
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		t.Errorf("%s: %v; it is now\n%s\nwant\n%s", file, err, got, want)
	}
}
