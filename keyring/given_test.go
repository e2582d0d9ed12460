package keyring_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"mcp-valet/keyring"
)

// given is a keychain of one's own.
type given struct {
	items map[string]string
	hangs time.Duration // each call, before it does anything
}

func (g *given) Get(service, user string) (string, error) {
	time.Sleep(g.hangs)
	text, ok := g.items[service+"/"+user]
	if !ok {
		return "", &keyring.Error{Err: keyring.ErrNotFound}
	}
	return text, nil
}

func (g *given) Set(service, user, text string) error {
	time.Sleep(g.hangs)
	g.items[service+"/"+user] = text
	return nil
}

func (g *given) Delete(service, user string) error {
	time.Sleep(g.hangs)
	delete(g.items, service+"/"+user)
	return nil
}

func openGiven(t *testing.T, g *given) *keyring.Store {
	t.Helper()
	s, err := keyring.Open(keyring.Options{StateDir: stateDir(t), Keychain: g})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestGivenKeychain holds that a store over a given keychain keeps its records there, small and large.
func TestGivenKeychain(t *testing.T) {
	g := &given{items: map[string]string{}}
	s := openGiven(t, g)
	for _, v := range []string{small, large, small} {
		mustSet(t, s, work, v)
		wantRecord(t, s, work, v)
	}
	if got := g.items["mcp-valet/account/work"]; got != "mcp-valet/1 inline\n"+small {
		t.Errorf("the item is %q", got)
	}
	if ahead := s.Ahead(t.Context(), work, keyring.AccountKey("other")); ahead != s {
		t.Error("a given keychain is asked for several items at once")
	}
	if err := s.Delete(t.Context(), work); err != nil || len(g.items) != 0 {
		t.Errorf("left after the deletion (%v): %d items", err, len(g.items))
	}
}

// TestGivenKeychainHangs holds that a call is given up in time, that no other is made while it lasts, and that stores do
// not wait for each other's.
func TestGivenKeychainHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, other := openGiven(t, &given{items: map[string]string{}, hangs: time.Minute}), openGiven(t, &given{items: map[string]string{}})
		began := time.Now()
		for range 2 {
			_, err := s.Get(t.Context(), work)
			wantErr(t, err, keyring.ErrTimeout)
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("two calls, of which the first hangs, take %v", took)
		}
		if _, err := other.Get(t.Context(), work); !errors.Is(err, keyring.ErrNotFound) {
			t.Errorf("another store: %v", err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
	})
}
