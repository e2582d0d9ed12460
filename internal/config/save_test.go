package config_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"mcp-valet/internal/config"
)

func write(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// onlyFiles fails unless these names, and no temporary file, are in dir.
func onlyFiles(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Errorf("in the folder: %v, want %v", got, names)
	}
}

func modes(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("windows has no file modes")
	}
}

func wantMode(t *testing.T, path string, want fs.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); runtime.GOOS != "windows" && got != want {
		t.Errorf("%s has mode %#o, want %#o", path, got, want)
	}
}

func TestSaveNew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "for it")
	path := filepath.Join(dir, "config.json")
	if err := config.Save(path, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if got := content(t, path); got != "{}" {
		t.Errorf("holds %q", got)
	}
	wantMode(t, path, 0o600)
	wantMode(t, dir, 0o700)
	onlyFiles(t, dir, "config.json")
}

func TestSaveKeepsModeLessLeaveToWrite(t *testing.T) {
	modes(t)
	for _, tt := range []struct{ before, after fs.FileMode }{{0o644, 0o644}, {0o640, 0o640}, {0o666, 0o644}, {0o400, 0o400}} {
		path := filepath.Join(t.TempDir(), "config.json")
		write(t, path, "old", tt.before)
		if err := config.Save(path, []byte("new")); err != nil {
			t.Fatal(err)
		}
		wantMode(t, path, tt.after)
	}
}

func TestSaveThroughLinks(t *testing.T) {
	dir := t.TempDir()
	real, linked, dangling := filepath.Join(dir, "dotfiles", "real.json"), filepath.Join(dir, "config.json"), filepath.Join(dir, "new.json")
	if err := os.Mkdir(filepath.Dir(real), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, real, "old", 0o640)
	if err := os.Symlink(filepath.Join("dotfiles", "real.json"), linked); err != nil {
		t.Skip("symbolic links: ", err)
	}
	if err := os.Symlink(filepath.Join("dotfiles", "fresh.json"), dangling); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{linked, dangling} {
		if err := config.Save(path, []byte("new")); err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(path)
		if err != nil || info.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("%s is no link any more (%v)", path, err)
		}
		if got := content(t, path); got != "new" {
			t.Errorf("%s holds %q", path, got)
		}
	}
	wantMode(t, real, 0o640)
	onlyFiles(t, dir, "config.json", "dotfiles", "new.json")
	onlyFiles(t, filepath.Dir(real), "fresh.json", "real.json")

	loop := filepath.Join(dir, "loop")
	if err := os.Symlink("loop", loop); err != nil {
		t.Fatal(err)
	}
	if err := config.Save(loop, []byte("new")); err == nil {
		t.Error("a link to itself is saved")
	}
}

func TestSaveFails(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "", 0o600)
	if err := config.Save(filepath.Join(dir, "file", "config.json"), []byte("{}")); err == nil {
		t.Error("saved below a file")
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := config.Save(filepath.Join(dir, "folder"), []byte("{}")); err == nil {
		t.Error("saved over a folder")
	}
	onlyFiles(t, dir, "file", "folder")
}

func TestLoadRefusesWhatOthersCanWrite(t *testing.T) {
	modes(t)
	for _, tt := range []struct {
		file, folder fs.FileMode
		want         string
	}{
		{0o644, 0o755, ""},
		{0o600, 0o775, ""},
		{0o600, 0o777 | fs.ModeSticky, ""},
		{0o664, 0o755, "chmod go-w"},
		{0o602, 0o755, "chmod go-w"},
		{0o600, 0o777, "chmod o-w"},
	} {
		dir := filepath.Join(t.TempDir(), "d")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "config.json")
		write(t, path, "{}", tt.file)
		if err := os.Chmod(dir, tt.folder); err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(t.TempDir(), "config.json")
		if err := os.Symlink(path, link); err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{path, link} {
			_, err := config.Load(p)
			var wrong *config.Error
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("%v in %v: %v", tt.file, tt.folder, err)
			case tt.want != "" && (!errors.As(err, &wrong) || !strings.Contains(wrong.Msg, tt.want)):
				t.Errorf("%v in %v: %v, want %s", tt.file, tt.folder, err, tt.want)
			}
		}
		if tt.want == "" {
			continue
		}
		err := config.Update(path, func([]byte) ([]byte, error) { t.Error("asked"); return nil, nil })
		if err == nil || content(t, path) != "{}" {
			t.Errorf("updated: %v", err)
		}
	}
}

func TestUpdate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d", "config.json")
	add := func(name string) func([]byte) ([]byte, error) {
		return func(b []byte) ([]byte, error) { return config.SetAccount(b, name, config.Account{Preset: "github"}) }
	}
	if err := config.Update(path, add("one")); err != nil {
		t.Fatal(err)
	}
	wantMode(t, path, 0o600)
	if err := config.Update(path, add("two")); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path)
	if err != nil || len(cfg.Accounts) != 2 {
		t.Fatalf("got %+v, %v", cfg, err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := config.Update(path, add("two")); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("written although nothing changed (%v)", err)
	}
	wantErr := errors.New("no")
	if err := config.Update(path, func([]byte) ([]byte, error) { return nil, wantErr }); !errors.Is(err, wantErr) {
		t.Errorf("got %v", err)
	}
	onlyFiles(t, filepath.Dir(path), "config.json")
}

func TestUpdateNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	write(t, path, "{\n \"store\": {}, \"store\": {}, \"store\": {}}", 0o600)
	err := config.Update(path, func(b []byte) ([]byte, error) { return config.SetStore(b, config.Store{Kind: "file"}) })
	got := lines(t, err)
	if len(got) != 2 || !strings.HasPrefix(got[0], path+":2:15: ") {
		t.Errorf("got %q", got)
	}
}

// A change that comes in between is neither lost nor undone.
func TestUpdateMeetsAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	write(t, path, "{}", 0o600)
	asked := 0
	err := config.Update(path, func(b []byte) ([]byte, error) {
		if asked++; asked == 1 {
			write(t, path, `{ "store": {} }`, 0o600)
		}
		return config.SetAccount(b, "work", config.Account{Preset: "github"})
	})
	if err != nil || asked != 2 {
		t.Fatalf("asked %d times, %v", asked, err)
	}
	if got, want := content(t, path), `{ "store": {}, "accounts": {"work": { "preset": "github" }} }`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}

	err = config.Update(path, func(b []byte) ([]byte, error) {
		write(t, path, content(t, path)+" ", 0o600)
		return []byte("{}"), nil
	})
	var wrong *config.Error
	if !errors.As(err, &wrong) || content(t, path) == "{}" {
		t.Errorf("a file that never rests: %v", err)
	}
	onlyFiles(t, filepath.Dir(path), "config.json")
}

// A reader never sees a file that is half written.
func TestSaveIsWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	texts := []string{strings.Repeat("a", 1<<16), strings.Repeat("b", 1<<10)}
	write(t, path, texts[0], 0o600)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 50 {
			if err := config.Save(path, []byte(texts[i%2])); err != nil {
				t.Error(err)
			}
		}
	})
	for range 200 {
		b, err := os.ReadFile(path)
		if err != nil && runtime.GOOS == "windows" {
			continue // held in this very moment
		}
		if got := string(b); err != nil || got != texts[0] && got != texts[1] {
			t.Fatalf("%d bytes of %.1q, %v", len(got), got, err)
		}
	}
	wg.Wait()
}
