package scan

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"mcp-valet/wrapper/frame"
)

// pieces are put into good messages at random, or take the place of a few bytes.
var pieces = []string{
	"", "", " ", "\t", "\r", ",", ":", "{", "}", "[", "]", `"`, `\`, "0", "-", ".", "e5", "null", "true", "{}", "[]", `""`, "\x00", "\x1f", "\x7f", "\u2028", "\ufeff",
	"\xff", "\xc0\xaf", "\xed\xa0\x80", `\u0000`, `\ud800`, `\udc00`, `\u0061`, `\/`, `"a":1,`, `,"a":1`, `"name":"safe",`, `,"Name":1`, `"method":"x",`, `,"id":8`, `"_meta":{},`,
}

// TestSameAsJSONText holds that jsontext takes every message that the header check passes, and sees the same in it. It
// refuses repeated keys and bad UTF-8 as the check does, and escapes of lone surrogates besides, which the check lets
// pass in values.
func TestSameAsJSONText(t *testing.T) {
	lines := []string{
		with(`{"a":[1,-0.5e3,"\ud83d\ude00",true,null,{"b":{}}],"k":"` + "naïve \u2028" + `","n":12345678901234567890}`),
		`{"id":"\u0061","params":{"uri":"file:\/\/\/a","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}},"method":"resources\/read","jsonrpc":"2.0"}` + "\n",
		`{"jsonrpc":"2.0","id":7e0,"result":{"content":[{"type":"text","text":"x"},{"type":"text","text":"y"}]}}` + "\n",
		` { "jsonrpc" : "2.0" , "method" : "notifications/x" , "params" : { "arguments" : [ { "a" : 1 } , { "a" : 2 } ] } } ` + "\r\n",
	}
	random := rand.New(rand.NewPCG(5, 6))
	passed, most := 0, 20_000
	if testing.Short() {
		most = 1000
	}
	for i := range most {
		line := lines[i%len(lines)]
		for range random.IntN(4) {
			from := random.IntN(len(line) + 1)
			to := min(len(line), from+random.IntN(3)*random.IntN(4))
			line = line[:from] + pieces[random.IntN(len(pieces))] + line[to:]
		}
		m, err := frame.NewReader(strings.NewReader(line+"\n"), frame.ClientToServer, 0).Next()
		if err != nil {
			continue
		}
		passed++
		sameAsJSONText(t, string(m.Raw), m)
	}
	for _, c := range bad {
		if m, err := frame.NewReader(strings.NewReader(c.line), frame.ClientToServer, 0).Next(); err == nil {
			t.Errorf("%s: %s is passed", c.name, m.Raw)
		}
	}
	if passed < most/20 {
		t.Errorf("%d of %d messages passed: this tests little", passed, most)
	}
	t.Logf("%d of %d messages passed", passed, most)
}

func sameAsJSONText(t *testing.T, line string, m frame.Message) {
	t.Helper()
	top := members(t, line, []byte(line))
	if method := text(t, top["method"]); method != m.Method {
		t.Fatalf("%q: jsontext sees the method %q, we see %q", line, method, m.Method)
	}
	if id := string(top["id"]); id != string(m.ID.Raw()) {
		t.Fatalf("%q: jsontext sees the id %s, we see %s", line, id, m.ID.Raw())
	}
	if m.Method == "" || top["params"] == nil {
		return
	}
	params := members(t, line, top["params"])
	if m.Method == "tools/call" && text(t, params["name"]) != m.Name {
		t.Fatalf("%q: jsontext sees the name %s, we see %q", line, params["name"], m.Name)
	}
	if strings.HasPrefix(m.Method, "resources/") && text(t, params["uri"]) != m.URI {
		t.Fatalf("%q: jsontext sees the URI %s, we see %q", line, params["uri"], m.URI)
	}
	var exact struct{ Params map[string]json.RawMessage }
	if err := json.Unmarshal([]byte(line), &exact); err != nil || !bytes.Equal(exact.Params["arguments"], params["arguments"]) {
		t.Fatalf("%q: jsontext sees the arguments %s, encoding/json %s, %v", line, params["arguments"], exact.Params["arguments"], err)
	}
}

// members are the raw values of an object, by key.
func members(t *testing.T, line string, object []byte) map[string]jsontext.Value {
	t.Helper()
	d := jsontext.NewDecoder(bytes.NewReader(object), jsontext.AllowInvalidUTF8(hasLoneSurrogate(line)))
	all := map[string]jsontext.Value{}
	if _, err := d.ReadToken(); err != nil {
		t.Fatalf("%q: jsontext does not read it: %v", line, err)
	}
	for d.PeekKind() != '}' {
		key, err := d.ReadToken()
		if err != nil {
			t.Fatalf("%q: jsontext does not read it: %v", line, err)
		}
		name := key.String()
		value, err := d.ReadValue()
		if err != nil {
			t.Fatalf("%q: jsontext does not read it: %v", line, err)
		}
		all[name] = value.Clone()
	}
	if _, err := d.ReadToken(); err != nil {
		t.Fatalf("%q: jsontext does not read it: %v", line, err)
	}
	if _, err := d.ReadToken(); err != io.EOF {
		t.Fatalf("%q: jsontext sees something behind: %v", line, err)
	}
	return all
}

// hasLoneSurrogate reports whether a line that passes may have an escape of one: encoding/json writes U+FFFD for it.
func hasLoneSurrogate(line string) bool {
	var v any
	json.Unmarshal([]byte(line), &v) // a number out of range is an error, and the rest is there
	again, _ := json.Marshal(v)
	return bytes.Contains(again, []byte("\ufffd")) || bytes.Contains(again, []byte(`\ufffd`))
}

// text is the text of a string, and "" of anything else.
func text(t *testing.T, raw jsontext.Value) string {
	t.Helper()
	if raw.Kind() != '"' {
		return ""
	}
	s, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return string(s)
}
