//go:build linux

package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// odd are arguments that a program must get as they are.
var odd = []string{"plain", "with blanks", "", `say "hello"`, `C:\my dir\`, `back\\"slashes\`, "%PATH%", "a&b|c<d>e^f!g", "tab\tand\nline", "grüße 世界"}

// testWindowsServer talks to a server through the launcher; its stdin ends with the client's, and its exit code becomes
// the launcher's.
func testWindowsServer(t *testing.T, w *wine) {
	v := w.newValet(t)
	v.writeConfig(`{ "mcpServers": { "odd": { "command": %q, "args": %s, "env": { "WINSERVER_EXIT_CODE": "7" } } } }`, windowsPath(w.server), asJSON(t, odd))
	cmd := v.command(v.valet, "run", "odd")
	session := connect(t, cmd)
	if got := call[arguments](t, session, "arguments", nil).All; !slices.Equal(got, odd) {
		t.Errorf("the arguments arrived as %q, want %q", got, odd)
	}
	for _, said := range []string{"grüße \u2028 \x00 \"quoted\"\r\n", strings.Repeat("x", 1<<20)} {
		if got := call[echo](t, session, "echo", map[string]any{"message": said}); got.Message != said {
			t.Errorf("%d bytes came back as %d others", len(said), len(got.Message))
		}
	}
	session.Close() // the exit code is an error to it
	if code := cmd.ProcessState.ExitCode(); code != 7 {
		t.Errorf("at the end of stdin: %v, want the server's exit code 7", cmd.ProcessState)
	}
}

// testServerEndsByItself answers what a server has left, and gives its exit code on.
func testServerEndsByItself(t *testing.T, w *wine) {
	v := w.newValet(t)
	v.writeConfig(`{ "mcpServers": { "exit": { "command": %q } } }`, windowsPath(w.server))
	cmd := v.command(v.valet, "run", "exit")
	session := connect(t, cmd)
	_, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "exit", Arguments: map[string]any{"message": "9"}})
	if err == nil || !strings.Contains(err.Error(), "9") {
		t.Errorf("the request that a server ended at: %v; want its exit code", err)
	}
	session.Close()
	if code := cmd.ProcessState.ExitCode(); code != 9 {
		t.Errorf("%v, want the server's exit code 9", cmd.ProcessState)
	}
}

// testBatchFile starts a server by a batch file that is found in PATH by its bare name, as npx is, and passes its
// arguments on.
func testBatchFile(t *testing.T, w *wine) {
	v := w.newValet(t)
	tool := v.batchFile("tool")
	args := []string{"-y", "@scope/server@1.2", "with blanks", "a,b;c=d", "--port=8080", `C:\my dir\`, "", "~'#"}
	v.writeConfig(`{ "mcpServers": { "tool": { "command": "tool", "args": %s, "env": { "WINSERVER_EXIT_CODE": "7" } } } }`, asJSON(t, args))
	cmd := v.command(v.valet, "run", "tool")
	cmd.Env = append(cmd.Env, "WINEPATH="+windowsPath(filepath.Dir(tool))) // what Wine adds to PATH
	session := connect(t, cmd)
	if got := call[arguments](t, session, "arguments", nil).All; !slices.Equal(got, args) {
		t.Errorf("the arguments arrived as %q, want %q", got, args)
	}
	session.Close()
	if code := cmd.ProcessState.ExitCode(); code != 7 {
		t.Errorf("at the end of stdin: %v, want the server's exit code 7", cmd.ProcessState)
	}
}

// testBatchArguments refuses arguments that cmd.exe would act on: it says which one, not what is in it, and starts nothing.
func testBatchArguments(t *testing.T, w *wine) {
	v := w.newValet(t)
	tool := v.batchFile("tool")
	proof := filepath.Join(v.dir, "started")
	if err := os.WriteFile(tool, []byte("@echo started> \""+windowsPath(proof)+"\"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"s3cr3t&calc", "%PATH%s3cr3t", `s3cr3t"&calc`, "s3cr3t\nb", "s3cr3t|b"} {
		v.writeConfig(`{ "mcpServers": { "tool": { "command": %q, "args": %s } } }`, windowsPath(tool), asJSON(t, []string{"fine", bad}))
		r := v.run("", "run", "tool")
		if said := r.stdout + r.stderr; r.code != 126 || !strings.Contains(said, "args[1]: argument not safe for a batch file") || strings.Contains(said, "s3cr3t") {
			t.Errorf("%q: exit %d, it says %s", bad, r.code, said)
		}
		if _, err := os.Stat(proof); err == nil {
			t.Fatalf("%q: the batch file was started", bad)
		}
	}
	v.writeConfig(`{ "mcpServers": { "tool": { "command": %q, "args": ["fine"] } } }`, windowsPath(tool))
	v.run("", "run", "tool")
	if _, err := os.Stat(proof); err != nil {
		t.Errorf("with an argument that is fine, the batch file was not started: %v", err)
	}
}

