package refresh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"mcp-valet/keyring"
)

// Window is what an agent may show to the person. Nil fields are skipped; both must return when ctx ends.
type Window struct {
	Open   func(ctx context.Context, url string) error         // in a browser
	Notify func(ctx context.Context, title, text string) error // on the desktop
}

const (
	signInLockTry = 250 * time.Millisecond // long enough for whoever only looks whether the lock is free
	startTime     = 50 * time.Second       // until the issuer has given a code; less than signInGrace
	windowTime    = 20 * time.Second       // browser and notification together
	keepTime      = 2 * time.Minute        // waiting for a renewal under way: its grant and all attempts to save, and some
	takenOverLook = 500 * time.Millisecond
)

// errTakenOver ends a sign-in because a person has begun one by hand.
var errTakenOver = fmt.Errorf("%w: a person acts by hand", keyring.ErrBusy)

// AskSignIn has a person sign in to an account that was signed in to before: the work of the agent. It holds the
// account's sign-in lock, so that there is one sign-in an account on this machine, looks whether somebody else has done
// the work, and otherwise asks the issuer for one code, shows it by w (not when quiet), and waits until it is used, for 15
// minutes at most. What comes of it is stored before anything can use it. What goes on is told in the file that
// [ReadSignIn] reads, for the launchers that wait.
//
// Each window that brings no sign-in is counted, one whose agent was killed among them, unless the issuer could not be
// reached or the keychain would not take what it brought; after [MaxUnanswered] in a row no more is opened. A quiet
// sign-in is neither counted nor held back by that.
//
// The error wraps [ErrUnanswered], [ErrUnreachable], [ErrDenied], [ErrCodeExpired], [ErrMisconfigured], [ErrForeign],
// [ErrSignedOut] (there was no sign-in, and so nothing says that the person knows the endpoints in the configuration),
// another error of [Client.SignIn], or a sentinel of keyring: ErrBusy when another sign-in is under way.
func AskSignIn(ctx context.Context, store Store, a Account, stateDir, server string, w Window, quiet bool) error {
	r := &asking{store: store, account: a, stateDir: stateDir, server: server, window: w, quiet: quiet}
	if err := r.run(ctx); err != nil {
		return fmt.Errorf("signing in to account %q: %w", a.Name, err)
	}
	return nil
}

// asking is one sign-in that a person is asked for. Its functions run one at a time, but for watch and what it calls.
type asking struct {
	store    Store
	account  Account
	stateDir string
	server   string
	window   Window
	quiet    bool

	writing sync.Mutex // held while the note is written, or looked at to write it again
	note    SignIn     // as last written
	expires time.Time
	stop    context.CancelCauseFunc
	started *time.Timer // stops the sign-in if no code comes
}

func (r *asking) run(ctx context.Context) error {
	if !keyring.ValidName(r.server) {
		return errors.New("server name: not of the form [A-Za-z0-9_.-]{1,128}")
	}
	trying, cancel := context.WithTimeout(ctx, signInLockTry)
	defer cancel()
	lock, err := r.store.Lock(trying, keyring.SignInLock, r.account.Name)
	if err != nil {
		return err
	}
	defer lock.Unlock() // an error changes nothing: the end of the process frees it at the latest
	if err := r.takeNote(); err != nil {
		return err
	}
	heldBack := !r.quiet && r.note.HeldBack()
	if !heldBack { // said at once: whoever waits must not take the last sign-in's end for this one's
		if err := r.write(SignIn{Outcome: SignInStarting, At: now()}); err != nil {
			return err // a window that nothing counts is not opened
		}
	}
	old, needed, err := r.needed(ctx)
	if err != nil || !needed {
		return r.end(err)
	}
	if heldBack {
		return ErrUnanswered
	}
	return r.signIn(ctx, old)
}

// takeNote takes over what an earlier agent left. We hold the lock, so that one is gone, whatever it says.
func (r *asking) takeNote() error {
	// A note that cannot be read counts as none. What cannot be written then will end the sign-in.
	r.note, _ = loadSignIn(r.stateDir, r.account.Name)
	switch {
	case !r.note.open():
		return nil
	case r.note.byHand() && r.note.Outcome == SignInStarting && r.note.Live(now()):
		return errTakenOver // they have not come to take the lock yet
	}
	r.note = r.note.abandoned()
	return writeSignIn(r.stateDir, r.account.Name, r.note)
}

