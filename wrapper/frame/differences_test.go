package frame_test

import (
	"strings"
	"testing"

	"mcp-valet/wrapper/frame"
)

// A difference is a line that parsers of MCP servers and clients were seen to take for different things, and what a
// reader of a client's stream makes of it. Each line of want is one outcome, as outcome writes it.
type difference struct {
	name string
	in   string
	want string
	why  string
}

// danger is params of a call that a policy might forbid; safe is what a check might be shown instead.
const danger = `"params":{"name":"danger","arguments":{"text":"x"}}`

// envelope makes a line of the members behind jsonrpc.
func envelope(members string) string { return `{"jsonrpc":"2.0",` + members + "}\n" }

func withID(id string) string { return envelope(`"id":` + id + `,"method":"tools/call",` + danger) }

func withText(text string) string {
	return envelope(`"id":7,"method":"tools/call","params":{"name":"danger","arguments":{"text":"` + text + `"}}`)
}

func nested(depth int) string {
	return envelope(`"id":7,"method":"tools/call","params":{"name":"danger","arguments":{"text":` +
		strings.Repeat("[", depth) + strings.Repeat("]", depth) + `}}`)
}

// passed is the outcome of the well-formed call with id 7.
const passed = "request 7 tools/call danger"

// bare is the well-formed call without its newline.
var bare = strings.TrimSuffix(withID("7"), "\n")

