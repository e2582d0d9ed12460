package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path/filepath"
	"time"
)

// Filter says which entries are wanted; what is zero does not matter.
type Filter struct {
	Since  time.Time
	After  uint64 // only entries with a higher number
	User   string // subject or account
	Tool   string
	Server string
	Event  string
	Denied bool // decisions that denied
}

func (f Filter) wants(e *Entry) bool {
	is := func(want string, got ...string) bool {
		if want == "" {
			return true
		}
		for _, g := range got {
			if g == want {
				return true
			}
		}
		return false
	}
	return e.Seq > f.After && !e.Time.Before(f.Since) && is(f.User, e.Subject, e.Account) && is(f.Tool, e.Tool) &&
		is(f.Server, e.Server) && is(f.Event, e.Event) && (!f.Denied || e.Verdict == "deny")
}

// BadLine is a line of the log that is no record; Verify says more.
type BadLine struct{ Problem }

// Error gives file and line.
func (b *BadLine) Error() string { return b.String() }

var errEnough = errors.New("enough")

// Read gives the entries that are wanted, oldest first, as the log is at the beginning, without verifying them as a
// whole. A line that is no record comes as a [*BadLine] and does not end it; any other error does. No log yet is as good
// as an empty one.
func Read(dir string, f Filter) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		shots, err := snapshot(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			yield(nil, fmt.Errorf("reading the audit log: %w", err))
			return
		}
		defer closeAll(shots)
		for i, s := range shots {
			if i+1 < len(shots) && firstOf(shots[i+1].name) <= f.After+1 {
				continue // nothing in it is wanted
			}
			err := s.read(dir, f, yield)
			if errors.Is(err, errEnough) {
				return
			}
			if err != nil && !yield(nil, fmt.Errorf("reading the audit log: %w", err)) {
				return
			}
		}
	}
}

func (s shot) read(dir string, f Filter, yield func(*Entry, error) bool) error {
	path := filepath.Join(dir, s.name)
	return s.lines(func(now, after *line) error {
		switch {
		case now.tornBy(after), after == nil && !now.whole:
			return nil // a line whose writer ended
		case now.err != nil:
			if !yield(nil, &BadLine{Problem{path, now.n, now.err.Error()}}) {
				return errEnough
			}
			return nil
		}
		now.entry.File, now.entry.Line = path, now.n
		if f.wants(now.entry) && !yield(now.entry, nil) {
			return errEnough
		}
		return nil
	})
}
