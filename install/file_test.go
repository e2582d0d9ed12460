package install_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"mcp-valet/install"
	"mcp-valet/keyring"
)

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func mustBe(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s: got %q, %v, want %q", path, got, err, want)
	}
}

// onlyFile checks that nothing but the file is in its folder.
func onlyFile(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

func always(text string) func([]byte) ([]byte, error) {
	return func([]byte) ([]byte, error) { return []byte(text), nil }
}

func TestUpdate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "config.json")
	if err := install.Update(path, func(b []byte) ([]byte, error) {
		if b != nil {
			t.Errorf("there is no file, and got %q", b)
		}
		return []byte("1"), nil
	}); err != nil {
		t.Fatal(err)
	}
	mustBe(t, path, "1")
	onlyFile(t, path)
	if runtime.GOOS != "windows" {
		for _, mode := range []os.FileMode{0o600, 0o644, 0o664} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			if err := install.Update(path, always(fmt.Sprint(mode))); err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
		}
	}
	no := errors.New("no")
	if err := install.Update(path, func([]byte) ([]byte, error) { return []byte("x"), no }); err != no {
		t.Errorf("got %v", err)
	}
	onlyFile(t, path)
}

func TestUpdateFollowsLinks(t *testing.T) {
	real, dir := t.TempDir(), t.TempDir()
	link := filepath.Join(dir, "config.json")
	if err := os.Symlink(filepath.Join(real, "target.json"), link); err != nil {
		t.Skip(err)
	}
	for _, text := range []string{"new", "old"} { // there is no target at first
		if err := install.Update(link, always(text)); err != nil {
			t.Fatal(err)
		}
		mustBe(t, filepath.Join(real, "target.json"), text)
		if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
			t.Errorf("the link is gone: %v", err)
		}
		onlyFile(t, link)
		onlyFile(t, filepath.Join(real, "target.json"))
	}
	loop := filepath.Join(t.TempDir(), "loop")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	if err := install.Update(loop, always("x")); err == nil {
		t.Error("wrote into a loop of links")
	}
}

func TestUpdateRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	write(t, path, "mine", 0o400)
	for _, err := range []error{install.Update(path, always("x")), install.CheckWritable(path)} {
		var e *install.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), "read-only") {
			t.Errorf("got %v", err)
		}
	}
	mustBe(t, path, "mine")
	onlyFile(t, path)
	if err := install.Update(filepath.Dir(path), always("x")); err == nil {
		t.Error("wrote to a folder")
	}
	if _, err := install.Read(filepath.Join(path, "none")); err == nil {
		t.Error("read what is not there")
	}
}

