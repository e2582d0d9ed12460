package proc_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"mcp-valet/wrapper/proc"
)

// files is a file system by absolute path; a name that ends in a separator is a directory. Windows
// names are compared without case.
type files map[string]fs.FileMode

func (f files) stat(goos string) func(string) (fs.FileInfo, error) {
	return func(path string) (fs.FileInfo, error) {
		for name, mode := range f {
			if name == path || goos == "windows" && strings.EqualFold(name, path) {
				if mode == unreadable {
					return nil, &fs.PathError{Op: "stat", Path: path, Err: fs.ErrPermission}
				}
				return info{mode: mode}, nil
			}
		}
		return nil, &fs.PathError{Op: "stat", Path: path, Err: fs.ErrNotExist}
	}
}

const unreadable = fs.ModeExclusive // a mark for the table, no mode that occurs

type info struct {
	fs.FileInfo // not asked for
	mode        fs.FileMode
}

func (i info) Mode() fs.FileMode { return i.mode }
func (i info) IsDir() bool       { return i.mode.IsDir() }

func TestResolve(t *testing.T) {
	unix := files{
		"/usr/bin/npx":          0o755,
		"/opt/tool/npx":         0o755,
		"/opt/homebrew/bin/uvx": 0o755,
		"/srv/app/bin/run":      0o755,
		"/srv/app/npx":          0o755,
		"/srv/app/notes":        0o644,
		"/early/npx":            0o644,
		"/folders/npx":          fs.ModeDir | 0o755,
		"/pipes/npx":            fs.ModeNamedPipe | 0o755,
		"/private/npx":          unreadable,
		"npx":                   0o755, // where a lookup in the working directory would end
		"./npx":                 0o755,
		"bin/npx":               0o755,
	}
	windows := files{
		`C:\nodejs\npx`:              0o666, // the shell script for Git Bash that npm puts beside it
		`C:\nodejs\npx.cmd`:          0o666,
		`C:\nodejs\node.exe`:         0o666,
		`C:\py\python3.12.exe`:       0o666,
		`C:\py\server.py`:            0o666,
		`C:\both\tool.exe`:           0o666,
		`C:\both\tool.cmd`:           0o666,
		`C:\odd\foo.bat.exe`:         0o666,
		`C:\dirs\npx.cmd`:            fs.ModeDir | 0o777,
		`C:\alias\python.exe`:        fs.ModeIrregular | 0o666,
		`C:\srv\bin\run.exe`:         0o666,
		`C:\srv\run.exe`:             0o666,
		`\\files\tools\bin\tool.exe`: 0o666,
		`npx.cmd`:                    0o666,
	}
	tests := []struct {
		name         string
		goos         string
		command, dir string
		env          []string
		want         string
		wantErr      error
	}{
		{"bare", "linux", "npx", "", []string{"PATH=/nowhere:/usr/bin:/opt/tool"}, "/usr/bin/npx", nil},
		{"order of PATH", "linux", "npx", "", []string{"PATH=/opt/tool:/usr/bin"}, "/opt/tool/npx", nil},
		{"last PATH counts", "linux", "npx", "", []string{"PATH=/usr/bin", "PATH=/opt/tool"}, "/opt/tool/npx", nil},
		{"not in the working directory", "linux", "npx", "/srv/app", []string{"PATH=/nowhere"}, "", proc.ErrNotFound},
		{"empty entries", "linux", "npx", "/srv/app", []string{"PATH=::"}, "", proc.ErrNotFound},
		{"relative entries", "linux", "npx", "/srv/app", []string{"PATH=.:bin:./:../x"}, "", proc.ErrNotFound},
		{"relative entries are skipped", "linux", "npx", "", []string{"PATH=.:bin:/usr/bin"}, "/usr/bin/npx", nil},
		{"no PATH", "linux", "npx", "", nil, "", proc.ErrNotFound},
		{"no Homebrew on linux", "linux", "uvx", "", []string{"PATH=/usr/bin"}, "", proc.ErrNotFound},
		{"PATH is not Path", "linux", "npx", "", []string{"Path=/usr/bin"}, "", proc.ErrNotFound},
		{"not executable, better one later", "linux", "npx", "", []string{"PATH=/early:/folders:/pipes:/private:/usr/bin"}, "/usr/bin/npx", nil},
		{"not executable", "linux", "npx", "", []string{"PATH=/early"}, "", proc.ErrNotExecutable},
		{"directory", "linux", "npx", "", []string{"PATH=/folders"}, "", proc.ErrNotExecutable},
		{"named pipe", "linux", "npx", "", []string{"PATH=/pipes"}, "", proc.ErrNotExecutable},
		{"no permission", "linux", "/private/npx", "", nil, "", proc.ErrNotExecutable},
		{"absolute", "linux", "/usr/bin/npx", "", nil, "/usr/bin/npx", nil},
		{"absolute, missing", "linux", "/usr/bin/nope", "", nil, "", proc.ErrNotFound},
		{"absolute, mode", "linux", "/srv/app/notes", "", nil, "", proc.ErrNotExecutable},
		{"relative", "linux", "bin/run", "/srv/app", nil, "/srv/app/bin/run", nil},
		{"relative with dot", "linux", "./npx", "/srv/app", []string{"PATH=/usr/bin"}, "/srv/app/npx", nil},
		{"relative without a directory", "linux", "./npx", "", []string{"PATH=/usr/bin"}, "", proc.ErrNotFound},
		{"relative to a relative directory", "linux", "./npx", "srv", nil, "", proc.ErrNotFound},
		{"empty", "linux", "", "/srv/app", []string{"PATH=/usr/bin"}, "", proc.ErrNotFound},
		{"NUL", "linux", "/usr/bin/npx\x00", "", nil, "", proc.ErrNotFound},
		{"Homebrew", "darwin", "uvx", "", []string{"PATH=/usr/bin:/bin"}, "/opt/homebrew/bin/uvx", nil},
		{"Homebrew without PATH", "darwin", "uvx", "", nil, "/opt/homebrew/bin/uvx", nil},

		{"cmd, not the script beside it", "windows", "npx", "", []string{`Path=C:\nodejs`, "PATHEXT=.COM;.EXE;.BAT;.CMD"}, `C:\nodejs\npx.cmd`, nil},
		{"no PATHEXT", "windows", "npx", "", []string{`PATH=C:\nowhere;C:\nodejs`}, `C:\nodejs\npx.cmd`, nil},
		{"PATHEXT of the packaged app", "windows", "npx", "", []string{`PATH=C:\nodejs`, "PATHEXT=.CPL"}, `C:\nodejs\npx.cmd`, nil},
		{"PATHEXT decides", "windows", "tool", "", []string{`PATH=C:\both`, "PATHEXT=.CMD;.EXE"}, `C:\both\tool.cmd`, nil},
		{"exe first without PATHEXT", "windows", "tool", "", []string{`PATH=C:\both`}, `C:\both\tool.exe`, nil},
		{"given extension", "windows", "TOOL.CMD", "", []string{`PATH=C:\both`}, `C:\both\TOOL.CMD`, nil},
		{"dot in the name", "windows", "python3.12", "", []string{`PATH=C:\py`}, `C:\py\python3.12.exe`, nil},
		{"two extensions", "windows", "foo.bat", "", []string{`PATH=C:\odd`}, `C:\odd\foo.bat.exe`, nil},
		{"quoted entry", "windows", "npx", "", []string{`PATH="C:\nodejs"`}, `C:\nodejs\npx.cmd`, nil},
		{"entry on the current drive", "windows", "npx", "", []string{`PATH=\nodejs;C:nodejs;.;;nodejs`}, "", proc.ErrNotFound},
		{"directory on windows", "windows", "npx", "", []string{`PATH=C:\dirs`}, "", proc.ErrNotExecutable},
		{"store alias", "windows", "python", "", []string{`PATH=C:\alias`}, `C:\alias\python.exe`, nil},
		{"a script", "windows", `C:\py\server.py`, "", nil, "", proc.ErrNotExecutable},
		{"no extension", "windows", `C:\nodejs\npx`, "", nil, `C:\nodejs\npx.cmd`, nil},
		{"slashes", "windows", "C:/nodejs/node.exe", "", nil, `C:\nodejs\node.exe`, nil},
		{"relative on windows", "windows", `.\bin\run`, `C:\srv`, nil, `C:\srv\bin\run.exe`, nil},
		{"parent on windows", "windows", `..\srv\run.exe`, `C:\srv\`, nil, `C:\srv\run.exe`, nil},
		{"relative to a share", "windows", `bin/tool`, `\\files\tools`, nil, `\\files\tools\bin\tool.exe`, nil},
		{"share", "windows", `\\files\tools\bin\tool.exe`, "", nil, `\\files\tools\bin\tool.exe`, nil},
		{"current drive", "windows", `\srv\run.exe`, `C:\srv`, nil, "", proc.ErrNotFound},
		{"current folder of a drive", "windows", `C:run.exe`, `C:\srv`, nil, "", proc.ErrNotFound},
		{"not in the working directory of windows", "windows", "run", `C:\srv`, []string{`PATH=C:\nodejs`}, "", proc.ErrNotFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			disk := unix
			if tt.goos == "windows" {
				disk = windows
			}
			got, err := proc.ResolveOn(tt.goos, disk.stat(tt.goos), tt.command, tt.dir, tt.env)
			if got != tt.want || !errors.Is(err, tt.wantErr) || (err == nil) != (tt.wantErr == nil) {
				t.Errorf("got %q, %v; want %q, %v", got, err, tt.want, tt.wantErr)
			}
		})
	}
}

func TestResolveHere(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes are of Unix")
	}
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	if err := os.WriteFile(target, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	got, err := proc.Resolve("link", "", []string{"PATH=" + dir})
	if got != link || err != nil {
		t.Errorf("got %q, %v; want the link %q itself", got, err, link)
	}
	if _, err := proc.Resolve(filepath.Join(target, "below"), "", nil); !errors.Is(err, proc.ErrNotFound) {
		t.Errorf("below a file: got %v, want ErrNotFound", err)
	}
}

func TestMendPath(t *testing.T) {
	tests := []struct {
		name, goos, path string
		extra            []string
		want             string
	}{
		{"nothing to do", "linux", "/usr/bin", nil, "/usr/bin"},
		{"extra", "linux", "/usr/bin", []string{"/opt/node/bin"}, "/usr/bin:/opt/node/bin"},
		{"extra is there", "linux", "/opt/node/bin/:/usr/bin", []string{"/opt/node/bin"}, "/opt/node/bin/:/usr/bin"},
		{"no extra", "linux", "/usr/bin", []string{""}, "/usr/bin"},
		{"empty", "linux", "", []string{"/a"}, "/a"},
		{"separator in a name", "linux", "/a", []string{"/b:c"}, "/a"},
		{"launchd", "darwin", "/usr/bin:/bin", nil, "/usr/bin:/bin:/opt/homebrew/bin:/usr/local/bin"},
		{"half there", "darwin", "/usr/local/bin:/bin", []string{"/opt/homebrew/bin"}, "/usr/local/bin:/bin:/opt/homebrew/bin"},
		{"windows", "windows", `C:\Windows`, []string{`C:\nodejs`}, `C:\Windows;C:\nodejs`},
		{"windows, there", "windows", `"c:\NODEJS\";C:\Windows`, []string{`C:\nodejs`}, `"c:\NODEJS\";C:\Windows`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := proc.MendPath(tt.goos, tt.path, tt.extra...); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestMendPathext(t *testing.T) {
	for _, tt := range []struct{ have, want string }{
		{"", ".COM;.EXE;.BAT;.CMD"},
		{".CPL", ".CPL;.COM;.EXE;.BAT;.CMD"},
		{".exe;.cmd", ".exe;.cmd;.COM;.BAT"},
		{".COM;.EXE;.BAT;.CMD;.JS", ".COM;.EXE;.BAT;.CMD;.JS"},
	} {
		if got := proc.MendPathext(tt.have); got != tt.want {
			t.Errorf("MendPathext(%q) = %q, want %q", tt.have, got, tt.want)
		}
	}
}
