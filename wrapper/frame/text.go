package frame

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// The eight bytes of a word, each holding the same value.
const (
	ones       = 0x0101010101010101
	highBits   = 0x80 * ones
	spaces     = 0x20 * ones
	quotes     = '"' * ones
	backslants = '\\' * ones
)

// stops marks the high bit of every byte of x that ends a run of plain string text: a quote, a backslash, a control
// character, and any byte with a bit of high set in its high bit. Bytes above the lowest marked one may be marked
// wrongly (a subtraction borrowed), the lowest never.
func stops(x, high uint64) uint64 {
	m := (x - spaces) | ((x ^ quotes) - ones) | ((x ^ backslants) - ones)
	return (m&^x | x&high) & highBits
}

// wordEnd returns how many of the first eight bytes of b are plain string text.
func wordEnd(b []byte, high uint64) int {
	return bits.TrailingZeros64(stops(binary.LittleEndian.Uint64(b), high)) >> 3
}

// plainEnd returns the position of the first byte at or after p that is no plain string text, or len(b).
func plainEnd(b []byte, p int, high uint64) int {
	for ; p+32 <= len(b); p += 32 {
		w := b[p : p+32 : p+32]
		m := stops(binary.LittleEndian.Uint64(w), high)
		if m != 0 {
			return p + bits.TrailingZeros64(m)>>3
		}
		m = stops(binary.LittleEndian.Uint64(w[8:]), high)
		if m != 0 {
			return p + 8 + bits.TrailingZeros64(m)>>3
		}
		m = stops(binary.LittleEndian.Uint64(w[16:]), high)
		if m != 0 {
			return p + 16 + bits.TrailingZeros64(m)>>3
		}
		m = stops(binary.LittleEndian.Uint64(w[24:]), high)
		if m != 0 {
			return p + 24 + bits.TrailingZeros64(m)>>3
		}
	}
	for ; p+8 <= len(b); p += 8 {
		if m := stops(binary.LittleEndian.Uint64(b[p:]), high); m != 0 {
			return p + bits.TrailingZeros64(m)>>3
		}
	}
	for p < len(b) && stops(uint64(b[p])|spaces&^0xFF, high) == 0 {
		p++
	}
	return p
}

// Outcomes of looking at a piece of text whose length its first byte does not tell.
const (
	incomplete = 0  // more bytes are needed
	invalid    = -1 // no bytes can mend it
)

// runesLen returns the length of a run of text at the start of b, which begins with a byte beyond ASCII and is
// well-formed UTF-8, or incomplete or invalid. It takes a plain ASCII character along, such as a space, where
// more text beyond ASCII follows.
func runesLen(b []byte) int {
	n := 0
	for n+4 <= len(b) {
		switch c := b[n]; {
		case c < 0x80:
			if b[n+1] < 0x80 || stops(uint64(c)|spaces&^0xFF, 0) != 0 {
				return n
			}
			n++
		case 0xC2 <= c && c < 0xE0 && isTail(b[n+1]):
			n += 2
		case 0xE1 <= c && c < 0xF0 && c != 0xED && isTail(b[n+1]) && isTail(b[n+2]):
			n += 3
		default:
			size := runeLen(b[n:])
			if size <= 0 && n == 0 {
				return size
			}
			if size <= 0 {
				return n
			}
			n += size
		}
	}
	if n > 0 {
		return n
	}
	return runeLen(b)
}

func isTail(c byte) bool { return c&0xC0 == 0x80 }

// runeLen returns the length of the well-formed UTF-8 sequence at the start of b, which is not ASCII
// (Unicode 15, table 3-7), or incomplete or invalid.
func runeLen(b []byte) int {
	c := b[0]
	size, low, high := 0, byte(0x80), byte(0xBF)
	switch {
	case c < 0xC2:
		return invalid
	case c < 0xE0:
		size = 2
	case c < 0xF0:
		size = 3
		if c == 0xE0 {
			low = 0xA0 // below: overlong
		} else if c == 0xED {
			high = 0x9F // above: surrogates
		}
	case c < 0xF5:
		size = 4
		if c == 0xF0 {
			low = 0x90 // below: overlong
		} else if c == 0xF4 {
			high = 0x8F // above: beyond U+10FFFF
		}
	default:
		return invalid
	}
	for i := 1; i < size; i++ {
		if i == len(b) {
			return incomplete
		}
		if b[i] < low || b[i] > high {
			return invalid
		}
		low, high = 0x80, 0xBF
	}
	return size
}

// escapeLen returns the length of the escape at the start of b, a backslash, or incomplete or invalid.
func escapeLen(b []byte) int {
	if len(b) == 1 {
		return incomplete
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		for i := 2; i < 6; i++ {
			if i == len(b) {
				return incomplete
			}
			if hexValue[b[i]] < 0 {
				return invalid
			}
		}
		return 6
	}
	return invalid
}

var hexValue = func() (t [256]int8) {
	for i := range t {
		t[i] = -1
	}
	for i, c := range "0123456789abcdef" {
		t[c] = int8(i)
	}
	for i, c := range "ABCDEF" {
		t[c] = int8(10 + i)
	}
	return t
}()

// hex4 reads the four hexadecimal digits at the start of b.
func hex4(b []byte) rune {
	return rune(hexValue[b[0]])<<12 | rune(hexValue[b[1]])<<8 | rune(hexValue[b[2]])<<4 | rune(hexValue[b[3]])
}

// unquote appends the text of a JSON string to dst; raw is its well-formed inside. A surrogate without its other
// half becomes U+FFFD and is reported: parsers differ about it.
func unquote(dst, raw []byte) (text []byte, lone bool) {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return append(dst, raw...), lone
		}
		dst = append(dst, raw[:i]...)
		r, size := unescape(raw[i:])
		lone = lone || size == 6 && utf16.IsSurrogate(r)
		dst = utf8.AppendRune(dst, r)
		raw = raw[i+size:]
	}
}

// unescape returns the character of the escape, or pair of escapes, at the start of raw, and its length.
func unescape(raw []byte) (r rune, size int) {
	switch raw[1] {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r = hex4(raw[2:])
	default:
		return rune(raw[1]), 2
	}
	if utf16.IsSurrogate(r) && len(raw) >= 12 && raw[6] == '\\' && raw[7] == 'u' {
		if pair := utf16.DecodeRune(r, hex4(raw[8:])); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return r, 6
}
