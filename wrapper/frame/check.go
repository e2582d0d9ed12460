package frame

import (
	"strings"
	"unicode/utf8"
)

const (
	// maxMethod limits a method, in decoded bytes.
	maxMethod = 256
	// maxName limits a tool's or prompt's name; MCP asks for at most 128 characters.
	maxName = 1024
	// maxURI limits a resource's URI.
	maxURI = 64 << 10
	// maxVersion limits a protocol version; they are dates.
	maxVersion = 64
)

// check judges a whole line and fills in m what its header says. It returns why the line is not passed, or zero.
func (s *scanner) check(line []byte, m *Message, names *interned) refusal {
	if s.bad != 0 {
		return s.bad
	}
	if s.rootKind != '{' {
		return notObject
	}
	if !s.isVersion2(line) {
		return badVersion
	}
	m.Kind, m.ID = s.kind(), s.header.id
	if why := s.checkShape(); why != 0 {
		return why
	}
	if why := s.checkID(m.Kind); why != 0 {
		return why
	}
	if m.Kind == Response {
		return 0
	}
	if why := s.readMethod(line, m, names); why != 0 {
		return why
	}
	if s.strict {
		return s.readParams(line, m, names)
	}
	return 0
}

// kind tells what the message is, as far as the line could be followed.
func (s *scanner) kind() Kind {
	h := &s.header
	switch {
	case h.has(theMethod) && h.has(theID):
		return Request
	case h.has(theMethod) && s.state == atBroken:
		return Unknown // an id may have followed
	case h.has(theMethod):
		return Notification
	case h.has(theResult) || h.has(theError):
		return Response
	case !s.strict && h.has(theID):
		return Response // a go-sdk server leaves out a result that is null, and go-sdk clients read that
	}
	return Unknown
}

// answerID returns the id under which a refusal is to be answered: zero when there is none, when it could be another,
// or when it is no JSON-RPC id.
func (s *scanner) answerID() ID {
	h := &s.header
	if h.ambiguous || h.id.kind != stringID && h.id.kind != numberID {
		return ID{}
	}
	if s.state == atBroken && s.kind() == Unknown {
		return ID{} // it may be the id of a response, and so the server's
	}
	return h.id
}

func (s *scanner) isVersion2(line []byte) bool {
	v := s.header.values[theJSONRPC]
	if v.kind != '"' || v.to-v.from > int32(6*len("2.0")) {
		return false
	}
	var room [8]byte
	text, _ := unquote(room[:0], line[v.from:v.to])
	return string(text) == "2.0"
}

// checkShape looks at which members there are.
func (s *scanner) checkShape() refusal {
	h := &s.header
	method, result, fault := h.has(theMethod), h.has(theResult), h.has(theError)
	switch {
	case method && (result || fault):
		return methodAndResult
	case s.kind() == Unknown:
		return noMethod
	case !s.strict:
		return 0
	case result && fault:
		return resultAndError
	case !method && h.has(theParams):
		return strayParams
	}
	return 0
}

func (s *scanner) checkID(kind Kind) refusal {
	h := &s.header
	switch {
	case h.has(theID) && (h.id.kind == noID || h.id.kind == otherID):
		return badID
	case !s.strict || kind == Notification:
		return 0
	case kind == Response && h.id.kind != stringID && h.id.kind != numberID:
		// JSON-RPC 2.0, section 5: an error for a request whose id could not be read has the id null.
		if h.has(theResult) {
			return noResponseID
		}
		return 0
	}
	return h.id.check()
}

func (s *scanner) readMethod(line []byte, m *Message, names *interned) refusal {
	v := s.header.values[theMethod]
	if v.kind != '"' || v.from == v.to {
		return badMethod
	}
	if v.to-v.from > 6*maxMethod {
		return longMethod
	}
	text, lone := v.text(line, names.room[:0])
	switch {
	case len(text) > maxMethod:
		return longMethod
	case s.strict && (lone || hasNUL(text)):
		return badMethodText
	}
	m.Method = names.get(text)
	if !utf8.ValidString(m.Method) {
		m.Method = strings.ToValidUTF8(m.Method, "\uFFFD") // only from a server
	}
	return 0
}

func (s *scanner) readParams(line []byte, m *Message, names *interned) refusal {
	h := &s.header
	if params := h.values[theParams].kind; params != 0 && params != '{' {
		return badParams
	}
	var why refusal
	switch {
	case m.Method == "tools/call" || m.Method == "prompts/get":
		m.Name, why = h.readString(line, theName, maxName, names, badName, longName)
	case strings.HasPrefix(m.Method, "resources/"):
		m.URI, why = h.readString(line, theURI, maxURI, names, badURI, longURI)
	}
	if why != 0 {
		return why
	}
	version := theRequestVersion
	m.Modern = h.values[version].kind == '"'
	if !m.Modern && m.Method == "initialize" {
		version = theVersion
	}
	if h.values[version].kind == '"' {
		m.ProtocolVersion, why = h.readString(line, version, maxVersion, names, longVersion, longVersion)
	}
	return why
}

// readString returns the text of a member that is a string when it is there at all.
func (h *header) readString(line []byte, w wanted, most int, names *interned, malformed, long refusal) (string, refusal) {
	v := h.values[w]
	if v.kind == 0 {
		return "", 0
	}
	if v.kind != '"' {
		return "", malformed
	}
	if int(v.to-v.from) > 6*most {
		return "", long
	}
	text, lone := v.text(line, names.room[:0])
	switch {
	case len(text) > most:
		return "", long
	case lone || hasNUL(text):
		return "", malformed
	}
	return names.get(text), 0
}

// text returns a string's text, in room when it is not in the line.
func (v *found) text(line, room []byte) (text []byte, lone bool) {
	raw := line[v.from:v.to]
	if !v.escaped {
		return raw, false
	}
	return unquote(room, raw)
}

// interned keeps the strings that message after message has: methods, tool names, versions.
type interned struct {
	table [64]string
	room  [maxMethod]byte
}

func (t *interned) get(text []byte) string {
	if len(text) == 0 || len(text) > maxMethod {
		return string(text)
	}
	hash := uint32(len(text))
	for _, c := range text {
		hash = (hash ^ uint32(c)) * 0x01000193 // FNV-1a
	}
	s := &t.table[hash>>16&63^hash&63]
	if *s != string(text) {
		*s = string(text)
	}
	return *s
}
