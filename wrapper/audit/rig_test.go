package audit_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mcp-valet/wrapper/audit"
)

// folder is a new log's folder, which is not there yet.
func folder(t testing.TB) string { return filepath.Join(t.TempDir(), "audit") }

var signing = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

func public() ed25519.PublicKey { return signing.Public().(ed25519.PublicKey) }

func sign(head []byte) ([]byte, error) { return ed25519.Sign(signing, head), nil }

func open(t testing.TB, o audit.Options) *audit.Log {
	t.Helper()
	l, err := audit.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func decision(tool string) *audit.Record {
	return &audit.Record{
		Event: "decision", Server: "kb", Account: "work", Subject: "ada", Tenant: "acme", Roles: []string{"viewer"},
		Method: "tools/call", Tool: tool, Verdict: "deny", Rule: "tools.create_*", Outcome: "refused",
		Duration: 1500 * time.Microsecond, SizeIn: 120, SizeOut: 80, Arguments: []byte(`{"title":"string(12)"}`),
	}
}

func appendAll(t testing.TB, l *audit.Log, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if err := l.Append(decision(tool)); err != nil {
			t.Fatal(err)
		}
	}
}

func closeLog(t testing.TB, l *audit.Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func verify(t testing.TB, dir string, key ed25519.PublicKey, known ...audit.Known) *audit.Report {
	t.Helper()
	r, err := audit.Verify(dir, key, known...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func verified(t testing.TB, dir string, key ed25519.PublicKey, known ...audit.Known) *audit.Report {
	t.Helper()
	r := verify(t, dir, key, known...)
	for _, p := range r.Problems {
		t.Errorf("%s", p)
	}
	return r
}

// found asserts that some problem holds want, at the file's line.
func found(t testing.TB, r *audit.Report, line int, want string) {
	t.Helper()
	for _, p := range r.Problems {
		if strings.Contains(p.String(), want) && p.Line == line {
			return
		}
	}
	t.Errorf("problems %v: none in line %d says %q", r.Problems, line, want)
}

// files are the log's files, oldest first.
func files(t testing.TB, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "audit-*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func entries(t testing.TB, dir string, f audit.Filter) (all []*audit.Entry) {
	t.Helper()
	for e, err := range audit.Read(dir, f) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func events(all []*audit.Entry) string {
	var names []string
	for _, e := range all {
		names = append(names, e.Event)
	}
	return strings.Join(names, " ")
}

func timeout(t testing.TB, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}
