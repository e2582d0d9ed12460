package keyring_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"mcp-valet/keyring"
)

func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "f.json")
	for _, text := range []string{"one", "", strings.Repeat("two", 100_000)} {
		if err := keyring.WriteFile(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != text {
			t.Errorf("read %d bytes, %v", len(b), err)
		}
	}
	if runtime.GOOS != "windows" {
		for p, want := range map[string]fs.FileMode{path: 0o600, filepath.Dir(path): 0o700, filepath.Dir(filepath.Dir(path)): 0o700} {
			if info, err := os.Stat(p); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: %v, want %v", p, info.Mode(), want)
			}
		}
	}
	if names := filesIn(t, filepath.Dir(path)); len(names) != 1 {
		t.Errorf("left over: %v", names)
	}
}

func TestWriteFileSweepsItsOwnLeftovers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	if err := keyring.WriteFile(filepath.Join(dir, "f"), nil); err != nil {
		t.Fatal(err)
	}
	for _, base := range []string{"f", "g"} {
		if _, err := keyring.WriteTemp(dir, base, []byte("half")); err != nil {
			t.Fatal(err)
		}
	}
	makeOld(t, dir)
	if _, err := keyring.WriteTemp(dir, "f", []byte("under way")); err != nil {
		t.Fatal(err)
	}
	if err := keyring.WriteFile(filepath.Join(dir, "f"), []byte("new")); err != nil {
		t.Fatal(err)
	}
	if names := filesIn(t, dir); len(names) != 3 { // f, g's leftover, and the young one
		t.Errorf("files %v", names)
	}
}

func TestWriteFileFailsWhole(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	target := filepath.Join(dir, "f")
	if err := keyring.EnsureDir(filepath.Join(target, "in the way")); err != nil {
		t.Fatal(err)
	}
	if err := keyring.WriteFile(target, []byte("x")); err == nil {
		t.Error("a folder was replaced by a file")
	}
	if names := filesIn(t, dir); len(names) != 1 {
		t.Errorf("left over: %v", names)
	}
}

func TestEnsureDir(t *testing.T) {
	skipWithoutModes(t)
	base := t.TempDir()
	make := func(name string, mode fs.FileMode) string {
		p := filepath.Join(base, name)
		os.Mkdir(p, 0o700)
		os.Chmod(p, mode)
		return p
	}
	private := make("private", 0o700)
	link, file := filepath.Join(base, "link"), filepath.Join(base, "file")
	os.Symlink(private, link)
	os.WriteFile(file, nil, 0o600)
	dangling := filepath.Join(base, "dangling")
	os.Symlink(filepath.Join(base, "nowhere"), dangling)

	for name, tt := range map[string]struct{ path, text string }{
		"read by group": {make("group", 0o750), "mode 0750, want 0700"},
		"open to all":   {make("all", 0o777), "mode 0777, want 0700"},
		"link":          {link, "symbolic link"},
		"dangling link": {dangling, "symbolic link"},
		"file":          {file, "not a folder"},
	} {
		err := keyring.EnsureDir(tt.path)
		wantErr(t, err, keyring.ErrInsecure)
		if !strings.Contains(err.Error(), tt.text) || !strings.Contains(err.Error(), tt.path) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for _, path := range []string{private, filepath.Join(base, "new", "deep"), filepath.Join(link, "inside")} {
		if err := keyring.EnsureDir(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestForeignOwnerIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" || os.Geteuid() != 0 {
		t.Skip("needs root, to give a folder away")
	}
	dir := filepath.Join(t.TempDir(), "d")
	os.Mkdir(dir, 0o700)
	if err := os.Chown(dir, 12345, 0); err != nil {
		t.Fatal(err)
	}
	err := keyring.EnsureDir(dir)
	wantErr(t, err, keyring.ErrInsecure)
	if !strings.Contains(err.Error(), "12345") {
		t.Errorf("got %v", err)
	}
}

func TestStateFolderIsCheckedOnOpen(t *testing.T) {
	skipWithoutModes(t)
	for _, sub := range []string{"", "locks", "records", "store"} {
		dir := stateDir(t)
		os.MkdirAll(filepath.Join(dir, sub), 0o700)
		os.Chmod(filepath.Join(dir, sub), 0o755)
		kind := keyring.KindKeychain
		if sub == "store" {
			kind = keyring.KindFile
		}
		_, err := keyring.Open(keyring.Options{Kind: kind, StateDir: dir, Key: newKey(t)})
		wantErr(t, err, keyring.ErrInsecure)
		if !strings.Contains(err.Error(), filepath.Join(dir, sub)+" has mode 0755") {
			t.Errorf("%q: got %v", sub, err)
		}
	}
}
