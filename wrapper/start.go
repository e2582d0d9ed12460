package wrapper

import (
	"context"
	"errors"
	"time"

	"mcp-valet/keyring"
	"mcp-valet/refresh"
	"mcp-valet/wrapper/policy"
)

// Effort is how much may be done to have a server's credential.
type Effort int

const (
	// Stored is one look into the keychain: no renewal, no network. Where a renewal is due, that is [ErrDue].
	Stored Effort = iota
	// Renewed also waits for a silent renewal, where one is due, a few seconds at most.
	Renewed
	// Refused is for a token that looks good and that the server does not take: it is renewed, once, and [ErrNoRemedy]
	// says that this would bring nothing new.
	Refused
	// Bare is the server as it may be started without its token, and with no look at whether there is one.
	Bare
)

var (
	// ErrDue says that a renewal is due, and that it was not to be done now.
	ErrDue = errors.New("a renewal is due")
	// ErrNoRemedy says that there is no other credential than the one that a server did not take.
	ErrNoRemedy = errors.New("there is no newer credential")
)

// Start is what a server is started with.
type Start struct {
	Server  Server
	Token   keyring.Secret // zero for none
	Subject string         // whose token it is, as far as known; also beside an error
	User    *policy.User   // for the policy: from a verified token; nil where nobody is known; also beside an error

	// Due is when a new token should be had, and Ends when this one ends; zero where that is not known, or cannot be
	// helped. They are times of the wall clock: a machine that sleeps ages, too.
	Due, Ends time.Time
}

// Starter says what to start, and makes sure each time that it may be started. Its methods are called from one goroutine
// at a time and return soon after ctx ends. A person is never asked.
type Starter interface {
	Start(ctx context.Context, effort Effort) (Start, error)
}

// SignIns has people sign in without a terminal. Its methods are safe for concurrent use.
type SignIns interface {
	// Begin has a sign-in begin, unless one is under way on this machine already, and returns within seconds. quiet says
	// that the client itself shows the address: no window is opened for it. An error means that there will be none.
	Begin(ctx context.Context, quiet bool) error
	// State is how the latest sign-in stands.
	State() (refresh.SignIn, error)
}

// Fixed is a Starter for a server whose credential, if it has one, is at hand and never changes.
type Fixed Start

// Start gives f.
func (f Fixed) Start(_ context.Context, effort Effort) (Start, error) {
	if effort == Refused {
		return Start{}, ErrNoRemedy
	}
	s := Start(f)
	if effort == Bare {
		s.Token = keyring.Secret{}
	}
	return s, nil
}

// obstacle is why there is no credential now, as far as that decides what happens next.
type obstacle int

const (
	noObstacle  obstacle = iota
	due                  // a renewal is due and not yet done, or takes long
	signedOut            // a person must sign in
	unreachable          // the issuer cannot be reached
	shut                 // the keychain is locked or does not answer
	hopeless             // nothing that waiting or signing in would cure
)

// obstacleOf tells what an error of a Starter is about.
func obstacleOf(err error) obstacle {
	switch {
	case err == nil:
		return noObstacle
	case errors.Is(err, ErrDue), errors.Is(err, context.DeadlineExceeded), errors.Is(err, keyring.ErrBusy):
		return due
	case errors.Is(err, keyring.ErrLocked), errors.Is(err, keyring.ErrTimeout), errors.Is(err, keyring.ErrUnavailable), errors.Is(err, keyring.ErrUnknown):
		return shut
	case errors.Is(err, refresh.ErrSignedOut):
		return signedOut
	case errors.Is(err, refresh.ErrUnreachable):
		return unreachable
	}
	return hopeless
}
