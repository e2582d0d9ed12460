package keyring_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mcp-valet/keyring"
)

func wantKeys(t *testing.T, s *keyring.Store, want ...keyring.Key) {
	t.Helper()
	got, err := s.Index()
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v (%v), want %v", got, err, want)
	}
}

func TestIndexKeepsStep(t *testing.T) {
	dir, key := stateDir(t), newKey(t)
	s := openFile(t, dir, key)
	wantKeys(t, s)
	b, a, c := keyring.AccountKey("b"), keyring.AccountKey("a"), keyring.SecretKey("kb", "DB")
	for _, k := range []keyring.Key{b, a, c, b} {
		mustSet(t, s, k, small)
	}
	wantKeys(t, s, a, b, c)
	if err := s.Delete(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, openFile(t, dir, key), a, c)
	wantKeys(t, openFake(t, dir, newKeychain())) // another kind of store in the same folder
	wantKeys(t, s, a, c)
}

func TestIndexIsNoObstacle(t *testing.T) {
	dir, key := stateDir(t), newKey(t)
	s := openFile(t, dir, key)
	path := filepath.Join(dir, "index.json")
	for name, tt := range map[string]struct {
		harm func()
		want error
	}{
		"lost":        {func() { os.Remove(path) }, nil},
		"empty":       {func() { os.WriteFile(path, nil, 0o600) }, keyring.ErrCorrupt},
		"garbage":     {func() { os.WriteFile(path, []byte("{]"), 0o600) }, keyring.ErrCorrupt},
		"no index":    {func() { os.WriteFile(path, []byte("{}"), 0o600) }, keyring.ErrCorrupt},
		"foreign key": {func() { os.WriteFile(path, []byte(`{"version":1,"keys":{"file":["../x"]}}`), 0o600) }, keyring.ErrCorrupt},
		"huge":        {func() { os.Truncate(path, 8<<20) }, keyring.ErrCorrupt},
	} {
		mustSet(t, s, work, small)
		tt.harm()
		if _, err := s.Index(); tt.want != nil {
			wantErr(t, err, tt.want)
		}
		wantRecord(t, s, work, small) // a read lists the key again
		if keys, err := s.Index(); err != nil || !slices.Contains(keys, work) {
			t.Errorf("%s: got %v, %v", name, keys, err)
		}
	}

	newer := []byte(`{"version":2,"things":[]}`)
	if err := os.WriteFile(path, newer, 0o600); err != nil {
		t.Fatal(err)
	}
	mustSet(t, s, keyring.AccountKey("other"), small)
	wantRecord(t, s, work, small)
	if b, err := os.ReadFile(path); err != nil || string(b) != string(newer) {
		t.Errorf("a newer version's index became %s (%v)", b, err)
	}
	_, err := s.Index()
	wantErr(t, err, keyring.ErrTooNew)
}

func TestDeleteOfAPhantomUnlistsIt(t *testing.T) {
	dir := stateDir(t)
	s := openFake(t, dir, newKeychain())
	if err := keyring.WriteFile(filepath.Join(dir, "index.json"), []byte(`{"version":1,"keys":{"keychain":["account/work"]}}`)); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, s, work)
	wantErr(t, s.Delete(t.Context(), work), keyring.ErrNotFound)
	wantKeys(t, s)
}
