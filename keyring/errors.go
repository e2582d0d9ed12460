package keyring

import (
	"errors"
	"strconv"
	"strings"
)

// The ways in which the store fails that a caller acts on. They come wrapped
// in an [Error]; ask with [errors.Is].
var (
	ErrNotFound    = errors.New("no such record")
	ErrUnavailable = errors.New("the keychain cannot be used")
	ErrLocked      = errors.New("the keychain is locked")
	ErrTimeout     = errors.New("the keychain did not answer in time")
	ErrTooNew      = errors.New("the record was written by a newer version")
	ErrFull        = errors.New("the record is too large or no space is left")
	ErrCorrupt     = errors.New("the record is damaged")
	ErrUnknown     = errors.New("it is not known whether the change was made") // re-read before acting on it
	ErrBusy        = errors.New("the lock is held by another process")         // or the wait for it was ended
	ErrInsecure    = errors.New("not private to this user")                    // mode, owner or symbolic link
	ErrWrongKey    = errors.New("the record is sealed with another key")       // sealed files only
)

// An Error says what was being done to which record, which of the package's
// sentinels it comes to, and what lies behind it. It never holds a secret.
type Error struct {
	Op    string // "reading", "saving", …
	Key   Key    // "" where no single record is concerned
	Err   error  // one of the package's sentinels, or another error
	Cause error  // may be nil
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Op != "" {
		b.WriteString(e.Op)
		if e.Key != "" {
			b.WriteString(" record " + strconv.Quote(string(e.Key)))
		}
		b.WriteString(": ")
	}
	b.WriteString(e.Err.Error())
	if e.Cause != nil {
		b.WriteString(": " + e.Cause.Error())
	}
	return b.String()
}

// Unwrap gives the sentinel and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.Cause}
}

// fail is an Error whose Op and Key a caller further up fills in.
func fail(sentinel, cause error) error { return &Error{Err: sentinel, Cause: cause} }

// during adds what was being done to an error, once.
func during(op string, k Key, err error) error {
	if err == nil {
		return nil
	}
	e, ok := err.(*Error)
	if !ok {
		return &Error{Op: op, Key: k, Err: err}
	}
	if e.Op != "" {
		return e
	}
	return &Error{Op: op, Key: k, Err: e.Err, Cause: e.Cause}
}
