package refresh

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"mcp-valet/keyring"
)

// Store is the part of [keyring.Store] that holds the credentials.
type Store interface {
	Credential(ctx context.Context, account string) (*keyring.Credential, error)
	SaveCredential(ctx context.Context, c *keyring.Credential) error
	CheckSave(ctx context.Context, account string) error
	Lock(ctx context.Context, kind keyring.LockKind, account string) (*keyring.Lock, error)
}

// Ladder gives out the access token of one account. Its rungs: the stored one while it is good for its margin; then
// whatever the agent brings; then the stored one after all, while it has not ended and its renewal failed for a passing
// reason. The first rung is one read of the keychain and no network. A Ladder is safe for concurrent use.
type Ladder struct {
	Store    Store
	Account  Account
	StateDir string

	// Agent has the credential renewed by a process that outlives us, with [Renew], and waits for its verdict: nil, or
	// an error wrapping a sentinel of this package or of keyring. It must return when ctx ends, and leave the work going on.
	Agent func(ctx context.Context, account string) error
	// Wait bounds the waiting for the agent, and for the issuer's keys where they are not known yet. Zero is 2 s.
	Wait time.Duration
}

const (
	defaultWait = 2 * time.Second
	// maxSkew is how long before its end a token is not given out any more, so that it does not end on the road.
	maxSkew = 5 * time.Second
	// clockLeeway is how much the clocks of issuer and machine may differ, and how far in the future a credential may
	// have been obtained before the clock is known to have been put back.
	clockLeeway = time.Minute
)

// Token is the access token of [Ladder.Credential].
func (l *Ladder) Token(ctx context.Context) (keyring.Secret, error) {
	c, err := l.Credential(ctx)
	if err != nil {
		return keyring.Secret{}, err
	}
	return c.AccessToken, nil
}

// Stored is the stored credential, as the first rung finds it, and whether its access token is good for its margin. Where
// it is not, a renewal is due. The errors are those of [Ladder.Credential].
func (l *Ladder) Stored(ctx context.Context) (c *keyring.Credential, isGood bool, err error) {
	c, err = l.read(ctx)
	if err == nil {
		if isGood = good(l.Account, c, now()); isGood {
			c, err = l.vet(ctx, c)
		}
	}
	if err != nil {
		return nil, false, fmt.Errorf("account %q: %w", l.Account.Name, err)
	}
	return c, isGood, nil
}

// Credential is a credential whose access token can be used now. Otherwise the error wraps [ErrSignedOut] (with
// keyring.ErrNotFound when there never was a sign-in), [ErrUnreachable], [ErrForeign], [ErrToken], [ErrMisconfigured],
// a sentinel of keyring, or the end of ctx.
func (l *Ladder) Credential(ctx context.Context) (*keyring.Credential, error) {
	c, err := l.climb(ctx)
	if err != nil {
		return nil, fmt.Errorf("account %q: %w", l.Account.Name, err)
	}
	return c, nil
}

func (l *Ladder) climb(ctx context.Context) (*keyring.Credential, error) {
	c, err := l.read(ctx)
	if err != nil {
		return nil, err
	}
	if good(l.Account, c, now()) {
		return l.vet(ctx, c)
	}
	failure := l.renew(ctx, c)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if c, err = l.read(ctx); err != nil {
		return nil, err
	}
	if good(l.Account, c, now()) || !final(failure) && unexpired(l.Account, c, now()) {
		return l.vet(ctx, c)
	}
	if failure == nil {
		failure = fmt.Errorf("%w: the renewed token has ended already", ErrUnreachable)
	}
	return nil, failure
}

// read reads the stored credential and makes sure that it is the configuration's.
func (l *Ladder) read(ctx context.Context) (*keyring.Credential, error) {
	c, err := l.Store.Credential(ctx, l.Account.Name)
	if err != nil {
		return nil, signedOutIfNone(err)
	}
	return c, boundNow(l.Account, c)
}

func signedOutIfNone(err error) error {
	if errors.Is(err, keyring.ErrNotFound) {
		return fmt.Errorf("%w: %w", ErrSignedOut, err)
	}
	return err
}

// renew asks the agent, unless it is known already what the agent would say.
func (l *Ladder) renew(ctx context.Context, c *keyring.Credential) error {
	if c.RefreshToken.IsZero() {
		return errNoRefreshToken
	}
	if err := l.state().holds(c, now()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, l.wait())
	defer cancel()
	return l.explain(c, l.Agent(ctx, l.Account.Name))
}

func (l *Ladder) wait() time.Duration {
	if l.Wait == 0 {
		return defaultWait
	}
	return l.Wait
}

// explain makes of the agent's error one that says what it means for the token. What is remembered of an earlier
// sign-in explains nothing: an agent that was killed left no word about c.
func (l *Ladder) explain(c *keyring.Credential, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, keyring.ErrBusy):
		return fmt.Errorf("%w: the renewal takes long and goes on: %w", ErrUnreachable, err)
	case known(err):
		return err
	}
	if s := l.state(); s.about(c) && s.Err() != nil {
		return fmt.Errorf("%w: %w", s.Err(), err)
	}
	return err
}

// state is what is remembered of the last renewal. One that cannot be read counts as none: it saves work and no more.
func (l *Ladder) state() State {
	s, err := ReadState(l.StateDir, l.Account.Name)
	if err != nil {
		return State{}
	}
	return s
}

var errNoRefreshToken = fmt.Errorf("%w: there is no refresh token", ErrSignedOut)

// finals are the reasons that no waiting cures: with one of them a token is refused even while it has not ended.
var finals = []error{ErrSignedOut, ErrForeign, ErrToken, ErrMisconfigured, ErrInsecureURL}

func final(err error) bool { return isAny(err, finals) }

// known tells whether err says by itself what the matter is.
func known(err error) bool {
	return final(err) || errors.Is(err, ErrUnreachable) || isAny(err, []error{
		keyring.ErrNotFound, keyring.ErrUnavailable, keyring.ErrLocked, keyring.ErrTimeout, keyring.ErrTooNew,
		keyring.ErrFull, keyring.ErrCorrupt, keyring.ErrUnknown, keyring.ErrInsecure,
		keyring.ErrWrongKey,
	})
}

func isAny(err error, targets []error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// vet is the last look at a token before it is given out: never an unsigned one, and where the account names an
// audience, a JWT only after its full check. An opaque token has nothing to check.
func (l *Ladder) vet(ctx context.Context, c *keyring.Credential) (*keyring.Credential, error) {
	_, isJWT, err := Inspect(c.AccessToken)
	if err != nil {
		return nil, err
	}
	if !isJWT || l.Account.Audience == "" {
		return c, nil
	}
	client, err := New(l.Account)
	if err != nil {
		return nil, err
	}
	if _, err := client.Verifier(filepath.Join(l.StateDir, "keys")).VerifyWithin(ctx, l.wait(), c.AccessToken); err != nil {
		return nil, err
	}
	return c, nil
}
