package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"mcp-valet/internal/config"
	"mcp-valet/keyring"
	"mcp-valet/refresh"
	"mcp-valet/wrapper"
)

// entryStarter starts a server of the config. Each time it makes sure that the entry is what a person agreed to, since the
// keychain that says so may have been locked before.
type entryStarter struct {
	app    *app
	cfg    *config.Config
	store  *keyring.Store
	state  string
	entry  config.Server
	refs   map[string]config.Reference
	now    *keyring.Trust
	server wrapper.Server // what it is without its path and secrets

	caller  atomic.Pointer[caller] // who is calling, as the last start found it
	revoked *revocations
	warned  bool // that nobody is asked who they are
}

// Start is for one goroutine at a time, as [wrapper.Starter] says.
func (s *entryStarter) Start(ctx context.Context, effort wrapper.Effort) (start wrapper.Start, err error) {
	start.Server = s.server
	store := s.store.Ahead(ctx, s.reads(effort)...)
	if start.Server.Path, err = admit(ctx, store, s.now); err != nil {
		return start, err
	}
	if start.Server.Secrets, err = fetch(ctx, store, s.refs); err != nil {
		return start, &about{account: s.now.Account, server: s.now.Server, err: err}
	}
	s.withhold(&start.Server)
	switch {
	case effort == wrapper.Bare:
		return start, nil
	case s.now.Account != "":
		return s.withAccount(ctx, store, start, effort)
	case effort == wrapper.Refused:
		return start, wrapper.ErrNoRemedy
	case s.kind() == "issuer":
		start, err = s.withIssuer(ctx, store, start)
	case s.kind() == "client":
		start, err = s.withClient(ctx, store, start)
	case s.kind() == "secret":
		if start.Token, err = storedSecret(ctx, store, s.now.Server, s.now.TokenEnv); err == nil {
			start, err = s.authenticate(ctx, start, s.given())
		}
	default:
		start, err = s.authenticate(ctx, start, s.given())
	}
	if err != nil {
		err = &about{server: s.now.Server, err: err}
	}
	return start, err
}

// reads are the records that a start looks at, as far as that is known before.
func (s *entryStarter) reads(effort wrapper.Effort) []keyring.Key {
	keys := []keyring.Key{keyring.TrustKey(s.now.Server)}
	for _, ref := range s.refs {
		keys = append(keys, keyring.SecretKey(ref.Owner, ref.Key))
	}
	switch {
	case effort == wrapper.Bare:
	case s.now.Account != "" && effort == wrapper.Stored: // else it is renewed in between
		keys = append(keys, keyring.AccountKey(s.now.Account))
	case s.now.Account == "" && s.entry.Auth != nil && s.entry.Auth.Kind == "secret":
		keys = append(keys, keyring.SecretKey(s.now.Server, s.now.TokenEnv))
	}
	return keys
}

func (s *entryStarter) withAccount(ctx context.Context, store *keyring.Store, start wrapper.Start, effort wrapper.Effort) (wrapper.Start, error) {
	account, err := accountFor(ctx, store, s.now.Account, s.cfg.Accounts[s.now.Account])
	if err != nil {
		return start, &about{account: s.now.Account, err: err}
	}
	start, err = s.app.addToken(ctx, start, &session{cfg: s.cfg, store: store, account: account, state: s.state}, effort)
	if err != nil {
		return start, err
	}
	by := &accountCaller{account: account, conf: s.cfg.Accounts[s.now.Account], state: s.state, subject: start.Subject, known: s.known()}
	if start, err = s.authenticate(ctx, start, by); err != nil {
		return start, aboutAccount(account, err)
	}
	return start, nil
}

// givenStarter starts a command that was given on the command line, which a person has agreed to already.
type givenStarter struct {
	app    *app
	acc    *session
	server wrapper.Server
}

// Start is for one goroutine at a time, as [wrapper.Starter] says.
func (s *givenStarter) Start(ctx context.Context, effort wrapper.Effort) (wrapper.Start, error) {
	start := wrapper.Start{Server: s.server}
	if effort == wrapper.Bare {
		return start, nil
	}
	return s.app.addToken(ctx, start, s.acc, effort)
}

// addToken gets the account's token, with as much effort as may be made.
func (a *app) addToken(ctx context.Context, start wrapper.Start, s *session, effort wrapper.Effort) (wrapper.Start, error) {
	c, err := a.credential(ctx, s, effort)
	if c != nil {
		start.Subject = c.Subject
	}
	if err != nil {
		return start, aboutAccount(s.account, err)
	}
	start.Token = c.AccessToken
	start.Due, start.Ends = refresh.Validity(c)
	return start, nil
}

