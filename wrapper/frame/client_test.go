package frame_test

import (
	"strings"
	"testing"

	"mcp-valet/wrapper/frame"
)

// fromClient are more lines of a client, by what is judged of them.
var fromClient = []difference{
	// Kinds.
	{"request without params", envelope(`"id":"a","method":"ping"`), `request "a" ping`, ""},
	{"notification", envelope(`"method":"notifications/initialized"`), "notification notifications/initialized", ""},
	{"id last, as the TypeScript SDK writes it", `{"method":"tools/list","params":{},"jsonrpc":"2.0","id":3}` + "\n", "request 3 tools/list", ""},
	{"result", envelope(`"id":1,"result":{"a":[1,{"b":null}]}`), "response 1", ""},
	{"result that is no object", envelope(`"id":1,"result":null`), "response 1", "for the server to judge"},
	{"error", envelope(`"id":1,"error":{"code":-1,"message":"no"}`), "response 1", ""},
	{"error with id null", envelope(`"id":null,"error":{"code":-1,"message":"no"}`), "response null", "JSON-RPC 2.0, section 5"},
	{"error without id", envelope(`"error":{"code":-1,"message":"no"}`), "response", "MCP's schema since 2025-11-25"},
	{"error with an id that is none", envelope(`"id":[],"error":{}`), "-32600 response -: id is not a string or an integer below 2^53", ""},
	{"result with id null", envelope(`"id":null,"result":{}`), "-32600 response -: result has no id", ""},
	{"result without id", envelope(`"result":{}`), "-32600 response -: result has no id", ""},
	{"result with id 1.5", envelope(`"id":1.5,"result":{}`), "-32600 response 1.5: id is not a string or an integer below 2^53", "go-sdk would take it for 1"},
	{"result and error", envelope(`"id":1,"result":{},"error":{}`), "-32600 response 1: message has a result together with an error", ""},
	{"result with params", envelope(`"id":1,"result":{},"params":{}`), "-32600 response 1: message has params without a method", ""},
	{"error and method", envelope(`"id":1,"error":{},"method":"x"`), "-32600 request 1: message has a method together with a result or error", ""},
	{"neither", envelope(`"id":1`), "-32600 unknown 1: message has no method, result or error", ""},
	{"nothing at all", "{}\n", `-32600 unknown -: jsonrpc is not "2.0"`, ""},
	{"bad notification", envelope(`"method":"x","params":[]`), "-32602 notification -: params is not an object", "not answered"},
	{"bad response", envelope(`"id":1,"result":{"a":1,"a":2}`), "-32600 response 1: message has an object with a repeated key", "not answered"},

	// Broken off before the kind or the id could be told.
	{"broken before anything", `{"jsonrpc":"2.0","id":7,]` + "\n", "-32700 unknown -: message is not valid JSON", "7 may be the id of a response"},
	{"broken before an id", envelope(`"method":"x",]`), "-32700 unknown -: message is not valid JSON", "answered with null, as an id may have followed"},
	{"broken after result", envelope(`"id":1,"result":{]}`), "-32700 response 1: message is not valid JSON", "not answered"},
	{"wrong inside tokens, id last", `{"jsonrpc":"2.0","method":"x","params":{"a":NaN,"b":-,"c":"\q","d":+1,"e":tru,"f":01,"g":"` + "\x01\xff" + `"},"id":7}` + "\n",
		"-32700 request 7: message has an invalid literal", "the structure can be followed"},

	// The root.
	{"number", "42\n", "-32600 unknown -: message is not an object", ""},
	{"string", `"hello"` + "\n", "-32600 unknown -: message is not an object", ""},
	{"null", "null\n", "-32600 unknown -: message is not an object", ""},
	{"array of garbage", "[}\n", "-32600 unknown -: batches are not supported", "not looked at further"},
	{"closing brace", "}\n", "-32700 unknown -: message is not valid JSON", ""},
	{"half a literal", "tru\n", "-32700 unknown -: message is not valid JSON", ""},
	{"half a literal at the end", "tru", "-32700 unknown -: last line has no newline", ""},
	{"half a byte order mark at the end", "\xef\xbb", "-32700 unknown -: last line has no newline", ""},
	{"byte order mark alone", "\xef\xbb\xbf\n", "-32700 unknown -: message begins with a byte order mark", ""},
	{"white space at the end", withID("7") + " \t\r", passed, "nothing there"},

	// Carriage returns: Python, Java, C# and Node end lines with one, and may read a message inside the message.
	{"message between carriage returns", envelope(`"id":1,"method":"x","params":{"a":` + "\r" + bare + "\r}"), "-32600 request 1: message has a carriage return inside", ""},
	{"carriage return after a comma", envelope("\r" + `"id":1,"method":"x"`), "-32600 request 1: message has a carriage return inside", ""},
	{"carriage returns around", "\r \r" + bare + "\r \r\r\n", passed, "blank lines to others"},

	// What random messages once found.
	{"space in an empty array", envelope(`"id":7,"method":"x","params":{"a":{"b":[[ ],1 ],"c":[` + "\t" + `]},"d":"and enough behind it to look ahead at"}`), "request 7 x", ""},
	{"string of five words", envelope(`"id":7,"method":"x","params":{"a":{"b":"a long string without anything in it"},"c":"a","c":"a"}`),
		"-32602 request 7: params has keys that are the same or differ only in case", ""},

	// jsonrpc.
	{"jsonrpc escaped", `{"jsonrpc":"2\u002e0","id":7,"method":"x"}` + "\n", "request 7 x", ""},
	{"jsonrpc a number", `{"jsonrpc":2.0,"id":7,"method":"x"}` + "\n", `-32600 request 7: jsonrpc is not "2.0"`, ""},
	{"jsonrpc long", `{"jsonrpc":"` + strings.Repeat("2", 100) + `","id":7,"method":"x"}` + "\n", `-32600 request 7: jsonrpc is not "2.0"`, ""},

	// Method.
	{"method empty", envelope(`"id":7,"method":""`), "-32600 request 7: method is not a string with text", ""},
	{"method null", envelope(`"id":7,"method":null`), "-32600 request 7: method is not a string with text", ""},
	{"method of 256", envelope(`"id":7,"method":"` + strings.Repeat("m", 256) + `"`), "request 7 " + strings.Repeat("m", 256), ""},
	{"method of 257", envelope(`"id":7,"method":"` + strings.Repeat("m", 257) + `"`), "-32600 request 7: method is too long", ""},
	{"method of 256 in escapes", envelope(`"id":7,"method":"` + strings.Repeat(`\u006d`, 256) + `"`), "request 7 " + strings.Repeat("m", 256), ""},
	{"method of 257 in escapes", envelope(`"id":7,"method":"` + strings.Repeat(`\u006d`, 257) + `"`), "-32600 request 7: method is too long", ""},
	{"method with a lone surrogate", envelope(`"id":7,"method":"a\udc00"`), "-32600 request 7: method has a lone surrogate or NUL character", ""},
	{"method with NUL", envelope(`"id":7,"method":"tools/list\u0000"`), "-32600 request 7: method has a lone surrogate or NUL character", "ends there for C"},
	{"method with a surrogate pair", envelope(`"id":7,"method":"a\ud83d\ude00"`), "request 7 a😀", ""},

	// Ids.
	{"id 2^53-1", envelope(`"id":9007199254740991,"method":"x"`), "request 9007199254740991 x", ""},
	{"id 2^53", envelope(`"id":9007199254740992,"method":"x"`), "-32600 request 9007199254740992: id is not a string or an integer below 2^53", ""},
	{"id -2^53+1", envelope(`"id":-9007199254740991,"method":"x"`), "request -9007199254740991 x", ""},
	{"id empty", envelope(`"id":"","method":"x"`), `request "" x`, ""},
	{"id of 1,024", envelope(`"id":"` + strings.Repeat("i", 1024) + `","method":"x"`), `request "` + strings.Repeat("i", 1024) + `" x`, ""},
	{"id of 1,025", envelope(`"id":"` + strings.Repeat("i", 1025) + `","method":"x"`), `-32600 request "` + strings.Repeat("i", 1025) + `": id is too long`, ""},
	{"id of 1,024 in escapes", envelope(`"id":"` + strings.Repeat(`\u0069`, 1024) + `","method":"x"`), `request "` + strings.Repeat(`\u0069`, 1024) + `" x`, ""},
	{"id beyond any length", envelope(`"id":"` + strings.Repeat("i", 6145) + `","method":"x"`), `-32600 request -: id is too long`, "not kept"},
	{"id of 7,000 digits", envelope(`"id":` + strings.Repeat("1", 7000) + `,"method":"x"`), `-32600 request -: id is too long`, "not kept"},
	{"id with a lone surrogate", envelope(`"id":"\ud800","method":"x"`), `-32600 request "\ud800": id has a lone surrogate`, ""},
	{"id with invalid UTF-8", envelope(`"id":"` + "\xff" + `","method":"x"`), `-32700 request -: message is not valid UTF-8`, "no legal JSON"},
	{"id with a control character", envelope(`"id":"` + "\x01" + `","method":"x"`), `-32700 request -: message has a raw control character in a string`, "no legal JSON"},
	{"id NaN", envelope(`"id":NaN,"method":"x"`), `-32700 request -: message has an invalid literal`, "no legal JSON"},
	{"id and ID", envelope(`"id":7,"ID":8,"method":"x"`), `-32600 request -: message has a member that differs from a known one only in case`, "which?"},
	{"id and İd", envelope(`"id":7,"İd":8,"method":"x"`), `-32600 request -: message has a member that differs from a known one only in case`, "the same to Java's equalsIgnoreCase"},
	{"id and ıd", envelope(`"id":7,"ıd":8,"method":"x"`), `-32600 request -: message has a member that differs from a known one only in case`, "the same to Java's equalsIgnoreCase"},
	{"id in an argument", envelope(`"method":"x","params":{"id":1,"method":"y","result":2}`), "notification x", "not the message's"},

	// Keys.
	{"repeated deep inside", envelope(`"id":7,"method":"x","params":{"a":[{"b":{"c":1,"d":2,"\u0063":3}}]}`),
		"-32600 request 7: message has an object with a repeated key", ""},
	{"repeated in siblings", envelope(`"id":7,"method":"x","params":{"a":[{"b":1},{"b":1}],"c":{"a":1,"b":1,"c":{"a":1}}}`), "request 7 x", "not repeated"},
	{"case in an argument", envelope(`"id":7,"method":"tools/call","params":{"name":"a","arguments":{"Name":1,"name":2,"NAME":3,"a\u0000":4}}`), "request 7 tools/call a", "the server's own"},
	{"twins in params", envelope(`"id":7,"method":"x","params":{"kelvin":1,"` + "\u212a" + `elvin":2}`),
		"-32602 request 7: params has keys that are the same or differ only in case", ""},
	{"long s in params", envelope(`"id":7,"method":"x","params":{"argument` + "\u017f" + `":1}`),
		"-32602 request 7: params has a key that differs from a known one only in case", ""},
	{"URI in params", envelope(`"id":7,"method":"resources/read","params":{"URI":"file:///x"}`),
		"-32602 request 7: params has a key that differs from a known one only in case", ""},
	{"_Meta in params", envelope(`"id":7,"method":"x","params":{"_Meta":{}}`),
		"-32602 request 7: params has a key that differs from a known one only in case", ""},
	{"capitals in params", envelope(`"id":7,"method":"x","params":{"protocolVersion":"1","clientInfo":{},"Other":1}`), "request 7 x", "no twins"},
	{"twin in _meta", envelope(`"id":7,"method":"x","params":{"_meta":{"io.modelcontextprotocol/ProtocolVersion":"2026-07-28"}}`),
		"-32602 request 7: params has a key that differs from a known one only in case", ""},
	{"twin of the prefix in _meta", envelope(`"id":7,"method":"x","params":{"_meta":{"IO.modelcontextprotocol/new":1}}`),
		"-32602 request 7: params has a key that differs from a known one only in case", ""},
	{"twins in _meta", envelope(`"id":7,"method":"x","params":{"_meta":{"a":1,"A":1}}`),
		"-32602 request 7: params has keys that are the same or differ only in case", ""},
	{"twins around something nested", envelope(`"id":7,"method":"x","params":{"_meta":{"a":{"b":[1,{"c":2}]},"A":1,"b":"and enough behind it to look ahead at"}}`),
		"-32602 request 7: params has keys that are the same or differ only in case", ""},
	{"twins in params around something nested", envelope(`"id":7,"method":"x","params":{"a":[{"b":[1,{"c":2}]}],"A":1,"b":"and enough behind it to look ahead at"}`),
		"-32602 request 7: params has keys that are the same or differ only in case", ""},
	{"_meta in an array", envelope(`"id":7,"method":"x","params":[{"_meta":{"a":1,"A":1}}]`), "-32602 request 7: params is not an object", ""},
	{"NUL in _meta", envelope(`"id":7,"method":"x","params":{"_meta":{"a\u0000":1}}`), "-32600 request 7: message has a key with a NUL character", ""},
	{"__proto__ in params", envelope(`"id":7,"method":"tools/call","params":{"__proto__":{"name":"danger"}}`),
		"-32602 request 7: params has a key named __proto__", "JavaScript may find the name in there"},
	{"lone surrogate in a key", envelope(`"id":7,"method":"x","params":{"a":{"\ud800":1}}`), "-32600 request 7: message has a key with a lone surrogate", "U+FFFD to some"},
	{"surrogates the wrong way round in a key", envelope(`"id":7,"method":"x","params":{"a":{"\udc00\ud800":1}}`), "-32600 request 7: message has a key with a lone surrogate", ""},
	{"surrogate pair in a key", envelope(`"id":7,"method":"x","params":{"a":{"\ud83d\ude00":1,"😁":2}}`), "request 7 x", ""},
	{"surrogate pair and its character", envelope(`"id":7,"method":"x","params":{"a":{"\ud83d\ude00":1,"😀":2}}`), "-32600 request 7: message has an object with a repeated key", ""},
	{"empty keys", envelope(`"id":7,"method":"x","params":{"a":{"":1,"":2}}`), "-32600 request 7: message has an object with a repeated key", ""},
	{"NUL and nothing are different keys", envelope(`"id":7,"method":"x","params":{"a":{"":1,"\u0000":2,"\u0000\u0000":3}}`), "request 7 x", ""},
	{"repeated around one that has escapes too", envelope(`"id":7,"method":"x","params":{"a":{"\u0061 long key":1,"b":{"\u0062nother long key":1},"\u0063nd the last long key":1,"a long key":2}}`),
		"-32600 request 7: message has an object with a repeated key", ""},
	{"key with a quote", envelope(`"id":7,"method":"x","params":{"a":{"ab":1,"c":2,"ab\":1,\"c":3}}`), "request 7 x", "not a repeated one"},

	// Params.
	{"params null", envelope(`"id":7,"method":"x","params":null`), "-32602 request 7: params is not an object", ""},
	{"name of a prompt", envelope(`"id":7,"method":"prompts/get","params":{"name":"p"}`), "request 7 prompts/get p", ""},
	{"name in escapes", envelope(`"id":7,"method":"tools/call","params":{"n\u0061me":"d\u0061nger\/"}`), "request 7 tools/call danger/", ""},
	{"name absent", envelope(`"id":7,"method":"tools/call","params":{}`), "request 7 tools/call", "the server says so"},
	{"name null", envelope(`"id":7,"method":"tools/call","params":{"name":null}`), "-32602 request 7: params.name is not a well-formed string", ""},
	{"name an object", envelope(`"id":7,"method":"tools/call","params":{"name":{"name":"x"}}`), "-32602 request 7: params.name is not a well-formed string", ""},
	{"name with a lone surrogate", envelope(`"id":7,"method":"tools/call","params":{"name":"a\ud800"}`), "-32602 request 7: params.name is not a well-formed string", ""},
	{"name with NUL", envelope(`"id":7,"method":"tools/call","params":{"name":"a\u0000b"}`), "-32602 request 7: params.name is not a well-formed string", "a for C"},
	{"name too long", envelope(`"id":7,"method":"tools/call","params":{"name":"` + strings.Repeat("n", 1025) + `"}`), "-32602 request 7: params.name is too long", ""},
	{"name before method", `{"params":{"name":"danger"},"id":7,"method":"tools/call","jsonrpc":"2.0"}` + "\n", passed, ""},
	{"name of something else", envelope(`"id":7,"method":"x","params":{"name":{"first":"a"},"uri":5}`), "request 7 x", "not ours to judge"},
	{"name in _meta", envelope(`"id":7,"method":"tools/call","params":{"_meta":{"name":"safe","uri":"u"},"name":"danger"}`), passed, ""},
	{"uri", envelope(`"id":7,"method":"resources/read","params":{"uri":"file:\/\/\/a"}`), "request 7 resources/read file:///a", ""},
	{"uri to subscribe", envelope(`"id":7,"method":"resources/subscribe","params":{"uri":"u"}`), "request 7 resources/subscribe u", ""},
	{"uri a number", envelope(`"id":7,"method":"resources/read","params":{"uri":1}`), "-32602 request 7: params.uri is not a well-formed string", ""},
	{"uri too long", envelope(`"id":7,"method":"resources/read","params":{"uri":"` + strings.Repeat("u", 1<<16+1) + `"}`), "-32602 request 7: params.uri is too long", ""},
	{"protocol version too long", envelope(`"id":7,"method":"initialize","params":{"protocolVersion":"` + strings.Repeat("2", 65) + `"}`), "-32602 request 7: protocol version is too long", ""},
}

