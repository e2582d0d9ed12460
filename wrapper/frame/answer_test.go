package frame_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"mcp-valet/wrapper/frame"
)

func TestAppendError(t *testing.T) {
	for _, c := range []struct {
		name    string
		id      frame.ID
		message string
		want    string
	}{
		{"number", idOf(t, "7"), "no", `{"jsonrpc":"2.0","id":7,"error":{"code":-32000,"message":"no"}}`},
		{"as it was sent", idOf(t, "7.0"), "no", `{"jsonrpc":"2.0","id":7.0,"error":{"code":-32000,"message":"no"}}`},
		{"string", idOf(t, `"\u0061"`), "no", `{"jsonrpc":"2.0","id":"\u0061","error":{"code":-32000,"message":"no"}}`},
		{"none", frame.ID{}, "no", `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no"}}`},
		{"null", idOf(t, "null"), "no", `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no"}}`},
		{"no UTF-8", idOf(t, "\"\xff\""), "no", `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no"}}`},
		{"text", frame.ID{}, "a \"b\" \\ /\n\t\r\x00\x1f\x7f é 😀", `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"a \"b\" \\ /\n\t\u000d\u0000\u001f\u007f é 😀"}}`},
		{"ends of lines", frame.ID{}, "\u0085\u2028\u2029", `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"\u0085\u2028\u2029"}}`},
		{"bytes", frame.ID{}, "a\xffb\xed\xa0\x80", `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"a` + "\uFFFDb\uFFFD\uFFFD\uFFFD" + `"}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := string(frame.AppendError([]byte("before"), c.id, -32000, c.message))
			if got != "before"+c.want+"\n" {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func FuzzAppendError(f *testing.F) {
	f.Add("a \"b\"\u2028\xff", 5)
	f.Fuzz(func(t *testing.T, message string, code int) {
		line := frame.AppendError(nil, frame.ID{}, code, message)
		var answer struct {
			Error struct {
				Code    int
				Message string
			}
		}
		if err := json.Unmarshal(line, &answer); err != nil || !utf8.Valid(line) {
			t.Fatalf("%q: %v", line, err)
		}
		if answer.Error.Code != code || answer.Error.Message != string([]rune(message)) {
			t.Errorf("%q became %q", message, answer.Error.Message)
		}
		for i, c := range line {
			if c < 0x20 && i != len(line)-1 {
				t.Errorf("%q has a control character", line)
			}
		}
	})
}
