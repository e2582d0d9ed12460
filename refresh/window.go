package refresh

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"mcp-valet/keyring"
)

// Outcomes of the last sign-in that was asked for, as SignIn.Outcome tells them. "" is none yet, or one that a person
// has put an end to.
const (
	SignInStarting    = "starting"    // the issuer is being asked for a code
	SignInWaiting     = "waiting"     // for the person
	SignInDone        = "done"        // the credential is stored
	SignInDenied      = "denied"      // by the person, or by the issuer's policy
	SignInExpired     = "expired"     // nobody acted in time
	SignInUnreachable = "unreachable" // the issuer gave no answer
	SignInFailed      = "failed"      // for another reason
)

// MaxUnanswered is how many windows in a row may go unanswered. After that none opens until a person acts.
const MaxUnanswered = 2

const (
	signInTime = 15 * time.Minute // one sign-in that an agent runs, in all
	// signInGrace is how long a sign-in may say nothing beyond its time before its agent counts as killed: the last
	// question to the issuer comes after the code's end.
	signInGrace = time.Minute
)

// SignIn is what is remembered of the sign-in to an account that an agent asked a person for. It holds the user code and
// the address, which are meant for whoever sits there, and no other secret.
type SignIn struct {
	Outcome string    `json:"outcome"`
	At      time.Time `json:"at"`               // of Outcome
	Server  string    `json:"server,omitempty"` // for which it was asked; "" for a login by hand

	// While it is waiting. Where the way is the browser, there is no UserCode, and URI is the whole authorization URL;
	// of a login by hand there is neither.
	UserCode    string    `json:"userCode,omitempty"`
	URI         string    `json:"uri,omitempty"`
	URIComplete string    `json:"uriComplete,omitempty"` // "" when the issuer gives none
	Expires     time.Time `json:"expires,omitzero"`

	Opened   bool `json:"opened,omitempty"`   // a browser window was opened
	Notified bool `json:"notified,omitempty"` // a notification was shown that, with the window if there is one, says all that is needed
	Quiet    bool `json:"quiet,omitempty"`    // neither was to be: the client shows the address itself

	// Unanswered is how many windows in a row brought no sign-in. A person's own login, or a success, sets it to 0.
	Unanswered int `json:"unanswered,omitempty"`
}

// ReadSignIn reads what is remembered of the last sign-in to account. Nothing remembered is the zero SignIn and no
// error. One that has said nothing for so long that its agent must have been killed is given as expired or failed.
func ReadSignIn(stateDir, account string) (SignIn, error) {
	s, err := loadSignIn(stateDir, account)
	if err != nil {
		return SignIn{}, fmt.Errorf("reading the sign-in to account %q: %w", account, err)
	}
	if s.open() && !s.Live(now()) {
		s = s.abandoned()
	}
	return s, nil
}

// HeldBack tells whether so many windows in a row went unanswered that no more opens until a person acts. A quiet sign-in
// is not held back by that.
func (s SignIn) HeldBack() bool { return s.Unanswered >= MaxUnanswered }

// Live tells whether the sign-in is under way: starting or waiting, and not over. An agent that was just killed leaves
// one that looks live until its code ends; [AskSignIn] is not misled by it.
func (s SignIn) Live(at time.Time) bool {
	switch s.Outcome {
	case SignInStarting:
		age := at.Sub(s.At)
		return age > -signInGrace && age < signInGrace
	case SignInWaiting:
		left := s.Expires.Sub(at) // one that has too much was written by a clock that has been put right since
		return left > -signInGrace && left <= signInTime+signInGrace
	}
	return false
}

// ForgetWindows is to be called when a person acts: what windows went unanswered is forgotten, and a sign-in that an agent
// waits with ends within a second, so that the person's own does not have to wait for it.
func ForgetWindows(stateDir, account string) error {
	path, err := signInPath(stateDir, account)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return writeSignIn(stateDir, account, SignIn{}) // not removed, which on Windows fails while somebody reads it
}

