package frame_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"mcp-valet/wrapper/frame"
)

// TestDifferential holds that a client's message that passes means to other parsers what it means to the reader: the
// same method, id, name and URI, and the same values at the same places in all of it.
func TestDifferential(t *testing.T) {
	type message struct {
		line string
		frame.Message
	}
	var accepted []message
	add := func(in string) {
		for line, m := range messages(in) {
			checkGo(t, line, m)
			checkLineEnds(t, line)
			accepted = append(accepted, message{line, m})
		}
	}
	all := everyInput()
	add(strings.Join(all, "\n"))
	random, most := rand.New(rand.NewPCG(3, 4)), 3000
	if testing.Short() {
		most = 500
	}
	for enough := len(accepted) + most; len(accepted) < enough; {
		var in strings.Builder // many in one stream, as a reader has a large buffer
		for range 50 {
			in.WriteString(randomLines(randomChoices(random)) + "\n")
			in.WriteString(damage(all[random.IntN(len(all))], random) + "\n")
		}
		add(in.String())
	}
	for _, l := range languages {
		t.Run(l.name, func(t *testing.T) {
			p := needParser(t, l)
			refused := 0
			for _, m := range accepted {
				if !checkParser(t, p, m.line, m.Message) {
					refused++
				}
			}
			t.Logf("%d messages, %d of which it does not read", len(accepted), refused)
		})
	}
}

func randomChoices(random *rand.Rand) []byte {
	choices := make([]byte, 5+random.IntN(60))
	for i := range choices {
		choices[i] = byte(random.Uint32())
	}
	return choices
}

// FuzzDifferential is TestDifferential with lines, or choices of the writer of lines, that fuzzing makes. Parsers that
// are not there are left out. It wants -fuzzminimizetime 20x: with so many long lines to begin with, making new ones
// shorter would take all the time.
func FuzzDifferential(f *testing.F) {
	for _, in := range everyInput() {
		f.Add([]byte(in), false)
	}
	f.Add([]byte{0, 23, 5, 200, 100, 7, 7, 7, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39}, true)
	var parsers []*parser
	for _, l := range languages {
		if p, err := startParser(f, l); err == nil {
			parsers = append(parsers, p)
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, choices bool) {
		lines := string(in)
		if choices {
			lines = randomLines(in)
		}
		for line, m := range messages(lines) {
			checkGo(t, line, m)
			checkLineEnds(t, line)
			for _, p := range parsers {
				checkParser(t, p, line, m)
			}
		}
	})
}

// everyInput returns the lines of all tables.
func everyInput() []string {
	var all []string
	seeds(nil, func(in string) { all = append(all, in) })
	return append(all, nasty()...)
}

// messages yields the messages of a client that pass, with their lines. All but Raw may be kept.
func messages(in string) func(yield func(string, frame.Message) bool) {
	return func(yield func(string, frame.Message) bool) {
		r := frame.NewReader(strings.NewReader(in), frame.ClientToServer, 0)
		for {
			m, err := r.Next()
			var v *frame.Violation
			if errors.As(err, &v) {
				continue
			}
			if err == io.EOF || err == nil && !yield(string(m.Raw), m) {
				return
			}
		}
	}
}

// damage puts something nasty into a line, in the place of nothing or of a few bytes.
func damage(line string, random *rand.Rand) string {
	for range 1 + random.IntN(2) {
		from := random.IntN(len(line) + 1)
		to := min(len(line), from+random.IntN(3)*random.IntN(4))
		line = line[:from] + nastyPieces[random.IntN(len(nastyPieces))] + line[to:]
	}
	return line
}

// checkParser compares a message with what a parser makes of it; false says that it makes nothing of it.
func checkParser(t *testing.T, p *parser, line string, m frame.Message) bool {
	t.Helper()
	got, err := p.ask(line)
	if err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	if got.Refused != "" {
		if !p.refuses(line) {
			t.Fatalf("%q: %s does not read it: %s", line, p.name, got.Refused)
		}
		return false
	}
	root, _ := parse(line)
	want := wantView(m, root)
	for _, v := range got.Views {
		if v != want {
			t.Fatalf("%q:\n%s sees %+v\nwe see %+v", line, p.name, v, want)
		}
	}
	sameLeaves(t, line, p.name, got.Leaves, root.leaves("", scalar, nil))
	return true
}

