package refresh

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mcp-valet/keyring"
)

const (
	lockTime  = 30 * time.Second // waiting for another process's renewal
	grantTime = 30 * time.Second // one grant, from its sending on
	saveTime  = time.Minute      // all attempts to save, whatever the keychain's own limit
	saveTries = 5                // with pauses of 1, 2, 3 and 4 s between them
	// deadRefusals is how many bare refusals in a row are taken for a dead refresh token.
	deadRefusals = 3
)

// Renew makes the stored credential of an account good again: the work of the agent. It holds the account's refresh
// lock, looks whether somebody else has done the work, and otherwise sends one refresh grant and saves what comes of it
// before anything can use it. The outcome is remembered below stateDir, where [ReadState] finds it, and failures are
// followed by a back-off during which Renew sends nothing. A failure never deletes nor replaces the credential.
//
// The error wraps [ErrSignedOut] (with keyring.ErrNotFound when there never was a sign-in), [ErrUnreachable],
// [ErrForeign], [ErrMisconfigured], or a sentinel of keyring, ErrBusy among them. A grant once sent is seen through,
// though ctx ends.
func Renew(ctx context.Context, store Store, a Account, stateDir string) error {
	r := renewal{store: store, account: a, stateDir: stateDir}
	return r.run(ctx)
}

// RenewNow is [Renew] at the wish of a person: it waits for no back-off, and asks the issuer again that has refused before.
func RenewNow(ctx context.Context, store Store, a Account, stateDir string) error {
	r := renewal{store: store, account: a, stateDir: stateDir, asked: true}
	return r.run(ctx)
}

// RenewRefused is [Renew] for a token that looks good and that a server has refused: it is renewed all the same, unless
// the stored credential is not the one with this serial any more, and so has been renewed since.
func RenewRefused(ctx context.Context, store Store, a Account, stateDir string, serial int64) error {
	r := renewal{store: store, account: a, stateDir: stateDir, unwanted: serial}
	return r.run(ctx)
}

type renewal struct {
	store    Store
	account  Account
	stateDir string
	asked    bool  // by a person
	unwanted int64 // serial of a credential whose token is no good, whatever it looks like; 0 for none
}

func (r *renewal) run(ctx context.Context) error {
	if err := r.locked(ctx); err != nil {
		return fmt.Errorf("renewing account %q: %w", r.account.Name, err)
	}
	return nil
}

func (r *renewal) locked(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, lockTime)
	defer cancel()
	lock, err := r.store.Lock(waiting, keyring.RefreshLock, r.account.Name)
	if err != nil {
		return err
	}
	defer lock.Unlock() // an error changes nothing: the end of the process frees it at the latest
	c, err := r.store.Credential(ctx, r.account.Name)
	if err != nil {
		return signedOutIfNone(err)
	}
	return r.renew(ctx, c)
}

// errSuperseded ends an attempt with a credential that turned out dead and was not the stored one any more.
var errSuperseded = fmt.Errorf("%w: the stored sign-in keeps changing", ErrUnreachable)

// renew renews c unless there is nothing to do. When c turns out dead and a newer credential has appeared meanwhile (the
// lock binds no other version of this program, nor a person who restores a backup), that one is tried, and only once: a
// third would mean that somebody is fighting over the record.
func (r *renewal) renew(ctx context.Context, c *keyring.Credential) error {
	err := r.attempt(ctx, c)
	if !errors.Is(err, errSuperseded) {
		return err
	}
	if c, err = r.store.Credential(ctx, r.account.Name); err != nil {
		return signedOutIfNone(err)
	}
	return r.attempt(ctx, c)
}

// superseded tells whether the stored credential is a newer one than c.
func (r *renewal) superseded(ctx context.Context, c *keyring.Credential) bool {
	stored, err := r.store.Credential(ctx, r.account.Name)
	return err == nil && stored.Serial > c.Serial
}

// attempt makes c good, or returns why it is not.
func (r *renewal) attempt(ctx context.Context, c *keyring.Credential) error {
	if err := boundNow(r.account, c); err != nil {
		return err
	}
	if good(r.account, c, now()) && (r.unwanted == 0 || c.Serial != r.unwanted) {
		return nil
	}
	if c.RefreshToken.IsZero() {
		return errNoRefreshToken
	}
	before := r.history(c)
	if err := before.holds(c, now()); err != nil && !r.asked {
		return err
	}
	client, err := New(r.account)
	if err != nil {
		return err
	}
	// A refresh token that rotates can be spent once: never while its successor has no place to go.
	if err := r.store.CheckSave(ctx, r.account.Name); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return r.grant(context.WithoutCancel(ctx), client, c, before)
}

