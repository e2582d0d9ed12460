package frame_test

import (
	"encoding/json"
	"math/big"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"mcp-valet/wrapper/frame"
)

// The oracle judges a client's line a second time, slowly and in the plainest way: encoding/json says whether it is
// JSON, a parser of a few lines takes it apart, and the rules are asked one after the other.

// node is a JSON value: members of an object, elements of an array, or raw text.
type node struct {
	raw     string
	keys    []string // raw, of an object
	values  []node   // of an object or array
	nesting int
}

// parse reads the value at the start of s, which is valid JSON, and returns what comes behind it.
func parse(s string) (node, string) {
	s = trimSpace(s)
	switch s[0] {
	case '{', '[':
		n := node{raw: s[:1], nesting: 1}
		for s = trimSpace(s[1:]); s[0] != '}' && s[0] != ']'; {
			if n.raw == "{" {
				var key node
				key, s = parse(s)
				n.keys = append(n.keys, key.raw)
				s = trimSpace(s)[1:]
			}
			var value node
			value, s = parse(s)
			n.values = append(n.values, value)
			n.nesting = max(n.nesting, 1+value.nesting)
			if s = trimSpace(s); s[0] == ',' {
				s = trimSpace(s[1:])
			}
		}
		return n, s[1:]
	case '"':
		for i := 1; ; i++ {
			if s[i] == '\\' {
				i++
			} else if s[i] == '"' {
				return node{raw: s[:i+1]}, s[i+1:]
			}
		}
	}
	end := strings.IndexAny(s, " \t\r\n,]}")
	if end < 0 {
		end = len(s)
	}
	return node{raw: s[:end]}, s[end:]
}

func trimSpace(s string) string { return strings.TrimLeft(s, " \t\r\n") }

// member returns the last value of a key, decoded.
func (n node) member(key string) (value node, ok bool) {
	for i, k := range n.keys {
		if text(k) == key {
			value, ok = n.values[i], true
		}
	}
	return value, ok
}

func text(raw string) string {
	var s string
	if json.Unmarshal([]byte(raw), &s) != nil {
		return ""
	}
	return s
}

// hasLone reports whether a raw string has a surrogate without its other half.
func hasLone(raw string) bool {
	var units []uint16
	for s := raw; s != ""; {
		switch {
		case strings.HasPrefix(s, `\u`):
			var unit uint16
			for _, c := range s[2:6] {
				unit = unit<<4 | uint16(strings.IndexRune("0123456789abcdef", unicode.ToLower(c)))
			}
			units, s = append(units, unit), s[6:]
		case s[0] == '\\':
			units, s = append(units, 0), s[2:]
		default:
			units, s = append(units, 0), s[1:]
		}
	}
	for i := 0; i < len(units); i++ {
		if !utf16.IsSurrogate(rune(units[i])) {
			continue
		}
		if i+1 == len(units) || utf16.DecodeRune(rune(units[i]), rune(units[i+1])) == utf8.RuneError {
			return true
		}
		i++
	}
	return false
}

// plainKeys reports whether no object in n repeats a key or has one with a lone surrogate.
func (n node) plainKeys() bool {
	seen := map[string]bool{}
	for _, k := range n.keys {
		if seen[text(k)] || hasLone(k) {
			return false
		}
		seen[text(k)] = true
	}
	for _, v := range n.values {
		if !v.plainKeys() {
			return false
		}
	}
	return true
}

// oneFold reports whether no two keys of n, and no key and a known one, differ only in case.
func (n node) oneFold(known ...string) bool {
	dotless := strings.NewReplacer("İ", "i", "ı", "i").Replace
	all := append([]string(nil), known...)
	for _, raw := range n.keys {
		k := text(raw)
		for _, other := range all {
			if k != other && strings.EqualFold(dotless(k), dotless(other)) {
				return false
			}
		}
		if strings.Contains(k, "\x00") || k == "__proto__" {
			return false
		}
		all = append(all, k)
	}
	return true
}

// wellFormed reports whether n is a string that names one thing to all parsers.
func (n node) wellFormed(most int) bool {
	t := text(n.raw)
	return n.raw[0] == '"' && !hasLone(n.raw) && !strings.Contains(t, "\x00") && len(t) <= most
}