// differences are the 77 cases that were run against servers of the TypeScript SDK, go-sdk and mcp-go, and two at the limit.
var differences = []difference{
	{"well formed", withID("7"), passed, ""},

	// Keys.
	{"method twice", envelope(`"id":7,"method":"tools/list","method":"tools/call",` + danger),
		"-32600 request 7: message has a repeated member", "servers take the last, gjson the first"},
	{"name twice", envelope(`"id":7,"method":"tools/call","params":{"name":"safe","name":"danger"}`),
		"-32602 request 7: params has keys that are the same or differ only in case", "servers take the last"},
	{"params twice, both with a name", envelope(`"id":7,"method":"tools/call","params":{"name":"safe"},"params":{"name":"danger"}`),
		"-32600 request 7: message has a repeated member", "servers take the last"},
	{"params twice, one with a name", envelope(`"id":7,"method":"tools/call","params":{"name":"safe"},"params":{"arguments":{"a":1}}`),
		"-32600 request 7: message has a repeated member", "encoding/json merges the two"},
	{"id twice", envelope(`"id":7,"id":8,"method":"tools/call",` + danger),
		"-32600 request -: message has a repeated member", "which of the two the client waits for is anyone's guess"},
	{"Method only", envelope(`"id":7,"Method":"tools/call",` + danger),
		"-32600 unknown 7: message has a member that differs from a known one only in case", "mcp-go runs it"},
	{"method and Method", envelope(`"id":7,"method":"tools/list","Method":"tools/call",` + danger),
		"-32600 request 7: message has a member that differs from a known one only in case", "mcp-go runs the second"},
	{"name and Name", envelope(`"id":7,"method":"tools/call","params":{"name":"safe","Name":"danger"}`),
		"-32602 request 7: params has a key that differs from a known one only in case", "mcp-go runs the second"},
	{"params and paramſ", envelope(`"id":7,"method":"tools/call","params":{"name":"safe"},"paramſ":{"name":"danger"}`),
		"-32600 request 7: message has a member that differs from a known one only in case", "mcp-go runs the second"},
	{"escaped method only", envelope(`"id":7,"\u006dethod":"tools/call",` + danger), passed, "all read it alike"},
	{"method and escaped method", envelope(`"id":7,"method":"tools/list","\u006dethod":"tools/call",` + danger),
		"-32600 request 7: message has a repeated member", "the same key to all, and servers take the last"},
	{"escaped method text", envelope(`"id":7,"method":"tools\/c\u0061ll",` + danger), passed, "all read it alike"},
	{"__proto__ only", envelope(`"id":7,"__proto__":{"method":"tools/call",` + danger + `}`),
		"-32600 unknown 7: message has an unknown member", "JavaScript may look in there"},
	{"method and method NUL", envelope(`"id":7,"method":"tools/list","method\u0000":"tools/call",` + danger),
		"-32600 request 7: message has a key with a NUL character", "GO-2026-4770: read as method"},
	{"name and name NUL", envelope(`"id":7,"method":"tools/call","params":{"name":"safe","name\u0000":"danger"}`),
		"-32600 request 7: message has a key with a NUL character", "GO-2026-4770: read as name"},

	// Text.
	{"invalid UTF-8", withText("a\xffb"), "-32700 request 7: message is not valid UTF-8", "some replace it, some reject it"},
	{"overlong UTF-8", withText("a\xc0\xafb"), "-32700 request 7: message is not valid UTF-8", "some may read a slash"},
	{"surrogate in UTF-8", withText("a\xed\xa0\x80b"), "-32700 request 7: message is not valid UTF-8", ""},
	{"invalid UTF-8 in the name", envelope(`"id":7,"method":"tools/call","params":{"name":"danger` + "\xff" + `"}`),
		"-32700 request 7: message is not valid UTF-8", "TypeScript runs danger with a U+FFFD"},
	{"lone surrogate in an argument", withText(`a\ud800b`), passed, "nothing is judged by it"},
	{"raw NUL", withText("a\x00b"), "-32700 request 7: message has a raw control character in a string", "go-sdk exits"},
	{"escaped NUL in an argument", withText(`a\u0000b`), passed, "all read it alike"},
	{"raw tab", withText("a\tb"), "-32700 request 7: message has a raw control character in a string", "go-sdk exits"},
	{"raw DEL and U+0085", withText("a\x7f\u0085b"), passed, "JSON allows them"},
	{"raw U+2028", withText("a\u2028b"), passed, "JSON allows it"},

	// Framing.
	{"NUL before", "\x00" + withID("7"), "-32700 unknown -: message is not valid JSON", "go-sdk exits"},
	{"NUL after", bare + "\x00\n", "-32700 request 7: line has something after the message", "go-sdk exits"},
	{"byte order mark", "\xef\xbb\xbf" + withID("7"), "-32700 request 7: message begins with a byte order mark", "go-sdk exits"},
	{"CRLF", bare + "\r\n", passed, "all accept it"},
	{"CR between two messages", bare + "\r" + withID("8"),
		"-32700 request -: line has something after the message", "go-sdk runs both"},
	{"U+2028 between two messages", bare + "\u2028" + withID("8"),
		"-32700 request 7: line has something after the message", "go-sdk exits"},
	{"VT, FF, NBSP before", "\x0b\x0c\u00a0" + withID("7"), "-32700 unknown -: message is not valid JSON", "simdjson accepts it"},
	{"space and tab around", " \t" + bare + " \t\n", passed, "white space of RFC 8259; only go-sdk exits, at trailing space"},
	{"blank lines before", "\n\n  \n" + withID("7"), passed, "skipped, not sent on"},
	{"newline between members", strings.Replace(withID("7"), `,"method"`, ",\n\"method\"", 1),
		"-32700 unknown -: line ends inside a message\n-32700 unknown -: line has something after the message", "go-sdk runs it"},
	{"newline in a string", withText("a\nb"),
		"-32700 request 7: line ends inside a message\n-32700 unknown -: message is not valid JSON", ""},
	{"two messages", bare + withID("8"), "-32700 request -: line has something after the message", "two ids, one answer"},
	{"text after", bare + " x\n", "-32700 request 7: line has something after the message", "go-sdk exits"},
	{"trailing comma", envelope(`"id":7,"method":"tools/call",` + danger + `,`), "-32700 request 7: message is not valid JSON", ""},
	{"comment", envelope(`/* c */"id":7,"method":"tools/call",` + danger), "-32700 unknown -: message is not valid JSON", ""},
	{"single quotes", "{'jsonrpc':'2.0','id':7,'method':'tools/list'}\n", "-32700 unknown -: message is not valid JSON", ""},
	{"text line, then message", "hello\n" + withID("7"), "-32700 unknown -: message is not valid JSON\n" + passed, ""},
	{"batch of two", "[" + bare + "," + strings.TrimSuffix(withID("8"), "\n") + "]\n",
		"-32600 unknown -: batches are not supported", "MCP has none since 2025-06-18"},
	{"batch of one", "[" + bare + "]\n", "-32600 unknown -: batches are not supported", ""},
	{"batch of none", "[]\n", "-32600 unknown -: batches are not supported", ""},
	{"one byte a read", withID("7"), passed, "every case is read so: see TestChunks"},
	{"no newline at the end", bare, "-32700 request 7: last line has no newline", "no server answers it"},
	{"half a message at the end", bare[:40], "-32700 request 7: last line has no newline", ""},

	// Depth.
	{"nesting 509", nested(509), passed, "512 with the three around it"},
	{"nesting 510", nested(510), "-32600 request 7: message is nested too deeply", "one more"},
	{"nesting 900", nested(900), "-32600 request 7: message is nested too deeply", "go-sdk's limit is 1,000"},
	{"nesting 5,000", nested(5000), "-32600 request 7: message is nested too deeply", "TypeScript runs out of stack"},
	{"nesting 9,990", nested(9990), "-32600 request 7: message is nested too deeply", ""},
	{"nesting 100,000", nested(100000), "-32600 request 7: message is nested too deeply", "mcp-go gives up"},
	{"nesting 3,000,000", nested(3000000), "-32600 request 7: message is nested too deeply", "fastjson overflows the stack"},

	// Ids.
	{"id 9007199254740993", withID("9007199254740993"),
		"-32600 request 9007199254740993: id is not a string or an integer below 2^53", "Go servers answer ...992"},
	{"id of 30 digits", withID("123456789012345678901234567890"),
		"-32600 request 123456789012345678901234567890: id is not a string or an integer below 2^53", "go-sdk answers a negative one"},
	{"id 1e400", withID("1e400"), "-32600 request 1e400: id is not a string or an integer below 2^53", "go-sdk exits"},
	{"id 7.0", withID("7.0"), "request 7.0 tools/call danger", "all take it for 7"},
	{"id 7e0", withID("7e0"), "request 7e0 tools/call danger", "all take it for 7"},
	{"id 1.5", withID("1.5"), "-32600 request 1.5: id is not a string or an integer below 2^53", "go-sdk answers 1"},
	{"id -0", withID("-0"), "request -0 tools/call danger", "0 or -0, both of which mean it"},
	{"id 07", withID("07"), "-32700 request -: message has an invalid number", "go-sdk exits"},
	{"id null", withID("null"), "-32600 request -: id is not a string or an integer below 2^53", "nobody answers"},
	{"id true", withID("true"), "-32600 request -: id is not a string or an integer below 2^53", "mcp-go echoes it"},
	{"id {}", withID("{}"), "-32600 request -: id is not a string or an integer below 2^53", "mcp-go echoes it"},
	{`id "7"`, withID(`"7"`), `request "7" tools/call danger`, ""},

	// Header.
	{"number 1e400 in arguments", envelope(`"id":7,"method":"tools/call","params":{"name":"danger","arguments":{"n":1e400}}`),
		passed, "JSON allows it, nothing is judged by it"},
	{"jsonrpc missing", `{"id":7,"method":"tools/call",` + danger + "}\n", `-32600 request 7: jsonrpc is not "2.0"`, "go-sdk exits"},
	{"jsonrpc 1.0", `{"jsonrpc":"1.0","id":7,"method":"tools/call",` + danger + "}\n", `-32600 request 7: jsonrpc is not "2.0"`, "go-sdk exits"},
	{"unknown member", envelope(`"id":7,"x":1,"method":"tools/call",` + danger),
		"-32600 request 7: message has an unknown member", "Go servers run it, TypeScript drops it"},
	{"method and result", envelope(`"id":7,"result":{},"method":"tools/call",` + danger),
		"-32600 request 7: message has a method together with a result or error", "go-sdk runs it"},
	{"params an array", envelope(`"id":7,"method":"tools/call","params":["danger"]`), "-32602 request 7: params is not an object", ""},
	{"method no string", envelope(`"id":7,"method":["tools/call"],` + danger), "-32600 request 7: method is not a string with text", ""},
	// The four long lines (9, 11 and 100 MiB, and 100 MiB without a newline) are in TestLongLines.
}

func TestDifferences(t *testing.T) {
	for _, c := range differences {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(outcomes(frame.NewReader(strings.NewReader(c.in), frame.ClientToServer, 0)), "\n")
			if got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}
