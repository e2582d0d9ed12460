package frame_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"mcp-valet/wrapper/frame"
)

// What the rows below are to be refused for; "" passes. Only a client's are refused for a repeated key.
const (
	repeated = "message has an object with a repeated key"
	noJSON   = "message is not valid JSON"
)

// verdict returns the reason that the first message of in is refused for, or "".
func verdict(in io.Reader, d frame.Direction) string { return reason(frame.NewReader(in, d, 0).Next()) }

func reason(_ frame.Message, err error) string {
	var v *frame.Violation
	if errors.As(err, &v) {
		return v.Reason
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// rowsOf writes a message with an array of values, and text behind that the quick way wants to see ahead.
func rowsOf(values ...string) string {
	return string(call(`{"rows":[` + strings.Join(values, ",") + `],"text":"a text of more than the bytes that are looked ahead"}`))
}

// objectOf writes an object with keys in the order given, as they are written inside their quotes.
func objectOf(keys ...string) string {
	var s strings.Builder
	for i, key := range keys {
		fmt.Fprintf(&s, `,"%s":%d`, key, i)
	}
	return "{" + strings.TrimPrefix(s.String(), ",") + "}"
}

// numbered returns n different keys.
func numbered(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("k%d", i)
	}
	return keys
}

var siblings = []struct{ name, want, in string }{
	{"same", "", rowsOf(`{"a":1,"b":2}`, `{"a":1,"b":2}`, `{"a":1,"b":2}`)},
	{"same beginning, then one again", repeated, rowsOf(`{"a":1,"b":2,"c":3}`, `{"a":1,"b":2,"a":3}`)},
	{"all the same, then one again", repeated, rowsOf(`{"a":1,"b":2}`, `{"a":1,"b":2,"a":3}`)},
	{"other order", "", rowsOf(`{"a":1,"b":2,"c":3}`, `{"c":1,"b":2,"a":3}`)},
	{"one left out, then late", "", rowsOf(`{"a":1,"b":2,"c":3}`, `{"a":1,"c":2,"b":3}`)},
	{"one left out, next again", repeated, rowsOf(`{"a":1,"b":2,"c":3}`, `{"a":1,"c":2,"c":3}`)},
	{"shorter between", "", rowsOf(`{"a":1,"b":2,"c":3}`, `{"a":1}`, `{"a":1,"b":2,"c":3}`)},
	{"shorter between, then one again", repeated, rowsOf(`{"a":1,"b":2,"c":3}`, `{"a":1}`, `{"a":1,"b":2,"b":3}`)},
	{"empty between", repeated, rowsOf(`{"a":1,"b":2}`, `{}`, `{"a":1,"b":2,"a":3}`)},
	{"no objects between", repeated, rowsOf(`{"a":1,"b":2}`, `[1,"x"]`, `null`, `{"b":1,"a":2,"b":3}`)},
	{"refused one was the first", repeated, rowsOf(`{"a":1,"a":2}`, `{"a":1,"b":2}`)},
	{"nested", "", rowsOf(`{"a":{"x":1},"b":2}`, `{"a":{"a":1,"b":2},"b":2}`, `{"a":{"x":1},"b":2}`)},
	{"nested, inner again", repeated, rowsOf(`{"a":{"x":1},"b":2}`, `{"a":{"x":{"x":1},"x":2},"b":2}`)},
	{"nested, outer again", repeated, rowsOf(`{"a":{"x":1},"b":2}`, `{"a":{"x":1},"b":{"a":1},"a":2}`)},
	{"nested, outer one like an inner one before", repeated, rowsOf(`{"a":{"x":1,"b":2},"c":3}`, `{"a":{"x":1},"b":2,"b":3}`)},
	{"nested in arrays", "", rowsOf(`{"a":[{"x":1},{"x":1}],"b":2}`, `{"a":[{"x":1},{"y":1,"x":2}],"b":[{"x":1}]}`)},
	{"nested in arrays, again", repeated, rowsOf(`{"a":[{"x":1},{"x":1}]}`, `{"a":[{"x":1},{"x":1,"y":2,"x":3}]}`)},
	{"escaped, then plain", repeated, rowsOf(`{"a":1,"b":2}`, `{"a":1,"\u0062":2,"b":3}`)},
	{"plain, then escaped", repeated, rowsOf(`{"a":1,"b":2}`, `{"a":1,"b":2,"\u0061":3}`)},
	{"escaped before", repeated, rowsOf(`{"\u0061":1,"b":2}`, `{"a":1,"b":2}`, `{"a":1,"\u0061":2}`)},
	{"escaped before, passed", "", rowsOf(`{"\u0061":1,"b":2}`, `{"a":1,"b":2}`, `{"c\n":1,"a":2}`, `{"d\n":1,"a":2}`)},
	{"escaped and long before", "", rowsOf(`{"\u0061bcdefgh":1,"b":2}`, `{"abcdefgh":1,"b":2}`, `{"\u0061bcdefgi":1,"b":2}`, `{"abcdefgh":1,"b":2}`)},
	{"escaped and long before, again", repeated, rowsOf(`{"\u0061bcdefgh":1,"b":2}`, `{"abcdefgh":1,"b":2,"abcdefg\u0068":3}`)},
	{"quotes and colons in keys", "", rowsOf(`{"a":1,"a\":":2,"a\"":3}`, `{"a\":":1,"a":2,"a\"":3}`, `{"a":1,"a:":2,":":3}`)},
	{"a blank before the colon", "", rowsOf(`{"a" :1,"b" : 2}`, `{"a" :1,"b" : 2}`, `{"a":1,"b":2}`)},
	{"a blank before the colon, again", repeated, rowsOf(`{"a" :1,"b" : 2}`, `{"a" :1,"b" : 2,"a" :3}`)},
	{"blanks", "", rowsOf(`{"a": 1, "b": 2}`, ` {"a": 1,  "b":   2}`, `{ "a":1, "b":2}`)},
	{"blanks, again", repeated, rowsOf(`{"a": 1, "b": 2}`, ` {"a": 1,  "b":   2,  "a": 3}`)},
	{"no colon", noJSON, rowsOf(`{"a":1,"b":2}`, `{"a":1,"b"22}`)},
	{"no colon behind a long key", noJSON, rowsOf(`{"a long key":1,"b":2}`, `{"a long key"11,"b":2}`)},
	{"other bracket", noJSON, rowsOf(`{"a":1,"b":2}`, `{"a":1,"b":2]`)},
	{"many", "", rowsOf(objectOf(numbered(300)...), objectOf(numbered(300)...), objectOf(numbered(20)...))},
	{"many, the first again", repeated, rowsOf(objectOf(numbered(300)...), objectOf(append(numbered(300), "k0")...))},
	{"many, a late one again", repeated, rowsOf(objectOf(numbered(300)...), objectOf(append(numbered(300), "k299")...))},
	{"many, then few", repeated, rowsOf(objectOf(numbered(20)...), objectOf(append(numbered(10), "k3")...))},
	{"many, other ones behind", repeated, rowsOf(objectOf(numbered(40)...), objectOf(append(numbered(30), "x", "k7")...))},
	{"few, then many", repeated, rowsOf(objectOf(numbered(10)...), objectOf(append(numbered(40), "k39")...))},
	{"many, one escaped", repeated, rowsOf(objectOf(numbered(20)...), objectOf(append(numbered(19), `\u006b18`)...))},
}

// TestSiblings holds that what is known of the object before is never taken for a key of its own, nor hides one that
// is repeated.
func TestSiblings(t *testing.T) {
	for _, c := range siblings {
		t.Run(c.name, func(t *testing.T) {
			if got := verdict(strings.NewReader(c.in), frame.ClientToServer); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			want := strings.TrimPrefix(c.want, repeated)
			if got := verdict(strings.NewReader(c.in), frame.ServerToClient); got != want {
				t.Errorf("from a server: got %q, want %q", got, want)
			}
		})
	}
}

// TestSiblingsOfAllShapes writes every two objects of up to three keys, and every three of up to two.
func TestSiblingsOfAllShapes(t *testing.T) {
	keys := []string{"a", `\u0061`, "b", "a longer key"}
	shapes := [][]string{{}}
	for i := 0; len(shapes[i]) < 3; i++ {
		for _, key := range keys {
			shapes = append(shapes, append(slices.Clone(shapes[i]), key))
		}
	}
	isSet := func(shape []string) bool {
		seen := map[string]bool{}
		for _, key := range shape {
			seen[strings.ReplaceAll(key, `\u0061`, "a")] = true
		}
		return len(seen) == len(shape)
	}
	passes := map[string]bool{}
	var lines []string
	add := func(objects ...[]string) {
		pass, texts := true, []string{}
		for _, shape := range objects {
			pass = pass && isSet(shape)
			texts = append(texts, objectOf(shape...))
		}
		line := strings.TrimSuffix(rowsOf(texts...), "\n")
		passes[line] = pass
		lines = append(lines, line)
	}
	for _, one := range shapes {
		for _, two := range shapes {
			add(one, two)
			for _, three := range shapes {
				if len(one) < 3 && len(two) < 3 && len(three) < 3 {
					add(one, two, three)
				}
			}
		}
	}
	stream(t, lines, frame.ClientToServer, func(line string) bool { return passes[line] })
	stream(t, lines, frame.ServerToClient, func(string) bool { return true })
}

// TestSiblingsOfOtherMessages holds that nothing is known of the objects of the message before.
func TestSiblingsOfOtherMessages(t *testing.T) {
	before := rowsOf(strings.Repeat(" ", 1000)+`{"a long key":1,"another long key":2}`, `{"a long key":1,"another long key":2}`)
	for _, c := range []struct{ want, in string }{
		{"", rowsOf(`{"a long key":1,"another long key":2}`)},
		{repeated, rowsOf(`{"a long key":1,"another long key":2,"a long key":3}`)},
	} {
		for _, d := range []frame.Direction{frame.ClientToServer, frame.ServerToClient} {
			r := frame.NewReader(&chunks{rest: []string{before, c.in, before}}, d, 0)
			want := []string{"", c.want, ""}
			if d == frame.ServerToClient {
				want[1] = ""
			}
			for i := range want {
				if got := reason(r.Next()); got != want[i] {
					t.Errorf("message %d of %q: got %q, want %q", i, c.in, got, want[i])
				}
			}
		}
	}
}

// TestSiblingsOfAllLengths holds that keys are told apart at every byte, whatever their length.
func TestSiblingsOfAllLengths(t *testing.T) {
	const text = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for n := range len(text) {
		key := text[:n]
		if in := rowsOf(objectOf(key, "x"), objectOf(key, "x", key)); verdict(strings.NewReader(in), frame.ClientToServer) != repeated {
			t.Errorf("%q is passed", in)
		}
		others := []string{key + "0"}
		for i := range n {
			others = append(others, key[:i]+"0"+key[i+1:], key[:i]+key[i+1:])
		}
		for _, other := range others {
			for _, d := range []frame.Direction{frame.ClientToServer, frame.ServerToClient} {
				in := rowsOf(objectOf(key, "x"), objectOf(other, key, "x"), objectOf(key, other, "x"))
				if got := verdict(strings.NewReader(in), d); got != "" {
					t.Errorf("%q: %s", in, got)
				}
			}
		}
	}
}

// TestCuts holds that a line cut in three at any place has the outcome that it has whole: the pieces are long enough
// for the quick way.
func TestCuts(t *testing.T) {
	for _, line := range []string{
		rowsOf(`{"id":1,"name":"user 1","ok":true,"score":-1.5,"tags":["a","b"]}`, `{"id":12,"name":"user 12","ok":false,"score":0.25,"tags":[]}`, `{"id":3,"id":4}`),
		rowsOf(`{"some long key, longer than a word":null, "other": {"x":[{"y":1}]}}`, `{"some long key, longer than a word":null, "other": {"x":[{"y":1}, {"y":2}]}}`),
		rowsOf(objectOf(strings.Repeat("k", 60)), objectOf(strings.Repeat("k", 60)), objectOf(strings.Repeat("k", 60), "x")),
		rowsOf(strings.Repeat("1", 200), "-0."+strings.Repeat("2", 200), strings.Repeat("3", 200)+"e-7", `"`+strings.Repeat("s", 200)+`"`, "01", "2"),
		rowsOf(objectOf(numbered(40)...), objectOf(numbered(40)...), objectOf(append(numbered(40), "k7")...)),
		rowsOf(`{"a":1,"b\n":2}`, `{"a":1,"b\n":2}`, `{"a":1,"é":2}`, `{"a":1,"b\n":2,"b\u000a":3}`),
	} {
		for _, d := range []frame.Direction{frame.ClientToServer, frame.ServerToClient} {
			want := verdict(strings.NewReader(line), d)
			for at := range len(line) {
				for _, length := range []int{1, 7, 60} {
					end := min(at+length, len(line))
					source := &chunks{rest: []string{line[:at], line[at:end], line[end:]}}
					if got := verdict(source, d); got != want {
						t.Fatalf("%q cut at %d and %d: got %q, want %q", line, at, end, got, want)
					}
				}
			}
		}
	}
}

// TestRowsDeepDown holds that rows are followed at depths where a client's would be refused, and nothing is known of
// the object before.
func TestRowsDeepDown(t *testing.T) {
	for _, depth := range []int{500, 508, 600, 3000} {
		for end, want := range map[string]string{"]": "", "}": noJSON} {
			in := rowsOf(strings.Repeat(`{"a":[{"b":1},`, depth/2) + `{"a":1,"b":2},{"a":1,"b":2}` + strings.Repeat(`],"c":[{"b":1}]}`, depth/2-1) + end + "}")
			if got := verdict(strings.NewReader(in), frame.ServerToClient); got != want {
				t.Errorf("depth %d: got %q, want %q", depth, got, want)
			}
		}
	}
}
