package keyring_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"filippo.io/age"

	"mcp-valet/keyring"
)

func skipWithoutModes(t testing.TB) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has access lists instead of modes")
	}
}

func newKey(t testing.TB) keyring.Secret {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return keyring.NewSecret(id.String())
}

func openFile(t testing.TB, dir string, key keyring.Secret) *keyring.Store {
	t.Helper()
	s, err := keyring.Open(keyring.Options{Kind: keyring.KindFile, StateDir: dir, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func storeFile(dir string, k keyring.Key) string {
	return filepath.Join(dir, "store", k.FileName()+".age")
}

func TestFileStore(t *testing.T) {
	dir, key := stateDir(t), newKey(t)
	s := openFile(t, dir, key)
	for _, v := range []string{"", small, large, "\xff\x00\n"} {
		mustSet(t, s, work, v)
		wantRecord(t, openFile(t, dir, key), work, v)
	}
	mustSet(t, s, work, sample)
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if b, err := os.ReadFile(path); err != nil || mentions(string(b)) {
			t.Errorf("%s holds the record in plain text (%v)", path, err)
		}
		return nil
	})
	if err := s.Delete(t.Context(), work); err != nil {
		t.Fatal(err)
	}
	_, err := s.Get(t.Context(), work)
	wantErr(t, err, keyring.ErrNotFound)
	wantErr(t, s.Delete(t.Context(), work), keyring.ErrNotFound)
}

func TestFileStoreWrongKeyChangesNothing(t *testing.T) {
	dir, key := stateDir(t), newKey(t)
	mustSet(t, openFile(t, dir, key), work, small)
	other := openFile(t, dir, newKey(t))
	_, err := other.Get(t.Context(), work)
	wantErr(t, err, keyring.ErrWrongKey)
	wantErr(t, other.Set(t.Context(), work, keyring.NewSecret("x")), keyring.ErrWrongKey)
	wantErr(t, other.Delete(t.Context(), work), keyring.ErrWrongKey)
	wantErr(t, other.SaveCredential(t.Context(), &keyring.Credential{Account: "work"}), keyring.ErrWrongKey)
	wantRecord(t, openFile(t, dir, key), work, small)
}

func TestFileStoreNewerRecordIsNeverTouched(t *testing.T) {
	dir, key := stateDir(t), newKey(t)
	s := openFile(t, dir, key)
	sealed, err := s.SealText("mcp-valet/2 of the future")
	if err != nil {
		t.Fatal(err)
	}
	if err := keyring.WriteFile(storeFile(dir, work), sealed); err != nil {
		t.Fatal(err)
	}
	_, err = s.Get(t.Context(), work)
	wantErr(t, err, keyring.ErrTooNew)
	wantErr(t, s.Set(t.Context(), work, keyring.NewSecret("x")), keyring.ErrTooNew)
	wantErr(t, s.Delete(t.Context(), work), keyring.ErrTooNew)
}

func TestFileStoreDamage(t *testing.T) {
	dir, key := stateDir(t), newKey(t)
	s := openFile(t, dir, key)
	home := keyring.AccountKey("home")
	damage := map[string]func(path string){
		"empty":   func(p string) { os.Truncate(p, 0) },
		"cut":     func(p string) { os.Truncate(p, 230) },
		"garbage": func(p string) { os.WriteFile(p, []byte(sample), 0o600) },
		"flipped": func(p string) {
			b, _ := os.ReadFile(p)
			b[len(b)-1] ^= 1
			os.WriteFile(p, b, 0o600)
		},
		"swapped": func(p string) {
			mustSet(t, s, home, "the other")
			os.Rename(storeFile(dir, home), p)
		},
		"no record inside": func(p string) {
			b, _ := s.SealText("hello")
			os.WriteFile(p, b, 0o600)
		},
	}
	for name, harm := range damage {
		mustSet(t, s, work, small)
		harm(storeFile(dir, work))
		_, err := s.Get(t.Context(), work)
		if !errors.Is(err, keyring.ErrCorrupt) || mentions(err.Error()) {
			t.Errorf("%s: got %v", name, err)
		}
		mustSet(t, s, work, small)
		wantRecord(t, s, work, small)
	}
}

func TestFileStoreHonoursContext(t *testing.T) {
	s := openFile(t, stateDir(t), newKey(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Get(ctx, work)
	wantErr(t, err, context.Canceled)
	wantErr(t, s.Set(ctx, work, keyring.NewSecret("x")), context.Canceled)
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "store.key")
	if err := keyring.NewKeyFile(path); err != nil {
		t.Fatal(err)
	}
	wantErr(t, keyring.NewKeyFile(path), fs.ErrExist)
	if names := filesIn(t, filepath.Dir(path)); len(names) != 1 {
		t.Errorf("left over: %v", names)
	}
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	o := keyring.Options{Kind: keyring.KindFile, StateDir: stateDir(t), KeyFile: path}
	s, err := keyring.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	mustSet(t, s, work, small)
	if s, err = keyring.Open(o); err != nil {
		t.Fatal(err)
	}
	wantRecord(t, s, work, small)

	o.Key = newKey(t) // wins over the file
	if s, err = keyring.Open(o); err != nil {
		t.Fatal(err)
	}
	_, err = s.Get(t.Context(), work)
	wantErr(t, err, keyring.ErrWrongKey)
}

func TestKeyFileIsChecked(t *testing.T) {
	skipWithoutModes(t)
	good := filepath.Join(t.TempDir(), "store.key")
	if err := keyring.NewKeyFile(good); err != nil {
		t.Fatal(err)
	}
	key, _ := os.ReadFile(good)
	place := func(b []byte, mode fs.FileMode) string {
		p := filepath.Join(t.TempDir(), "k")
		os.WriteFile(p, b, 0o600)
		os.Chmod(p, mode)
		return p
	}
	link := filepath.Join(t.TempDir(), "link")
	os.Symlink(good, link)
	tests := []struct {
		name, path string
		want       error // nil: an error without a sentinel
		text       string
	}{
		{"read by group", place(key, 0o640), keyring.ErrInsecure, "mode 0640, want 0600"},
		{"written by others", place(key, 0o602), keyring.ErrInsecure, "mode 0602, want 0600"},
		{"link", link, keyring.ErrInsecure, link},
		{"folder", t.TempDir(), keyring.ErrInsecure, "not a regular file"},
		{"missing", filepath.Join(t.TempDir(), "none"), fs.ErrNotExist, "none"},
		{"empty", place(nil, 0o600), nil, "0 lines"},
		{"two keys", place(append(key, key...), 0o600), nil, "2 lines"},
		{"not a key", place([]byte(sample), 0o600), nil, "not an age secret key"},
		{"huge", place(make([]byte, 1<<20), 0o600), keyring.ErrCorrupt, "larger"},
	}
	for _, tt := range tests {
		_, err := keyring.Open(keyring.Options{Kind: keyring.KindFile, StateDir: stateDir(t), KeyFile: tt.path})
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) || mentions(err.Error()) {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
	if _, err := keyring.Open(keyring.Options{Kind: keyring.KindFile, StateDir: stateDir(t), KeyFile: place(key, 0o400)}); err != nil {
		t.Errorf("stricter than 0600: %v", err)
	}
}
