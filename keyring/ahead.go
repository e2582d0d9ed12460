package keyring

import (
	"context"
	"errors"
	"sync"

	gokeyring "github.com/zalando/go-keyring"
)

var errLocked = errors.New("the keychain may be locked")

// Ahead is the store for one short piece of work that reads several records: they are read at once, where that makes no
// difference but to the time it takes, and the first Get of each gives what was found now.
func (s *Store) Ahead(ctx context.Context, keys ...Key) *Store {
	r, isKeychain := s.backend.(*records)
	if !isKeychain || len(keys) < 2 {
		return s
	}
	items, isKeychain := r.items.(*keychain)
	if !isKeychain {
		return s
	}
	if _, isSystem := items.calls.(system); !isSystem { // another one may not be able to
		return s
	}
	found, ok := items.getAll(ctx, keys)
	if !ok {
		return s
	}
	ahead, view := *r, *s
	ahead.items = &foundItems{backend: items, found: found}
	view.backend = &ahead
	return &view
}

// foundItems is a keychain of which some items have been read already.
type foundItems struct {
	backend
	mu    sync.Mutex
	found map[Key]answer[Secret]
}

func (f *foundItems) get(ctx context.Context, k Key) (Secret, error) {
	if found, ok := f.take(k); ok {
		return found.value, found.err
	}
	return f.backend.get(ctx, k)
}

func (f *foundItems) set(ctx context.Context, k Key, v Secret) error {
	f.take(k)
	return f.backend.set(ctx, k, v)
}

func (f *foundItems) delete(ctx context.Context, k Key) error {
	f.take(k)
	return f.backend.delete(ctx, k)
}

func (f *foundItems) take(k Key) (answer[Secret], bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	found, ok := f.found[k]
	delete(f.found, k)
	return found, ok
}

// getAll reads several items as one call of the line: its limit is for all. It says no where that cannot be
// done, as when the person might be asked to unlock the keychain, which is to be asked once.
func (c *keychain) getAll(ctx context.Context, keys []Key) (map[Key]answer[Secret], bool) {
	service, users := c.service, make([]string, len(keys))
	for i, k := range keys {
		users[i] = k.itemName(ignoresCase)
	}
	all, err := ask(ctx, c.line, c.limit, func() ([]answer[Secret], error) {
		if !isOpen() {
			return nil, errLocked
		}
		all := make([]answer[Secret], len(users))
		var reads sync.WaitGroup
		for i, user := range users {
			reads.Go(func() { all[i] = getItem(service, user) })
		}
		reads.Wait()
		return all, nil
	})
	found := make(map[Key]answer[Secret], len(keys))
	for i, k := range keys {
		switch {
		case err == nil:
			found[k] = answer[Secret]{all[i].value, classify(all[i].err)}
		case errors.Is(err, ErrTimeout):
			found[k] = answer[Secret]{err: err} // asked one by one, it would hang as long again
		default:
			return nil, false
		}
	}
	return found, true
}

func getItem(service, user string) answer[Secret] {
	return guarded(func() (Secret, error) {
		text, err := gokeyring.Get(service, user)
		return NewSecret(text), err
	})
}
