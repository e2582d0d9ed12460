package frame

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// foldRune returns the character that stands for all that a case-insensitive parser may take r for: lower case for
// ASCII, else the smallest of its simple folding orbit. U+0130 and U+0131 (dotted and dotless i) are in no orbit of
// Unicode's, but parsers that compare upper or lower case take them for an i (Java's equalsIgnoreCase does).
func foldRune(r rune) rune {
	if r == '\u0130' || r == '\u0131' {
		return 'i'
	}
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	if 'A' <= least && least <= 'Z' {
		least += 'a' - 'A'
	}
	return least
}

// folded reports whether a key is its own fold, as most are.
func folded(key []byte) bool {
	for _, c := range key {
		if 'A' <= c && c <= 'Z' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// appendFold appends the fold of a key, which is never longer than the key.
func appendFold(dst, key []byte) []byte {
	for len(key) > 0 {
		r, size := utf8.DecodeRune(key)
		dst = utf8.AppendRune(dst, foldRune(r))
		key = key[size:]
	}
	return dst
}

func hasNUL(key []byte) bool { return bytes.IndexByte(key, 0) >= 0 }