// checkGo compares a message with what encoding/json makes of it: exactly, and into a struct as servers do, which
// ignores case.
func checkGo(t *testing.T, line string, m frame.Message) {
	t.Helper()
	var loose struct {
		ID     json.RawMessage
		Method string
		Params struct {
			Name, URI, Arguments json.RawMessage
			ProtocolVersion      json.RawMessage
			Meta                 json.RawMessage `json:"_meta"`
		}
	}
	exact, params, meta := map[string]json.RawMessage{}, map[string]json.RawMessage{}, map[string]json.RawMessage{}
	if err := errors.Join(json.Unmarshal([]byte(line), &loose), json.Unmarshal([]byte(line), &exact)); err != nil {
		t.Fatalf("%q: encoding/json does not read it: %v", line, err)
	}
	json.Unmarshal(exact["params"], &params)
	json.Unmarshal(params["_meta"], &meta)
	root, _ := parse(line)
	want := wantView(m, root)
	const request = "io.modelcontextprotocol/protocolVersion"
	one := view{rawScalar(exact["method"]), goID(exact["id"]), rawScalar(params["name"]), rawScalar(params["uri"]),
		rawScalar(params["protocolVersion"]), rawScalar(meta[request])}
	clear(meta)
	json.Unmarshal(loose.Params.Meta, &meta)
	p := loose.Params
	other := view{"", goID(loose.ID), rawScalar(p.Name), rawScalar(p.URI), rawScalar(p.ProtocolVersion), rawScalar(meta[request])}
	if m.Kind != frame.Response {
		other.Method = "s" + printable(utf16.Encode([]rune(loose.Method)))
	}
	if one != want || other != want {
		t.Fatalf("%q:\nencoding/json sees %+v\nor, ignoring case, %+v\nwe see %+v", line, one, other, want)
	}
	raw := func(s string) string { return s }
	sameLeaves(t, line, "encoding/json", goLeaves([]byte(line), "", nil), root.leaves("", raw, nil))
	if arguments, ok := root.at("params", "arguments"); ok {
		sameLeaves(t, line, "encoding/json, ignoring case,", goLeaves(p.Arguments, "", nil), arguments.leaves("", raw, nil))
	}
}

// lineEnds are what some language's reader of lines ends a line at, and a message may have inside: Python's splitlines
// and Node's readline know all of them.
var lineEnds = regexp.MustCompile("[\r\u0085\u2028\u2029]")

// checkLineEnds holds that no part of a line between two such ends is a message of its own.
func checkLineEnds(t *testing.T, line string) {
	t.Helper()
	if strings.Trim(line, " \t\r\n") == strings.Trim(lineEnds.ReplaceAllString(line, " "), " \t\n") {
		return // there are none inside
	}
	for _, part := range lineEnds.Split(line, -1) {
		var m map[string]json.RawMessage
		if json.Unmarshal([]byte(part), &m) == nil && (m["method"] != nil || m["result"] != nil || m["error"] != nil) {
			t.Fatalf("%q has a message inside: %q", line, part)
		}
	}
}

func sameLeaves(t *testing.T, line, who string, got, want []string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("%q:\n%s sees %q\nthe line has %q", line, who, got, want)
	}
}

// wantView is what a parser is to see of the header of a message, whose root is given for what the check does not judge.
func wantView(m frame.Message, root node) view {
	v := view{ID: wantID(m.ID)}
	if m.Kind != frame.Response {
		v.Method = "s" + printable(utf16.Encode([]rune(m.Method)))
	}
	seen := func(judged bool, text string, path ...string) string {
		n, ok := root.at(path...)
		switch {
		case !ok && text == "":
			return ""
		case !judged:
			return scalar(n.raw)
		}
		return "s" + printable(utf16.Encode([]rune(text)))
	}
	v.Name = seen(m.Method == "tools/call" || m.Method == "prompts/get", m.Name, "params", "name")
	v.URI = seen(strings.HasPrefix(m.Method, "resources/"), m.URI, "params", "uri")
	requested, asked := "", ""
	if m.Modern {
		requested = m.ProtocolVersion
	} else {
		asked = m.ProtocolVersion
	}
	v.Request = seen(m.Modern, requested, "params", "_meta", metaPrefix+"protocolVersion")
	v.Version = seen(asked != "", asked, "params", "protocolVersion")
	return v
}

