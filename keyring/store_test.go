package keyring_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mcp-valet/keyring"
)

// A fakeKeychain is a keychain in memory that survives the stores over it.
type fakeKeychain struct {
	mu    sync.Mutex
	items map[keyring.Key]keyring.Secret
	fail  func(op string) error // before the work; nil: never
	after func(op string) error // after the work
}

func newKeychain() *fakeKeychain { return &fakeKeychain{items: map[keyring.Key]keyring.Secret{}} }

func (f *fakeKeychain) do(op string, work func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		if err := f.fail(op); err != nil {
			return err
		}
	}
	err := work()
	if f.after != nil {
		if e := f.after(op); e != nil {
			return e
		}
	}
	return err
}

func (f *fakeKeychain) funcs() keyring.ItemFuncs {
	return keyring.ItemFuncs{
		Get: func(_ context.Context, k keyring.Key) (v keyring.Secret, err error) {
			err = f.do("get", func() error {
				var ok bool
				if v, ok = f.items[k]; !ok {
					return keyring.ErrNotFound
				}
				return nil
			})
			return v, err
		},
		Set: func(_ context.Context, k keyring.Key, v keyring.Secret) error {
			return f.do("set", func() error { f.items[k] = v; return nil })
		},
		Delete: func(_ context.Context, k keyring.Key) error {
			return f.do("delete", func() error {
				if _, ok := f.items[k]; !ok {
					return keyring.ErrNotFound
				}
				delete(f.items, k)
				return nil
			})
		},
	}
}

func stateDir(t testing.TB) string { return filepath.Join(t.TempDir(), "state") }

