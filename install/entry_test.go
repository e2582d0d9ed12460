package install_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"mcp-valet/install"
)

func TestEntry(t *testing.T) {
	for _, c := range []struct {
		name, server, exe, config string
		args                      []string
	}{
		{"usual place", "kb", "/usr/local/bin/mcp-valet", "", []string{"run", "kb"}},
		{"another config", "kb", "/opt/mcp-valet", "/srv/kb.json", []string{"run", "kb", "--config", "/srv/kb.json"}},
		{"characters that JSON or HTML escapes", "kb", `C:\Program Files\A&B <x>\mcp-valet.exe`, `C:\"q"`, []string{"run", "kb", "--config", `C:\"q"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := install.EntryFor(c.exe, c.server, c.config).JSON(c.server)
			var got map[string]install.Entry
			if err := json.Unmarshal([]byte("{"+string(text)+"}"), &got); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			if e := got[c.server]; len(got) != 1 || e.Command != c.exe || !slices.Equal(e.Args, c.args) {
				t.Errorf("%s reads as %+v", text, got)
			}
		})
	}
}

func TestStableExe(t *testing.T) {
	stable := filepath.Join(t.TempDir(), "mcp-valet")
	if err := install.StableExe(stable); err != nil {
		t.Error(err)
	}
	for _, exe := range []string{"mcp-valet", filepath.Join(t.TempDir(), "go-build123", "b001", "exe", "mcp-valet")} {
		if install.StableExe(exe) == nil {
			t.Errorf("%s counts as stable", exe)
		}
	}
}
