package audit_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"mcp-valet/wrapper/audit"
)

func TestShape(t *testing.T) {
	for in, want := range map[string]string{
		``: ``, ` `: ``, `{}`: `{}`, ` { } `: `{}`, `null`: `"null"`, `"secret"`: `"string(6)"`, `[1, [2, 3]]`: `"array(2)"`,
		`{"a":"xyz","b":-1.5e3,"c":true,"d":null}`:                 `{"a":"string(3)","b":"number","c":"boolean","d":"null"}`,
		`{"a":[],"b":[ ],"c":["]",2],"d":{},"e":{"f":{"g,":","}}}`: `{"a":"array(0)","b":"array(0)","c":"array(2)","d":"object(0)","e":"object(1)"}`,
		`{"a":[[]],"b":[{}],"c":[""]}`:                             `{"a":"array(1)","b":"array(1)","c":"array(1)"}`,
		`{"a":"é\n\ud83d\ude00\u0041\""}`:                          `{"a":"string(5)"}`,
		`{"größe":1,"my secret":2,"a\u0062":3}`:                    `{"größe":"number","(name of 9)":"number","ab":"number"}`,
		`{"shown":"plain","deep":{"shown":1},"list":[1]}`:          `{"shown":"plain","deep":"object(1)","list":"array(1)"}`,
		`{"deep":{"shown":"secret"}}`:                              `{"deep":"object(1)"}`,
		`{"a":`:                                                    `"invalid(5)"`,
		`{"a":1}x`:                                                 `"invalid(8)"`,
		`{"a" 1}`:                                                  `"invalid(7)"`,
		`secret`:                                                   `"invalid(6)"`,
		`{"shown":secret}`:                                         `"invalid(16)"`,
	} {
		if got := string(audit.Shape([]byte(in), []string{"shown", "list", "deep"})); got != strings.ReplaceAll(want, "'", `"`) {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
	if got := string(audit.Shape([]byte(`{"shown":"`+strings.Repeat("x", 300)+`"}`), []string{"shown"})); got != `{"shown":"string(300)"}` {
		t.Errorf("a long value: %s", got)
	}
	var many []string
	for i := range 10_000 {
		many = append(many, fmt.Sprintf(`"argument_%d":%d`, i, i))
	}
	got := audit.Shape([]byte("{"+strings.Join(many, ",")+"}"), nil)
	if len(got) > audit.MaxShape || !json.Valid(got) || !strings.HasSuffix(string(got), ` more"}`) {
		t.Errorf("of many: %d bytes, %s", len(got), got)
	}
}

// FuzzShape: what comes out is JSON, bounded, and shows no value.
func FuzzShape(f *testing.F) {
	f.Add([]byte(`{"a":"hunter2","b":["hunter2",{"c":"hunter2"}],"shown":1}`))
	f.Add([]byte(`{"a\ud83d\ude00":"\\","b":{}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		got := audit.Shape(in, []string{"shown"})
		if len(got) > audit.MaxShape || len(got) > 0 && !json.Valid(got) {
			t.Fatalf("%q: %s", in, got)
		}
		var members map[string]json.RawMessage
		if json.Unmarshal(in, &members) != nil || members == nil {
			return
		}
		var shape map[string]any
		if err := json.Unmarshal(got, &shape); err != nil {
			t.Fatalf("%q is an object, its shape %s is not", in, got)
		}
		for name, kind := range shape {
			if name == "shown" || name == "…" {
				continue
			}
			if s, ok := kind.(string); !ok || strings.TrimRight(s, "()0123456789") != strings.SplitN(s, "(", 2)[0] || len(s) > 30 {
				t.Fatalf("%q: %s", in, got)
			}
		}
	})
}
