package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

var errJSON = errors.New("not JSON that every program reads alike")

const maxDepth = 512 // of objects and lists inside of each other

// scanner walks JSON text without building anything. It is strict (RFC 8259); that the text is UTF-8 is for the caller to
// see to.
type scanner struct {
	b     []byte
	i     int
	depth int
}

func newScanner(b []byte) (*scanner, error) {
	if !utf8.Valid(b) {
		return nil, errJSON
	}
	return &scanner{b: b}, nil
}

func (s *scanner) space() {
	for s.i < len(s.b) && (s.b[s.i] == ' ' || s.b[s.i] == '\n' || s.b[s.i] == '\t' || s.b[s.i] == '\r') {
		s.i++
	}
}

// peek gives the next byte that is no space, or 0 at the end.
func (s *scanner) peek() byte {
	s.space()
	if s.i >= len(s.b) {
		return 0
	}
	return s.b[s.i]
}

func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.i++
	return true
}

// end makes sure that nothing follows.
func (s *scanner) end() error {
	if s.peek() != 0 || s.i < len(s.b) {
		return errJSON
	}
	return nil
}

// object calls each for every member, standing before its value, which each must read or skip.
func (s *scanner) object(each func(key string) error) error {
	if !s.take('{') {
		return errJSON
	}
	return s.items('}', func() error {
		key, err := s.text()
		if err != nil {
			return err
		}
		if !s.take(':') {
			return errJSON
		}
		s.space()
		return each(key)
	})
}

// array calls each for every element, standing before it.
func (s *scanner) array(each func() error) error {
	if !s.take('[') {
		return errJSON
	}
	return s.items(']', each)
}

func (s *scanner) items(closing byte, each func() error) error {
	if s.depth++; s.depth > maxDepth {
		return errJSON
	}
	defer func() { s.depth-- }()
	if s.take(closing) {
		return nil
	}
	for {
		s.space()
		if err := each(); err != nil {
			return err
		}
		if s.take(closing) {
			return nil
		}
		if !s.take(',') {
			return errJSON
		}
	}
}

// skip goes over one value.
func (s *scanner) skip() error {
	switch c := s.peek(); {
	case c == '{' || c == '[':
		return s.skipInside(c)
	case c == '"':
		_, _, err := s.raw()
		return err
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	}
	_, err := s.number()
	return err
}

func (s *scanner) skipInside(opening byte) error {
	if s.depth++; s.depth > maxDepth {
		return errJSON
	}
	s.i++
	closing := opening + 2 // of { and [ in ASCII
	for more := !s.take(closing); more; more = !s.take(closing) {
		if opening == '{' {
			if s.peek() != '"' {
				return errJSON
			}
			if _, _, err := s.raw(); err != nil || !s.take(':') {
				return errJSON
			}
		}
		if err := s.skip(); err != nil {
			return err
		}
		if c := s.peek(); c != closing && !(s.take(',') && s.peek() != closing) {
			return errJSON
		}
	}
	s.depth--
	return nil
}

func (s *scanner) word(w string) error {
	if len(s.b)-s.i < len(w) || string(s.b[s.i:s.i+len(w)]) != w {
		return errJSON
	}
	s.i += len(w)
	return nil
}

// text reads a string and decodes it.
func (s *scanner) text() (string, error) {
	if s.peek() != '"' {
		return "", errJSON
	}
	raw, escaped, err := s.raw()
	if err != nil || !escaped {
		return string(raw), err
	}
	var t string
	if json.Unmarshal(s.b[s.i-len(raw)-2:s.i], &t) != nil {
		return "", errJSON
	}
	// Half a UTF-16 pair becomes U+FFFD here and something else elsewhere. Whoever means that character writes it as it is.
	if replaced := string(utf8.RuneError); strings.Count(t, replaced) > bytes.Count(raw, []byte(replaced)) {
		return "", errJSON
	}
	return t, nil
}

// raw reads a string as it is written, less its quotes.
func (s *scanner) raw() (raw []byte, escaped bool, err error) {
	start := s.i + 1
	for i := start; i < len(s.b); i++ {
		switch c := s.b[i]; {
		case c == '"':
			s.i = i + 1
			return s.b[start:i], escaped, nil
		case c < ' ':
			return nil, false, errJSON
		case c == '\\':
			escaped = true
			n := escapeLength(s.b[i+1:])
			if n == 0 {
				return nil, false, errJSON
			}
			i += n
		}
	}
	return nil, false, errJSON
}

// escapeLength counts the bytes behind a backslash that belong to it; 0 where that is no escape.
func escapeLength(b []byte) int {
	switch {
	case len(b) == 0:
		return 0
	case strings.IndexByte(`"\/bfnrt`, b[0]) >= 0:
		return 1
	case b[0] != 'u' || len(b) < 5:
		return 0
	}
	for _, c := range b[1:5] {
		if strings.IndexByte(hexDigits, c|0x20) < 0 || c < '0' {
			return 0
		}
	}
	return 5
}

// number reads a number as it is written.
func (s *scanner) number() (string, error) {
	s.space()
	start := s.i
	if s.at("-") {
		s.i++
	}
	switch {
	case s.at("0"):
		s.i++
	case s.digits() == 0:
		return "", errJSON
	}
	if s.at(".") {
		s.i++
		if s.digits() == 0 {
			return "", errJSON
		}
	}
	if s.at("eE") {
		s.i++
		if s.at("+-") {
			s.i++
		}
		if s.digits() == 0 {
			return "", errJSON
		}
	}
	return string(s.b[start:s.i]), nil
}

// at tells whether the next byte is one of these.
func (s *scanner) at(set string) bool { return s.i < len(s.b) && strings.IndexByte(set, s.b[s.i]) >= 0 }

func (s *scanner) digits() int {
	start := s.i
	for s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i - start
}