// TestUpdateRace has the client write its file while we edit it.
func TestUpdateRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	write(t, path, "0", 0o600)
	calls := 0
	err := install.Update(path, func(b []byte) ([]byte, error) {
		if calls++; calls <= 2 {
			write(t, path, fmt.Sprint(calls), 0o600)
		}
		return append(b, '!'), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	mustBe(t, path, "2!")
	calls = 0
	err = install.Update(path, func([]byte) ([]byte, error) {
		calls++
		write(t, path, fmt.Sprint("theirs ", calls), 0o600)
		return []byte("ours"), nil
	})
	if err == nil || !strings.Contains(err.Error(), "keeps changing") {
		t.Errorf("got %v", err)
	}
	mustBe(t, path, fmt.Sprint("theirs ", calls))
	// The client removes its file, or makes one.
	calls = 0
	err = install.Update(path, func(b []byte) ([]byte, error) {
		if calls++; calls == 1 {
			return []byte("x"), os.Remove(path)
		}
		if b != nil {
			t.Errorf("got %q", b)
		}
		return []byte("anew"), nil
	})
	if err != nil || calls != 2 {
		t.Errorf("%d calls, %v", calls, err)
	}
	onlyFile(t, path)
}

func TestUpdateSweeps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	old := filepath.Join(filepath.Dir(path), ".config.json.123.mcp-valet.tmp")
	write(t, old, "left by a kill", 0o600)
	if err := os.Chtimes(old, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := install.Update(path, always("x")); err != nil {
		t.Fatal(err)
	}
	onlyFile(t, path)
}

func TestBackup(t *testing.T) {
	state := t.TempDir()
	client := claude(t)
	texts := func() (all []string) {
		entries, err := os.ReadDir(install.BackupDir(state))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			b, err := os.ReadFile(filepath.Join(install.BackupDir(state), e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			if info, err := e.Info(); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
			}
			all = append(all, string(b))
		}
		return all
	}
	for i := range 4 {
		if err := client.Backup(state, fmt.Appendf(nil, `{"n": %d, "s": "the long secret"}`, i/2), nil); err != nil {
			t.Fatal(err)
		}
	}
	if got := texts(); !slices.Equal(got, []string{`{"n": 0, "s": "the long secret"}`, `{"n": 1, "s": "the long secret"}`}) {
		t.Errorf("got %q", got)
	}
	damaged := filepath.Join(install.BackupDir(state), client.Name+".19700101T000000.000000000Z.json")
	write(t, damaged, `{"the long secret`, 0o600)
	adopted := map[string]keyring.Secret{"keyring://kb/S": keyring.NewSecret("the long secret")}
	for i := range 7 {
		if err := client.Backup(state, fmt.Appendf(nil, `{"n": %d, "s": "the long secret"}`, i+2), adopted); err != nil {
			t.Fatal(err)
		}
	}
	var want []string
	for i := range 5 {
		want = append(want, fmt.Sprintf(`{"n": %d, "s": "keyring://kb/S"}`, i+4))
	}
	if got := texts(); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestBackupScrubsEarlierOnes(t *testing.T) {
	state := t.TempDir()
	client := claude(t)
	if err := client.Backup(state, []byte(`{"s": "the long secret"}`), nil); err != nil {
		t.Fatal(err)
	}
	if err := client.Backup(state, []byte(`{}`), map[string]keyring.Secret{"keyring://kb/S": keyring.NewSecret("the long secret")}); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(install.BackupDir(state))
	if err != nil || len(entries) != 2 {
		t.Fatal(entries, err)
	}
	mustBe(t, filepath.Join(install.BackupDir(state), entries[0].Name()), `{"s": "keyring://kb/S"}`)
}

func TestScrub(t *testing.T) {
	adopted := map[string]keyring.Secret{
		"keyring://kb/LONG": keyring.NewSecret("secret-one"), "keyring://kb/LONGER": keyring.NewSecret("secret-one-more"),
		"keyring://kb/SHORT": keyring.NewSecret("1234"),
	}
	got, err := install.Scrub([]byte("{\"a\": [\"x secret-one-more secr\\u0065t-one\", 1234, \"1234\"],\n \"SHORT\": \"1234\", \"secret-one\": {\"PORT\": \"1234\", \"SHORT\": \"12345\"}}"), adopted)
	want := "{\"a\": [\"x keyring://kb/LONGER keyring://kb/LONG\", 1234, \"1234\"],\n \"SHORT\": \"keyring://kb/SHORT\", \"secret-one\": {\"PORT\": \"1234\", \"SHORT\": \"12345\"}}"
	if string(got) != want || err != nil {
		t.Errorf("got %s, %v\nwant %s", got, err, want)
	}
	if got, err := install.Scrub([]byte("{"), adopted); err == nil {
		t.Errorf("got %q", got)
	}
}

func TestRecords(t *testing.T) {
	state := t.TempDir()
	all, err := install.AllRecords(state)
	if len(all) != 0 || err != nil {
		t.Fatal(all, err)
	}
	one := install.Record{
		Server: "kb", Client: "claude-desktop", File: "/a", Name: "KB!", At: install.Place{Previous: "x"}, Original: `{"command": "é\u0041"}`,
		Secrets: []install.Adopted{{Variable: "A", Argument: 1, AsWritten: true}}, Written: "{}", Made: true, Ours: []byte(`{"a":1}`),
	}
	other := one
	other.File = "/b"
	nul := install.Record{Server: "nul", File: "/a", Name: "nul"}
	for _, r := range []install.Record{one, other, one, nul} {
		if err := install.SaveRecord(state, r); err != nil {
			t.Fatal(err)
		}
	}
	got, err := install.Records(state, "kb")
	if err != nil || len(got) != 2 || got[1].Original != one.Original || got[1].At != one.At || !got[1].Made || got[1].Secrets[0] != one.Secrets[0] {
		t.Errorf("%+v, %v", got, err)
	}
	if all, err := install.AllRecords(state); err != nil || len(all) != 3 {
		t.Errorf("%+v, %v", all, err)
	}
	for _, r := range []install.Record{one, other, one} {
		if err := install.ForgetRecord(state, r); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := install.AllRecords(state); err != nil || len(all) != 1 || all[0].Server != "nul" {
		t.Errorf("%+v, %v", all, err)
	}
	for _, text := range []string{"", "{", `{"version": 2}`} {
		write(t, filepath.Join(state, "installs", "kb.json"), text, 0o600)
		if got, err := install.Records(state, "kb"); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
		if err := install.SaveRecord(state, one); err == nil {
			t.Errorf("%q: overwritten", text)
		}
	}
}
