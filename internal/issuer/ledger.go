package issuer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	maxTokens = 10_000 // listed, and as many revoked
	// MaxLedger bounds a sealed ledger in bytes.
	MaxLedger = 16 << 20
	// kept is how long a token stays listed after its end.
	kept = 7 * 24 * time.Hour
)

var (
	// ErrLedger says that a ledger was not sealed by the key, or has been changed since.
	ErrLedger = errors.New("the list of issued tokens was changed by somebody else, or is damaged")
	// ErrLedgerFull says that no more tokens can be listed.
	ErrLedgerFull = fmt.Errorf("%d tokens are listed, and no more can be: revoke some", maxTokens)
	// ErrUnknownToken says that no token is listed by that id, or for that user.
	ErrUnknownToken = errors.New("no such token is listed")
)

// Ledger lists what a Signer has issued, and what of it was revoked.
type Ledger struct {
	Version int                  `json:"version"`
	Serial  int64                `json:"serial"` // grows with each change
	Tokens  []Issued             `json:"tokens"`
	Revoked map[string]time.Time `json:"revoked,omitempty"` // by jti, of tokens that are not listed
	Users   map[string]time.Time `json:"users,omitempty"`   // whose tokens were all revoked, and when: what they had until then is void
}

// Issued is one token in a ledger.
type Issued struct {
	ID       string    `json:"jti"`
	User     string    `json:"user"`
	Roles    []string  `json:"roles"`
	Tenant   string    `json:"tenant,omitempty"`
	Audience string    `json:"audience,omitempty"`
	Issued   time.Time `json:"issued"`
	Expiry   time.Time `json:"expiry"`
	Revoked  time.Time `json:"revoked,omitzero"`
}

// Live tells whether the token is good at a time.
func (t *Issued) Live(at time.Time) bool { return t.Revoked.IsZero() && at.Before(t.Expiry) }

// Add lists a token.
func (l *Ledger) Add(t Issued) error {
	l.Tokens = slices.DeleteFunc(l.Tokens, func(old Issued) bool { return t.Issued.After(old.Expiry.Add(kept)) })
	if len(l.Tokens) >= maxTokens {
		return ErrLedgerFull
	}
	l.Tokens = append(l.Tokens, t)
	return nil
}

// Latest is the token that was issued last of those of a user that are good at a time; nil for none.
func (l *Ledger) Latest(user string, at time.Time) *Issued {
	for n := len(l.Tokens) - 1; n >= 0; n-- {
		if t := &l.Tokens[n]; t.User == user && t.Live(at) {
			return t
		}
	}
	return nil
}

// RevokeToken revokes one token, listed or not, and tells whether it is listed.
func (l *Ledger) RevokeToken(id string, at time.Time) (listed bool, err error) {
	for n := range l.Tokens {
		if l.Tokens[n].ID == id {
			if l.Tokens[n].Revoked.IsZero() {
				l.Tokens[n].Revoked = at
			}
			return true, nil
		}
	}
	if len(l.Revoked) >= maxTokens {
		return false, ErrLedgerFull
	}
	if l.Revoked == nil {
		l.Revoked = map[string]time.Time{}
	}
	l.Revoked[id] = at
	return false, nil
}

// RevokeUser revokes all that a user has until now, listed or not, and counts the listed ones.
func (l *Ledger) RevokeUser(user string, at time.Time) (listed int, err error) {
	if _, again := l.Users[user]; !again && len(l.Users) >= maxTokens {
		return 0, ErrLedgerFull
	}
	for n := range l.Tokens {
		if t := &l.Tokens[n]; t.User == user && t.Revoked.IsZero() {
			t.Revoked = at
			listed++
		}
	}
	if l.Users == nil {
		l.Users = map[string]time.Time{}
	}
	l.Users[user] = at
	return listed, nil
}

// Refuses tells whether a token was revoked: by its id, or with all that its user had when it was issued.
func (l *Ledger) Refuses(id, user string, issued time.Time) bool {
	if id != "" {
		for n := range l.Tokens {
			if l.Tokens[n].ID == id {
				return !l.Tokens[n].Revoked.IsZero()
			}
		}
		if _, revoked := l.Revoked[id]; revoked {
			return true
		}
	}
	// "iat" counts whole seconds: of the second in which it happened, nothing is good any more.
	until, all := l.Users[user]
	return all && !issued.After(until)
}

const sealName = "mcp-valet ledger 1"

// Seal writes a ledger so that whoever lacks the key cannot change it.
func (s *Signer) Seal(l *Ledger) ([]byte, error) {
	l.Version = 1
	body, err := json.MarshalIndent(l, "", "\t")
	if err != nil {
		return nil, fmt.Errorf("encoding the list of issued tokens: %w", err)
	}
	signature, err := s.method.Sign(sealName+"\n"+string(body), s.seal)
	if err != nil {
		return nil, fmt.Errorf("sealing the list of issued tokens: %w", err)
	}
	return slices.Concat([]byte(sealName+" "+s.ID()+" "+encode(signature)+"\n"), body, []byte("\n")), nil
}

// Open is the inverse of Seal.
func (c *Checker) Open(b []byte) (*Ledger, error) {
	head, body, found := bytes.Cut(b, []byte("\n"))
	body, ended := bytes.CutSuffix(body, []byte("\n"))
	rest, ours := bytes.CutPrefix(head, []byte(sealName+" "+c.id+" "))
	if !found || !ended || !ours || len(b) > MaxLedger {
		return nil, ErrLedger
	}
	signature, err := decode(string(rest))
	if err != nil || c.method.Verify(sealName+"\n"+string(body), signature, c.key) != nil {
		return nil, ErrLedger
	}
	var l Ledger
	if err := json.Unmarshal(body, &l); err != nil || l.Version != 1 {
		return nil, ErrLedger
	}
	return &l, nil
}
