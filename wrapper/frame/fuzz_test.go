package frame_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"mcp-valet/wrapper/frame"
)

func seeds(f *testing.F, add func(in string)) {
	for _, table := range [][]difference{differences, fromClient, fromServer} {
		for _, c := range table {
			if len(c.in) < 1<<12 {
				add(c.in)
			}
		}
	}
	for _, c := range siblings {
		add(c.in)
	}
}

// pieces cuts s into small pieces at the places that cuts, a random number, says. None is long enough for the
// scanner's quick way.
func pieces(s string, cuts uint64) *chunks {
	var all []string
	for s != "" {
		cuts = cuts*6364136223846793005 + 1442695040888963407
		n := min(len(s), 1+int(cuts>>33)%(1+int(cuts>>60)*3))
		all, s = append(all, s[:n]), s[n:]
	}
	return &chunks{rest: all}
}

// isBlank reports whether a line has nothing but white space.
func isBlank(line string) bool { return strings.Trim(line, " \t\r\n") == "" }

// FuzzReader holds the laws of both directions: each line that is not blank has one outcome, passed as it came or
// refused with its size; how the stream is cut changes nothing; a client's line passes when the oracle says so, and
// means to encoding/json what it means to the reader.
func FuzzReader(f *testing.F) {
	seeds(f, func(in string) { f.Add([]byte(in), uint64(len(in)), false) })
	f.Fuzz(func(t *testing.T, in []byte, cuts uint64, small bool) {
		max := 0
		if small {
			max = 64
		}
		for _, d := range []frame.Direction{frame.ClientToServer, frame.ServerToClient} {
			whole := checkLines(t, frame.NewReader(bytes.NewReader(in), d, max), string(in), d, max)
			cut := checkLines(t, frame.NewReader(pieces(string(in), cuts), d, max), string(in), d, max)
			if whole != cut {
				t.Errorf("whole:\n%s\ncut:\n%s", whole, cut)
			}
		}
	})
}

// FuzzGrammar compares both directions with encoding/json on a value inside a message.
func FuzzGrammar(f *testing.F) {
	for _, value := range []string{
		`[1,-0,1.5e+3,"a\u00e9\n",true,false,null,{},[],{"a":{"b":[]}}]`, ` [ 1 , 2 ] `, `{"a" : 1 ,"b":-}`, "[1,\"\xff\"]",
		`0.`, `01`, `-`, `1e`, `1e+`, `.5`, `+1`, `tru`, `nulll`, `"\ud800"`, `"\u12"`, "\"\t\"", `[,]`, `[1,]`, `{,}`, `{"a"}`, `{"a":}`, `{1:2}`, `}`, `]`,
		`{"a long key, longer than a word":"a long string, longer than three words and a bit more than that","k":[12345678901234567890,0.12345678901234567890]}`,
		`[{"id":1,"some long key":"x","t":["a",-1.5]},{"id":12,"some long key":"y","t":["b",0.25]}, {"id": 3, "some long key": null},{"id":4,"t":[]}, "and text behind that is looked ahead to"]`,
	} {
		f.Add([]byte(value), uint64(len(value)))
	}
	f.Fuzz(func(t *testing.T, value []byte, cuts uint64) {
		line := envelope(`"id":1,"result":` + strings.ReplaceAll(string(value), "\n", ""))
		valid := json.Valid([]byte(line))
		for _, d := range []frame.Direction{frame.ClientToServer, frame.ServerToClient} {
			for _, source := range []io.Reader{strings.NewReader(line), pieces(line, cuts)} {
				m, err := frame.NewReader(source, d, 0).Next()
				checkGrammar(t, line, err, d)
				if d == frame.ServerToClient && err != nil && valid && json.Valid(value) {
					t.Fatalf("%q: %s", line, outcome(m, err))
				}
			}
		}
	})
}

// checkLines reads in, which r reads, and returns all outcomes.
func checkLines(t *testing.T, r *frame.Reader, in string, d frame.Direction, max int) string {
	var all strings.Builder
	for line := range strings.SplitAfterSeq(in, "\n") {
		if isBlank(line) {
			continue
		}
		m, err := r.Next()
		fmt.Fprintln(&all, outcome(m, err), m.Modern, m.ProtocolVersion)
		var v *frame.Violation
		switch {
		case errors.As(err, &v):
			checkViolation(t, v, line, d)
		case err != nil:
			t.Fatalf("%q: %v", line, err)
		case string(m.Raw) != line:
			t.Fatalf("%q became %q", line, m.Raw)
		}
		if d == frame.ClientToServer && (max == 0 || len(line) <= max) {
			checkClient(t, line, m, err)
		}
		checkGrammar(t, line, err, d)
	}
	if m, err := r.Next(); err != io.EOF {
		t.Fatalf("more than was written: %s", outcome(m, err))
	}
	return all.String()
}