// history is what is remembered of c. A state that cannot be read, or is another credential's, counts as none.
func (r *renewal) history(c *keyring.Credential) State {
	s, err := ReadState(r.stateDir, r.account.Name)
	if err != nil || !s.about(c) {
		return State{Serial: c.Serial, ObtainedAt: c.ObtainedAt}
	}
	return s
}

// grant spends the refresh token. Its ctx has no end but the limits set here: between the issuer's rotation and our
// saving of it, stopping would lose the sign-in.
func (r *renewal) grant(ctx context.Context, client *Client, c *keyring.Credential, before State) error {
	sending, cancel := context.WithTimeout(ctx, grantTime)
	defer cancel()
	next, err := client.Refresh(sending, c)
	if err != nil {
		return r.failed(ctx, client, c, before, err)
	}
	if err := saveAfter(ctx, r.store, c.Serial, next); err != nil {
		r.remember(before.after(OutcomeUnsaved, ""))
		return fmt.Errorf("the renewed sign-in could not be stored: %w", err)
	}
	r.remember(State{Outcome: OutcomeOK, At: now(), Serial: next.Serial, ObtainedAt: next.ObtainedAt})
	return nil
}

// saveAfter stores next in place of the record with the serial, and tries again for a while when the keychain does not
// take it: what next replaces is spent. After a failure the record is read back, since what timed out may have been done
// all the same.
func saveAfter(ctx context.Context, store Store, serial int64, next *keyring.Credential) error {
	ctx, cancel := context.WithTimeout(ctx, saveTime)
	defer cancel()
	for try := 1; ; try++ {
		err := store.SaveCredential(ctx, next)
		if err == nil {
			return nil
		}
		stored, readErr := store.Credential(ctx, next.Account)
		if readErr == nil && stored.Serial > serial && stored.ObtainedAt.Equal(next.ObtainedAt) {
			next.Serial = stored.Serial
			return nil
		}
		if try == saveTries || !pause(ctx, time.Duration(try)*time.Second) {
			return err
		}
	}
}

// pause waits for d and tells whether ctx let it.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// failed remembers a failed grant and words what it means.
func (r *renewal) failed(ctx context.Context, client *Client, c *keyring.Credential, before State, err error) error {
	if errors.Is(err, ErrForeign) || errors.Is(err, ErrInsecureURL) {
		return err // nothing was sent
	}
	s := before.after(OutcomeUnreachable, "")
	var answer *OAuthError
	if errors.As(err, &answer) {
		s.Code = answer.Code
		s.NotBefore = later(s.NotBefore, s.At.Add(min(answer.retryAfter, maxBackOff)))
	}
	switch Classify(err) {
	case Dead:
		s.Outcome, s.NotBefore = OutcomeSignedOut, time.Time{}
	case Fatal:
		s.Outcome = OutcomeMisconfigured
	case BareRefusal:
		s = r.refused(ctx, client, before, s)
	}
	if s.Outcome == OutcomeSignedOut && r.superseded(ctx, c) {
		return errSuperseded
	}
	r.remember(s)
	return fmt.Errorf("%w: %v", s.sentinel(), err) // %v: what err means has just been decided
}

// refused counts a bare refusal, provided that the issuer is there at all. The sign-out that a number of them in a row
// comes to is a guess, so it keeps its NotBefore: later attempts may prove it wrong.
func (r *renewal) refused(ctx context.Context, client *Client, before, s State) State {
	if !client.answers(ctx) {
		return s
	}
	s.BareRefusals = before.BareRefusals + 1
	if s.BareRefusals >= deadRefusals {
		s.Outcome, s.NotBefore = OutcomeSignedOut, s.At.Add(maxBackOff)
	}
	return s
}

// answers tells whether the issuer otherwise answers: with its description or, where none is asked for, its keys. With
// neither there is nothing but the refusal itself to go by.
func (c *Client) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	defer c.closeIdle()
	m, err := c.metadata(ctx)
	if err != nil {
		return false
	}
	if m.discovered || m.endpoints.JWKS == "" {
		return true
	}
	_, err = c.getJSON(ctx, m.endpoints.JWKS)
	return err == nil
}

func (r *renewal) remember(s State) {
	// An error is no reason to fail: what is lost is patience, and what status shows.
	_ = writeState(r.stateDir, r.account.Name, s)
}
