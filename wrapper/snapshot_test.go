package wrapper_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mcp-valet/keyring"
	"mcp-valet/refresh"
	"mcp-valet/wrapper"
)

// signedOutStarter has no credential, and its server may not be started without one.
func signedOutStarter() *starter {
	s := &starter{noBare: true, token: tokenOf("", nil)}
	var err error = fmt.Errorf("account work: %w", refresh.ErrSignedOut)
	s.shut.Store(&err)
	return s
}

// snapshotOf is the file of a snapshot with so many tools.
func snapshotOf(tb testing.TB, tools int) string {
	var list []string
	for i := range tools {
		list = append(list, fmt.Sprintf(`{"name":"tool_%d","description":%q,"inputSchema":{"type":"object","properties":{"query":{"type":"string","description":"what to look for"}}}}`, i, strings.Repeat("It does things. ", 20)))
	}
	shot := fmt.Sprintf(`{"version":1,"talks":{"2025-11-25":{"hello":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}},"lists":{"tools/list":{"tools":[%s]}},"used":"2026-11-01T00:00:00Z"}}}`, strings.Join(list, ","))
	path := filepath.Join(tb.TempDir(), "snapshots", "s.json")
	if err := keyring.WriteFile(path, []byte(shot)); err != nil {
		tb.Fatal(err)
	}
	return path
}

const handshake = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":1,"method":"tools/list"}
`

// BenchmarkGate is a whole session at the gate: 500 tools from the snapshot of an earlier run, from the start to the end.
func BenchmarkGate(b *testing.B) {
	path := snapshotOf(b, 500)
	for b.Loop() {
		var out bytes.Buffer
		wrapper.Run(b.Context(), wrapper.Options{
			Name: "s", Account: "work", Starter: signedOutStarter(), SignIns: &signIns{}, Snapshot: path,
			In: strings.NewReader(handshake), Out: &out, Err: io.Discard, Environ: []string{},
		})
		if !strings.Contains(out.String(), "tool_499") {
			b.Fatalf("got %.200s", out.String())
		}
	}
}

// A snapshot that is damaged, of another kind, somebody else's, or no file at all is as good as none.
func TestBadSnapshots(t *testing.T) {
	good, err := os.ReadFile(snapshotOf(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty": "", "cut off": string(good[:len(good)-9]), "later version": strings.Replace(string(good), `"version":1`, `"version":2`, 1),
		"null": "null", "null talk": `{"version":1,"talks":{"2025-11-25":null}}`, "no talks": `{"version":1}`,
		"another kind": `[1]`, "somebody else's": strings.Replace(string(good), `"version":1`, `"version":1,"subject":"bob"`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "snapshots", "s.json")
			if err := keyring.WriteFile(path, []byte(text)); err != nil {
				t.Fatal(err)
			}
			if got := atGate(t, path, "alice"); !strings.Contains(got, `"sign_in"`) {
				t.Errorf("no stand-in: %s", got)
			}
		})
	}
	t.Run("a folder", func(t *testing.T) {
		if got := atGate(t, t.TempDir(), "alice"); !strings.Contains(got, `"sign_in"`) {
			t.Errorf("no stand-in: %s", got)
		}
	})
	t.Run("good", func(t *testing.T) {
		if got := atGate(t, snapshotOf(t, 1), "alice"); !strings.Contains(got, `"tool_0"`) {
			t.Errorf("not used: %s", got)
		}
	})
}

// atGate is what a client gets from a gate with a snapshot.
func atGate(t *testing.T, path, subject string) string {
	t.Helper()
	var out bytes.Buffer
	s := signedOutStarter()
	s.subject = subject
	code, err := wrapper.Run(t.Context(), wrapper.Options{
		Name: "s", Account: "work", Starter: s, SignIns: &signIns{}, Snapshot: path,
		In: strings.NewReader(handshake), Out: &out, Err: io.Discard, Environ: []string{},
	})
	if code != 1 || err == nil {
		t.Errorf("exit %d, %v", code, err)
	}
	for line := range strings.Lines(out.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
	return out.String()
}

// A snapshot taken by hand holds both eras of a server that speaks both, and what a gate needs.
func TestTakeSnapshot(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := `read-or-exit "method":"initialize"
print {"jsonrpc":"2.0","method":"notifications/message","params":{}}
print {"jsonrpc":"2.0","id":"x","method":"ping"}
print {"jsonrpc":"2.0","id":"mcp-valet-1","result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}}
read "id":"x"
read initialized
read "id":"mcp-valet-2"
print {"jsonrpc":"2.0","id":"mcp-valet-2","result":{"tools":[{"name":"${TOKEN}"}],"nextCursor":"more"}}
read "cursor":"more"
print {"jsonrpc":"2.0","id":"mcp-valet-3","result":{"tools":[{"name":"b"}]}}
eof`
	path := filepath.Join(t.TempDir(), "snapshots", "s.json")
	var log buffer
	err = wrapper.TakeSnapshot(t.Context(), wrapper.Options{
		Name: "s", Err: &log, Snapshot: path, Environ: append(os.Environ(), "GORACE=atexit_sleep_ms=0"),
		Starter: wrapper.Fixed{Token: keyring.NewSecret("a-token-of-some-length"), Subject: "alice", Server: wrapper.Server{
			Path: self, TokenEnv: "TOKEN", Env: map[string]string{scriptEnv: script},
		}},
	})
	if err != nil {
		t.Fatalf("%v; stderr: %s", err, log.String())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"subject":"alice"`, `"tools/list":{`, `"tools/list more":{"tools":[{"name":"b"}]}`, `"name":"**********************"`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in %s", want, b)
		}
	}
	if strings.Contains(string(b), "modern") {
		t.Errorf("a legacy server is said to be modern: %s", b)
	}
}

// A server that does not answer is told from one that does.
func TestTakeSnapshotOfNothing(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	err = wrapper.TakeSnapshot(t.Context(), wrapper.Options{
		Name: "s", Err: io.Discard, Snapshot: filepath.Join(t.TempDir(), "s.json"), Environ: append(os.Environ(), "GORACE=atexit_sleep_ms=0"),
		Starter: wrapper.Fixed{Server: wrapper.Server{Path: self, Env: map[string]string{scriptEnv: "exit 1"}}},
	})
	if err == nil || time.Since(began) > patience {
		t.Errorf("got %v after %v", err, time.Since(began))
	}
}