func checkViolation(t *testing.T, v *frame.Violation, line string, d frame.Direction) {
	if v.Size != int64(len(line)) {
		t.Fatalf("%q has size %d", line, v.Size)
	}
	if want := line[:min(len(line), 8<<10)]; d == frame.ServerToClient && string(v.Line) != want {
		t.Fatalf("%q is shown as %q", want, v.Line)
	}
	answer := frame.AppendError(nil, v.ID, v.Code, v.Reason)
	if !json.Valid(answer) || !utf8.Valid(answer) || bytes.IndexByte(answer, '\n') != len(answer)-1 {
		t.Fatalf("answer %q", answer)
	}
}

// checkGrammar compares what is told of the grammar with encoding/json.
func checkGrammar(t *testing.T, line string, err error, d frame.Direction) {
	valid := json.Valid([]byte(line)) && (d == frame.ServerToClient || utf8.ValidString(line))
	var v *frame.Violation
	if !valid && err == nil {
		t.Fatalf("%q is passed", line)
	}
	if valid && errors.As(err, &v) && v.Code == -32700 && strings.HasSuffix(line, "\n") {
		t.Fatalf("%q is called no JSON: %s", line, v.Reason)
	}
}

func checkClient(t *testing.T, line string, m frame.Message, err error) {
	body, ended := strings.CutSuffix(line, "\n")
	want, pass := judge(body)
	if pass = pass && ended; pass != (err == nil) {
		t.Fatalf("%q: oracle passes it: %v; reader: %s", line, pass, outcome(m, err))
	}
	if !pass {
		return
	}
	if m.Kind != want.Kind || m.Method != want.Method || m.Name != want.Name || m.URI != want.URI ||
		m.Modern != want.Modern || m.ProtocolVersion != want.ProtocolVersion {
		t.Fatalf("%q: got %+v, want %+v", line, m, want)
	}
	checkLoose(t, line, m)
}

// checkLoose compares a message with what encoding/json makes of it: into a struct, which ignores case, and into
// maps, which take the last of repeated keys.
func checkLoose(t *testing.T, line string, m frame.Message) {
	var loose struct {
		ID     json.RawMessage
		Method string
		Params struct {
			Name, URI json.RawMessage
			Meta      json.RawMessage `json:"_meta"`
		}
	}
	var exact map[string]json.RawMessage
	if json.Unmarshal([]byte(line), &loose) != nil || json.Unmarshal([]byte(line), &exact) != nil {
		t.Fatalf("%q cannot be decoded", line)
	}
	var params map[string]json.RawMessage
	json.Unmarshal(exact["params"], &params)
	same := func(name, loose, exact, ours string) {
		if loose != exact || loose != ours {
			t.Fatalf("%q: %s is %q to a parser that ignores case, %q to another, %q to us", line, name, loose, exact, ours)
		}
	}
	same("method", loose.Method, text(string(exact["method"])), m.Method)
	same("id", idValue(t, loose.ID), idValue(t, exact["id"]), idValue(t, m.ID.Raw()))
	if key := m.ID.Key(); !m.ID.IsZero() && idValue(t, m.ID.Raw()) != key {
		t.Fatalf("%q: key %q", line, key)
	}
	switch {
	case m.Method == "tools/call" || m.Method == "prompts/get":
		same("name", text(string(loose.Params.Name)), text(string(params["name"])), m.Name)
	case strings.HasPrefix(m.Method, "resources/"):
		same("uri", text(string(loose.Params.URI)), text(string(params["uri"])), m.URI)
	}
	if string(loose.Params.Meta) != string(params["_meta"]) {
		t.Fatalf("%q: two _meta", line)
	}
}

// idValue writes a legal id as ID.Key does.
func idValue(t *testing.T, raw []byte) string {
	if len(raw) == 0 {
		return ""
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("id %q: %v", raw, err)
	}
	switch v := v.(type) {
	case string:
		return "s" + v
	case json.Number:
		return "n" + number(v.String()).Num().String()
	}
	return "null"
}