// needed tells whether a person is needed at all, and gives the credential that a sign-in would replace, nil for none.
func (r *asking) needed(ctx context.Context) (*keyring.Credential, bool, error) {
	old, err := r.store.Credential(ctx, r.account.Name)
	if errors.Is(err, keyring.ErrNotFound) {
		return nil, true, r.unbound(err)
	}
	if err != nil {
		return nil, false, err
	}
	if err := boundNow(r.account, old); err != nil {
		return nil, false, err
	}
	return old, !good(r.account, old, now()) || r.refused(old), nil
}

// unbound: without an earlier sign-in there is nothing to compare the configuration with, and whoever edited it may have
// put an endpoint or certificate authority of theirs between the person and the issuer.
func (r *asking) unbound(missing error) error {
	if r.account.CAFile == "" && r.account.Endpoints == (Endpoints{}) {
		return nil
	}
	return fmt.Errorf("%w: the first sign-in, with endpoints or a CA file of one's own, is made by hand: %w", ErrSignedOut, missing)
}

// refused tells whether the issuer is known to take c no more, though by its times it is still good.
func (r *asking) refused(c *keyring.Credential) bool {
	s, err := ReadState(r.stateDir, r.account.Name)
	return err == nil && s.about(c) && s.Outcome == OutcomeSignedOut
}

// signIn asks, waits and stores. old is what is stored now, nil if there is nothing.
func (r *asking) signIn(ctx context.Context, old *keyring.Credential) error {
	client, err := New(r.account)
	if err != nil {
		return r.end(err)
	}
	// What a person brings must have a place to go.
	if err := r.store.CheckSave(ctx, r.account.Name); err != nil {
		return r.end(err)
	}
	way := WayAuto
	if old != nil && old.Browser { // a code may be what the issuer's policy forbids
		way = WayBrowser
	}
	next, err := r.await(ctx, client, way)
	if err != nil {
		return r.end(err)
	}
	next.Export = old != nil && old.Export // what was agreed to of the account, which is the same
	if err := r.keep(context.WithoutCancel(ctx), next); err != nil {
		return r.end(&unkept{err})
	}
	return r.end(nil)
}

// await runs the sign-in until it ends, its time is over, or a person begins one by hand.
func (r *asking) await(ctx context.Context, client *Client, way Way) (*keyring.Credential, error) {
	r.expires = now().Add(signInTime)
	ctx, cancel := context.WithDeadline(ctx, r.expires)
	defer cancel()
	ctx, r.stop = context.WithCancelCause(ctx)
	defer r.stop(nil)
	r.started = time.AfterFunc(startTime, func() { r.stop(fmt.Errorf("%w: it gave no code in time", ErrUnreachable)) })
	defer r.started.Stop()
	client.codes = 1
	watched := make(chan struct{})
	go func() { defer close(watched); r.watch(ctx) }()
	next, err := client.SignIn(ctx, way, r.prompt(client))
	cause := context.Cause(ctx)
	r.stop(nil)
	<-watched
	if err != nil && cause != nil && !errors.Is(cause, context.DeadlineExceeded) {
		return nil, cause
	}
	return next, err
}

// watch stops the sign-in once its note is gone, or a person's own: see [ForgetWindows] and [NoteLogin]. A note that
// somebody else has changed is put right: what it says is opened, and told to people.
func (r *asking) watch(ctx context.Context) {
	tick := time.NewTicker(takenOverLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if r.takenOver() {
				r.stop(errTakenOver)
				return
			}
			r.restore()
		}
	}
}

// takenOver: while we hold the lock, no other agent writes a note.
func (r *asking) takenOver() bool {
	b, err := readNote(r.stateDir, r.account.Name)
	return err == nil && ofPerson(b)
}

// ofPerson tells whether the text of a note is that of somebody who acts by hand, or none. One that makes no sense says
// nothing.
func ofPerson(note []byte) bool {
	s, err := parseSignIn(note)
	return err == nil && (!s.open() || s.byHand())
}

// restore writes the note again unless it is as we wrote it. If that fails, the next look tries again.
func (r *asking) restore() {
	r.writing.Lock()
	defer r.writing.Unlock()
	ours, err := r.note.text()
	if err != nil {
		return
	}
	found, err := readNote(r.stateDir, r.account.Name)
	if err == nil && (bytes.Equal(found, ours) || ofPerson(found)) {
		return
	}
	_ = writeSignIn(r.stateDir, r.account.Name, r.note)
}