// NoteLogin tells whoever waits for a sign-in that a person is signing in by hand, with a code or window that is good
// until expires; the zero time says that they are beginning, and ends the sign-in that an agent waits with as
// [ForgetWindows] does.
func NoteLogin(stateDir, account string, expires time.Time) error {
	s := SignIn{Outcome: SignInStarting, At: now()}
	if !expires.IsZero() {
		s.Outcome, s.Opened, s.Expires = SignInWaiting, true, earlier(expires, s.At.Add(signInTime))
	}
	return writeSignIn(stateDir, account, s)
}

// NoteSignedIn tells whoever waits for a sign-in that a login by hand is done, and its credential stored.
func NoteSignedIn(stateDir, account string) error {
	return writeSignIn(stateDir, account, SignIn{Outcome: SignInDone, At: now()})
}

// open: its agent has not come to an end, as far as it says.
func (s SignIn) open() bool { return s.Outcome == SignInStarting || s.Outcome == SignInWaiting }

// byHand: a login, and no agent's.
func (s SignIn) byHand() bool { return s.open() && s.Server == "" }

// counts tells whether s put a window before the person that nobody asked for by hand. A quiet one did not: there the
// client shows the address, in answer to a request, and has its own way of saying no.
func (s SignIn) counts() bool { return s.Outcome == SignInWaiting && !s.Quiet && !s.byHand() }

// abandoned is s once its agent is known to be gone.
func (s SignIn) abandoned() SignIn {
	if s.Outcome == SignInStarting {
		return s.ended(SignInFailed, s.At, false)
	}
	return s.ended(SignInExpired, s.At, true)
}

// ended is s once it has come to its end. Its code and address are of no more use.
func (s SignIn) ended(outcome string, at time.Time, unanswered bool) SignIn {
	if unanswered && s.counts() {
		s.Unanswered++
	}
	if outcome == SignInDone {
		s.Unanswered = 0
	}
	return SignIn{
		Outcome: outcome, At: at, Server: s.Server, Opened: s.Opened, Notified: s.Notified, Quiet: s.Quiet,
		Unanswered: s.Unanswered,
	}
}

// signInPath: no account's state, whatever the account's name, is in a file of such a name.
func signInPath(stateDir, account string) (string, error) {
	if _, err := statePath(stateDir, account); err != nil {
		return "", err
	}
	file := account + ".signin"
	if !filepath.IsLocal(file) { // "nul.signin" is a device on Windows
		sum := sha256.Sum256([]byte(account))
		file = hex.EncodeToString(sum[:16]) + ".signin"
	}
	return filepath.Join(stateDir, "accounts", file), nil
}

// readNote reads the text of the file; nil is none.
func readNote(stateDir, account string) ([]byte, error) {
	path, err := signInPath(stateDir, account)
	if err != nil {
		return nil, err
	}
	b, err := readBounded(path, maxState)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// loadSignIn reads the file as it is.
func loadSignIn(stateDir, account string) (SignIn, error) {
	b, err := readNote(stateDir, account)
	if err != nil {
		return SignIn{}, err
	}
	return parseSignIn(b)
}

func parseSignIn(b []byte) (SignIn, error) {
	var s SignIn
	if b == nil {
		return s, nil
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return SignIn{}, err
	}
	return s.checked(), nil
}

// checked is s less what no agent wrote: it is shown to a person, and its address is opened.
func (s SignIn) checked() SignIn {
	if len(s.UserCode) > maxUserCode || !printable(s.UserCode) {
		s.UserCode = ""
	}
	for _, u := range []*string{&s.URI, &s.URIComplete} {
		if _, err := checkURL(*u); err != nil {
			*u = ""
		}
	}
	if !keyring.ValidName(s.Server) {
		s.Server = ""
	}
	if s.Server == "" { // by hand
		s.UserCode, s.URI, s.URIComplete = "", "", ""
	}
	s.Unanswered = max(s.Unanswered, 0)
	return s
}

func writeSignIn(stateDir, account string, s SignIn) error {
	path, err := signInPath(stateDir, account)
	if err != nil {
		return err
	}
	b, err := s.text()
	if err != nil {
		return err
	}
	if err := keyring.WriteFile(path, b); err != nil {
		return fmt.Errorf("noting the sign-in to account %q: %w", account, err)
	}
	return nil
}

// text is s as its file holds it.
func (s SignIn) text() ([]byte, error) {
	b, err := json.MarshalIndent(s, "", "  ")
	return append(b, '\n'), err
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
