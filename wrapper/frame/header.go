package frame

import "strings"

// place says which object of a message the scanner stands in, where members mean something to the header check.
type place uint8

const (
	elsewhere place = iota
	inEnvelope
	inParams
	inMeta

	// deepestPlace is the depth of params._meta.
	deepestPlace = 3
)

// wanted names a member whose value the header check needs.
type wanted uint8

const (
	nothing wanted = iota
	theJSONRPC
	theID
	theMethod
	theParams
	theResult
	theError
	theName           // params.name
	theURI            // params.uri
	theVersion        // params.protocolVersion
	theMeta           // params._meta
	theRequestVersion // params._meta["io.modelcontextprotocol/protocolVersion"]
	allWanted
)

// found is a value of a wanted member.
type found struct {
	kind     byte // its first byte, which tells its type; 0 when absent, damaged when it is no JSON
	escaped  bool
	from, to int32 // a string's inside, or the whole of another value that is no object or array
}

const damaged = '?'

// header is what a scanner noted of the header of a message.
type header struct {
	place     place
	want      wanted // the member whose value comes next, or is being read
	field     wanted // the member of the envelope at hand
	member    wanted // the member of params at hand
	ambiguous bool   // there may be more than one id
	values    [allWanted]found
	id        ID
}

func (h *header) reset() { *h = header{} }

func (h *header) has(w wanted) bool { return h.values[w].kind != 0 }

// begin notes the type of the wanted value that begins with c.
func (h *header) begin(c byte) {
	h.values[h.want].kind = c
	if c == '{' || c == '[' {
		h.want = nothing
	}
}

// endWanted notes where the wanted value was, which ended before p.
func (s *scanner) endWanted(line []byte, p int) {
	h := &s.header
	v := &h.values[h.want]
	v.from, v.to, v.escaped = int32(s.from), int32(p), s.escaped
	if s.damaged {
		v.kind = damaged
	}
	if h.want == theID {
		h.id = s.endID(line, v)
	}
	h.want = nothing
}

// endID returns the id just read.
func (s *scanner) endID(line []byte, v *found) ID {
	from, to, kind := v.from, v.to, otherID
	switch v.kind {
	case '"':
		from, to, kind = from-1, to+1, stringID
	case 'n':
		kind = nullID
	case damaged, 't', 'f':
		return ID{kind: otherID}
	default:
		kind = numberID
	}
	if to-from > maxIDRaw { // also when its beginning is gone: see rebase
		s.refuse(longID)
		return ID{kind: otherID}
	}
	return newID(kind, line[from:to])
}

// findPlace tells where the scanner stands after an object or array was opened or closed.
func (s *scanner) findPlace() {
	h := &s.header
	h.place = elsewhere
	if s.depth == 0 || !s.inObject() {
		return
	}
	params := s.strict && h.field == theParams
	switch {
	case s.depth == 1:
		h.place = inEnvelope
	case s.depth == 2 && params:
		h.place = inParams
	case s.depth == 3 && params && h.member == theMeta:
		h.place = inMeta
	}
}

// endKey looks at the key that ended before p.
func (s *scanner) endKey(line []byte, p int) {
	h := &s.header
	h.want = nothing
	if s.damaged || h.place == inEnvelope && p-s.from > maxIDRaw {
		s.endStrangeKey()
		return
	}
	key, ref := line[s.from:p], keyRef{uint32(s.from), uint32(p - s.from)}
	if s.escaped {
		from, lone := len(s.keys.arena), false
		s.keys.arena, lone = unquote(s.keys.arena, key)
		key, ref = s.keys.made(from)
		if lone && s.strict {
			s.refuse(loneSurrogateKey)
		}
	}
	switch h.place {
	case inEnvelope:
		s.envelopeKey(key)
		s.keys.arena = s.keys.arena[:0]
	case inParams, inMeta:
		s.paramsKey(line, key, ref)
	default:
		if s.keys.add(line, printOf(key), ref) {
			s.refuse(repeatedKey)
		}
	}
}

