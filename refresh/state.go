package refresh

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"mcp-valet/keyring"
)

// Outcomes of the last attempt to renew a credential, as State.Outcome tells them. "" is none yet.
const (
	OutcomeOK            = "ok"
	OutcomeUnreachable   = "unreachable"   // a passing failure
	OutcomeSignedOut     = "signed_out"    // the issuer takes the sign-in no more
	OutcomeMisconfigured = "misconfigured" // the issuer refuses the account's settings
	OutcomeUnsaved       = "unsaved"       // renewed, and then the keychain would not take it
)

const (
	firstBackOff = 5 * time.Second
	maxBackOff   = 5 * time.Minute
	// maxState bounds the file that a state is read from, in bytes.
	maxState = 64 << 10
)

// State is what is remembered of the last attempt to renew an account's credential. It holds no secret. Losing it loses
// patience, never a sign-in.
type State struct {
	Outcome      string    `json:"outcome"`
	At           time.Time `json:"at"`
	NotBefore    time.Time `json:"notBefore,omitzero"` // no attempt before this, unless a person asks
	Failures     int       `json:"failures,omitempty"` // in a row
	BareRefusals int       `json:"bareRefusals,omitempty"`
	Code         string    `json:"code,omitempty"` // the OAuth error code, "" for others

	// Serial and ObtainedAt name the credential that the attempt was made with; a later sign-in makes the state history.
	Serial     int64     `json:"serial,omitempty"`
	ObtainedAt time.Time `json:"obtainedAt,omitzero"`
}

func statePath(stateDir, account string) (string, error) {
	if !keyring.ValidName(account) {
		return "", fmt.Errorf("account name %q: only letters, digits, '.', '_' and '-'", account)
	}
	file := account + ".json"
	if !filepath.IsLocal(file) { // "nul.json" is a device on Windows
		sum := sha256.Sum256([]byte(account))
		file = hex.EncodeToString(sum[:16]) + ".json"
	}
	return filepath.Join(stateDir, "accounts", file), nil
}

// ReadState reads what is remembered of account. Nothing remembered is the zero State and no error.
func ReadState(stateDir, account string) (State, error) {
	path, err := statePath(stateDir, account)
	if err != nil {
		return State{}, err
	}
	b, err := readBounded(path, maxState)
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, nil
	}
	if err != nil {
		return State{}, fmt.Errorf("reading the state of account %q: %w", account, err)
	}
	var s State
	if err := json.Unmarshal(b, &s); err != nil {
		return State{}, fmt.Errorf("reading the state of account %q: %w", account, err)
	}
	return s, nil
}

func writeState(stateDir, account string, s State) error {
	path, err := statePath(stateDir, account)
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return keyring.WriteFile(path, append(b, '\n'))
}

var (
	errTooLarge   = errors.New("the file is too large")
	errNotRegular = errors.New("it is not a regular file")
)

// readBounded reads a file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular // opening a pipe would wait for whoever is to write to it
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read from
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, errTooLarge
	}
	return b, nil
}

// Err is what the state means for whoever wants a token: nil, or an error wrapping [ErrUnreachable], [ErrSignedOut],
// [ErrMisconfigured] or keyring.ErrUnavailable.
func (s State) Err() error {
	sentinel := s.sentinel()
	if sentinel == nil || s.Code == "" {
		return sentinel
	}
	return fmt.Errorf("%w: the issuer answered %s", sentinel, told(s.Code))
}

var errUnsaved = fmt.Errorf("the renewed sign-in could not be stored: %w", keyring.ErrUnavailable)

func (s State) sentinel() error {
	return map[string]error{
		OutcomeUnreachable:   ErrUnreachable,
		OutcomeSignedOut:     ErrSignedOut,
		OutcomeMisconfigured: ErrMisconfigured,
		OutcomeUnsaved:       errUnsaved,
	}[s.Outcome]
}

// about tells whether the state is one of this very credential.
func (s State) about(c *keyring.Credential) bool {
	return s.Serial == c.Serial && s.ObtainedAt.Equal(c.ObtainedAt)
}

// deadTime is how long a refusal of the refresh token is believed before the issuer is asked again.
const deadTime = time.Hour

// holds is the error with which an attempt at now is spared, nil when it is time for one. A refusal of the refresh
// token holds for deadTime, or until there is another credential: the note is a file, and no proof. One that was only guessed from bare refusals, and every other
// failure, until NotBefore. A NotBefore farther away than any back-off was written by a clock that has been put
// right since, and counts for nothing.
func (s State) holds(c *keyring.Credential, now time.Time) error {
	if !s.about(c) {
		return nil
	}
	if since := now.Sub(s.At); s.Outcome == OutcomeSignedOut && s.NotBefore.IsZero() && since >= 0 && since < deadTime {
		return s.Err()
	}
	if wait := s.NotBefore.Sub(now); wait > 0 && wait <= maxBackOff {
		return s.Err()
	}
	return nil
}

// after is the state of the same credential once an attempt has failed now.
func (s State) after(outcome, code string) State {
	at := now()
	return State{
		Outcome: outcome, At: at, Code: code,
		Failures:  s.Failures + 1,
		NotBefore: at.Add(backOff(s.Failures + 1)),
		Serial:    s.Serial, ObtainedAt: s.ObtainedAt,
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// backOff is how long to wait after so many failures in a row: doubled each time up to maxBackOff, less up to a
// fifth by chance so that not all machines of a company return at the same moment.
func backOff(failures int) time.Duration {
	wait := firstBackOff
	for i := 1; i < failures && wait < maxBackOff; i++ {
		wait *= 2
	}
	wait = min(wait, maxBackOff)
	return wait - rand.N(wait/5)
}
