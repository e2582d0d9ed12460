package keyring_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mcp-valet/keyring"
)

// crash ends an operation like a kill at that moment would: nothing after it
// runs but what the system does by itself, which is to release the locks.
type crash struct{ step string }

// A fuse counts the steps of an operation and blows at one of them.
type fuse struct {
	at, seen int
	off      bool
}

func (f *fuse) step(name string) {
	if f.off {
		return
	}
	if f.seen++; f.seen == f.at {
		panic(crash{name})
	}
}

// files blow before a change, in the middle of a write, and after it.
func (f *fuse) files() keyring.FileFuncs {
	return keyring.FileFuncs{
		Write: func(path string, b []byte) error {
			f.step("before writing")
			if !f.off && f.seen+1 == f.at {
				dir, base := filepath.Split(path)
				keyring.WriteTemp(dir, base, b[:len(b)/2])
			}
			f.step("half written")
			err := keyring.WriteFile(path, b)
			f.step("written")
			return err
		},
		Remove: func(path string) error {
			f.step("before removing")
			err := os.Remove(path)
			f.step("removed")
			return err
		},
	}
}

func (f *fuse) keychain(items keyring.ItemFuncs) keyring.ItemFuncs {
	return keyring.ItemFuncs{
		Get: items.Get,
		Set: func(ctx context.Context, k keyring.Key, v keyring.Secret) error {
			f.step("before setting the item")
			err := items.Set(ctx, k, v)
			f.step("item set")
			return err
		},
		Delete: func(ctx context.Context, k keyring.Key) error {
			f.step("before deleting the item")
			err := items.Delete(ctx, k)
			f.step("item deleted")
			return err
		},
	}
}

// run reports the step at which the fuse blew, "" when it did not.
func (f *fuse) run(op func() error) (at string, err error) {
	defer func() {
		if c, ok := recover().(crash); ok {
			at = c.step
		}
	}()
	err = op()
	return "", err
}

var changes = []struct{ name, old, new string }{
	{"first, inline", "", small},
	{"first, sealed", "", large},
	{"inline to inline", small, small + "2"},
	{"inline to sealed", small, large},
	{"sealed to sealed", large, large + "2"},
	{"sealed to inline", large, small},
	{"delete inline", small, ""},
	{"delete sealed", large, ""},
}

// TestCrashLeavesOldOrNewWhole kills every change between every two of its
// steps, for both kinds of store.
func TestCrashLeavesOldOrNewWhole(t *testing.T) {
	for _, kind := range []string{keyring.KindKeychain, keyring.KindFile} {
		for _, c := range changes {
			t.Run(kind+"/"+c.name, func(t *testing.T) {
				for at := 1; ; at++ {
					step := crashAt(t, kind, c.old, c.new, at)
					if step == "" {
						if at < 3 {
							t.Errorf("only %d steps were tried", at-1)
						}
						return
					}
				}
			})
		}
	}
}

func crashAt(t *testing.T, kind, old, new string, at int) (step string) {
	dir, chain, key := stateDir(t), newKeychain(), newKey(t)
	f := &fuse{at: at, off: true}
	open := func() *keyring.Store {
		o := keyring.Options{StateDir: dir, Key: key}
		open := keyring.OpenFiles
		if kind == keyring.KindKeychain {
			open = func(o keyring.Options, files keyring.FileFuncs) (*keyring.Store, error) {
				return keyring.OpenWithItems(o, f.keychain(chain.funcs()), files)
			}
		}
		s, err := open(o, f.files())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if old != "" {
		mustSet(t, open(), work, old)
	}
	f.off = false
	step, err := f.run(func() error {
		if new == "" {
			return open().Delete(t.Context(), work)
		}
		return open().Set(t.Context(), work, keyring.NewSecret(new))
	})
	f.off = true
	if err != nil {
		t.Fatalf("step %d: %v", at, err)
	}
	if keys, err := open().Index(); holds(chain) && !slices.Contains(keys, work) {
		t.Errorf("step %d, %s: the record is not listed (%v)", at, step, err)
	}
	wantOneOf(t, open(), fmt.Sprintf("killed at step %d, %s", at, step), old, new)
	for _, v := range []string{large + "3", small + "3"} {
		mustSet(t, open(), work, v)
		wantRecord(t, open(), work, v)
	}
	kept := filepath.Join(dir, map[string]string{keyring.KindKeychain: "records", keyring.KindFile: "store"}[kind])
	mustSet(t, open(), work, large)
	makeOld(t, kept)
	mustSet(t, open(), work, large)
	if names := filesIn(t, kept); len(names) != 1 {
		t.Errorf("step %d, %s: left over: %v", at, step, names)
	}
	return step
}

func holds(chain *fakeKeychain) bool {
	_, ok := chain.items[work]
	return ok
}

func wantOneOf(t *testing.T, s *keyring.Store, when, old, new string) {
	t.Helper()
	v, err := s.Get(t.Context(), work)
	if err != nil {
		if (old == "" || new == "") && errors.Is(err, keyring.ErrNotFound) {
			return
		}
		t.Fatalf("%s: %v", when, err)
	}
	if got := v.Reveal(); got == "" || got != old && got != new {
		t.Fatalf("%s: neither the old nor the new record, but %d bytes", when, len(got))
	}
}
