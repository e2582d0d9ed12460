package frame

import (
	"encoding/binary"
	"math/bits"
)

// ahead is how many bytes quick and its helpers look ahead at most, so that they need not ask for the chunk's end:
// a quote, 40 bytes of text and what comes behind.
const ahead = 48

// nearText is how much text nearEnd looks at. A longer string or key is left to scan.
const nearText = 32

// quick goes on from p as far as it can through the usual inside of a message: short plain keys and strings, simple
// numbers, literals, and no white space but blanks before keys and values. It leaves s between tokens, as scan would
// have, and leaves all else to scan. It adds nothing to scan but speed (twice as much), and works only elsewhere, where
// the header check wants nothing, and while nothing was wrong.
func (s *scanner) quick(line []byte, p int) int {
	for p < len(line)-ahead {
		switch s.state {
		case atValue:
			if p = s.stride(line, p); s.state == atValue {
				return p
			}
		case atComma:
			if line[p] != ',' {
				return p
			}
			p = s.separator(p, ',')
		case atKey, atFirstKey:
			if line[p] != '"' {
				return p
			}
			if p = s.nearKey(line, p+1); s.state != atValue {
				return p
			}
		default:
			return p
		}
	}
	return p
}

// nearKey reads a short plain key, behind its quote, that the object before did not have here, and the colon.
func (s *scanner) nearKey(line []byte, p int) int {
	n := nearEnd(line[p:], s.high)
	if line[p+n] != '"' {
		return p - 1
	}
	var print uint64
	if n < 8 {
		print = wordPrint(binary.LittleEndian.Uint64(line[p:])&(1<<(8*n)-1), n)
	} else {
		print = printOf(line[p : p+n])
	}
	ref := keyRef{uint32(p), uint32(n)}
	p += n + 1
	s.state = atColon
	if !s.strict {
		if s.learns() {
			s.keys.remember(line, print, ref)
		}
	} else if s.keys.add(line, print, ref) {
		s.refuse(repeatedKey)
		return p
	}
	if line[p] == ':' {
		s.state = atValue
		p++
	}
	return p
}

// learns reports whether a key that the object before did not have here is to be noted: always where repeated ones are
// looked for, and else while the keys of rows are not known. A row that leaves some out is no reason to learn anew.
func (s *scanner) learns() bool {
	if s.strict {
		return true
	}
	level := s.keys.top()
	return s.closers[s.depth-1] == ']' && (level.count == 0 || level.count == len(level.keys))
}

