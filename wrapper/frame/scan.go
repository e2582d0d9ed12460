package frame

import "bytes"

// state is what a scanner expects next. It is between tokens below inKey, inside one from there on.
type state uint8

const (
	atStart      state = iota // the message
	atFirstKey                // a key, or the end of an empty object
	atKey                     // a key
	atColon                   // the colon after a key
	atValue                   // a value
	atFirstValue              // a value, or the end of an empty array
	atComma                   // a comma, or the end of an object or array
	atEnd                     // nothing but the newline
	atBroken                  // the newline: what comes before cannot be followed
	inKey                     // the rest of a key
	inString                  // the rest of a string
	inNumber                  // the rest of a number
	inWord                    // the rest of a bare word that is no JSON
)

const (
	// maxDepthClient limits nesting from a client: parsers' own limits begin at about 1,000.
	maxDepthClient = 512
	// maxDepth limits nesting from a server, as encoding/json does, and ends the scanning of any line.
	maxDepth = 10000
)

// scanner follows the grammar of one line through the chunks it comes in (RFC 8259), and notes what the header
// check needs. What is wrong inside a token does not end the scanning, so that an id further on is still found.
//
// Positions count from the beginning of the line. No byte is looked at twice but for a few: those of an escape, a
// literal or a UTF-8 sequence that a chunk cut in two, and of a token that quick gave up on.
type scanner struct {
	strict  bool   // from a client
	high    uint64 // highBits when UTF-8 is to be checked, 0 when not
	deepest int    // depth of the deepest object that means something to the header check

	state    state
	bad      refusal // the first thing that was wrong
	tracking bool    // keys knows the open objects: nothing was wrong so far, nor nested deeper than a client may
	depth    int
	closers  [maxDepth + 1]byte // for each depth: what closes the open value, '}' for an object and ']' for an array

	from     int  // where the token at hand begins, behind its quote
	number   byte // how far a number has come
	escaped  bool // the string at hand has escapes
	damaged  bool // the string or number at hand has something wrong in it
	rootKind byte // first byte of the message, which tells its type

	keys   keySets
	header header
}

// reset makes the scanner ready for the next line.
func (s *scanner) reset() {
	s.state, s.bad, s.tracking = atStart, 0, true
	s.deepest = 1
	if s.strict {
		s.deepest = deepestPlace
	}
	s.depth, s.rootKind = 0, 0
	s.header.reset()
	s.keys.reset()
}

// refuse notes that something is wrong. The first remark is what the line is refused for.
func (s *scanner) refuse(why refusal) {
	if s.bad == 0 {
		s.bad = why
	}
	s.tracking = false
}

// breakOff gives up on the line's structure.
func (s *scanner) breakOff(why refusal) {
	s.refuse(why)
	s.state = atBroken
}

// scan goes on at p through line, which begins where the message begins and may be cut anywhere. It returns how far
// it came, and whether that is behind the newline; if not, it wants to be called again from there with more bytes.
func (s *scanner) scan(line []byte, p int) (int, bool) {
	p, ok := s.resume(line, p)
	for ok && p < len(line) {
		if s.header.place == elsewhere && s.tracking && s.depth > 0 {
			if p = s.quick(line, p); p == len(line) {
				break
			}
		}
		c := line[p]
		if c <= ' ' {
			if c == '\n' {
				return p + 1, s.endLine()
			}
			if c == '\r' && s.strict && s.depth > 0 {
				s.refuse(insideReturn)
			}
			if c == ' ' || c == '\t' || c == '\r' {
				p++
				continue
			}
		}
		switch s.state {
		case atComma:
			p = s.separator(p, c)
		case atValue, atFirstValue, atStart:
			p, ok = s.value(line, p, c)
		case atKey, atFirstKey:
			if c == '"' {
				p, ok = s.key(line, p+1)
			} else if c == '}' && s.state == atFirstKey {
				p = s.close(p)
			} else {
				s.breakOff(badGrammar)
			}
		case atColon:
			if c == ':' {
				s.state = atValue
				p++
			} else {
				s.breakOff(badGrammar)
			}
		case atEnd:
			if c == '{' || c == '[' {
				s.header.ambiguous = true
			}
			s.breakOff(secondValue)
		case atBroken:
			i := bytes.IndexByte(line[p:], '\n')
			if i < 0 {
				return len(line), false
			}
			p += i
		}
	}
	if p < len(line) && line[p] == '\n' { // it ended a token too early
		return p + 1, s.endLine()
	}
	return p, false
}

// endLine notes that the newline has come.
func (s *scanner) endLine() bool {
	if s.state != atEnd && s.state != atStart {
		s.breakOff(brokenOff)
	}
	return true
}

// blank reports whether nothing but white space has come.
func (s *scanner) blank() bool { return s.state == atStart && s.bad == 0 }

