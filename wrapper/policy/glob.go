package policy

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// glob is a name in which * stands for any run of bytes: the literal pieces between the stars. A name without a star has
// one piece.
type glob struct {
	pieces  []string
	literal int // bytes in pieces
}

func newGlob(s string) glob {
	g := glob{pieces: strings.Split(s, "*")}
	for _, p := range g.pieces {
		g.literal += len(p)
	}
	return g
}

// match needs one pass: each piece in the middle is taken where it first fits.
func (g glob) match(s string) bool {
	last := len(g.pieces) - 1
	if last == 0 {
		return s == g.pieces[0]
	}
	if len(s) < g.literal || !strings.HasPrefix(s, g.pieces[0]) || !strings.HasSuffix(s, g.pieces[last]) {
		return false
	}
	s = s[len(g.pieces[0]) : len(s)-len(g.pieces[last])]
	for _, p := range g.pieces[1:last] {
		i := strings.Index(s, p)
		if i < 0 {
			return false
		}
		s = s[i+len(p):]
	}
	return true
}

// overlap tells whether some name matches both globs.
func overlap(g, h glob) bool {
	x, y := strings.Join(g.pieces, "*"), strings.Join(h.pieces, "*")
	// can[j]: what is left of x from i on and what is left of y from j on have a name in common. From the end backwards.
	can := make([]bool, len(y)+1)
	next := make([]bool, len(y)+1)
	for i := len(x); i >= 0; i-- {
		for j := len(y); j >= 0; j-- {
			switch {
			case i == len(x) && j == len(y):
				can[j] = true
			case i < len(x) && x[i] == '*':
				can[j] = next[j] || j < len(y) && can[j+1]
			case j < len(y) && y[j] == '*':
				can[j] = can[j+1] || i < len(x) && next[j]
			default:
				can[j] = i < len(x) && j < len(y) && x[i] == y[j] && next[j+1]
			}
		}
		can, next = next, can
	}
	return next[0]
}

const maxName = 4096 // bytes

// fit tells whether a name can be compared and shown: no character in it is invisible.
func fit(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == 0x7f {
			return false
		} else if c >= utf8.RuneSelf {
			return fitRunes(s)
		}
	}
	return true
}

func fitRunes(s string) bool {
	for i, r := range s {
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)) {
			return false
		}
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return false
		}
	}
	return true
}

// ambiguous tells whether a server may read an address as another than its text says (RFC 3986 section 6.2.2): what
// begins like an allowed folder may end elsewhere.
func ambiguous(uri string) bool {
	if strings.ContainsRune(uri, '\\') {
		return true
	}
	scheme, rest, found := strings.Cut(uri, ":")
	if found && strings.ToLower(scheme) != scheme {
		return true
	}
	if !found {
		rest = uri
	}
	path, query := rest, ""
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		path, query = rest[:i], rest[i:]
	}
	// Some servers take all that follows their prefix for a path, also a query.
	return encodesPlain(path) || dotSegment(path) || dotSegment(rest) || hidesSegment(query)
}

// hidesSegment tells whether a dot segment or a backslash appears when a query is decoded.
func hidesSegment(query string) bool {
	if !strings.Contains(query, "%") {
		return false
	}
	query = strings.ToLower(query)
	for _, c := range [][2]string{{"%2e", "."}, {"%2f", "/"}, {"%5c", "\\"}} {
		query = strings.ReplaceAll(query, c[0], c[1])
	}
	return strings.Contains(query, "\\") || dotSegment(query)
}

func dotSegment(path string) bool {
	for more := true; more; {
		var segment string
		segment, path, more = strings.Cut(path, "/")
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// encodesPlain tells whether a character is percent-encoded that needs no encoding, or is a separator to some.
func encodesPlain(s string) bool {
	for i := strings.IndexByte(s, '%'); i >= 0; {
		if i+3 > len(s) {
			return true
		}
		high, low := strings.IndexByte(hexDigits, s[i+1]|0x20), strings.IndexByte(hexDigits, s[i+2]|0x20)
		if high < 0 || low < 0 {
			return true
		}
		b := byte(high<<4 | low)
		if strings.IndexByte(`/\%-._~`, b) >= 0 || b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'z' {
			return true
		}
		next := strings.IndexByte(s[i+3:], '%')
		if next < 0 {
			return false
		}
		i += 3 + next
	}
	return false
}

const hexDigits = "0123456789abcdef"