func (a *app) credential(ctx context.Context, s *session, effort wrapper.Effort) (*keyring.Credential, error) {
	ladder := a.ladder(s)
	switch effort {
	case wrapper.Stored:
		c, good, err := ladder.Stored(ctx)
		if err == nil && !good {
			err = wrapper.ErrDue
		}
		return c, err
	case wrapper.Refused:
		if err := a.renewRefused(ctx, s); err != nil {
			return nil, err
		}
	}
	return ladder.Credential(ctx)
}

const (
	// freshTime is how young a token is that a server has no reason to refuse: a newer one would fare no better.
	freshTime = time.Minute
	// remedyTime bounds the wait for a renewal that a server's refusal of a token has led to.
	remedyTime = 5 * time.Second
)

// renewRefused has a token renewed that looks good and that a server seems to have refused.
func (a *app) renewRefused(ctx context.Context, s *session) error {
	c, err := s.store.Credential(ctx, s.account.Name)
	if err != nil {
		return err
	}
	if age := time.Since(c.ObtainedAt); c.RefreshToken.IsZero() || age >= 0 && age < freshTime {
		return wrapper.ErrNoRemedy
	}
	ctx, cancel := context.WithTimeout(ctx, remedyTime)
	defer cancel()
	return a.askAgent(ctx, s.account.Name, "--refused", strconv.FormatInt(c.Serial, 10))
}

// signIns has people sign in to a server's account by an agent, which outlives the launcher.
type signIns struct {
	app     *app
	store   *keyring.Store
	account refresh.Account
	state   string // folder
	server  string

	origin atomic.Pointer[string] // where the last sign-in sent the person; nil until that is known
}

// Begin finds out, before anything else, which address may be shown: the note of a sign-in is a file.
func (s *signIns) Begin(ctx context.Context, quiet bool) error {
	switch c, err := s.store.Credential(ctx, s.account.Name); {
	case err == nil:
		s.origin.Store(&c.VerificationOrigin)
	case errors.Is(err, keyring.ErrNotFound):
		s.origin.Store(new(string))
	}
	if err := s.app.askSignIn(ctx, s.account.Name, s.server, quiet); err != nil {
		return &about{server: s.server, err: aboutAccount(s.account, err)}
	}
	return nil
}

func (s *signIns) State() (refresh.SignIn, error) {
	st, err := refresh.ReadSignIn(s.state, s.account.Name)
	if origin := s.origin.Load(); origin != nil {
		return st.Plausible(s.account, *origin), err
	}
	st.URI, st.URIComplete, st.UserCode = "", "", ""
	return st, err
}

// storedSecret is what a person has stored: a token that does not renew, or what credentials are checked by.
func storedSecret(ctx context.Context, store *keyring.Store, owner, key string) (keyring.Secret, error) {
	secret, err := store.Get(ctx, keyring.SecretKey(owner, key))
	if errors.Is(err, keyring.ErrNotFound) {
		err = missingSecret(owner, key)
	}
	return secret, err
}

// snapshotsFolder is where snapshots lie, in the state folder.
const snapshotsFolder = "snapshots"

// snapshotPath is the file for the snapshot of a server as its entry is now: what differs is another server.
func snapshotPath(state string, now *keyring.Trust) string {
	about := *now
	about.Path = "" // the keychain knows it, which may be locked
	b, err := json.Marshal(about)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return filepath.Join(state, snapshotsFolder, hex.EncodeToString(sum[:16])+".json")
}

// takeSnapshot runs a server once and keeps what it says of itself for the gate.
func (a *app) takeSnapshot(ctx context.Context, name string) error {
	l, err := a.prepareNamed(ctx, name)
	if err != nil {
		return err
	}
	if l.snapshot == "" {
		return nil // no credential, no gate
	}
	messages := &eachOnce{to: a.stderr}
	defer messages.flush()
	err = wrapper.TakeSnapshot(ctx, wrapper.Options{
		Name: name, Account: l.account, Starter: l.starter, Snapshot: l.snapshot, Err: messages, MaxMessage: l.maxMessage,
		Renewal: l.renewal, TokenFile: l.tokenFile,
	})
	if err != nil {
		return &about{account: l.account, server: name, err: fmt.Errorf("trying out the server: %w", err)}
	}
	return nil
}
