package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// connect starts a server with the client of the official Go SDK.
func connect(t *testing.T, cmd *exec.Cmd) *mcp.ClientSession {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	client := mcp.NewClient(&mcp.Implementation{Name: "e2e", Version: "1"}, nil)
	session, err := client.Connect(ctx, &mcp.CommandTransport{Command: cmd}, nil)
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	t.Cleanup(func() { session.Close() })
	return session
}

// tokenLength asks the server "sdk" how long its token is.
func tokenLength(t *testing.T, v *valet) int {
	t.Helper()
	session := connect(t, v.command("run", "sdk"))
	result, err := session.CallTool(context.Background(), &mcp.CallToolParams{Name: "token_length"})
	if err != nil {
		t.Fatal(err)
	}
	var answer struct{ Length int }
	text, err := json.Marshal(result.StructuredContent)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Length
}

// launched is an installation with servers that need no token: what is compared is the way the messages go.
func launched(t *testing.T) *valet {
	v := newValet(t)
	v.writeConfig(`{ "mcpServers": {
    "sdk": { "command": "` + built.sdkserver + `" },
    "everything": { "command": "` + node(t) + `", "args": ["` + everything(t) + `"] }
  } }`)
	return v
}

func everything(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("node/node_modules/@modelcontextprotocol/server-everything/dist/index.js")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestGoSDKClient compares a server through the launcher with the same server directly, in both eras.
func TestGoSDKClient(t *testing.T) {
	v := launched(t)
	for _, c := range []struct {
		server, era string
		direct      *exec.Cmd
	}{
		{"sdk", "2026-07-28", exec.Command(built.sdkserver)},
		{"everything", "2025-11-25", exec.Command(node(t), everything(t))},
	} {
		t.Run(c.server, func(t *testing.T) {
			direct, through := connect(t, c.direct), connect(t, v.command("run", c.server))
			if got := through.InitializeResult().ProtocolVersion; got != c.era {
				t.Errorf("protocol version %s through the launcher, want %s", got, c.era)
			}
			want, got := survey(t, direct), survey(t, through)
			if want != got {
				t.Errorf("through the launcher:\n%s\ndirectly:\n%s", got, want)
			}
		})
	}
}

// survey is what a client can learn of a server, and the answer of its tool echo.
func survey(t *testing.T, s *mcp.ClientSession) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var all []any
	add := func(v any, err error) {
		if err != nil {
			v = err.Error()
		}
		all = append(all, v)
	}
	add(s.InitializeResult(), nil)
	add(s.ListTools(ctx, nil))
	add(s.ListResources(ctx, nil))
	add(s.ListPrompts(ctx, nil))
	add(s.CallTool(ctx, &mcp.CallToolParams{Name: "echo", Arguments: map[string]any{"message": "grüße \u2028 \x00 \"quoted\""}}))
	add(s.CallTool(ctx, &mcp.CallToolParams{Name: "echo", Arguments: map[string]any{"message": strings.Repeat("x", 1<<20)}}))
	add(s.CallTool(ctx, &mcp.CallToolParams{Name: "no such tool"}))
	text, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// inspect runs the MCP Inspector's command line.
func inspect(t *testing.T, v *valet, args ...string) string {
	t.Helper()
	out, err := inspection(t, v, args...)()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// inspection prepares a run of the MCP Inspector's command line.
func inspection(t *testing.T, v *valet, args ...string) func() (string, error) {
	t.Helper()
	inspector, err := filepath.Abs("node/node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js")
	if err != nil {
		t.Fatal(err)
	}
	program := node(t)
	return func() (string, error) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, program, append([]string{inspector, "--cli"}, args...)...)
		cmd.Env, cmd.Dir = v.env, v.dir
		var errs strings.Builder
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("inspector %s: %w\n%s\n%s", strings.Join(args, " "), err, out, errs.String())
		}
		return string(out), nil
	}
}

// TestInspector compares what the MCP Inspector shows through the launcher with what it shows directly.
func TestInspector(t *testing.T) {
	v := launched(t)
	for _, question := range [][]string{
		{"--method", "tools/list"},
		{"--method", "resources/list"},
		{"--method", "prompts/list"},
		{"--method", "tools/call", "--tool-name", "echo", "--tool-arg", "message=hello"},
	} {
		direct := inspect(t, v, append([]string{node(t), everything(t)}, question...)...)
		through := inspect(t, v, append([]string{built.valet, "run", "everything"}, question...)...)
		if direct != through || !strings.Contains(direct, "{") {
			t.Errorf("%v through the launcher:\n%s\ndirectly:\n%s", question, through, direct)
		}
	}
}

// TestTokenStaysOutOfContext asks a server for its whole environment, as a model might: the token is masked.
func TestTokenStaysOutOfContext(t *testing.T) {
	p := panva(t)
	v := newValet(t)
	v.writeConfig(`{
  "store": { "kind": "file" },
  "accounts": { "work": { "issuer": "` + p.issuer + `", "clientId": "valet", "scopes": ["openid", "offline_access"], "export": true } },
  "mcpServers": { "everything": { "command": "` + node(t) + `", "args": ["` + everything(t) + `"], "auth": { "account": "work" } } }
}`)
	v.mustLogin("", "work")
	token := strings.TrimSpace(v.must("token", "work").stdout)
	session := connect(t, v.command("run", "everything"))
	result, err := session.CallTool(context.Background(), &mcp.CallToolParams{Name: "get-env"})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "MCP_AUTH_TOKEN") || !strings.Contains(string(text), strings.Repeat("*", len(token))) {
		t.Errorf("the answer does not show a masked token: %s", os.Expand(string(text), func(string) string { return "" }))
	}
	if strings.Contains(string(text), token) || strings.Contains(string(text), "MCP_VALET_") {
		t.Error("the answer shows the token, or a variable of ours")
	}
}