// endStrangeKey deals with a key that is not worth reading.
func (s *scanner) endStrangeKey() {
	if s.header.place != inEnvelope {
		return // damaged: the line is refused already
	}
	s.header.field = nothing
	if s.strict {
		s.refuse(unknownMember)
	}
}

// envelopeKey takes a key of the message itself.
func (s *scanner) envelopeKey(key []byte) {
	h := &s.header
	h.field = envelopeMember(key)
	if h.field == nothing {
		s.unknownMember(key)
		return
	}
	if h.has(h.field) {
		h.ambiguous = h.ambiguous || h.field == theID
		if s.strict || h.field <= theMethod {
			s.refuse(repeatedMember)
		}
	}
	h.want = h.field
	h.values[h.field] = found{kind: damaged} // until its value comes
}

func envelopeMember(key []byte) wanted {
	switch string(key) {
	case "jsonrpc":
		return theJSONRPC
	case "id":
		return theID
	case "method":
		return theMethod
	case "params":
		return theParams
	case "result":
		return theResult
	case "error":
		return theError
	}
	return nothing
}

// unknownMember refuses a member of the envelope that JSON-RPC does not know: some parsers ignore its like, some
// take it for a known one.
func (s *scanner) unknownMember(key []byte) {
	if !s.strict {
		return
	}
	twin := envelopeMember(appendFold(nil, key))
	s.header.ambiguous = s.header.ambiguous || twin == theID
	switch {
	case hasNUL(key):
		s.refuse(nulInKey)
	case twin != nothing:
		s.refuse(caseTwinMember)
	default:
		s.refuse(unknownMember)
	}
}

// paramsKey takes a key of params or params._meta.
func (s *scanner) paramsKey(line, key []byte, ref keyRef) {
	h := &s.header
	fold := key
	if !folded(key) {
		from := len(s.keys.arena)
		s.keys.arena = appendFold(s.keys.arena, key)
		fold, ref = s.keys.made(from)
	}
	var k knownKey
	if h.place == inParams {
		k = paramsMember(fold)
	} else {
		k = metaMember(fold)
	}
	isKnown := k.name != ""
	switch {
	case hasNUL(key):
		s.refuse(nulInKey)
	case isKnown && k.name != string(key), !isKnown && strings.HasPrefix(string(fold), metaPrefix) && !strings.HasPrefix(string(key), metaPrefix):
		s.refuse(caseTwinParam)
	case string(key) == "__proto__":
		s.refuse(protoParam)
	case s.keys.add(line, printOf(fold), ref):
		s.refuse(repeatedParam)
	}
	if h.place == inParams {
		h.member = k.what
	}
	if k.what != nothing {
		h.want = k.what
	}
}

// metaPrefix begins the keys of _meta that MCP gives a meaning to.
const metaPrefix = "io.modelcontextprotocol/"

// knownKey is a key that a server may judge by, and so must have no twin.
type knownKey struct {
	name string
	what wanted
}

// paramsMember returns the key of params that has a fold, or the zero value.
func paramsMember(fold []byte) knownKey {
	switch string(fold) {
	case "name":
		return knownKey{"name", theName}
	case "uri":
		return knownKey{"uri", theURI}
	case "_meta":
		return knownKey{"_meta", theMeta}
	case "protocolversion":
		return knownKey{"protocolVersion", theVersion}
	case "arguments":
		return knownKey{"arguments", nothing}
	case "ref":
		return knownKey{"ref", nothing}
	case "task":
		return knownKey{"task", nothing}
	}
	return knownKey{}
}

// metaMember returns the key of params._meta that has a fold, or the zero value.
func metaMember(fold []byte) knownKey {
	switch string(fold) {
	case metaPrefix + "protocolversion":
		return knownKey{metaPrefix + "protocolVersion", theRequestVersion}
	case metaPrefix + "clientcapabilities":
		return knownKey{metaPrefix + "clientCapabilities", nothing}
	case metaPrefix + "clientinfo":
		return knownKey{metaPrefix + "clientInfo", nothing}
	case metaPrefix + "loglevel":
		return knownKey{metaPrefix + "logLevel", nothing}
	case "progresstoken":
		return knownKey{"progressToken", nothing}
	}
	return knownKey{}
}
