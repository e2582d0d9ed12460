package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	maxErrors   = 20  // problems of one file that are told at once
	maxProblems = 200 // problems that are kept while reading, to be sorted
)

// Error is one thing that is wrong with a config file. It repeats no value from the file, which might be a secret; only
// keys, and the names of accounts.
type Error struct {
	Path   string // file; "" where the text is not in a file yet
	Line   int    // from 1; 0 where no place can be named
	Column int    // from 1, in characters
	Key    string // dotted path of the key, such as "accounts.work.issuer"; "" for the file as a whole
	Msg    string // what is wrong and what to do about it
}

// Error gives "config.json:12:5: accounts.work.isuer: unknown key (did you mean "issuer"?)".
func (e *Error) Error() string {
	var b strings.Builder
	if e.Path != "" {
		b.WriteString(e.Path)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
		}
		b.WriteString(": ")
	}
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	return b.String() + e.Msg
}

// problem is an Error before its place is worked out.
type problem struct {
	at  int // offset in the text
	key *place
	msg string
}

// place is where a value stands in the file: a key or an index, and what that is inside of.
type place struct {
	parent *place
	name   string
	listed bool // in a list, at index
	index  int
}

func (p *place) child(name string) *place { return &place{parent: p, name: name} }
func (p *place) element(i int) *place     { return &place{parent: p, listed: true, index: i} }

// String gives the dotted path, with anything odd in quotes so that it can be shown in a terminal.
func (p *place) String() string {
	if p == nil {
		return ""
	}
	up := p.parent.String()
	switch {
	case p.listed:
		return up + "[" + strconv.Itoa(p.index) + "]"
	case up == "":
		return shown(p.name)
	}
	return up + "." + shown(p.name)
}

// within tells whether p is the place of the given keys or inside of it.
func (p *place) within(keys ...string) bool {
	var path []string
	for q := p; q != nil; q = q.parent {
		path = append(path, q.name)
	}
	slices.Reverse(path)
	return len(path) >= len(keys) && slices.Equal(path[:len(keys)], keys)
}

// shown makes a key of the file fit to be shown.
func shown(key string) string {
	const limit = 64
	if validName(key) || key == "$schema" {
		return key
	}
	if len(key) > limit {
		return strconv.QuoteToASCII(strings.ToValidUTF8(key[:limit], "")) + "…"
	}
	return strconv.QuoteToASCII(key)
}

// joinProblems turns problems into errors in the order of the file, and not too many of them; total is how many there
// were before anybody stopped to keep them.
func joinProblems(doc *document, problems []problem, total int) error {
	slices.SortStableFunc(problems, func(x, y problem) int { return cmp.Compare(x.at, y.at) })
	var errs []error
	for i, p := range problems {
		if i == maxErrors {
			errs = append(errs, &Error{Path: doc.path, Msg: fmt.Sprintf("and %d more", total-i)})
			break
		}
		errs = append(errs, doc.errorAt(p.at, p.key.String(), p.msg))
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// named returns err with the file's name in every Error that lacks one.
func named(err error, path string) error {
	switch e := err.(type) {
	case *Error:
		if e.Path == "" {
			e.Path = path
		}
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			_ = named(one, path) // changed in place
		}
	}
	return err
}
