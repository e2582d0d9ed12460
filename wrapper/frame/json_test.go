package frame_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"mcp-valet/wrapper/frame"
)

// TestJSON reads every text of the tables in json_table_test.go as a value inside a message of either side, deep in
// one, and as a line of its own; in one piece, and byte by byte.
func TestJSON(t *testing.T) {
	for _, c := range goodJSON {
		t.Run("good/"+c.name, func(t *testing.T) {
			if !json.Valid([]byte(c.text)) {
				t.Error("encoding/json refuses it")
			}
			for _, side := range sides {
				eachEmbedding(side, c.text, func(where, line string) {
					wantReason(t, where, line, side.direction, "")
				})
				wantCode(t, "as a line", c.text+"\n", side.direction, -32600) // good JSON, and no message
			}
		})
	}
	for _, c := range badJSON {
		t.Run("bad/"+c.name, func(t *testing.T) {
			if json.Valid([]byte(c.text)) {
				t.Error("encoding/json takes it")
			}
			for _, side := range sides {
				eachEmbedding(side, c.text, func(where, line string) {
					if where == "alone" {
						wantReason(t, where, line, side.direction, c.why)
					}
					wantCode(t, where, line, side.direction, -32700)
				})
				wantLine(t, c.text, side.direction)
			}
		})
	}
	for _, c := range ourChoice {
		t.Run("choice/"+c.name, func(t *testing.T) {
			if c.why == "" {
				t.Error("no reason is given")
			}
			for _, side := range sides {
				want := c.client
				if side.direction == frame.ServerToClient {
					want = c.server
				}
				eachEmbedding(side, c.text, func(where, line string) {
					wantReason(t, where, line, side.direction, want)
				})
				wantRefused(t, c.text, side.direction)
			}
		})
	}
	for _, c := range wholeLines {
		t.Run("line/"+c.name, func(t *testing.T) {
			wantReason(t, "from a client", c.text, frame.ClientToServer, c.client)
			wantReason(t, "from a server", c.text, frame.ServerToClient, c.server)
		})
	}
}

// side is who may have a value in a message, and where.
type side struct {
	direction       frame.Direction
	before, after   string
	deepUp, deepOff string
}

// What stands behind a value deep inside is long enough for the scanner's quick way, and so are the keys before it.
var sides = []side{
	{frame.ClientToServer, `{"jsonrpc":"2.0","id":7,"method":"x","params":{"arguments":`, "}}\n",
		`{"rows":[{"a":1,"text":"some text"},{"a":`, `,"text":"and text that is long enough to be looked ahead at"}]}`},
	{frame.ServerToClient, `{"jsonrpc":"2.0","id":7,"result":`, "}\n",
		`{"rows":[{"a":1,"text":"some text"},{"a":`, `,"text":"and text that is long enough to be looked ahead at"}]}`},
}

// eachEmbedding gives the lines that have a text for a value.
func eachEmbedding(s side, text string, try func(where, line string)) {
	try("alone", s.before+text+s.after)
	try("deep inside", s.before+s.deepUp+text+s.deepOff+s.after)
	try("in an array", s.before+`[0,"a",`+text+`,{"k":[null,-1.5e2,"and text that is long enough to be looked ahead at"]}]`+s.after)
}

// bothWays reads the first message of a stream in one piece and byte by byte.
func bothWays(t *testing.T, where, in string, d frame.Direction, check func(m frame.Message, v *frame.Violation)) {
	t.Helper()
	for _, source := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in))} {
		m, err := frame.NewReader(source, d, 0).Next()
		var v *frame.Violation
		if err != nil && err != io.EOF && !errors.As(err, &v) {
			t.Fatalf("%s: %.300q: %v", where, in, err)
		}
		check(m, v)
	}
}

// wantReason wants the first message to be refused for a reason, or passed as it is when that is "".
func wantReason(t *testing.T, where, in string, d frame.Direction, want string) {
	t.Helper()
	bothWays(t, where, in, d, func(m frame.Message, v *frame.Violation) {
		t.Helper()
		got := ""
		if v != nil {
			got = v.Reason
		} else if string(m.Raw) != in {
			t.Errorf("%s: %.300q became %.300q", where, in, m.Raw)
		}
		if got != want {
			t.Errorf("%s: %.300q: got %q, want %q", where, in, got, want)
		}
	})
}

func wantCode(t *testing.T, where, in string, d frame.Direction, code int) {
	t.Helper()
	bothWays(t, where, in, d, func(m frame.Message, v *frame.Violation) {
		t.Helper()
		if v == nil || v.Code != code {
			t.Errorf("%s: %.300q: got %s, want a refusal with %d", where, in, fmt.Sprint(m.Kind, v), code)
		}
	})
}

// wantLine wants a bad text to be refused when it is a line of its own: as no JSON, or as an array, which is not looked
// into, or as a client's object whose first member is unknown, which is noticed first.
func wantLine(t *testing.T, text string, d frame.Direction) {
	t.Helper()
	switch trimmed := strings.Trim(text, " \t\r"); {
	case trimmed == "":
		bothWays(t, "as a line", text+"\n", d, func(m frame.Message, v *frame.Violation) {
			t.Helper()
			if v != nil || m.Raw != nil {
				t.Errorf("a blank line %q is not skipped", text)
			}
		})
	case trimmed[0] == '[':
		wantReason(t, "as a line", text+"\n", d, noBatch)
	case strings.HasPrefix(trimmed, `{"`) && d == frame.ClientToServer:
		wantRefused(t, text, d)
	default:
		wantCode(t, "as a line", text+"\n", d, -32700)
	}
}

// wantRefused wants a text not to be passed when it is a line of its own.
func wantRefused(t *testing.T, text string, d frame.Direction) {
	t.Helper()
	bothWays(t, "as a line", text+"\n", d, func(m frame.Message, v *frame.Violation) {
		t.Helper()
		if v == nil {
			t.Errorf("%.300q is passed", text)
		}
	})
}

// TestJSONTables holds that the tables are what they say: no text is there twice, and only the choices are about text
// that is not UTF-8.
func TestJSONTables(t *testing.T) {
	seen := map[string]string{}
	check := func(table, name, text string, valid bool) {
		if other, ok := seen[text]; ok {
			t.Errorf("%s/%s is %s", table, name, other)
		}
		seen[text] = table + "/" + name
		if valid && !utf8.ValidString(text) {
			t.Errorf("%s/%s is not UTF-8", table, name)
		}
	}
	for _, c := range goodJSON {
		check("good", c.name, c.text, true)
	}
	for _, c := range badJSON {
		check("bad", c.name, c.text, true)
	}
	for _, c := range ourChoice {
		check("choice", c.name, c.text, false)
	}
	t.Logf("%d texts, and %d lines", len(seen), len(wholeLines))
}
