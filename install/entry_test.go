package install_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"mcp-valet/install"
)

func TestEntry(t *testing.T) {
	for _, tt := range []struct {
		name, exe, server string
		places            install.Places
		want              string
	}{
		{"default place", "/usr/local/bin/mcp-valet", "security-kb", install.Places{}, `"security-kb": {
  "command": "/usr/local/bin/mcp-valet",
  "args": [
    "run",
    "security-kb"
  ]
}`},
		{"another place, on windows", `C:\Users\Ann & "Bob"\mcp-valet.exe`, "kb", install.Places{Config: `D:\config.json`, State: `D:\state`, Store: "file"}, `"kb": {
  "command": "C:\\Users\\Ann & \"Bob\"\\mcp-valet.exe",
  "args": [
    "run",
    "kb",
    "--config",
    "D:\\config.json",
    "--state",
    "D:\\state",
    "--store",
    "file"
  ]
}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			entry := install.EntryFor(tt.exe, tt.server, tt.places)
			got := string(entry.JSON(tt.server))
			if got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
			var read map[string]install.Entry
			if err := json.Unmarshal([]byte("{"+got+"}"), &read); err != nil || !reflect.DeepEqual(read, map[string]install.Entry{tt.server: entry}) {
				t.Errorf("read back: %v, %v", read, err)
			}
		})
	}
}

func TestEntryWithoutArguments(t *testing.T) {
	if got := string(install.Entry{Command: "c"}.JSON("s")); !strings.Contains(got, `"args": []`) {
		t.Errorf("got %s", got)
	}
}

func TestStableExe(t *testing.T) {
	root := t.TempDir()
	hash := strings.Repeat("0a", 32)
	for _, good := range []string{"bin/mcp-valet", "go-builds/mcp-valet", "go-build1x/mcp-valet", "go-build1", hash + "/mcp-valet", hash + "-d"} {
		if err := install.StableExe(filepath.Join(root, good)); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"go-build3619581749/b001/exe/mcp-valet", ".cache/go-build/0a/" + hash + "-d/mcp-valet", "my-cache/0a/" + hash + "-d/mcp-valet"} {
		if err := install.StableExe(filepath.Join(root, bad)); !errors.Is(err, install.ErrTemporary) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	for _, bad := range []string{"", "mcp-valet", filepath.Join("bin", "mcp-valet")} {
		if err := install.StableExe(bad); err == nil || errors.Is(err, install.ErrTemporary) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