// wantID is an id as parsers are to see it, from its key.
func wantID(id frame.ID) string {
	switch key := id.Key(); {
	case strings.HasPrefix(key, "n") && key != "null":
		return "i" + key[1:]
	case strings.HasPrefix(key, "s"):
		return "s" + printable(utf16.Encode([]rune(key[1:])))
	default:
		return key
	}
}

// at returns the value at the end of a path of keys.
func (n node) at(path ...string) (node, bool) {
	ok := true
	for _, key := range path {
		if n, ok = n.member(key); !ok {
			return node{}, false
		}
	}
	return n, true
}

// leaves appends every value that has none inside, as path=value, where write writes a raw one.
func (n node) leaves(path string, write func(raw string) string, all []string) []string {
	if len(n.values) == 0 {
		return append(all, path+"="+write(n.raw))
	}
	for i, value := range n.values {
		step := fmt.Sprintf("[%d]", i)
		if n.raw == "{" {
			step = `"` + printable(units(n.keys[i])) + `"`
		}
		all = value.leaves(path+step, write, all)
	}
	return all
}

// goLeaves does the same by encoding/json, with raw values.
func goLeaves(raw json.RawMessage, path string, all []string) []string {
	var object map[string]json.RawMessage
	var array []json.RawMessage
	text := strings.Trim(string(raw), " \t\r\n")
	switch {
	case text[0] == '{' && json.Unmarshal(raw, &object) == nil && len(object) > 0:
		for key, value := range object {
			all = goLeaves(value, path+`"`+printable(utf16.Encode([]rune(key)))+`"`, all)
		}
		return all
	case text[0] == '[' && json.Unmarshal(raw, &array) == nil && len(array) > 0:
		for i, value := range array {
			all = goLeaves(value, fmt.Sprintf("%s[%d]", path, i), all)
		}
		return all
	case text[0] == '{' || text[0] == '[':
		text = text[:1] // white space may be inside
	}
	return append(all, path+"="+text)
}

// goID is an id as servers see it that decode it into any value.
func goID(raw json.RawMessage) string {
	var id any
	if json.Unmarshal(raw, &id) == nil {
		if f, ok := id.(float64); ok && f == math.Trunc(f) {
			i, _ := big.NewFloat(f).Int(nil)
			return "i" + i.String()
		}
	}
	return rawScalar(raw)
}

func rawScalar(raw json.RawMessage) string {
	if raw == nil {
		return ""
	}
	return scalar(strings.Trim(string(raw), " \t\r\n"))
}

// scalar writes a raw value as the parsers do.
func scalar(raw string) string {
	switch c := raw[0]; {
	case c == '"':
		return "s" + printable(units(raw))
	case c == '{' || c == '[':
		return raw[:1]
	case c == '-' || '0' <= c && c <= '9':
		f, _ := strconv.ParseFloat(raw, 64) // out of range it is infinite, as to the others
		if f == 0 {
			f = 0 // not -0
		}
		return fmt.Sprintf("n%016x", math.Float64bits(f))
	}
	return raw
}

// units are the UTF-16 units of a raw string.
func units(raw string) []uint16 {
	var all []uint16
	for s := raw[1 : len(raw)-1]; s != ""; {
		if s[0] != '\\' {
			end := strings.IndexByte(s, '\\')
			if end < 0 {
				end = len(s)
			}
			all, s = append(all, utf16.Encode([]rune(s[:end]))...), s[end:]
			continue
		}
		if s[1] == 'u' {
			n, _ := strconv.ParseUint(s[2:6], 16, 16)
			all, s = append(all, uint16(n)), s[6:]
			continue
		}
		plain := map[byte]uint16{'b': 8, 'f': 12, 'n': 10, 'r': 13, 't': 9}
		u, ok := plain[s[1]]
		if !ok {
			u = uint16(s[1])
		}
		all, s = append(all, u), s[2:]
	}
	return all
}
