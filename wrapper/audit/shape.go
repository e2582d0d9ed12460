package audit

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxShownName  = 64  // bytes of an argument's name
	maxShownValue = 256 // bytes of a value that may be shown
	shapeReserve  = 64  // bytes kept free for the word about what does not fit
)

// Shape says what arguments look like without what they say: {"title":"string(12)","tags":"array(3)"}. Strings are
// counted in characters, arrays in elements, objects in members. Of the top-level names in shown, a value that is a
// string, number, boolean or null of at most 256 bytes is given as it is. A name that could be text (longer than 64
// bytes, or of other than letters, digits and _ . -) is counted, too. The result is at most 4 KiB of JSON; it is nil for
// no arguments, and a JSON string for any that are no object.
func Shape(arguments []byte, shown []string) json.RawMessage {
	s := shaper{text: arguments}
	s.space()
	switch {
	case s.done():
		return nil
	case s.text[s.at] != '{':
		kind, ok := s.value()
		s.space()
		if !ok || !s.done() {
			return invalidShape(arguments)
		}
		return json.RawMessage(`"` + kind + `"`)
	}
	out, ok := s.object(shown)
	s.space()
	if !ok || !s.done() {
		return invalidShape(arguments)
	}
	return out
}

func invalidShape(arguments []byte) json.RawMessage {
	return json.RawMessage(`"invalid(` + strconv.Itoa(len(arguments)) + `)"`)
}

// shaper walks over JSON that was checked already; on anything else it stops and says so.
type shaper struct {
	text []byte
	at   int
}

func (s *shaper) done() bool { return s.at >= len(s.text) }

func (s *shaper) space() {
	for !s.done() && strings.IndexByte(" \t\r\n", s.text[s.at]) >= 0 {
		s.at++
	}
}

// next takes one byte after white space; 0 at the end.
func (s *shaper) next() byte {
	s.space()
	if s.done() {
		return 0
	}
	s.at++
	return s.text[s.at-1]
}

// object reads the top-level object.
func (s *shaper) object(shown []string) (json.RawMessage, bool) {
	out, more := []byte{'{'}, 0
	s.next()
	for first := true; ; first = false {
		s.space()
		if first && !s.done() && s.text[s.at] == '}' {
			s.at++
			break
		}
		member, ok := s.member(shown)
		if !ok {
			return nil, false
		}
		if more > 0 || len(out)+len(member)+shapeReserve > maxShape {
			more++
		} else {
			if len(out) > 1 {
				out = append(out, ',')
			}
			out = append(out, member...)
		}
		if c := s.next(); c == '}' {
			break
		} else if c != ',' {
			return nil, false
		}
	}
	if more > 0 {
		out = append(out, `,"…":"`+strconv.Itoa(more)+` more"`...)
	}
	return append(out, '}'), true
}

// member reads a name and a value, and gives what is said about them.
func (s *shaper) member(shown []string) ([]byte, bool) {
	s.space()
	start := s.at
	n, ok := s.string()
	if !ok {
		return nil, false
	}
	raw := s.text[start:s.at]
	if s.next() != ':' {
		return nil, false
	}
	s.space()
	start = s.at
	kind, ok := s.value()
	if !ok {
		return nil, false
	}
	name, plain := argumentName(raw, n)
	said := []byte(`"` + kind + `"`)
	if value := s.text[start:s.at]; plain && slices.Contains(shown, name) && mayShow(value) {
		said = value
	}
	return append(append(appendString(nil, name, maxText), ':'), said...), true
}

func argumentName(raw []byte, n int) (name string, plain bool) {
	if len(raw) <= maxShownName+2 && json.Unmarshal(raw, &name) == nil && plainName(name) {
		return name, true
	}
	return "(name of " + strconv.Itoa(n) + ")", false
}

func plainName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r == utf8.RuneError || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_.-", r)
	})
}

func mayShow(value []byte) bool {
	return len(value) <= maxShownValue && value[0] != '{' && value[0] != '[' && json.Valid(value) && utf8.Valid(value)
}

// value skips one value and says what kind it is, and how large.
func (s *shaper) value() (kind string, ok bool) {
	s.space()
	if s.done() {
		return "", false
	}
	switch c := s.text[s.at]; {
	case c == '"':
		n, ok := s.string()
		return "string(" + strconv.Itoa(n) + ")", ok
	case c == '{':
		n, ok := s.container()
		return "object(" + strconv.Itoa(n) + ")", ok
	case c == '[':
		n, ok := s.container()
		return "array(" + strconv.Itoa(n) + ")", ok
	default:
		return s.literal()
	}
}

func (s *shaper) literal() (kind string, ok bool) {
	start := s.at
	for !s.done() && strings.IndexByte(" \t\r\n,:{}[]\"", s.text[s.at]) < 0 {
		s.at++
	}
	switch word := s.text[start:s.at]; {
	case len(word) == 0:
		return "", false
	case string(word) == "null":
		return "null", true
	case string(word) == "true", string(word) == "false":
		return "boolean", true
	default:
		return "number", word[0] == '-' || word[0] >= '0' && word[0] <= '9'
	}
}

// string skips a string and counts its characters.
func (s *shaper) string() (n int, ok bool) {
	if s.done() || s.text[s.at] != '"' {
		return 0, false
	}
	for s.at++; !s.done(); s.at++ {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return n, true
		case c == '\\':
			s.at++
			if !s.lowSurrogate() {
				n++
			}
		case utf8.RuneStart(c):
			n++
		}
	}
	return n, false
}

// lowSurrogate tells whether the escape at hand is the second half of a character, and steps over the digits of any
// that has some.
func (s *shaper) lowSurrogate() bool {
	if s.at+4 >= len(s.text) || s.text[s.at] != 'u' {
		return false
	}
	code, err := strconv.ParseUint(string(s.text[s.at+1:s.at+5]), 16, 16)
	if err != nil {
		return false
	}
	s.at += 4
	return code >= 0xdc00 && code <= 0xdfff
}

// container skips an array or object, and counts what is in it.
func (s *shaper) container() (n int, ok bool) {
	depth, empty := 0, true
	for !s.done() {
		switch c := s.text[s.at]; c {
		case '"':
			empty = empty && depth != 1
			if _, ok := s.string(); !ok {
				return 0, false
			}
			continue
		case '{', '[':
			empty = empty && depth != 1
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				s.at++
				if !empty {
					n++
				}
				return n, true
			}
		case ',':
			if depth == 1 {
				n++
			}
		case ' ', '\t', '\r', '\n':
		default:
			empty = empty && depth != 1
		}
		s.at++
	}
	return 0, false
}
