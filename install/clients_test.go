package install_test

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"mcp-valet/install"
)

// machine is a system made of files and variables. On Windows, path.Match does for its paths, with / for \.
func machine(goos, home string, env map[string]string, files ...string) install.System {
	slash := func(s string) string { return strings.ReplaceAll(s, `\`, "/") }
	return install.System{
		GOOS: goos, Home: home,
		Getenv: func(name string) string { return env[name] },
		Glob: func(pattern string) (found []string, err error) {
			for _, f := range files {
				if ok, err := path.Match(slash(pattern), slash(f)); err != nil {
					return nil, err
				} else if ok {
					found = append(found, f)
				}
			}
			return found, nil
		},
		Stat: func(path string) (fs.FileInfo, error) {
			if slices.Contains(files, path) {
				return nil, nil
			}
			return nil, os.ErrNotExist
		},
	}
}

func TestFile(t *testing.T) {
	windows := map[string]string{"APPDATA": `C:\Users\Ann\AppData\Roaming`, "LOCALAPPDATA": `C:\Users\Ann\AppData\Local`}
	const (
		mac       = "/Users/ann/Library/Application Support/Claude/claude_desktop_config.json"
		plain     = `C:\Users\Ann\AppData\Roaming\Claude\claude_desktop_config.json`
		packaged  = `C:\Users\Ann\AppData\Local\Packages\Claude_pzs8sxrjxfjjc\LocalCache\Roaming\Claude\claude_desktop_config.json`
		packaged2 = `C:\Users\Ann\AppData\Local\Packages\Claude_other\LocalCache\Roaming\Claude\claude_desktop_config.json`
		nest      = `C:\Users\Ann\AppData\Local\Packages\Claude_nest\deep\LocalCache\Roaming\Claude\claude_desktop_config.json`
	)
	for _, tt := range []struct {
		name   string
		system install.System
		want   string
		err    error
		names  []string
	}{
		{"macOS", machine("darwin", "/Users/ann", nil, mac), mac, nil, nil},
		{"macOS, none", machine("darwin", "/Users/ann", nil), "", install.ErrNoFile, []string{mac}},
		{"macOS, no home", machine("darwin", "", nil, mac), "", install.ErrNoFile, nil},
		{"Linux", machine("linux", "/home/ann/", nil, "/home/ann/.config/Claude/claude_desktop_config.json"), "/home/ann/.config/Claude/claude_desktop_config.json", nil, nil},
		{"Linux, elsewhere", machine("linux", "/home/ann", map[string]string{"XDG_CONFIG_HOME": "/x"}, "/x/Claude/claude_desktop_config.json", "/home/ann/.config/Claude/claude_desktop_config.json"), "/x/Claude/claude_desktop_config.json", nil, nil},
		{"Linux, relative variable", machine("linux", "/home/ann", map[string]string{"XDG_CONFIG_HOME": "x"}, "/home/ann/.config/Claude/claude_desktop_config.json"), "/home/ann/.config/Claude/claude_desktop_config.json", nil, nil},
		{"Windows, plain", machine("windows", "", windows, plain), plain, nil, nil},
		{"Windows, packaged", machine("windows", "", windows, packaged, nest), packaged, nil, nil},
		{"Windows, both", machine("windows", "", windows, plain, packaged), "", install.ErrSeveralFiles, []string{plain, packaged}},
		{"Windows, two packages", machine("windows", "", windows, packaged, packaged2), "", install.ErrSeveralFiles, []string{packaged, packaged2}},
		{"Windows, none", machine("windows", "", windows), "", install.ErrNoFile, []string{plain, strings.Replace(packaged, "pzs8sxrjxfjjc", "*", 1)}},
		{"Windows, bare", machine("windows", "", nil, plain), "", install.ErrNoFile, nil},
		{"another system", machine("plan9", "/home/ann", nil), "", install.ErrNoFile, []string{"plan9"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := claude(t).File(tt.system)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("got %q, %v", got, err)
			}
			for _, name := range tt.names {
				if !strings.Contains(err.Error(), name) {
					t.Errorf("%v\nlacks %s", err, name)
				}
			}
		})
	}
}

func TestClientNamed(t *testing.T) {
	if c, ok := install.ClientNamed("netscape"); ok {
		t.Errorf("got %+v", c)
	}
	seen := map[string]bool{}
	for _, c := range install.Clients() {
		if seen[c.Name] || c.Title == "" || c.Key == "" || len(c.Files) == 0 {
			t.Errorf("row %+v", c)
		}
		seen[c.Name] = true
	}
}

func TestAmongst(t *testing.T) {
	for _, tt := range []struct {
		goos, name, path string
		want             bool
	}{
		{"darwin", "Claude", "", true},
		{"darwin", "claude", "", false}, // Claude Code
		{"darwin", "Claude Helper", "", false},
		{"linux", "claude-desktop", "/opt/x", true},
		{"linux", "electron", "/usr/lib/claude-desktop/node_modules/electron/dist/electron", true},
		{"linux", "electron", "/tmp/.mount_claude-desktopX1/usr/lib/electron", true},
		{"linux", "electron", "/usr/lib/slack/electron", false},
		{"linux", "claude", "/home/ann/.local/share/claude/versions/2.1", false},
		{"linux", "bash", "/usr/bin/bash", false},
		{"windows", "Claude.exe", `C:\Program Files\WindowsApps\Claude_1.2.3.0_x64__pzs8sxrjxfjjc\app\Claude.exe`, true},
		{"windows", "claude.exe", `C:\Users\Ann\AppData\Local\AnthropicClaude\app-0.9\claude.exe`, true},
		{"windows", "claude.exe", `C:\Users\Ann\AppData\Local\AnthropicClaude\claude.exe`, true},
		{"windows", "claude.exe", `C:\Users\Ann\.local\bin\claude.exe`, false}, // Claude Code
		{"windows", "notclaude.exe", `C:\Users\Ann\AppData\Local\AnthropicClaude\notclaude.exe`, false},
		{"windows", "claude.exe", "", false},
		{"plan9", "claude-desktop", "", false},
	} {
		if got := install.Amongst(claude(t), tt.goos, tt.name, tt.path); got != tt.want {
			t.Errorf("%s %q %q: %v", tt.goos, tt.name, tt.path, got)
		}
	}
}
