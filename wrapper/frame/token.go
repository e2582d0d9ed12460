package frame

// text walks through the inside of a string from p to its closing quote. It stops before when the line ends, or at
// what only more bytes can tell.
func (s *scanner) text(line []byte, p int) (int, bool) {
	for {
		p = plainEnd(line, p, s.high)
		if p == len(line) {
			return p, false
		}
		size, why := 0, refusal(0)
		switch c := line[p]; {
		case c == '"':
			return p, true
		case c == '\n':
			return p, false
		case c == '\\':
			s.escaped = true
			size, why = escapeLen(line[p:]), badEscape
		case c >= 0x80:
			size, why = runesLen(line[p:]), badUTF8
		default:
			size, why = invalid, badControl
		}
		switch size {
		case incomplete:
			return p, false
		case invalid:
			s.refuse(why)
			s.damaged = true
			size = 1
		}
		p += size
	}
}

// literal reads the literal word, which begins like the value at p.
func (s *scanner) literal(line []byte, p int, word string) (int, bool) {
	rest := line[p:]
	if len(rest) >= len(word) && string(rest[:len(word)]) == word {
		s.endValue(line, p+len(word))
		return p + len(word), true
	}
	if len(rest) < len(word) && string(rest) == word[:len(rest)] {
		return p, false
	}
	return s.strangeWord(line, p)
}

// strangeWord deals with a word at p that is no JSON, such as NaN: inside a message it is passed over, but a line
// that begins with one is some other text.
func (s *scanner) strangeWord(line []byte, p int) (int, bool) {
	if s.depth == 0 {
		s.breakOff(badGrammar)
		return p, true
	}
	s.refuse(badLiteral)
	return s.restOfWord(line, p)
}

// restOfWord passes over the rest of a word that is no JSON.
func (s *scanner) restOfWord(line []byte, p int) (int, bool) {
	s.state = inWord
	s.damaged = true
	for p < len(line) {
		if numberClass[line[p]] == classNone {
			s.endValue(line, p)
			return p, true
		}
		p++
	}
	return p, false
}

// byteOrderMark passes over U+FEFF before the message, which is refused for it.
func (s *scanner) byteOrderMark(line []byte, p int) (int, bool) {
	const mark = "\xEF\xBB\xBF"
	rest := line[p:]
	if len(rest) >= len(mark) && string(rest[:len(mark)]) == mark {
		s.refuse(badBOM)
		return p + len(mark), true
	}
	if len(rest) < len(mark) && string(rest) == mark[:len(rest)] {
		return p, false
	}
	s.breakOff(badGrammar)
	return p, true
}

// How far a number has come (RFC 8259, section 6).
const (
	beforeNumber = iota
	afterMinus
	afterPoint
	afterE
	afterESign
	afterZero // from here on, it may end
	inInteger // from here on, digits may follow
	inFraction
	inExponent
	noNumber

	mayEnd   = afterZero
	inDigits = inInteger
)

// Classes of the bytes that numbers and bare words are made of.
const (
	classNone = iota
	classZero
	classDigit
	classMinus
	classPlus
	classPoint
	classE
	classWord
	classes
)

var numberClass = func() (t [256]byte) {
	for c := 'A'; c <= 'Z'; c++ {
		t[c], t[c+'a'-'A'] = classWord, classWord
	}
	for c := '1'; c <= '9'; c++ {
		t[c] = classDigit
	}
	t['0'], t['-'], t['+'], t['.'], t['_'] = classZero, classMinus, classPlus, classPoint, classWord
	t['e'], t['E'] = classE, classE
	return t
}()

// numberNext is where each class of byte takes a number; where it cannot go on, noNumber.
var numberNext = func() (t [noNumber][classes]byte) {
	for i := range t {
		for j := range t[i] {
			t[i][j] = noNumber
		}
	}
	digits := func(from, to int) { t[from][classZero], t[from][classDigit] = byte(to), byte(to) }
	t[beforeNumber][classMinus] = afterMinus
	for _, from := range []int{beforeNumber, afterMinus} {
		t[from][classZero], t[from][classDigit] = afterZero, inInteger
	}
	digits(inInteger, inInteger)
	digits(afterPoint, inFraction)
	digits(inFraction, inFraction)
	digits(afterE, inExponent)
	digits(afterESign, inExponent)
	digits(inExponent, inExponent)
	for _, from := range []int{afterZero, inInteger} {
		t[from][classPoint], t[from][classE] = afterPoint, afterE
	}
	t[inFraction][classE] = afterE
	t[afterE][classPlus], t[afterE][classMinus] = afterESign, afterESign
	return t
}()

// restOfNumber reads a number to its end.
func (s *scanner) restOfNumber(line []byte, p int) (int, bool) {
	at := s.number
	for p < len(line) {
		class := numberClass[line[p]]
		if class == classNone {
			if at < mayEnd {
				s.refuse(badNumber)
				s.damaged = true
			}
			s.endValue(line, p)
			return p, true
		}
		if at = numberNext[at][class]; at == noNumber {
			s.refuse(badNumber)
			return s.restOfWord(line, p)
		}
		p++
		if at >= inDigits {
			for p < len(line) && line[p]-'0' <= 9 {
				p++
			}
		}
	}
	s.state, s.number = inNumber, at
	return p, false
}
