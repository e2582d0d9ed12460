package frame

import "encoding/binary"

// ahead is how many bytes quick and its helpers look ahead at most, so that they need not ask for the chunk's end:
// a quote, 32 bytes of text and what comes behind.
const ahead = 48

// quick goes on from p as far as it can through the usual inside of a message: short plain keys and strings, simple
// numbers, literals, and no white space but single blanks. It leaves s between tokens, as scan would have, and
// leaves all else to scan. It adds nothing to scan but speed (half as much again, by being one function), and works
// only elsewhere, where the header check wants nothing.
func (s *scanner) quick(line []byte, p int) int {
	var c byte
	var n int
	last := len(line) - ahead
	switch {
	case p >= last:
		return p
	case s.state == atComma:
		goto comma
	case s.state == atValue:
		goto value
	}
	return p

value:
	s.state = atValue
	if p >= last {
		return p
	}
	switch c = line[p]; c {
	case '"':
		if n = wordEnd(line[p+1:], s.high); n == 8 {
			n = nearEnd(line[p+1:], s.high)
		}
		if line[p+1+n] != '"' {
			return p
		}
		p += n + 2
	case '{':
		if p = s.open(p, atFirstKey); s.state != atFirstKey || line[p] != '"' {
			return p
		}
		goto key
	case '[':
		if p = s.open(p, atFirstValue); s.state != atFirstValue || p >= last || line[p] <= ' ' || line[p] == ']' {
			return p
		}
		goto value
	case 't', 'f', 'n':
		if n = literalLen(line[p:]); n == 0 {
			return p
		}
		p += n
	default:
		n = p
		if c == '-' {
			n++
		}
		if line[n] == '0' && isDigit(line[n+1]) || !isDigit(line[n]) {
			return p
		}
		for n++; n < last && isDigit(line[n]); n++ {
		}
		if line[n] == '.' && isDigit(line[n+1]) {
			for n += 2; n < last && isDigit(line[n]); n++ {
			}
		}
		if numberClass[line[n]] != classNone {
			return p
		}
		p = n
	}

comma:
	s.state = atComma
	if p >= last {
		return p
	}
	if c = line[p]; c != ',' {
		if s.depth <= deepestPlace+1 || c != '}' && c != ']' || (c == '}') != s.object {
			return p
		}
		p = s.close(p)
		goto comma
	}
	if p++; line[p] == ' ' {
		p++
	}
	if !s.object {
		goto value
	}
	if line[p] != '"' {
		s.state = atKey
		return p
	}

key:
	if n = wordEnd(line[p+1:], s.high); n == 8 {
		n = nearEnd(line[p+1:], s.high)
	}
	if line[p+1+n] != '"' {
		s.state = atKey
		return p
	}
	p++
	if s.tracking {
		var print uint64
		if n < 8 {
			print = shortPrint(binary.LittleEndian.Uint64(line[p:]), n)
		} else {
			print = printOf(line[p : p+n])
		}
		if s.keys.add(line, print, keyRef{uint32(p), uint32(n)}) {
			s.refuse(repeatedKey)
		}
	}
	if p += n + 1; line[p] != ':' {
		s.state = atColon
		return p
	}
	if p++; line[p] == ' ' {
		p++
	}
	goto value
}

// nearEnd returns how many bytes of b are plain string text, 32 at most, given that the first 8 are.
func nearEnd(b []byte, high uint64) int {
	for i := 8; i < 32; i += 8 {
		if n := wordEnd(b[i:], high); n < 8 {
			return i + n
		}
	}
	return 32
}

// literalLen returns the length of the literal at the start of b, or 0.
func literalLen(b []byte) int {
	switch {
	case string(b[:4]) == "true", string(b[:4]) == "null":
		return 4
	case string(b[:5]) == "false":
		return 5
	}
	return 0
}

func isDigit(c byte) bool { return c-'0' <= 9 }
