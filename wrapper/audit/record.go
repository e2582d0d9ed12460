// Package audit keeps the log of what was decided: chained records in files that several processes append to, and their proof.
package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The ways in which the log fails that a caller acts on; ask with [errors.Is].
var (
	ErrFull     = errors.New("no space is left for the audit log")
	ErrBusy     = errors.New("the audit log is held by another process")
	ErrInsecure = errors.New("the audit log is not private to this user") // mode, owner or symbolic link
	ErrDamaged  = errors.New("the audit log cannot be continued")         // nothing at its end can be read
	ErrClosed   = errors.New("the audit log is closed")
)

// The events that the log itself records. [Log.Append] refuses the first three from callers.
const (
	EventFile      = "file"      // first in a file: names the log
	EventRotate    = "rotate"    // last in a file: another goes on
	EventRetention = "retention" // files up to record Through are removed
	EventHead      = "head"      // a signature under all records up to one
	EventGap       = "gap"       // Missed records could not be written
	EventCrash     = "crash"     // with Torn: a line before this one was not finished
)

// The bounds of one record, in bytes unless said otherwise. Longer texts are cut, and end with "…".
const (
	maxText   = 512
	maxDetail = 2048
	maxRoles  = 32 // how many
	maxRole   = 128
	maxShape  = 4 << 10
	maxLine   = 128 << 10 // no line that we write is longer; a longer one is damage
)

// Record is one decision or event. Fields that are zero are left out of the log.
type Record struct {
	Time      time.Time // of what happened; zero takes the time of Append
	Event     string    // "decision", "start", "login", "refresh", "revoke", "install", "policy", "crash" or another word
	Server    string
	Account   string
	Subject   string
	Tenant    string
	Roles     []string // the first 32
	Method    string
	Tool      string // or the prompt, or the resource
	Verdict   string // "allow" or "deny"
	Rule      string
	Outcome   string
	Duration  time.Duration   // kept in microseconds
	SizeIn    int             // bytes
	SizeOut   int             // bytes
	Arguments json.RawMessage // from Shape; must be JSON
	Detail    string
}

// Entry is a record as it stands in the log.
type Entry struct {
	Record
	Seq  uint64 // from 1, without a gap
	Prev string // Hash of the entry before; 64 zeros in the first
	Hash string // hexadecimal SHA-256 of the line up to this field

	Back     time.Duration // how far the clock was behind the entry before, where that is more than a second
	Missed   uint64        // gap: how many records
	Torn     int           // crash: bytes of the unfinished line before this one
	TornHash string        // crash: their SHA-256
	Through  uint64        // retention: last record removed
	Log      string        // file, head: the log's identity
	At       uint64        // head: the record that is signed
	AtHash   string        // head: its Hash
	Sig      string        // head: Ed25519 signature, base64

	raw []byte // the line as it was read

	File string // where it was read; not part of the log
	Line int
}

// clip keeps no more of long texts than is written: who makes them may be hostile, and the exporter holds on to records.
func (r *Record) clip() {
	for _, s := range []*string{
		&r.Event, &r.Server, &r.Account, &r.Subject, &r.Tenant, &r.Method, &r.Tool, &r.Verdict, &r.Rule, &r.Outcome,
	} {
		clipText(s, maxText)
	}
	clipText(&r.Detail, maxDetail)
	if len(r.Roles) > maxRoles {
		r.Roles = r.Roles[:maxRoles:maxRoles]
	}
	if slices.ContainsFunc(r.Roles, func(s string) bool { return len(s) > maxRole }) {
		r.Roles = slices.Clone(r.Roles)
		for i := range r.Roles {
			clipText(&r.Roles[i], maxRole)
		}
	}
}

// clipText leaves as much that it is still seen to be too long.
func clipText(s *string, limit int) {
	if len(*s) > 2*limit {
		*s = strings.Clone((*s)[:limit+1])
	}
}

// JSON is the line that the entry was read from, without its line end; nil for one that was not read.
func (e *Entry) JSON() []byte { return e.raw }

func (r *Record) check() error {
	if slices.Contains([]string{"", EventFile, EventRotate, EventRetention, EventHead, EventGap}, r.Event) {
		return fmt.Errorf("an audit record cannot have the event %q", r.Event)
	}
	if len(r.Arguments) > 0 && (len(r.Arguments) > maxShape || !json.Valid(r.Arguments)) {
		return errors.New("the arguments of an audit record are not what Shape gives")
	}
	return nil
}