func openFake(t testing.TB, dir string, f *fakeKeychain) *keyring.Store {
	t.Helper()
	s, err := keyring.OpenWithItems(keyring.Options{StateDir: dir}, f.funcs(), keyring.RealFiles)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustSet(t testing.TB, s *keyring.Store, k keyring.Key, v string) {
	t.Helper()
	if err := s.Set(t.Context(), k, keyring.NewSecret(v)); err != nil {
		t.Fatal(err)
	}
}

func wantRecord(t testing.TB, s *keyring.Store, k keyring.Key, want string) {
	t.Helper()
	got, err := s.Get(t.Context(), k)
	if err != nil || got.Reveal() != want {
		t.Fatalf("got %.20q… of %d bytes (%v), want %.20q… of %d", got.Reveal(), len(got.Reveal()), err, want, len(want))
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

func filesIn(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

const work = keyring.Key("account/work")

var (
	small = "small record"
	large = strings.Repeat("large record ", 5000)
)

func TestRecordsOfEverySize(t *testing.T) {
	chain, dir := newKeychain(), stateDir(t)
	s := openFake(t, dir, chain)
	for _, n := range []int{0, 1, 2381, 2382, 65 << 10, keyring.MaxRecord} {
		v := strings.Repeat("\xff\x00é\n", n/4+1)[:n]
		mustSet(t, s, work, v)
		wantRecord(t, s, work, v)
		wantFiles := 0
		if n > 2381 {
			wantFiles = 1
		}
		if names := filesIn(t, filepath.Join(dir, "records")); len(names) != wantFiles {
			t.Errorf("%d bytes: files %v, want %d", n, names, wantFiles)
		}
		if size := len(chain.items[work].Reveal()); size > keyring.MaxItem {
			t.Errorf("%d bytes: an item of %d", n, size)
		}
	}
	wantErr(t, s.Set(t.Context(), work, keyring.NewSecret(strings.Repeat("x", keyring.MaxRecord+1))), keyring.ErrFull)
	wantRecord(t, s, work, strings.Repeat("\xff\x00é\n", keyring.MaxRecord)[:keyring.MaxRecord])
}

func TestSealedFileHoldsNoPlainText(t *testing.T) {
	dir := stateDir(t)
	s := openFake(t, dir, newKeychain())
	mustSet(t, s, work, large)
	names := filesIn(t, filepath.Join(dir, "records"))
	path := filepath.Join(dir, "records", names[0])
	b, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(b), "large record") || strings.Contains(names[0], "work") {
		t.Errorf("%s shows its record (%v)", path, err)
	}
}

func TestGetAndDeleteOfNothing(t *testing.T) {
	s := openFake(t, stateDir(t), newKeychain())
	_, err := s.Get(t.Context(), work)
	wantErr(t, err, keyring.ErrNotFound)
	wantErr(t, s.Delete(t.Context(), work), keyring.ErrNotFound)
	var e *keyring.Error
	if !errors.As(err, &e) || e.Op != "reading" || e.Key != work {
		t.Errorf("got %#v", err)
	}
}

func TestNewerRecordIsNeverTouched(t *testing.T) {
	chain := newKeychain()
	s := openFake(t, stateDir(t), chain)
	newer := keyring.NewSecret("mcp-valet/2 something else")
	chain.items[work] = newer
	_, err := s.Get(t.Context(), work)
	wantErr(t, err, keyring.ErrTooNew)
	wantErr(t, s.Set(t.Context(), work, keyring.NewSecret(small)), keyring.ErrTooNew)
	wantErr(t, s.Set(t.Context(), work, keyring.NewSecret(large)), keyring.ErrTooNew)
	wantErr(t, s.Delete(t.Context(), work), keyring.ErrTooNew)
	if !chain.items[work].Equal(newer) {
		t.Error("the item changed")
	}
}

func TestDamagedRecordIsReportedAndReplaced(t *testing.T) {
	item := func(text string) func(*fakeKeychain, string) {
		return func(chain *fakeKeychain, _ string) { chain.items[work] = keyring.NewSecret(text) }
	}
	damage := map[string]func(chain *fakeKeychain, file string){
		"garbage item": item("garbage"),
		"bad key":      item("mcp-valet/1 sealed 1 AGE-SECRET-KEY-1XYZ\n"),
		"file missing": func(_ *fakeKeychain, file string) { os.Remove(file) },
		"file empty":   func(_ *fakeKeychain, file string) { os.Truncate(file, 0) },
		"file cut":     func(_ *fakeKeychain, file string) { os.Truncate(file, 300) },
	}
	for name, harm := range damage {
		chain, dir := newKeychain(), stateDir(t)
		s := openFake(t, dir, chain)
		mustSet(t, s, work, large)
		harm(chain, filepath.Join(dir, "records", work.FileName()+".1"))
		_, err := s.Get(t.Context(), work)
		if !errors.Is(err, keyring.ErrCorrupt) || strings.Contains(err.Error(), "SECRET-KEY-1X") {
			t.Errorf("%s: got %v, want ErrCorrupt", name, err)
		}
		mustSet(t, s, work, small)
		wantRecord(t, s, work, small)
	}
}

func TestSwappedSealedFilesAreNoticed(t *testing.T) {
	chain, dir := newKeychain(), stateDir(t)
	s := openFake(t, dir, chain)
	home := keyring.AccountKey("home")
	mustSet(t, s, work, large)
	mustSet(t, s, home, large+"!")
	a, b := filepath.Join(dir, "records", work.FileName()+".1"), filepath.Join(dir, "records", home.FileName()+".1")
	os.Rename(a, a+".x")
	os.Rename(b, a)
	os.Rename(a+".x", b)
	_, err := s.Get(t.Context(), work)
	wantErr(t, err, keyring.ErrCorrupt)
}

func TestOpenSealedFileForOthersIsRefused(t *testing.T) {
	skipWithoutModes(t)
	dir := stateDir(t)
	s := openFake(t, dir, newKeychain())
	mustSet(t, s, work, large)
	os.Chmod(filepath.Join(dir, "records", work.FileName()+".1"), 0o644)
	_, err := s.Get(t.Context(), work)
	wantErr(t, err, keyring.ErrInsecure)
}

func TestFailuresChangeNothing(t *testing.T) {
	for _, old := range []string{"", small, large} {
		for _, sentinel := range []error{keyring.ErrLocked, keyring.ErrUnavailable, keyring.ErrTimeout, keyring.ErrFull} {
			for _, op := range []string{"get", "set"} {
				chain, dir := newKeychain(), stateDir(t)
				s := openFake(t, dir, chain)
				if old != "" {
					mustSet(t, s, work, old)
				}
				before := filesIn(t, filepath.Join(dir, "records"))
				chain.fail = func(o string) error {
					if o == op {
						return sentinel
					}
					return nil
				}
				wantErr(t, s.Set(t.Context(), work, keyring.NewSecret(large+"2")), sentinel)
				chain.fail = nil
				if after := filesIn(t, filepath.Join(dir, "records")); !slices.Equal(before, after) {
					t.Errorf("files %v became %v", before, after)
				}
				keys, err := s.Index()
				if old == "" && (len(keys) != 0 || err != nil) {
					t.Errorf("lists %v (%v), which was never saved", keys, err)
				}
				if old != "" {
					wantRecord(t, s, work, old)
				}
			}
		}
	}
}

// A set of unknown outcome may have happened or not, now or later: both
// records must stay readable until the next one that succeeds.
func TestUnknownSetKeepsBothRecords(t *testing.T) {
	chain, dir := newKeychain(), stateDir(t)
	s := openFake(t, dir, chain)
	mustSet(t, s, work, large)
	old := chain.items[work]
	chain.after = func(op string) error {
		if op == "set" {
			return keyring.ErrUnknown
		}
		return nil
	}
	wantErr(t, s.Set(t.Context(), work, keyring.NewSecret(large+"2")), keyring.ErrUnknown)
	chain.after = nil
	late := chain.items[work]
	wantRecord(t, s, work, large+"2")
	chain.items[work] = old
	wantRecord(t, s, work, large)
	if keys, _ := s.Index(); !slices.Equal(keys, []keyring.Key{work}) {
		t.Errorf("lists %v", keys)
	}

	mustSet(t, s, work, large+"3")
	wantRecord(t, s, work, large+"3")
	chain.items[work] = late // even now
	wantRecord(t, s, work, large+"2")

	mustSet(t, s, work, large+"4")
	makeOld(t, filepath.Join(dir, "records"))
	mustSet(t, s, work, large+"5")
	wantRecord(t, s, work, large+"5")
	if names := filesIn(t, filepath.Join(dir, "records")); len(names) != 1 {
		t.Errorf("left over: %v", names)
	}
}

// makeOld makes the files of a folder old enough to be swept.
func makeOld(t testing.TB, dir string) {
	t.Helper()
	old := time.Now().Add(-2 * keyring.StaleAfter)
	for _, name := range filesIn(t, dir) {
		if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReadersFollowWriters(t *testing.T) {
	dir := stateDir(t)
	chain := newKeychain()
	s := openFake(t, dir, chain)
	a, b := strings.Repeat("a", 10_000), strings.Repeat("b", 10_000)
	mustSet(t, s, work, a)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		other := openFake(t, dir, chain)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			v := []string{a, b, "c"}[i%3]
			if err := other.Set(context.Background(), work, keyring.NewSecret(v)); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for range 300 {
		v, err := s.Get(t.Context(), work)
		if got := v.Reveal(); err != nil || got != a && got != b && got != "c" {
			t.Errorf("got %d bytes, %v", len(got), err)
			break
		}
	}
	close(stop)
	<-done
}

func TestWritersTakeTurns(t *testing.T) {
	dir, chain := stateDir(t), newKeychain()
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			s := openFake(t, dir, chain)
			for j := range 5 {
				if err := s.Set(context.Background(), work, keyring.NewSecret(strings.Repeat(string(rune('a'+i)), 4000+j))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if names := filesIn(t, filepath.Join(dir, "records")); len(names) != 1 {
		t.Errorf("left over: %v", names)
	}
	if _, err := openFake(t, dir, chain).Get(t.Context(), work); err != nil {
		t.Error(err)
	}
}

func TestBadKeysAreRefused(t *testing.T) {
	s := openFake(t, stateDir(t), newKeychain())
	for _, k := range []keyring.Key{"", "account", "account/", "/x", "a/b", "account/a/b", "secret/a", "secret/a/b/c", "account/é", "account/a b"} {
		if _, err := s.Get(t.Context(), k); err == nil || errors.Is(err, keyring.ErrNotFound) {
			t.Errorf("Get(%q): %v", k, err)
		}
		if s.Set(t.Context(), k, keyring.NewSecret("x")) == nil || s.Delete(t.Context(), k) == nil {
			t.Errorf("%q was taken", k)
		}
	}
}

func TestOpenRefusesBadOptions(t *testing.T) {
	for name, o := range map[string]keyring.Options{
		"unknown kind":       {Kind: "vault", StateDir: stateDir(t)},
		"no folder":          {},
		"relative folder":    {StateDir: "state"},
		"bad service":        {StateDir: stateDir(t), Service: "a b"},
		"negative limit":     {StateDir: stateDir(t), Timeout: -1},
		"file without key":   {Kind: "file", StateDir: stateDir(t)},
		"file with bad key":  {Kind: "file", StateDir: stateDir(t), Key: keyring.NewSecret(sample)},
		"file, key not made": {Kind: "file", StateDir: stateDir(t), KeyFile: filepath.Join(t.TempDir(), "none")},
	} {
		_, err := keyring.Open(o)
		if err == nil || mentions(err.Error()) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
