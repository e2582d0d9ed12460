package keyring_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	gokeyring "github.com/zalando/go-keyring"

	"mcp-valet/keyring"
)

// Tests in this file replace go-keyring's provider for the whole process, so
// none of them is parallel, and the tests on real keychains run in processes
// of their own.

func openMocked(t *testing.T) *keyring.Store {
	t.Helper()
	gokeyring.MockInit()
	s, err := keyring.Open(keyring.Options{StateDir: stateDir(t), Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	s.UseLine(keyring.NewLine(noConnection))
	return s
}

func TestKeychainStore(t *testing.T) {
	s := openMocked(t)
	for _, v := range []string{"", small, large, small} {
		mustSet(t, s, work, v)
		wantRecord(t, s, work, v)
	}
	text, err := gokeyring.Get("mcp-valet", "account/work")
	if err != nil || text != "mcp-valet/1 inline\n"+small {
		t.Errorf("the item is %q (%v)", text, err)
	}
	if err := s.Delete(t.Context(), work); err != nil {
		t.Fatal(err)
	}
	_, err = s.Get(t.Context(), work)
	wantErr(t, err, keyring.ErrNotFound)
}

func TestKeychainKeepsCaseApart(t *testing.T) {
	s := openMocked(t)
	mustSet(t, s, keyring.AccountKey("Work"), "upper")
	mustSet(t, s, keyring.AccountKey("work"), "lower")
	wantRecord(t, s, keyring.AccountKey("Work"), "upper")
	if _, err := gokeyring.Get("mcp-valet", "account/Work"); (err == nil) == (runtime.GOOS == "windows") {
		t.Errorf("item account/Work: %v", err)
	}
}

func TestKeychainErrorsAreClassified(t *testing.T) {
	s := openMocked(t)
	for text, want := range map[string]error{
		"failed to unlock correct collection '/x'": keyring.ErrLocked,
		"who knows": keyring.ErrUnavailable,
	} {
		gokeyring.MockInitWithError(errors.New(text))
		_, err := s.Get(t.Context(), work)
		wantErr(t, err, want)
		wantErr(t, s.Set(t.Context(), work, keyring.NewSecret(small)), want)
		wantErr(t, s.Delete(t.Context(), work), want)
	}
}

// Values beyond the limit never get as far as go-keyring, which leaks a
// process for each on macOS.
func TestTooLargeItemIsNotTried(t *testing.T) {
	s := openMocked(t)
	err := s.SetItem(t.Context(), work, keyring.NewSecret(strings.Repeat("x", keyring.MaxItem+1)))
	wantErr(t, err, keyring.ErrFull)
	if _, err := gokeyring.Get("mcp-valet", "account/work"); !errors.Is(err, gokeyring.ErrNotFound) {
		t.Errorf("it was tried: %v", err)
	}
	if err := s.SetItem(t.Context(), work, keyring.NewSecret(strings.Repeat("x", keyring.MaxItem))); err != nil {
		t.Error(err)
	}
}

func TestCutShortSetIsLookedAtAgain(t *testing.T) {
	s := openMocked(t)
	mustSet(t, s, work, "old")
	calls := 0
	s.UseLine(keyring.NewLine(func() (func(), error) {
		if calls++; calls == 1 { // the set itself
			panic("the bus closed")
		}
		return nil, nil
	}))
	next := keyring.NewSecret("mcp-valet/1 inline\nnew")
	wantErr(t, s.SetItem(t.Context(), work, next), keyring.ErrUnknown)
	wantRecord(t, s, work, "old")

	calls = 0
	if err := gokeyring.Set("mcp-valet", "account/work", next.Reveal()); err != nil { // as if the call had come through
		t.Fatal(err)
	}
	if err := s.SetItem(t.Context(), work, next); err != nil {
		t.Errorf("the new value is there: %v", err)
	}
	wantRecord(t, s, work, "new")
}

func TestUnknownDoesNotReadAsTimeout(t *testing.T) {
	s := openMocked(t)
	mustSet(t, s, work, "old")
	s.UseLine(keyring.NewLine(func() (func(), error) { panic("always") }))
	err := s.SetItem(t.Context(), work, keyring.NewSecret("x"))
	wantErr(t, err, keyring.ErrUnknown)
	for _, other := range []error{keyring.ErrTimeout, keyring.ErrUnavailable, keyring.ErrNotFound} {
		if errors.Is(err, other) {
			t.Errorf("%v also reads as %v", err, other)
		}
	}
}
