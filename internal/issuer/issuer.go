// Package issuer is a small OAuth 2.0 authorization server and OpenID provider on the loopback interface.
//
// It signs people in by the device flow (RFC 8628) and by the authorization code
// flow with PKCE for native apps (RFC 8252, RFC 7636), and hands out JWT access
// tokens (RFC 9068) and rotating refresh tokens. A refresh token used twice ends
// the sign-in it belongs to (RFC 9700 section 4.14.2). All state is in memory and
// bounded: when the process ends, every sign-in ends with it.
//
// Who the person before the approval page is, is not the issuer's to find out:
// see Options.Approver. A JWT access token cannot be called back: revocation ends
// the refresh token and keeps the access token from being renewed, no more.
// Tokens are signed with ES256 only, although OpenID Connect Discovery section 3
// wants RS256 in every list of algorithms.
package issuer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// ErrUnknownCode means that no pending device authorization has this user code.
var ErrUnknownCode = errors.New("no pending sign-in has this code")

// ErrUnknownUser means that a subject is not one of Options.Users.
var ErrUnknownUser = errors.New("unknown user")

// Stats counts what an issuer has done since it was made.
type Stats struct {
	DeviceAuthorizations int // device codes handed out
	Polls                int // token requests with a device code
	SlowDowns            int // of these, answered with slow_down
	Approvals, Denials   int // answers of people, on a page or in process
	SignIns              int // device and authorization codes turned into tokens
	Refreshes            int // refresh tokens rotated
	Reuses               int // refresh tokens seen again after their rotation
	Revocations          int // sign-ins ended by RFC 7009, RevokeSubject or RevokeAll
	KeyRotations         int
}

// Issuer is one authorization server. All its methods are safe for concurrent use.
type Issuer struct {
	options Options // complete and never changed
	clients map[string]*Client
	keys    keys
	macKey  [32]byte // authenticates refresh tokens and form tokens

	mu        sync.Mutex // guards all below
	url       string
	accessTTL time.Duration
	devices   pool[digest, *deviceRequest]
	codes     pool[digest, *codeRequest]
	families  pool[familyID, *family]
	guesses   guesses
	stats     Stats

	server *http.Server
	stop   func() bool   // unhooks the server from Start's context
	served chan struct{} // closed when the serving goroutine has ended
}

// New makes an issuer; it does not listen before Start.
func New(o Options) (*Issuer, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	i := &Issuer{
		options:   o,
		clients:   map[string]*Client{},
		url:       o.URL,
		accessTTL: o.AccessTTL,
		devices:   newPool[digest, *deviceRequest](o.MaxGrants),
		codes:     newPool[digest, *codeRequest](o.MaxGrants),
		families:  newPool[familyID, *family](o.MaxGrants),
	}
	for n := range o.Clients {
		i.clients[o.Clients[n].ID] = &o.Clients[n]
	}
	rand.Read(i.macKey[:])
	if _, err := i.keys.rotate(time.Now()); err != nil {
		return nil, err
	}
	return i, nil
}

// Start listens on Options.Addr and serves until ctx ends or Close is called,
// and Close must be called in either case. An issuer starts once.
func (i *Issuer) Start(ctx context.Context) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.server != nil {
		return errors.New("starting issuer: it was started before")
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", i.options.Addr)
	if err != nil {
		return fmt.Errorf("starting issuer: %w", err)
	}
	if i.url == "" {
		i.url = "http://" + listener.Addr().String()
	}
	server := &http.Server{
		Handler:           i.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // it would quote requests
	}
	served := make(chan struct{})
	go func() { // owned by the Issuer, joined by Close
		defer close(served)
		server.Serve(listener) // ends with ErrServerClosed, or as the listener dies: nothing to add in either case
	}()
	i.server, i.served = server, served
	i.stop = context.AfterFunc(ctx, func() { server.Close() })
	return nil
}

// Close stops serving: requests under way may end until ctx does. An issuer that
// was not started has nothing to close.
func (i *Issuer) Close(ctx context.Context) error {
	i.mu.Lock()
	server, served, stop := i.server, i.served, i.stop
	i.mu.Unlock()
	if server == nil {
		return nil
	}
	stop()
	err := server.Shutdown(ctx)
	if err != nil {
		server.Close()
	}
	<-served
	return err
}

// URL returns the issuer identifier: Options.URL, or after Start the address it listens on.
func (i *Issuer) URL() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.url
}

// Approve answers a pending device authorization with yes, as if the person named
// by subject had pressed the button on its page. The code is taken in any spelling
// a person may type. It returns ErrUnknownCode or ErrUnknownUser.
func (i *Issuer) Approve(userCode, subject string) error {
	return i.answerDevice(userCode, subject, approved)
}

// Deny answers a pending device authorization with no. It returns ErrUnknownCode.
func (i *Issuer) Deny(userCode string) error {
	return i.answerDevice(userCode, "", denied)
}

// RotateKeys signs with a fresh key from now on and returns its kid. The old public
// key stays published until a minute after the last token it signed has expired.
func (i *Issuer) RotateKeys() (kid string, err error) {
	kid, err = i.keys.rotate(time.Now())
	if err == nil {
		i.count(func(s *Stats) { s.KeyRotations++ })
	}
	return kid, err
}

// RevokeSubject ends all sign-ins of a person and returns how many there were.
func (i *Issuer) RevokeSubject(subject string) int {
	return i.revoke(func(f *family) bool { return f.subject == subject })
}

// RevokeAll ends all sign-ins and returns how many there were.
func (i *Issuer) RevokeAll() int {
	return i.revoke(func(*family) bool { return true })
}

func (i *Issuer) revoke(which func(*family) bool) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := i.families.dropAll(time.Now(), which)
	i.stats.Revocations += n
	return n
}

// SetAccessTTL changes the life of the access tokens made from now on; less than a
// second is taken as a second.
func (i *Issuer) SetAccessTTL(d time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.accessTTL = max(d, minAccessTTL)
}

// Stats returns the counts so far.
func (i *Issuer) Stats() Stats {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.stats
}

func (i *Issuer) count(f func(*Stats)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f(&i.stats)
}

// user returns one of Options.Users.
func (i *Issuer) user(subject string) (User, bool) {
	for _, u := range i.options.Users {
		if u.Subject == subject {
			return u, true
		}
	}
	return User{}, false
}
