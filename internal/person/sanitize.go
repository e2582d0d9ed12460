package person

import (
	"slices"
	"strings"
	"unicode"
)

// Sanitize makes text that came from outside fit to be shown on one line: without control characters and terminal
// escape sequences, without characters that turn the direction of text or show nothing, and no longer than most
// characters; the last one says so where something was cut off. Line ends and runs of spaces become one space.
func Sanitize(s string, most int) string {
	var out []rune
	space := false
	for rest := []rune(s); len(rest) > 0; {
		r := rest[0]
		skip := max(1, escapeLength(rest))
		rest = rest[skip:]
		switch {
		case unicode.IsSpace(r):
			space = len(out) > 0
		case skip == 1 && unicode.IsPrint(r): // not in Unicode's Cf: overrides of direction, joiners, tags
			if space {
				out = append(out, ' ')
			}
			out, space = append(out, r), false
		}
		if len(out) > most {
			return string(append(out[:max(0, most-1)], '…')[:max(0, most)])
		}
	}
	return string(out)
}

const (
	esc = 0x1b
	bel = 0x07
	st  = 0x9c // string terminator, also ESC \
)

// introducers maps the 8-bit introducers of terminal sequences to what follows ESC in their 7-bit form.
var introducers = map[rune]rune{0x90: 'P', 0x98: 'X', 0x9b: '[', 0x9d: ']', 0x9e: '^', 0x9f: '_'}

// escapeLength gives how many characters at the start of s are a terminal's escape sequence, ECMA-48 sections 5.4
// (control sequences) and 5.6 (control strings). Of a sequence without an end it is only the introducer, so that nobody
// can hide the rest of a text.
func escapeLength(s []rune) int {
	kind, head := introducers[s[0]], 1
	if s[0] == esc {
		if len(s) == 1 {
			return 1
		}
		kind, head = s[1], 2
	}
	switch {
	case kind == '[':
		return head + controlSequence(s[head:])
	case strings.ContainsRune("PX]^_", kind) && kind != 0:
		return head + controlString(s[head:])
	case s[0] == esc:
		return head
	}
	return 0
}

func controlSequence(s []rune) int {
	n := 0
	for n < len(s) && s[n] >= 0x20 && s[n] <= 0x3f {
		n++
	}
	if n == len(s) || s[n] < 0x40 || s[n] > 0x7e {
		return 0
	}
	return n + 1
}

func controlString(s []rune) int {
	i := slices.IndexFunc(s, func(r rune) bool { return r == bel || r == st || r == esc })
	switch {
	case i < 0 || s[i] == esc && (i+1 == len(s) || s[i+1] != '\\'):
		return 0
	case s[i] == esc:
		return i + 2
	}
	return i + 1
}
