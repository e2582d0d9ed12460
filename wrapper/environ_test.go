package wrapper

import (
	"slices"
	"strings"
	"testing"

	"mcp-valet/keyring"
)

// secret and token have a value that no error may tell.
var secret, token = keyring.NewSecret("s3cr3t-password"), keyring.NewSecret("s3cr3t-token")

func TestEnviron(t *testing.T) {
	windows := func(more ...string) []string {
		return append([]string{
			`COMSPEC=C:\Windows\System32\cmd.exe`, "PATH=C:\\Windows", "PATHEXT=.COM;.EXE;.BAT;.CMD", `ProgramData=C:\ProgramData`,
			"SystemDrive=C:", `SystemRoot=C:\Windows`, `WINDIR=C:\Windows`,
		}, more...)
	}
	tests := []struct {
		name   string
		goos   string
		base   []string
		server Server
		token  keyring.Secret
		want   []string
	}{
		{name: "nothing", goos: "linux", want: []string{}},
		{name: "inherited, sorted", goos: "linux",
			base: []string{"PATH=/usr/bin", "LANG=C", "EMPTY=", "EQ=a=b"},
			want: []string{"EMPTY=", "EQ=a=b", "LANG=C", "PATH=/usr/bin"}},
		{name: "ours are removed, all of them", goos: "linux",
			base: []string{"MCP_VALET_STORE_KEY=k", "A=1", "MCP_VALET_CONFIG=c", "MCP_VALET_STORE_KEY=k2", "MCP_VALET_=", "XMCP_VALET_=1", "MCP_VALE=2"},
			want: []string{"A=1", "MCP_VALE=2", "XMCP_VALET_=1"}},
		{name: "ours by another case are not ours on Unix", goos: "linux",
			base: []string{"mcp_valet_x=1"}, want: []string{"mcp_valet_x=1"}},
		{name: "no names, no entries", goos: "linux", base: []string{"=1", "nothing", "", "A=1"}, want: []string{"A=1"}},
		{name: "the last counts", goos: "linux", base: []string{"A=1", "a=2", "A=3"}, want: []string{"A=3", "a=2"}},
		{name: "set", goos: "linux",
			base: []string{"A=stale", "B=1", "A=staler"}, server: Server{Env: map[string]string{"A": "fresh", "C": ""}},
			want: []string{"A=fresh", "B=1", "C="}},
		{name: "asked for by name, one of ours is passed", goos: "linux",
			base: []string{"MCP_VALET_X=stale"}, server: Server{Env: map[string]string{"MCP_VALET_X": "1"}},
			want: []string{"MCP_VALET_X=1"}},
		{name: "secret and token where asked", goos: "linux",
			base:   []string{"MCP_AUTH_TOKEN=stale", "DB_PASSWORD=stale"},
			server: Server{Secrets: map[string]keyring.Secret{"DB_PASSWORD": secret}, TokenEnv: "MCP_AUTH_TOKEN"}, token: token,
			want: []string{"DB_PASSWORD=s3cr3t-password", "MCP_AUTH_TOKEN=s3cr3t-token"}},
		{name: "token not asked for", goos: "linux", base: []string{"MCP_AUTH_TOKEN=theirs"}, token: token,
			want: []string{"MCP_AUTH_TOKEN=theirs"}},
		{name: "no token: no stale one either", goos: "linux",
			base: []string{"MCP_AUTH_TOKEN=stale"}, server: Server{TokenEnv: "MCP_AUTH_TOKEN"}, want: []string{}},
		{name: "no secret: no stale one either", goos: "linux",
			base: []string{"P=stale"}, server: Server{Secrets: map[string]keyring.Secret{"P": {}}}, want: []string{}},
		{name: "the program's folder", goos: "linux",
			base: []string{"PATH=/usr/bin"}, server: Server{Path: "/opt/node/bin/npx"}, want: []string{"PATH=/usr/bin:/opt/node/bin"}},
		{name: "the program's folder is there", goos: "linux",
			base: []string{"PATH=/opt/node/bin:/usr/bin"}, server: Server{Path: "/opt/node/bin/npx"}, want: []string{"PATH=/opt/node/bin:/usr/bin"}},
		{name: "a program in the root", goos: "linux", server: Server{Path: "/init"}, want: []string{"PATH=/"}},
		{name: "a program of no known place", goos: "linux", base: []string{"PATH=/usr/bin"}, server: Server{Path: "bin/npx"},
			want: []string{"PATH=/usr/bin"}},
		{name: "PATH of the config", goos: "linux", base: []string{"PATH=/usr/bin"},
			server: Server{Path: "/opt/x", Env: map[string]string{"PATH": "/mine"}}, want: []string{"PATH=/mine:/opt"}},
		{name: "started by the Dock", goos: "darwin",
			base: []string{"PATH=/usr/bin:/bin"}, server: Server{Path: "/Users/me/.local/bin/uvx"},
			want: []string{"PATH=/usr/bin:/bin:/opt/homebrew/bin:/usr/local/bin:/Users/me/.local/bin"}},

		{name: "windows from nothing", goos: "windows", base: []string{`PATH=C:\Windows`}, want: windows()},
		{name: "windows, broken", goos: "windows",
			base: []string{`Path=C:\Windows`, "PATHEXT=.CPL", "WINDIR=", "windir=", "ComSpec=", "SystemRoot=%SystemRoot%"},
			want: []string{
				`ComSpec=C:\Windows\System32\cmd.exe`, `Path=C:\Windows`, "PATHEXT=.CPL;.COM;.EXE;.BAT;.CMD",
				`ProgramData=C:\ProgramData`, "SystemDrive=C:", `SystemRoot=C:\Windows`, `windir=C:\Windows`,
			}},
		{name: "windows elsewhere", goos: "windows",
			base: []string{`PATH=D:\x`, `SYSTEMROOT=D:\WinNT\`},
			want: []string{
				`COMSPEC=D:\WinNT\System32\cmd.exe`, `PATH=D:\x`, "PATHEXT=.COM;.EXE;.BAT;.CMD",
				`ProgramData=D:\ProgramData`, "SystemDrive=D:", `SYSTEMROOT=D:\WinNT\`, `WINDIR=D:\WinNT`,
			}},
		{name: "windows by its drive", goos: "windows",
			base: []string{`PATH=D:\x`, `SYSTEMDRIVE=E:`},
			want: []string{
				`COMSPEC=E:\Windows\System32\cmd.exe`, `PATH=D:\x`, "PATHEXT=.COM;.EXE;.BAT;.CMD",
				`ProgramData=E:\ProgramData`, `SYSTEMDRIVE=E:`, `SystemRoot=E:\Windows`, `WINDIR=E:\Windows`,
			}},
		{name: "windows compares without case", goos: "windows",
			base:   slices.Concat([]string{"mcp_valet_STORE_key=k", "db_password=stale", "Zed=1", "ZED=2", "Token=stale"}, windows()),
			server: Server{Env: map[string]string{"ZZ": "1"}, Secrets: map[string]keyring.Secret{"DB_PASSWORD": secret}, TokenEnv: "TOKEN"}, token: token,
			want: []string{
				`COMSPEC=C:\Windows\System32\cmd.exe`, "DB_PASSWORD=s3cr3t-password", "PATH=C:\\Windows", "PATHEXT=.COM;.EXE;.BAT;.CMD",
				`ProgramData=C:\ProgramData`, "SystemDrive=C:", `SystemRoot=C:\Windows`, "TOKEN=s3cr3t-token", `WINDIR=C:\Windows`, "ZED=2", "ZZ=1",
			}},
		{name: "directories of drives", goos: "windows",
			base: slices.Concat([]string{`=C:=C:\work`, "=ExitCode=00000000", "=", "==x"}, windows()),
			want: append([]string{`=C:=C:\work`, "=ExitCode=00000000"}, windows()...)},
		{name: "npx on windows", goos: "windows", base: windows(), server: Server{Path: `C:\Program Files\nodejs\npx.cmd`},
			want: replace(windows(), "PATH=C:\\Windows", `PATH=C:\Windows;C:\Program Files\nodejs`)},
		{name: "a program in the root of a drive", goos: "windows", base: windows(), server: Server{Path: `D:\tool.exe`},
			want: replace(windows(), "PATH=C:\\Windows", `PATH=C:\Windows;D:\`)},
		{name: "a program on a share", goos: "windows", base: windows(), server: Server{Path: `\\files\tools\tool.exe`},
			want: replace(windows(), "PATH=C:\\Windows", `PATH=C:\Windows;\\files\tools`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := slices.Clone(tt.base)
			got, err := environ(tt.base, tt.goos, tt.server, tt.token)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(tt.want, "\n  "))
			}
			if !slices.Equal(before, tt.base) {
				t.Error("base was changed")
			}
		})
	}
}

func replace(list []string, from, to string) []string {
	list[slices.Index(list, from)] = to
	return list
}

func TestEnvironRefuses(t *testing.T) {
	secrets := func(name string, value string) Server {
		return Server{Secrets: map[string]keyring.Secret{name: keyring.NewSecret(value)}}
	}
	tests := []struct {
		name   string
		goos   string
		base   []string
		server Server
		want   string // the variable, as the error names it
	}{
		{"empty name", "linux", nil, Server{Env: map[string]string{"": "s3cr3t"}}, "without a name"},
		{"empty name of a secret", "linux", nil, secrets("", "s3cr3t"), "without a name"},
		{"equals sign", "linux", nil, Server{Env: map[string]string{"A=B": "s3cr3t"}}, `"A=B"`},
		{"NUL in a name", "linux", nil, secrets("A\x00", "s3cr3t"), `"A\x00"`},
		{"equals sign in the token's name", "linux", nil, Server{TokenEnv: "A=B"}, `"A=B"`},
		{"NUL in a value", "linux", nil, Server{Env: map[string]string{"VAR": "s3cr3t\x00"}}, `"VAR"`},
		{"NUL in a secret", "linux", nil, secrets("VAR", "s3cr3t\x00"), `"VAR"`},
		{"NUL in base", "linux", []string{"VAR=s3cr3t\x00"}, Server{}, `"VAR"`},
		{"set twice", "linux", nil, Server{Env: map[string]string{"VAR": "s3cr3t"}, TokenEnv: "VAR"}, "VAR"},
		{"set twice by case", "windows", nil, Server{Env: map[string]string{"VAR": "s3cr3t", "var": "s3cr3t"}}, "var"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := environ(tt.base, tt.goos, tt.server, token)
			if err == nil {
				t.Fatal("not refused")
			}
			if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("the error must name the variable (%s) and no value: %v", tt.want, err)
			}
		})
	}
}

// TestEnvironIsDeterministic: maps give their members in any order.
func TestEnvironIsDeterministic(t *testing.T) {
	s := Server{Env: map[string]string{}, Path: "/opt/x"}
	for _, name := range strings.Split("QWERTYUIOPASDFGHJKLZXCVBNM", "") {
		s.Env[name] = name
	}
	first, err := environ([]string{"PATH=/bin"}, "linux", s, token)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if again, _ := environ([]string{"PATH=/bin"}, "linux", s, token); !slices.Equal(first, again) {
			t.Fatalf("got %q, then %q", first, again)
		}
	}
}