// resume finishes the token that the last chunk ended in.
func (s *scanner) resume(line []byte, p int) (int, bool) {
	switch s.state {
	case inKey:
		return s.restOfKey(line, p)
	case inString:
		return s.restOfString(line, p)
	case inNumber:
		return s.restOfNumber(line, p)
	case inWord:
		return s.restOfWord(line, p)
	}
	return p, true
}

// value starts a value, whose first byte is c at p.
func (s *scanner) value(line []byte, p int, c byte) (int, bool) {
	if s.depth == 0 {
		s.rootKind = c
	}
	if s.header.want != nothing {
		s.header.begin(c)
	}
	s.from, s.escaped, s.damaged = p, false, false
	switch c {
	case '"':
		s.from = p + 1
		return s.restOfString(line, p+1)
	case '{':
		return s.open(p, atFirstKey, '}'), true
	case '[':
		if s.depth == 0 {
			s.breakOff(batch)
			return p, true
		}
		return s.open(p, atFirstValue, ']'), true
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		s.number = beforeNumber
		return s.restOfNumber(line, p)
	case 't':
		return s.literal(line, p, "true")
	case 'f':
		return s.literal(line, p, "false")
	case 'n':
		return s.literal(line, p, "null")
	case ']':
		if s.state == atFirstValue {
			return s.close(p), true
		}
	case 0xEF:
		if s.state == atStart {
			return s.byteOrderMark(line, p)
		}
	}
	if numberClass[c] != classNone {
		return s.strangeWord(line, p)
	}
	s.breakOff(badGrammar)
	return p, true
}

// endValue ends a value that is no object or array, behind its last byte at p.
func (s *scanner) endValue(line []byte, p int) {
	if s.header.want != nothing {
		s.endWanted(line, p)
	}
	s.state = atComma
	if s.depth == 0 {
		s.state = atEnd
	}
}

// open enters an object or array.
func (s *scanner) open(p int, next state, closer byte) int {
	if s.depth == maxDepth {
		s.breakOff(tooDeep)
		return p
	}
	if s.depth == maxDepthClient {
		s.tracking = false // so that there are no more levels of keys
		if s.strict {
			s.refuse(tooDeep)
		}
	}
	s.depth++
	s.closers[s.depth] = closer
	if closer == '}' && s.tracking {
		s.keys.push()
	}
	if s.depth <= s.deepest+1 {
		s.findPlace()
	}
	s.state = next
	return p + 1
}

// close leaves the innermost object or array.
func (s *scanner) close(p int) int {
	if s.inObject() && s.tracking {
		s.keys.pop()
	}
	s.depth--
	s.state = atComma
	if s.depth == 0 {
		s.state = atEnd
	}
	if s.depth <= s.deepest {
		s.findPlace()
	}
	return p + 1
}

// inObject reports whether the innermost open value is an object, no array.
func (s *scanner) inObject() bool { return s.closer() == '}' }

// closer returns what closes the innermost open value.
func (s *scanner) closer() byte { return s.closers[s.depth] }

// separator reads what stands behind a value inside an object or array.
func (s *scanner) separator(p int, c byte) int {
	switch {
	case c == ',' && s.inObject():
		s.state = atKey
	case c == ',':
		s.state = atValue
	case c == s.closer():
		return s.close(p)
	default:
		s.breakOff(badGrammar)
		return p
	}
	return p + 1
}

// key reads a key, behind its quote.
func (s *scanner) key(line []byte, p int) (int, bool) {
	s.from, s.escaped, s.damaged = p, false, false
	s.state = inKey
	return s.restOfKey(line, p)
}

// restOfKey reads a key to its end, and the closing quote and a colon that stands right behind.
func (s *scanner) restOfKey(line []byte, p int) (int, bool) {
	p, ok := s.text(line, p)
	if !ok {
		return p, false
	}
	if s.tracking && s.strict || s.header.place == inEnvelope {
		s.endKey(line, p)
	}
	if p++; p < len(line) && line[p] == ':' {
		s.state = atValue
		return p + 1, true
	}
	s.state = atColon
	return p, true
}

// restOfString reads a string value to its end.
func (s *scanner) restOfString(line []byte, p int) (int, bool) {
	p, ok := s.text(line, p)
	if !ok {
		s.state = inString
		return p, false
	}
	s.endValue(line, p)
	return p + 1, true
}

// droppable returns how many bytes before p the scanner will not look at again, given that the line is refused.
// A token is kept that may be the id, or a key of the message, until it is too long to be one.
func (s *scanner) droppable(p int) int {
	keep := s.state == inKey && s.header.place == inEnvelope ||
		(s.state == inString || s.state == inNumber) && s.header.want == theID
	if !keep || p-s.from > maxIDRaw {
		return p
	}
	if s.state == inString {
		return s.from - 1
	}
	return s.from
}

// rebase tells the scanner that the first n bytes of the line are gone. A token that began there begins before 0.
func (s *scanner) rebase(n int) { s.from = max(s.from-n, -mostMax) }
