package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mcp-valet/internal/cli"
)

// TestPolicyNames: rows that match nothing which the server offered are warned of, and its hints are known to explain.
func TestPolicyNames(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config.json")
	text := `{ "mcpServers": { "kb": { "command": "true", "policy": {
  "roles": { "viewer": ["read"] }, "tools": { "list_*": "read", "get_x": "*any", "drop_*": "*" }, "resources": { "kb://*": "read" },
  "default": "allow", "conditions": ["forbid(principal, action, resource == Tool::\"get_x\") when { context.readOnly };"]
} } } }`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, warned strings.Builder
	err := cli.WarningsWith(file, filepath.Join(dir, "state"), "kb", `{"version":1,"talks":{"2025-11-25":{"lists":{
		"tools/list":{"tools":[{"name":"list_a"}]},
		"tools/list page2":{"tools":[{"name":"get_x","annotations":{"title":"x","readOnlyHint":true}}]},
		"resources/list":{"resources":[]}
	}}}}`, &out, &warned)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`tools."drop_*": matches nothing that the server has`, `resources."kb://*": matches nothing`} {
		if !strings.Contains(warned.String(), want) {
			t.Errorf("no warning %q in %s", want, &warned)
		}
	}
	for _, silent := range []string{"list_*", "get_x", "prompts"} {
		if strings.Contains(warned.String(), silent) {
			t.Errorf("a warning about %s in %s", silent, &warned)
		}
	}
	if !strings.Contains(out.String(), "kb: good, 3 warnings\n") {
		t.Errorf("%s", &out)
	}
}