// stride goes on from a value. It is the part of quick that most bytes go through: all but keys that are to be noted.
// What it costs is instructions, about 35 a token, so it is written for the compiler. It calls nothing, so that what it
// works with stays in registers; it is entered at one place alone, and asks for p < 0, so that it is known that all
// it looks at is there.
func (s *scanner) stride(line []byte, p int) int {
	var n int
	var c byte
	var stop uint64
	var known *seenKey
	high, last := s.high, len(line)-ahead
	closer, level := s.closer(), s.keys.top()
	if s.state != atValue {
		return p
	}

value:
	if p < 0 || p >= last {
		goto endAtValue
	}
	switch c = line[p]; {
	case c == '"':
		if stop = stops(binary.LittleEndian.Uint64(line[p+1:]), high); stop != 0 {
			n = p + 1 + bits.TrailingZeros64(stop)>>3
		} else {
			n = p + 9 + nearEnd(line[p+9:], high)
		}
		if line[n] != '"' {
			goto endAtValue
		}
		p = n + 1
		goto comma
	case isDigit(c):
		if c == '0' && isDigit(line[p+1]) {
			goto endAtValue
		}
		n = p + digits(binary.LittleEndian.Uint64(line[p:]))
	case c == '-':
		if c = line[p+1]; !isDigit(c) || c == '0' && isDigit(line[p+2]) {
			goto endAtValue
		}
		n = p + 1 + digits(binary.LittleEndian.Uint64(line[p+1:]))
	case c == '{':
		if s.depth <= s.deepest || s.depth >= maxDepthClient || s.keys.full() {
			goto endAtValue
		}
		s.depth++
		s.closers[s.depth] = '}'
		closer, level = '}', s.keys.next()
		if p++; line[p] != '"' {
			s.state = atFirstKey
			return p
		}
		goto key
	case c == '[':
		if s.depth <= s.deepest || s.depth >= maxDepthClient {
			goto endAtValue
		}
		s.depth++
		s.closers[s.depth] = ']'
		closer = ']'
		if p++; line[p] <= ' ' || line[p] == ']' {
			s.state = atFirstValue
			return p
		}
		goto value
	case c == ' ':
		p++
		goto value
	default:
		switch word := binary.LittleEndian.Uint32(line[p:]); {
		case word == wordTrue || word == wordNull:
			p += 4
		case word == wordFals && line[p+4] == 'e':
			p += 5
		default:
			goto endAtValue
		}
		goto comma
	}

	// A number goes on at n, behind at most 8 digits.
	if n < 0 || n >= last {
		goto endAtValue
	}
	if c = line[n]; c == '.' && isDigit(line[n+1]) {
		n += 1 + digits(binary.LittleEndian.Uint64(line[n+1:]))
		c = line[n]
	}
	for isDigit(c) && n < last {
		n++
		c = line[n]
	}
	if c != ',' && c != closer {
		goto endAtValue
	}
	p = n

comma:
	if p < 0 || p >= last {
		goto endAtComma
	}
	if c = line[p]; c != ',' {
		if c != closer || s.depth <= s.deepest+1 {
			goto endAtComma
		}
		if c == '}' {
			if s.keys.untidy() {
				goto endAtComma
			}
			s.keys.open--
			level = s.keys.top()
		}
		s.depth--
		closer = s.closer()
		p++
		goto comma
	}
	p++
	if closer == ']' {
		goto value
	}

key:
	if p < 0 || p >= last {
		goto endAtKey
	}
	if level.count >= len(level.keys) {
		goto otherKey
	}
	known = &level.keys[level.count]
	if n = int(known.length); n <= shortKey {
		if (binary.LittleEndian.Uint64(line[p:])^known.print)&memberMask[n] != 0 {
			goto otherKey
		}
	} else if !sameNear(line[p:], line[known.from-1:], n) {
		goto otherKey
	}
	level.count++
	p += n + 3
	goto value

otherKey:
	if c = line[p]; c == ' ' {
		p++
		goto key
	}
	if c == '"' && !s.learns() {
		if stop = stops(binary.LittleEndian.Uint64(line[p+1:]), high); stop != 0 {
			n = p + 1 + bits.TrailingZeros64(stop)>>3
		} else {
			n = p + 9 + nearEnd(line[p+9:], high)
		}
		if line[n] == '"' && line[n+1] == ':' {
			p = n + 2
			goto value
		}
	}
endAtKey:
	s.state = atKey
	return p
endAtValue:
	s.state = atValue
	return p
endAtComma:
	s.state = atComma
	return p
}

// The literals, or the first four bytes of one, as they are read at once.
const (
	wordTrue = 't' | 'r'<<8 | 'u'<<16 | 'e'<<24
	wordNull = 'n' | 'u'<<8 | 'l'<<16 | 'l'<<24
	wordFals = 'f' | 'a'<<8 | 'l'<<16 | 's'<<24
)

// nearEnd returns how many bytes of b are plain string text, or nearText when there are more.
func nearEnd(b []byte, high uint64) int {
	for i := 0; i < nearText; i += 8 {
		if n := wordEnd(b[i:], high); n < 8 {
			return i + n
		}
	}
	return nearText
}

// digits returns how many of the bytes of x are digits, from the lowest on.
func digits(x uint64) int {
	x ^= '0' * ones
	return bits.TrailingZeros64((x+0x76*ones|x)&highBits) >> 3
}

// sameNear reports whether b starts with the key of n bytes that known starts with, more than shortKey, each in its
// quotes, and a colon, and is short enough to look.
func sameNear(b, known []byte, n int) bool {
	if n > nearText {
		return false
	}
	for i := 0; i < n-6; i += 8 {
		if binary.LittleEndian.Uint64(b[i:]) != binary.LittleEndian.Uint64(known[i:]) {
			return false
		}
	}
	return binary.LittleEndian.Uint64(b[n-6:]) == binary.LittleEndian.Uint64(known[n-6:]) && b[n+2] == ':'
}

func isDigit(c byte) bool { return c-'0' <= 9 }
