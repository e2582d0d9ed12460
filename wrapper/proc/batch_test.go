package proc_test

import (
	"errors"
	"strings"
	"testing"

	"mcp-valet/wrapper/proc"
)

func TestIsBatch(t *testing.T) {
	for path, want := range map[string]bool{
		`C:\nodejs\npx.cmd`:    true,
		`C:\x.BAT`:             true,
		`C:\x.bat. .`:          true,
		`C:\x.cmd   `:          true,
		`C:\x.cmd::$DATA`:      true,
		`C:/nodejs/npx.Cmd`:    true,
		`\\server\share\x.bat`: true,
		`C:\nodejs\node.exe`:   false,
		`C:\x.cmd\node.exe`:    false,
		`C:\x.cmd.exe`:         false,
		`C:\Windows\cmd`:       false,
		`C:\Windows\cmd.exe`:   false,
	} {
		if got := proc.IsBatch(path); got != want {
			t.Errorf("IsBatch(%q) = %v, want %v", path, got, want)
		}
	}
}

func TestBatchCommandLine(t *testing.T) {
	const shell = `C:\Windows\System32\cmd.exe`
	tests := []struct {
		name, script string
		args         []string
		want         string // after the shell and its options
	}{
		{"none", `C:\x.cmd`, nil, `""C:\x.cmd""`},
		{"plain stay bare", `C:\Program Files (x86)\n & m\npx.cmd`, []string{"-y", "@scope/server@1.2", `C:\data\x`, "--port=8080"},
			`""C:\Program Files (x86)\n & m\npx.cmd" -y @scope/server@1.2 C:\data\x "--port=8080""`},
		{"blanks, commas, empty", `C:\x.cmd`, []string{"a b", "a,b;c", "", "~'`"}, `""C:\x.cmd" "a b" "a,b;c" "" "~'` + "`" + `""`},
		{"backslash before the quote", `C:\x.cmd`, []string{`C:\my dir\`, `C:\dir\`}, `""C:\x.cmd" "C:\my dir\\" C:\dir\"`},
		{"not ASCII", `C:\x.cmd`, []string{"Grüße"}, `""C:\x.cmd" "Grüße""`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := proc.BatchCommandLine(shell, tt.script, tt.args)
			want := `"` + shell + `" /d /e:on /v:off /s /c ` + tt.want
			if got != want || err != nil {
				t.Errorf("got  %s, %v\nwant %s", got, err, want)
			}
		})
	}
}

func TestBatchRefusal(t *testing.T) {
	for _, bad := range strings.Split("% ! ^ & | < > ( ) \" \n \r \t \x00 \x1a \x7f", " ") {
		secret := "s3cr3t" + bad + "tail"
		_, err := proc.BatchCommandLine("cmd.exe", `C:\x.cmd`, []string{"fine", secret})
		if !errors.Is(err, proc.ErrBatchArgument) {
			t.Errorf("%q: got %v, want ErrBatchArgument", bad, err)
			continue
		}
		if !strings.Contains(err.Error(), "args[1]") || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%q: the error must name the index and not the content: %v", bad, err)
		}
	}
	for _, script := range []string{`C:\100%\x.cmd`, `C:\wow!\x.cmd`, "C:\\a\nb\\x.cmd", `C:\"\x.cmd`} {
		if _, err := proc.BatchCommandLine("cmd.exe", script, nil); !errors.Is(err, proc.ErrNotExecutable) {
			t.Errorf("%q: got %v, want ErrNotExecutable", script, err)
		}
	}
	if _, err := proc.BatchCommandLine("cmd.exe", `C:\x.cmd`, []string{strings.Repeat("a", proc.MaxBatchLine)}); !errors.Is(err, proc.ErrNotExecutable) {
		t.Errorf("too long: got %v, want ErrNotExecutable", err)
	}
}
