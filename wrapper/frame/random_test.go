package frame_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"mcp-valet/wrapper/frame"
)

// writer writes lines that look like a client's, with every trap that this package knows strewn in. What it writes
// is decided by a stream of choices, so that fuzzing can vary it in meaningful steps.
type writer struct {
	strings.Builder
	choices []byte
}

func (w *writer) choose(n int) int {
	if len(w.choices) == 0 {
		return 0
	}
	c := int(w.choices[0])
	w.choices = w.choices[1:]
	return c % n
}

func (w *writer) oneOf(texts ...string) { w.WriteString(texts[w.choose(len(texts))]) }

// rarely takes a choice that is nearly always no.
func (w *writer) rarely() bool { return w.choose(24) == 23 }

// space writes what is nearly always no or harmless white space.
func (w *writer) space() {
	switch w.choose(16) {
	case 13:
		w.WriteByte(' ')
	case 14:
		w.oneOf(" \t", "\r")
	case 15:
		w.oneOf("", "", "", " ", "\u00a0", "\x00", "\x0b", "\ufeff", "/**/")
	}
}

func (w *writer) line() {
	w.space()
	w.object(w.envelopeMembers)
	w.space()
	if w.rarely() {
		w.oneOf("x", "{}", "1", ",")
	}
	w.WriteByte('\n')
}

func (w *writer) object(members func()) {
	w.WriteByte('{')
	w.space()
	members()
	w.space()
	if w.rarely() {
		w.oneOf(",", "]", "", "}}")
	}
	w.WriteByte('}')
}

// members writes some of the members that write knows, in any order.
func (w *writer) members(most int, write func()) {
	for i := range w.choose(most + 1) {
		if i > 0 {
			w.WriteByte(',')
			w.space()
		}
		write()
	}
}