func (r *asking) prompt(client *Client) Prompt {
	return Prompt{
		Code: func(ctx context.Context, c DeviceCode) {
			r.show(ctx, first(c.VerificationURIComplete, c.VerificationURI), SignIn{
				UserCode: c.UserCode, URI: c.VerificationURI, URIComplete: c.VerificationURIComplete,
				Expires: earlier(c.Expires, r.expires),
			})
		},
		Browser: func(ctx context.Context, page string) {
			r.show(ctx, page, SignIn{URI: page, Expires: earlier(now().Add(client.browserWait), r.expires)})
		},
	}
}

// show puts the sign-in before the person. The note comes first: then the window is counted, whatever ends us.
func (r *asking) show(ctx context.Context, page string, s SignIn) {
	if r.started.Stop(); ctx.Err() != nil {
		return
	}
	s.Outcome, s.At = SignInWaiting, now()
	if err := r.rewrite(s); err != nil || r.quiet {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, windowTime)
	defer cancel()
	s.Opened = r.window.Open != nil && r.window.Open(ctx, page) == nil
	text, whole := notice(r.server, r.account.Name, s)
	told := r.window.Notify != nil && r.window.Notify(ctx, noticeTitle(r.account.Name), text) == nil
	s.Notified = told && (whole || s.Opened)
	r.rewrite(s)
}

// rewrite is write for a note that is already there; if it cannot be done, the sign-in ends.
func (r *asking) rewrite(s SignIn) error {
	err := error(errTakenOver)
	if !r.takenOver() {
		err = r.write(s)
	}
	if err != nil {
		r.stop(err)
	}
	return err
}

func (r *asking) write(s SignIn) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	s.Server, s.Quiet, s.Unanswered = r.server, r.quiet, r.note.Unanswered
	if err := writeSignIn(r.stateDir, r.account.Name, s); err != nil {
		return err
	}
	r.note = s
	return nil
}

// keep stores what the person brought. A renewal under way may have put another credential in place meanwhile.
func (r *asking) keep(ctx context.Context, next *keyring.Credential) error {
	waiting, cancel := context.WithTimeout(ctx, keepTime)
	defer cancel()
	lock, err := r.store.Lock(waiting, keyring.RefreshLock, r.account.Name)
	if err != nil {
		return err
	}
	defer lock.Unlock() // as in run
	serial := int64(0)
	if stored, err := r.store.Credential(ctx, r.account.Name); err == nil {
		serial = stored.Serial
	}
	return saveAfter(ctx, r.store, serial, next)
}

// unkept is a failure to store what a person brought.
type unkept struct{ err error }

func (e *unkept) Error() string { return "the sign-in could not be stored: " + e.err.Error() }
func (e *unkept) Unwrap() error { return e.err }

// end writes down what came of it, and words err.
func (r *asking) end(err error) error {
	err = meaning(err, r.note.Outcome == SignInWaiting)
	if errors.Is(err, errTakenOver) {
		return err // the note is the person's now
	}
	if r.note.open() && r.takenOver() {
		return err
	}
	s := r.note
	if !s.open() { // it is of an earlier one
		s = SignIn{Server: r.server, Quiet: r.quiet, Unanswered: r.note.Unanswered}
	}
	// What cannot be written now was written as a window, and will count as one.
	_ = writeSignIn(r.stateDir, r.account.Name, s.ended(outcomeOf(err), now(), unanswered(err)))
	return err
}

// outcomes say what an error means to those who wait; the first one in its chain counts.
var outcomes = []struct {
	err     error
	outcome string
}{
	{ErrDenied, SignInDenied},
	{ErrCodeExpired, SignInExpired},
	{ErrUnreachable, SignInUnreachable},
}

func outcomeOf(err error) string {
	if err == nil {
		return SignInDone
	}
	for _, o := range outcomes {
		if errors.Is(err, o.err) {
			return o.outcome
		}
	}
	return SignInFailed
}

// unanswered tells whether err is about the person, or about what the issuer makes of them, and not about what they
// brought being lost on the way.
func unanswered(err error) bool {
	var lost *unkept
	return err != nil && !errors.As(err, &lost) && !errors.Is(err, ErrUnreachable)
}

// meaning gives an issuer's answer the sentinel that says what it means. A refusal without an OAuth error, before there
// is a code, is a firewall's or a proxy's.
func meaning(err error, shown bool) error {
	var answer *OAuthError
	switch {
	case !errors.As(err, &answer), errors.Is(err, ErrDenied), errors.Is(err, ErrUnreachable):
		return err
	case Classify(err) == Fatal:
		return fmt.Errorf("%w: %w", ErrMisconfigured, err)
	case !shown && answer.Code == "":
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return err
}
