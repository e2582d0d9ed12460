package wrapper

import "encoding/json"

// keepBuffer is the largest buffer in bytes that is kept from one message to the next.
const keepBuffer = 1 << 20

// messages masks whole messages, one after another.
type messages struct {
	*masker
	raw    *layer // what stands between quotes, as it is written
	line   []byte // the copy that is masked
	masked bool
	number bool // what is looked at is a number
}

func newMessages(m *masker) *messages {
	s := &messages{masker: m}
	if m != nil {
		s.raw = newLayers(m, s.star)
		s.raw.silent = true
	}
	return s
}

// mask returns line with its secrets masked: line itself when it has none, else a copy that is valid until the next
// call. Line is one JSON value. What can hold a secret is masked: strings, keys too, with `*`, numbers with 9.
// The id at the top is left alone when keepID says so: who asked chose it and knows its answer by it.
func (s *messages) mask(line []byte, keepID bool) []byte {
	if s.masker == nil || !s.suspect(line) {
		return line
	}
	if cap(s.line) > keepBuffer {
		s.line = nil
	}
	s.line, s.masked = append(s.line[:0], line...), false
	s.walk(line, keepID)
	if !s.masked {
		return line
	}
	return s.line
}

// walk looks at each string and number of line, which is known to be JSON: the frame reader has checked it.
func (s *messages) walk(line []byte, keepID bool) {
	depth := 0
	for i := 0; i < len(line); {
		switch c := line[i]; {
		case c == '"':
			end := stringEnd(line, i)
			s.number = false
			s.look(line, i+1, end-1)
			if value := memberValue(line, end); keepID && depth == 1 && value > 0 && isID(line[i:end]) {
				end = valueEnd(line, value)
			}
			i = end
		case isNumber(c):
			end := valueEnd(line, i)
			s.number = true
			s.look(line, i, end)
			i = end
		default:
			depth += nesting(c)
			i++
		}
	}
}

// look masks the secrets in line[start:end], which is the inside of a string, or a number.
func (s *messages) look(line []byte, start, end int) {
	s.raw.reset()
	s.raw.feedAll(line[start:end], int64(start))
}

// star masks from start to end: a number stays a number.
func (s *messages) star(start, end int64) {
	s.masked = true
	for i := start; i < end; i++ {
		switch c := s.line[i]; {
		case !s.number:
			s.line[i] = '*'
		case '0' <= c && c <= '9':
			s.line[i] = '9'
		}
	}
}

func isNumber(c byte) bool { return c == '-' || '0' <= c && c <= '9' }

// nesting is how much deeper the values after c lie.
func nesting(c byte) int {
	switch c {
	case '{', '[':
		return 1
	case '}', ']':
		return -1
	}
	return 0
}

// stringEnd is the place after the string that begins at line[i].
func stringEnd(line []byte, i int) int {
	for i++; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(line)
}

// memberValue is where the value begins whose key ends before line[i], or 0 when that was no key.
func memberValue(line []byte, i int) int {
	i = skipSpace(line, i)
	if i == len(line) || line[i] != ':' {
		return 0
	}
	return skipSpace(line, i+1)
}

func skipSpace(line []byte, i int) int {
	for i < len(line) && (line[i] == ' ' || line[i] == '\t' || line[i] == '\r' || line[i] == '\n') {
		i++
	}
	return i
}

// valueEnd is the place after the string, number or literal that begins at line[i], and i for anything else.
func valueEnd(line []byte, i int) int {
	if i < len(line) && line[i] == '"' {
		return stringEnd(line, i)
	}
	for i < len(line) && (isNumber(line[i]) || 'a' <= line[i] && line[i] <= 'z' || line[i] == 'E' || line[i] == '.' || line[i] == '+') {
		i++
	}
	return i
}

// isID tells whether key, a JSON string with its quotes, is "id" however it is written.
func isID(key []byte) bool {
	var s string
	return len(key) <= len(`"\u0069\u0064"`) && json.Unmarshal(key, &s) == nil && s == "id"
}