// legalID reports whether n is a string or an integer within ±2^53.
func (n node) legalID() bool {
	switch c := n.raw[0]; {
	case c == '"':
		return !hasLone(n.raw) && len(text(n.raw)) <= 1024
	case c == '-' || '0' <= c && c <= '9':
		r := number(n.raw)
		return len(n.raw) <= 6146 && r != nil && r.IsInt() && new(big.Int).Abs(r.Num()).Cmp(big.NewInt(1<<53)) < 0
	}
	return false
}

// number returns the value of a JSON number, or nil when it is too large or small to be worth writing out.
func number(raw string) *big.Rat {
	mantissa, exponent := raw, ""
	if i := strings.IndexAny(raw, "eE"); i >= 0 {
		mantissa, exponent = raw[:i], strings.TrimLeft(raw[i+1:], "+-0")
	}
	if strings.Trim(mantissa, "-0.") == "" {
		return new(big.Rat)
	}
	if len(exponent) > 4 {
		return nil
	}
	r, _ := new(big.Rat).SetString(raw)
	return r
}

const metaPrefix = "io.modelcontextprotocol/"

// judge says whether a client's line, without its newline, is to be passed, and as what.
func judge(line string) (frame.Message, bool) {
	none := frame.Message{}
	if !json.Valid([]byte(line)) || !utf8.ValidString(line) {
		return none, false
	}
	if strings.Contains(strings.Trim(line, " \t\r"), "\r") {
		return none, false // a line's end to many readers of lines
	}
	root, _ := parse(line)
	if root.raw != "{" || root.nesting > 512 || !root.plainKeys() {
		return none, false
	}
	for _, k := range root.keys {
		if !strings.Contains("|jsonrpc|id|method|params|result|error|", "|"+text(k)+"|") {
			return none, false
		}
	}
	if v, ok := root.member("jsonrpc"); !ok || text(v.raw) != "2.0" {
		return none, false
	}
	id, hasID := root.member("id")
	method, hasMethod := root.member("method")
	_, hasResult := root.member("result")
	_, hasError := root.member("error")
	params, hasParams := root.member("params")
	if !hasMethod {
		fine := hasResult != hasError && !hasParams &&
			(hasID && id.legalID() || hasError && (!hasID || id.raw == "null"))
		return frame.Message{Kind: frame.Response}, fine
	}
	m := frame.Message{Kind: frame.Notification, Method: text(method.raw)}
	if hasID {
		m.Kind = frame.Request
	}
	if hasResult || hasError || hasID && !id.legalID() || !method.wellFormed(256) || m.Method == "" {
		return none, false
	}
	if !hasParams {
		return m, true
	}
	return m, params.raw == "{" && judgeParams(params, &m)
}

func judgeParams(params node, m *frame.Message) bool {
	if !params.oneFold("name", "uri", "_meta", "protocolVersion", "arguments", "ref", "task") {
		return false
	}
	meta, _ := params.member("_meta")
	if !meta.oneFold(metaPrefix+"protocolVersion", metaPrefix+"clientCapabilities", metaPrefix+"clientInfo", metaPrefix+"logLevel", "progressToken") {
		return false
	}
	for _, raw := range meta.keys {
		k := text(raw)
		for i := range k {
			if k[:i] != metaPrefix && strings.EqualFold(k[:i], metaPrefix) {
				return false
			}
		}
	}
	if v, ok := meta.member(metaPrefix + "protocolVersion"); ok && v.raw[0] == '"' {
		m.Modern, m.ProtocolVersion = true, text(v.raw)
		if !v.wellFormed(64) {
			return false
		}
	} else if v, ok := params.member("protocolVersion"); ok && v.raw[0] == '"' && m.Method == "initialize" {
		m.ProtocolVersion = text(v.raw)
		if !v.wellFormed(64) {
			return false
		}
	}
	name, hasName := params.member("name")
	uri, hasURI := params.member("uri")
	switch {
	case hasName && (m.Method == "tools/call" || m.Method == "prompts/get"):
		m.Name = text(name.raw)
		return name.wellFormed(1024)
	case hasURI && strings.HasPrefix(m.Method, "resources/"):
		m.URI = text(uri.raw)
		return uri.wellFormed(64 << 10)
	}
	return true
}
