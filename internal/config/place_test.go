package config_test

import (
	"strings"
	"testing"

	"mcp-valet/internal/config"
)

func TestPlaces(t *testing.T) {
	type env = map[string]string
	tests := []struct {
		name, goos, home    string
		env                 env
		config, state, fail string
	}{
		{"linux", "linux", "/home/ann", nil, "/home/ann/.config/mcp-valet/config.json", "/home/ann/.local/state/mcp-valet", ""},
		{"macOS", "darwin", "/Users/ann", nil, "/Users/ann/.config/mcp-valet/config.json", "/Users/ann/.local/state/mcp-valet", ""},
		{"windows", "windows", `C:\Users\ann`, nil, `C:\Users\ann\.mcp-valet\config.json`, `C:\Users\ann\.mcp-valet\state`, ""},
		{"XDG", "linux", "/home/ann", env{"XDG_CONFIG_HOME": "/c/", "XDG_STATE_HOME": "/s"}, "/c/mcp-valet/config.json", "/s/mcp-valet", ""},
		{"XDG on macOS", "darwin", "/Users/ann", env{"XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s"}, "/c/mcp-valet/config.json", "/s/mcp-valet", ""},
		{"XDG needs no home", "linux", "", env{"XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s"}, "/c/mcp-valet/config.json", "/s/mcp-valet", ""},
		{"relative XDG is ignored", "linux", "/home/ann", env{"XDG_CONFIG_HOME": "c", "XDG_STATE_HOME": "./s"}, "/home/ann/.config/mcp-valet/config.json", "/home/ann/.local/state/mcp-valet", ""},
		{"windows knows no XDG", "windows", `C:\Users\ann\`, env{"XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": `C:\s`}, `C:\Users\ann\.mcp-valet\config.json`, `C:\Users\ann\.mcp-valet\state`, ""},
		{"ours go first", "linux", "/home/ann", env{"XDG_CONFIG_HOME": "/c", "MCP_VALET_CONFIG": "/my/file", "MCP_VALET_STATE_DIR": "/my/dir"}, "/my/file", "/my/dir", ""},
		{"ours on windows", "windows", "", env{"MCP_VALET_CONFIG": `D:/my/file`, "MCP_VALET_STATE_DIR": `\\host\share\dir`}, `D:/my/file`, `\\host\share\dir`, ""},
		{"relative config", "linux", "/home/ann", env{"MCP_VALET_CONFIG": "file"}, "", "", "MCP_VALET_CONFIG must be an absolute path"},
		{"relative state", "windows", `C:\Users\ann`, env{"MCP_VALET_STATE_DIR": `C:dir`}, "", "", "MCP_VALET_STATE_DIR must be an absolute path"},
		{"no home", "darwin", "", nil, "", "", "finding the home folder: the environment has none (HOME)"},
		{"relative home", "windows", `ann`, nil, "", "", "finding the home folder: the environment has none (USERPROFILE)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, s, err := config.PlacesOn(tt.goos, tt.home, tt.env)
			if tt.fail != "" {
				if err == nil || err.Error() != tt.fail {
					t.Fatalf("got %v, want %s", err, tt.fail)
				}
				return
			}
			if err != nil || c != tt.config || s != tt.state {
				t.Errorf("got %q, %q, %v\nwant %q, %q", c, s, err, tt.config, tt.state)
			}
		})
	}
}

func TestPathsOfThisProcess(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	t.Setenv("MCP_VALET_CONFIG", "")
	plain, err := config.PlainPath()
	if err != nil || strings.HasPrefix(plain, dir) || !strings.HasSuffix(plain, "config.json") {
		t.Errorf("PlainPath: %q, %v", plain, err)
	}
	want := dir + "/config.json"
	t.Setenv("MCP_VALET_CONFIG", want)
	if got, err := config.Path(); err != nil || got != want {
		t.Errorf("Path: %q, %v", got, err)
	}
	t.Setenv("MCP_VALET_STATE_DIR", dir)
	if got, err := config.StateDir(); err != nil || got != dir {
		t.Errorf("StateDir: %q, %v", got, err)
	}
}