// testJob kills the launcher: with it end the server and what the server has started, also where a batch file is in
// between. Without the launcher, what a killed server has started lives on.
func testJob(t *testing.T, w *wine) {
	v := w.newValet(t)
	v.writeConfig(`{ "mcpServers": { "exe": { "command": %q }, "cmd": { "command": %q } } }`, windowsPath(w.server), windowsPath(v.batchFile("tool")))
	for name, args := range map[string][]string{"exe": {w.valet, "run", "exe"}, "cmd": {w.valet, "run", "cmd"}, "direct": {w.server}} {
		t.Run(name, func(t *testing.T) {
			mark := "of-" + filepath.Base(t.TempDir()) + "-" + name + "-" + filepath.Base(v.dir)
			cmd := v.command(args[0], args[1:]...)
			session := connect(t, cmd)
			call[struct{}](t, session, "family", map[string]any{"name": mark})
			await(t, "the server's child", func() bool { return len(processes(t, mark)) == 1 })
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			if name != "direct" {
				await(t, "the end of the server's child", func() bool { return len(processes(t, mark)) == 0 })
				return
			}
			session.Close()
			time.Sleep(time.Second) // more than a job needs
			alive := processes(t, mark)
			if len(alive) != 1 {
				t.Errorf("without the launcher, %d children of a killed server are left, want 1", len(alive))
			}
			for _, pid := range alive {
				syscall.Kill(pid, syscall.SIGKILL)
			}
		})
	}
}

// batchFile makes a batch file that passes its arguments on to the server, in a folder whose name is a trap to cmd.exe.
func (v *windowsValet) batchFile(name string) string {
	v.t.Helper()
	dir := filepath.Join(v.dir, "my tools (x86)")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		v.t.Fatal(err)
	}
	file := filepath.Join(dir, name+".cmd")
	if err := os.WriteFile(file, []byte("@\""+windowsPath(v.server)+"\" %*\r\n"), 0o600); err != nil {
		v.t.Fatal(err)
	}
	return file
}

// processes are the processes of this machine that have an argument.
func processes(t *testing.T, argument string) (pids []int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil || !slices.ContainsFunc(bytes.Split(line, []byte{0}), func(a []byte) bool { return string(a) == argument }) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

type (
	arguments struct {
		All []string `json:"all"`
	}
	echo struct {
		Message string `json:"message"`
	}
)

// call calls a tool and gives its answer.
func call[T any](t *testing.T, session *mcp.ClientSession, tool string, arguments map[string]any) (answer T) {
	t.Helper()
	if arguments == nil {
		arguments = map[string]any{}
	}
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	text, err := json.Marshal(result.StructuredContent)
	if err != nil {
		t.Fatal(err)
	}
	if result.IsError {
		t.Fatalf("%s: %v", tool, asJSON(t, result.Content))
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
