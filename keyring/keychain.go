package keyring

import (
	"context"
	"errors"
	"fmt"
	"time"

	gokeyring "github.com/zalando/go-keyring"
)

// A Keychain keeps short texts by service and user name. Its calls come one at
// a time and may take for ever: one that has lasted for Options.Timeout is
// given up, and no other is made before it returns. Errors are an [*Error], or
// those of go-keyring.
type Keychain interface {
	Get(service, user string) (string, error)
	Set(service, user, text string) error
	Delete(service, user string) error
}

// system is the operating system's: Secret Service on Linux, Keychain on
// macOS, Credential Manager on Windows.
type system struct{}

func (system) Get(service, user string) (string, error) { return gokeyring.Get(service, user) }
func (system) Set(service, user, text string) error     { return gokeyring.Set(service, user, text) }
func (system) Delete(service, user string) error        { return gokeyring.Delete(service, user) }
func (system) Locked() bool                             { return isLocked() }

// keychain keeps values up to maxItem bytes in a Keychain, through its line.
type keychain struct {
	service string
	limit   time.Duration // for each call
	line    *line
	calls   Keychain
}

type quietKey struct{}

// Quietly is ctx for reading where no person is to be asked to unlock the keychain: one that is locked, as far as that can
// be told, is [ErrLocked]. On macOS it makes no difference: the system decides whom it asks.
func Quietly(ctx context.Context) context.Context { return context.WithValue(ctx, quietKey{}, true) }

func isQuiet(ctx context.Context) bool { return ctx.Value(quietKey{}) != nil }

func (c *keychain) get(ctx context.Context, k Key) (Secret, error) {
	service, user := c.service, k.itemName(ignoresCase)
	quiet := isQuiet(ctx)
	v, err := ask(ctx, c.line, c.limit, func() (Secret, error) {
		if lock, can := c.calls.(interface{ Locked() bool }); quiet && can && lock.Locked() {
			return Secret{}, fail(ErrLocked, errors.New("nobody was asked to unlock it this time"))
		}
		text, err := c.calls.Get(service, user)
		return NewSecret(text), err
	})
	return v, classify(err)
}

// set also looks whether the value arrived. Secret services are known to call
// a dismissed prompt a success, and macOS's security tool, fed by stdin, may
// not report its command's failure; a rotated token lost that way is a lost login.
func (c *keychain) set(ctx context.Context, k Key, v Secret) error {
	if n := v.size(); n > maxItem {
		return fail(ErrFull, fmt.Errorf("%d bytes for one keychain item, at most %d", n, maxItem))
	}
	service, user := c.service, k.itemName(ignoresCase)
	_, err := ask(ctx, c.line, c.limit, func() (struct{}, error) {
		return struct{}{}, c.calls.Set(service, user, v.Reveal())
	})
	if err != nil && !cutShort(err) {
		return classify(err)
	}
	return c.confirm(ctx, k, v, err)
}

// confirm tells what became of a set that returned setErr, nil included.
func (c *keychain) confirm(ctx context.Context, k Key, v Secret, setErr error) error {
	found, err := c.get(ctx, k)
	switch {
	case err == nil && found.Equal(v):
		return nil
	case setErr != nil: // the old value now may still be the new one a moment later
		return fail(ErrUnknown, unspecific(setErr))
	case err == nil || errors.Is(err, ErrNotFound):
		return fail(ErrUnavailable, errors.New("the keychain reported success and did not keep the value"))
	}
	return fail(ErrUnknown, unspecific(err))
}

func (c *keychain) delete(ctx context.Context, k Key) error {
	service, user := c.service, k.itemName(ignoresCase)
	_, err := ask(ctx, c.line, c.limit, func() (struct{}, error) {
		return struct{}{}, c.calls.Delete(service, user)
	})
	if err == nil || !cutShort(err) {
		return classify(err)
	}
	if _, gone := c.get(ctx, k); errors.Is(gone, ErrNotFound) {
		return nil
	}
	return fail(ErrUnknown, unspecific(err))
}

// unspecific keeps the text of an error and drops its sentinels, so that
// "unknown" does not at the same time read as "timed out", which is what a
// call says that changed nothing.
func unspecific(err error) error { return errors.New(err.Error()) }