func TestFromClient(t *testing.T) {
	for _, c := range fromClient {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(outcomes(frame.NewReader(strings.NewReader(c.in), frame.ClientToServer, 0)), "\n")
			if got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestEra(t *testing.T) {
	for _, c := range []struct {
		name, in string
		modern   bool
		version  string
	}{
		{"initialize", envelope(`"id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}`), false, "2025-11-25"},
		{"modern", envelope(`"id":0,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}`), true, "2026-07-28"},
		{"escaped", envelope(`"id":0,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol\/protocolVersion":"2026\u002d07-28"}}`), true, "2026-07-28"},
		{"behind something nested", envelope(`"id":0,"method":"x","params":{"_meta":{"a":{"b":[1]},"io.modelcontextprotocol/protocolVersion":"2026-07-28","c":"and enough behind it, too, to look ahead at"}}`), true, "2026-07-28"},
		{"behind something nested twice", envelope(`"id":0,"method":"initialize","params":{"a":{"b":{"c":1},"d":[[],{}]},"protocolVersion":"2025-11-25","c":"and enough behind it, too, to look ahead at"}`), false, "2025-11-25"},
		{"modern notification", envelope(`"method":"notifications/cancelled","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}`), true, "2026-07-28"},
		{"other method", envelope(`"id":0,"method":"x","params":{"protocolVersion":"2025-11-25","_meta":{"progressToken":1}}`), false, ""},
		{"version no string", envelope(`"id":0,"method":"initialize","params":{"protocolVersion":{},"_meta":{"io.modelcontextprotocol/protocolVersion":1}}`), false, ""},
		{"_meta no object", envelope(`"id":0,"method":"initialize","params":{"_meta":[{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}]}`), false, ""},
		{"_meta elsewhere", envelope(`"id":0,"method":"x","params":{"arguments":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`), false, ""},
		{"deeper in _meta", envelope(`"id":0,"method":"x","params":{"_meta":{"a":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`), false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := frame.NewReader(strings.NewReader(c.in), frame.ClientToServer, 0).Next()
			if err != nil || m.Modern != c.modern || m.ProtocolVersion != c.version {
				t.Errorf("got modern %v, version %q, error %v", m.Modern, m.ProtocolVersion, err)
			}
		})
	}
}
