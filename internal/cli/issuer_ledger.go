package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"mcp-valet/internal/issuer"
	"mcp-valet/keyring"
)

// issuerFolder is where the lists of issued tokens lie, in the state folder: one for each key, sealed with it.
const issuerFolder = "issuer"

var (
	issuerKey    = keyring.IssuerKey("key")
	issuerPublic = keyring.IssuerKey("public")
)

// publicPart is what is kept of the local issuer that tokens are checked by, and which lists are the latest: an older one,
// put back from a copy, would bring back what was revoked.
type publicPart struct {
	Version int              `json:"version"`
	Set     json.RawMessage  `json:"set,omitempty"` // JWK Set; none where there is no key of our own
	Serials map[string]int64 `json:"serials"`       // of the lists, by key
}

// readPublic is an empty one where there is none.
func readPublic(ctx context.Context, store *keyring.Store) (publicPart, error) {
	empty := publicPart{Version: 1, Serials: map[string]int64{}}
	v, err := store.Get(ctx, issuerPublic)
	if errors.Is(err, keyring.ErrNotFound) {
		return empty, nil
	}
	if err != nil {
		return empty, err
	}
	p := empty
	if err := json.Unmarshal([]byte(v.Reveal()), &p); err != nil || p.Version != 1 || p.Serials == nil {
		return empty, &hinted{fmt.Errorf("the local issuer's public part: %w", issuer.ErrKey), "to make a new key (all tokens end): mcp-valet issuer init --replace"}
	}
	return p, nil
}

func savePublic(ctx context.Context, store *keyring.Store, p publicPart) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return store.Set(ctx, issuerPublic, keyring.NewSecret(string(b)))
}

// signerOf is the key that tokens are made with: a secret that others have too, where there is one, else our own.
func signerOf(ctx context.Context, store *keyring.Store, secret keyring.Secret) (*issuer.Signer, error) {
	if !secret.IsZero() {
		s, err := issuer.SecretSigner(secret)
		if err != nil {
			return nil, &refusal{"MCP_JWT_SECRET: " + err.Error(), "make a long random one: openssl rand -base64 48"}
		}
		return s, nil
	}
	stored, err := store.Get(ctx, issuerKey)
	if errors.Is(err, keyring.ErrNotFound) {
		return nil, &refusal{"there is no local issuer on this machine yet", "to make its key: mcp-valet issuer init"}
	}
	if err != nil {
		return nil, err
	}
	return issuer.ParseSigner(stored)
}

func ledgerPath(state, key string) string { return filepath.Join(state, issuerFolder, key+".ledger") }

// readLedger reads the list that was sealed with a key. One that is older than serial is none that counts.
func readLedger(state string, check *issuer.Checker, serial int64) (*issuer.Ledger, error) {
	b, err := os.ReadFile(ledgerPath(state, check.ID()))
	if errors.Is(err, fs.ErrNotExist) && serial == 0 {
		return &issuer.Ledger{}, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ledgerLost(errors.New("the list of issued tokens is missing"))
	}
	if err != nil {
		return nil, err
	}
	l, err := check.Open(b)
	if err == nil && l.Serial < serial {
		err = errors.New("the list of issued tokens is an old one, put back from a copy")
	}
	if err != nil {
		return nil, ledgerLost(err)
	}
	return l, nil
}

func ledgerLost(err error) error {
	return &refusal{err.Error() + ": no token of the local issuer is good", "to start over with a new key (all tokens end): mcp-valet issuer init --replace; with MCP_JWT_SECRET, take another one"}
}

// changeLedger has edit change the list of a key. The file comes first: between it and the record in the keychain it is
// newer than it must be, which is good.
func changeLedger(ctx context.Context, store *keyring.Store, state string, s *issuer.Signer, edit func(*issuer.Ledger) error) error {
	lock, err := lockFor(ctx, store, keyring.IssuerLock, "local")
	if err != nil {
		return err
	}
	defer lock.Unlock()
	public, err := readPublic(ctx, store)
	if err != nil {
		return err
	}
	l, err := readLedger(state, s.Checker(), public.Serials[s.ID()])
	if err != nil {
		return err
	}
	if err := edit(l); err != nil {
		return err
	}
	l.Serial++
	b, err := s.Seal(l)
	if err != nil {
		return err
	}
	if err := keyring.WriteFile(ledgerPath(state, s.ID()), b); err != nil {
		return fmt.Errorf("writing the list of issued tokens: %w", err)
	}
	public.Serials[s.ID()] = l.Serial
	return savePublic(ctx, store, public)
}

// lookPause is how long a look at the lists is good for: a revocation is heeded after that time at the latest.
const lookPause = time.Second

// revocations watch the lists that say which tokens are good no more. They are safe for concurrent use.
type revocations struct {
	mu    sync.Mutex
	lists []*watchedList
}

// watchedList is a list as it was last read.
type watchedList struct {
	state  string
	check  *issuer.Checker
	ledger *issuer.Ledger
	err    error

	looked  time.Time
	changed time.Time
	size    int64
}

// watch begins to watch the list of a key, and reads it.
func (r *revocations) watch(state string, check *issuer.Checker, serial int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.lists {
		if w.check.ID() == check.ID() {
			w.load(max(serial, w.serial()))
			return w.err
		}
	}
	w := &watchedList{state: state, check: check}
	w.load(serial)
	r.lists = append(r.lists, w)
	return w.err
}

func (w *watchedList) serial() int64 {
	if w.ledger == nil {
		return 0
	}
	return w.ledger.Serial
}

func (w *watchedList) load(serial int64) {
	w.looked, w.changed, w.size = time.Now(), time.Time{}, 0
	if info, err := os.Stat(ledgerPath(w.state, w.check.ID())); err == nil {
		w.changed, w.size = info.ModTime(), info.Size()
	}
	l, err := readLedger(w.state, w.check, serial)
	if w.err = err; err == nil {
		w.ledger = l
	}
}

// look reads the list again if its file is another one. A list that cannot be read is not what it was: nothing is good
// until it can be again.
func (w *watchedList) look() {
	if since := time.Since(w.looked); since >= 0 && since < lookPause {
		return
	}
	w.looked = time.Now()
	info, err := os.Stat(ledgerPath(w.state, w.check.ID()))
	switch {
	case errors.Is(err, fs.ErrNotExist) && w.serial() == 0 && w.err == nil:
	case err == nil && w.err == nil && info.ModTime().Equal(w.changed) && info.Size() == w.size:
	default:
		w.load(w.serial())
	}
}

// refuse tells whether a caller's token has been revoked.
func (r *revocations) refuse(c *caller) bool {
	if r == nil || c == nil || len(c.tokens) == 0 && c.issued.IsZero() {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.lists {
		w.look()
		if w.err != nil {
			return true
		}
		ids := c.tokens
		if len(ids) == 0 {
			ids = []string{""}
		}
		for _, id := range ids {
			if w.ledger.Refuses(id, c.Subject, c.issued) {
				return true
			}
		}
	}
	return false
}

// latest is what was issued last to a user by a key, and is good at a time; nil for nothing.
func (r *revocations) latest(key, user string, at time.Time) *issuer.Issued {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.lists {
		if w.check.ID() == key && w.err == nil {
			if t := w.ledger.Latest(user, at); t != nil {
				found := *t
				return &found
			}
		}
	}
	return nil
}

// Revoked tells whether the token with an id ("jti") has been revoked, by itself; see refuse for a caller's.
func (r *revocations) Revoked(id string) bool {
	return r.refuse(&caller{tokens: []string{id}, issued: time.Now().Add(time.Hour)})
}