func (w *writer) member(key string, value func()) {
	w.WriteByte('"')
	switch w.choose(24) {
	case 20:
		w.WriteString(strings.Replace(key, "e", `\u0065`, 1))
	case 21:
		w.WriteString(strings.ToUpper(key))
	case 22:
		w.WriteString(strings.NewReplacer("s", "\u017f", "k", "\u212a", "i", "\u0131").Replace(key))
	case 23:
		w.WriteString(key)
		w.oneOf(`\u0000`, `\ud800`, `\`, "\xff", "\x00", `\u`, `\ud83d\ude00`, "€", "é", "\U0001F600", "\xed\xa0\x80", "\xc0\x80", "\xe2\x82")
	default:
		w.WriteString(key)
	}
	w.WriteByte('"')
	w.space()
	w.WriteByte(':')
	w.space()
	value()
}

func (w *writer) envelopeMembers() {
	w.member("jsonrpc", func() { w.oneOf(`"2.0"`, `"2.0"`, `"2.0"`, `"2.0"`, `"2.0"`, `"2\u002e0"`, `2.0`, `"1.0"`) })
	w.WriteByte(',')
	switch w.choose(8) {
	case 0, 1, 2, 3, 4:
		w.member("method", w.method)
		w.WriteByte(',')
		w.member("params", w.params)
		if w.choose(3) > 0 {
			w.WriteByte(',')
			w.member("id", w.id)
		}
	case 5, 6:
		w.member("id", w.id)
		w.WriteByte(',')
		w.member([]string{"result", "error"}[w.choose(2)], w.value)
	default:
		w.members(5, func() {
			w.member([]string{"id", "method", "result", "error", "params", "x", "__proto__"}[w.choose(7)], w.value)
		})
	}
}

func (w *writer) method() {
	w.oneOf(`"tools/call"`, `"tools/call"`, `"tools\/call"`, `"prompts/get"`, `"resources/read"`, `"resources/read"`, `"initialize"`,
		`"x"`, `""`, `1`, `"tools/call\u0000"`, `"\udc00"`, `null`)
}

func (w *writer) id() {
	w.oneOf(`1`, `7`, `"a"`, `"\u0061"`, `7.0`, `7e0`, `-0`, `70e-1`, `0.07E+2`, `9007199254740991`, `9007199254740992`, `-9007199254740992`,
		`1.5`, `1e400`, `0e400`, `1e-400`, `07`, `-`, `null`, `true`, `{}`, `["id"]`, `"\ud800"`, `"\ud83d\ude00"`, `"€"`, `1e`, `1e+`, `.5`, `+1`, `1.`, `123456789012345678901234567890`)
}

func (w *writer) params() {
	switch w.choose(12) {
	case 11:
		w.value()
	default:
		w.object(func() {
			w.members(5, func() {
				switch key := []string{"name", "uri", "_meta", "arguments", "protocolVersion", "other", "Other", "__proto__"}[w.choose(8)]; key {
				case "name", "uri", "protocolVersion":
					w.member(key, w.value)
				case "_meta":
					w.member(key, w.meta)
				default:
					w.member(key, w.value)
				}
			})
		})
	}
}

func (w *writer) meta() {
	w.object(func() {
		w.members(3, func() {
			w.member([]string{metaPrefix + "protocolVersion", "progressToken", metaPrefix + "x", "traceparent", "IO.modelcontextprotocol/x"}[w.choose(5)], w.value)
		})
	})
}

func (w *writer) value() {
	switch w.choose(11) {
	case 10:
		w.rows()
	case 0, 1, 2:
		w.oneOf(`"a"`, `"danger"`, `""`, `"\n\t\"\\\/\b\f\r"`, `"\u00e9"`, `"naïve"`, `"булка"`, `"天地"`, `"😀"`, `"2026-07-28"`, `"a long string without anything in it"`,
			`"\ud800"`, `"\u0000"`, "\"\x7f\u2028\"", "\"\t\"", "\"\xff\"", "\"\xf4\x90\x80\x80\"", "\"\xf0\x8f\xbf\xbf\"", "\"\xe0\x9f\xbf\"", `"\x"`, `"\u12G4"`)
	case 3:
		w.oneOf("1", "-1.5e10", "0", "1e400", "01", "-", "NaN", "Infinity", "0x1", "1_000", "00", "1.e1", "--1")
	case 4:
		w.oneOf("true", "false", "null", "True", "nul", "tru", "nulll")
	case 5, 6:
		if w.choose(3) > 0 {
			w.object(func() {
				w.members(4, func() { w.member([]string{"a", "b", "k", "some long key", "K"}[w.choose(5)], w.value) })
			})
			return
		}
		w.object(func() {
			n := 10 + w.choose(40)
			for i := range n {
				if i > 0 {
					w.WriteByte(',')
				}
				w.member(strings.Repeat("k", 1+i%20)+string(rune('A'+w.choose(26)))+string(rune('A'+i%26))+"tail", func() { w.WriteByte('1') })
			}
		})
	case 7:
		w.WriteByte('[')
		w.space()
		w.members(3, w.value)
		w.space()
		w.WriteByte(']')
	case 8:
		n := []int{1, 100, 508, 509, 510, 511, 600}[w.choose(7)]
		w.WriteString(strings.Repeat("[", n) + strings.Repeat("]", n))
	default:
		w.WriteString("{}")
	}
}

// rows writes objects that have nearly the same keys.
func (w *writer) rows() {
	keys := []string{"id", "name", "a long key", "k", "e"}[:w.choose(6)]
	w.WriteByte('[')
	for i := range 1 + w.choose(4) {
		if i > 0 {
			w.WriteByte(',')
		}
		w.object(func() {
			for j, key := range keys {
				if j > 0 {
					w.WriteByte(',')
				}
				if w.rarely() {
					key = keys[w.choose(len(keys))]
				}
				w.member(key, func() { w.oneOf("1", "-2.5", `"text"`, "null", `{"k":1}`, `[{"k":1},{"k":2}]`, "[]", "{}") })
			}
		})
	}
	w.WriteByte(']')
}

func randomLines(choices []byte) string {
	w := &writer{choices: choices}
	for len(w.choices) > 0 {
		w.line()
	}
	return w.String()
}

func TestRandomMessages(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pass, all := 0, 0
	for range 8000 {
		choices := make([]byte, 5+random.IntN(60))
		for i := range choices {
			choices[i] = byte(random.Uint32())
		}
		in := randomLines(choices)
		for _, d := range []frame.Direction{frame.ClientToServer, frame.ServerToClient} {
			whole := checkLines(t, frame.NewReader(strings.NewReader(in), d, 0), in, d, 0)
			cut := checkLines(t, frame.NewReader(pieces(in, random.Uint64()), d, 0), in, d, 0)
			if whole != cut {
				t.Fatalf("%q\nwhole:\n%s\ncut:\n%s", in, whole, cut)
			}
			if d == frame.ClientToServer {
				all += strings.Count(whole, "\n")
				pass += strings.Count(whole, "\n") - strings.Count(whole, "-32")
			}
		}
	}
	if pass < all/10 || pass > all*9/10 {
		t.Errorf("%d of %d messages passed: this tests little", pass, all)
	}
	t.Logf("%d of %d messages passed", pass, all)
}

// FuzzMessages is TestRandomMessages with choices that fuzzing makes.
func FuzzMessages(f *testing.F) {
	f.Add([]byte("0123456789"), uint64(1))
	f.Add([]byte{0, 23, 5, 200, 100, 7, 7, 7, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39}, uint64(2))
	f.Fuzz(func(t *testing.T, choices []byte, cuts uint64) {
		in := randomLines(choices)
		for _, d := range []frame.Direction{frame.ClientToServer, frame.ServerToClient} {
			whole := checkLines(t, frame.NewReader(strings.NewReader(in), d, 0), in, d, 0)
			cut := checkLines(t, frame.NewReader(pieces(in, cuts), d, 0), in, d, 0)
			small := checkLines(t, frame.NewReader(strings.NewReader(in), d, 50), in, d, 50)
			if again := checkLines(t, frame.NewReader(pieces(in, cuts), d, 50), in, d, 50); whole != cut || small != again {
				t.Errorf("whole:\n%s\ncut:\n%s\nsmall:\n%s\ncut:\n%s", whole, cut, small, again)
			}
		}
	})
}
