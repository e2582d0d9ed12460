package frame_test

import (
	"errors"
	"strings"
	"testing"

	"mcp-valet/wrapper/frame"
)

// fromServer are lines of a server: what any client could make use of passes.
var fromServer = []difference{
	{"result", envelope(`"id":1,"result":{"tools":[]}`), "response 1", ""},
	{"error", envelope(`"id":1,"error":{"code":1,"message":"m"}`), "response 1", ""},
	{"error with id null", envelope(`"id":null,"error":{"code":-32700,"message":"m"}`), "response null", ""},
	{"request", envelope(`"id":1,"method":"sampling/createMessage","params":{}`), "request 1 sampling/createMessage", ""},
	{"notification", envelope(`"method":"notifications/message"`), "notification notifications/message", ""},
	{"no result", envelope(`"id":1`), "response 1", "go-sdk's null result"},
	{"CRLF and blank lines", "\r\n" + `{"jsonrpc":"2.0","id":1,"result":{}}` + "\r\n\n", "response 1", ""},

	// Lax, and passed.
	{"repeated keys", envelope(`"id":1,"result":{"a":1,"a":2},"result":{}`), "response 1", ""},
	{"result and error", envelope(`"id":1,"result":{},"error":null`), "response 1", ""},
	{"unknown members and case twins", envelope(`"id":1,"x":1,"ID":2,"Result":2,"result":{}`), "response 1", ""},
	{"invalid UTF-8", envelope(`"id":1,"result":"` + "\xff\xc0\xaf\xed\xa0\x80" + `"`), "response 1", "U+FFFD to most clients"},
	{"lone surrogates", envelope(`"id":1,"\ud800":1,"result":{"\ud800":"\udc00"}`), "response 1", ""},
	{"params an array", envelope(`"method":"x","params":[1]`), "notification x", ""},
	{"id 1.5", envelope(`"id":1.5,"method":"x"`), "request 1.5 x", ""},
	{"id of 30 digits", envelope(`"id":123456789012345678901234567890,"method":"x"`), "request 123456789012345678901234567890 x", ""},
	{"id null", envelope(`"id":null,"method":"x"`), "request null x", ""},
	{"invalid UTF-8 in method", envelope(`"method":"a` + "\xff" + `"`), "notification a\uFFFD", ""},
	{"deep", envelope(`"id":1,"result":` + strings.Repeat("[", 9999) + strings.Repeat("]", 9999)), "response 1", ""},

	// Not readable, or not by all alike.
	{"too deep", envelope(`"id":1,"result":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000)), "-32600 response 1: message is nested too deeply", ""},
	{"log line", "Server listening on stdio\n", "-32700 unknown -: message is not valid JSON", "goes to stderr"},
	{"JSON log line", `{"level":"info","msg":"up"}` + "\n", `-32600 unknown -: jsonrpc is not "2.0"`, "goes to stderr"},
	{"number", "42\n", "-32600 unknown -: message is not an object", ""},
	{"batch", "[" + strings.TrimSuffix(envelope(`"id":1,"result":{}`), "\n") + "]\n", "-32600 unknown -: batches are not supported", ""},
	{"NaN in a result", envelope(`"id":1,"result":{"x":NaN}`), "-32700 response 1: message has an invalid literal", "the call can be answered with an error"},
	{"id twice", envelope(`"id":1,"id":2,"result":{}`), "-32600 response -: message has a repeated member", "whose answer?"},
	{"method twice", envelope(`"id":1,"method":"a","method":"b"`), "-32600 request 1: message has a repeated member", ""},
	{"method and result", envelope(`"id":1,"method":"a","result":{}`), "-32600 request 1: message has a method together with a result or error", ""},
	{"no method, no id", envelope(`"x":1`), "-32600 unknown -: message has no method, result or error", ""},
	{"id true", envelope(`"id":true,"method":"x"`), "-32600 request -: id is not a string or an integer below 2^53", ""},
	{"id an object", envelope(`"id":{},"result":1`), "-32600 response -: id is not a string or an integer below 2^53", ""},
	{"jsonrpc 1.0", `{"jsonrpc":"1.0","id":1,"result":{}}` + "\n", `-32600 response 1: jsonrpc is not "2.0"`, ""},
	{"method no string", envelope(`"method":1`), "-32600 notification -: method is not a string with text", ""},
}

func TestFromServer(t *testing.T) {
	for _, c := range fromServer {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(outcomes(frame.NewReader(strings.NewReader(c.in), frame.ServerToClient, 0)), "\n")
			if got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestOffendingLine(t *testing.T) {
	long := strings.Repeat("all work and no play ", 1<<16)
	for _, c := range []struct{ name, in, want string }{
		{"short", "hello\n", "hello\n"},
		{"at the end", "hello", "hello"},
		{"long", long + "\n", long[:8<<10]},
		{"long string", `{"a":"` + long + `","a":NaN` + "\n", (`{"a":"` + long)[:8<<10]},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := frame.NewReader(strings.NewReader(c.in+"\n"+envelope(`"method":"x"`)), frame.ServerToClient, 0)
			if c.name == "at the end" {
				r = frame.NewReader(strings.NewReader(c.in), frame.ServerToClient, 0)
			}
			_, err := r.Next()
			var v *frame.Violation
			if !errors.As(err, &v) {
				t.Fatalf("got %v", err)
			}
			r.Next() // must not change the line
			if string(v.Line) != c.want || v.Size != int64(len(c.in)) {
				t.Errorf("got %d bytes %.40q…, size %d; want %d bytes, size %d", len(v.Line), v.Line, v.Size, len(c.want), len(c.in))
			}
		})
	}
	r := frame.NewReader(strings.NewReader("hello\n"), frame.ClientToServer, 0)
	var v *frame.Violation
	if _, err := r.Next(); !errors.As(err, &v) || v.Line != nil {
		t.Errorf("a client's line is kept: %v", err)
	}
}
