package scan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The libraries that take messages which are good by their grammar alone, and those that go as deep as a message does.
var (
	lax  = []string{"encoding-json-Valid", "encoding-json-struct", "gjson", "goccy-Valid", "goccy-struct", "simdjson"}
	deep = []string{"gjson", "simdjson"}
)

// bad are messages that two parsers need not understand alike, with the check that refuses them, and the libraries that
// take them.
var bad = []struct {
	name, line string
	check      string
	takenBy    []string
}{
	{"comma at the end", with(`{"a":1,}`), grammar, nil},
	{"no comma", with(`[1 2]`), grammar, nil},
	{"leading zero", with(`[01]`), grammar, nil},
	{"plus sign", with(`[+1]`), grammar, nil},
	{"dot without digits", with(`[1.]`), grammar, nil},
	{"exponent without digits", with(`[1e]`), grammar, nil},
	{"only a minus", with(`[-]`), grammar, nil},
	{"NaN", with(`[NaN]`), grammar, nil},
	{"half a literal", with(`[nul]`), grammar, nil},
	{"literal with more behind", with(`[nulll]`), grammar, nil},
	{"single quotes", with(`['a']`), grammar, nil},
	{"key without quotes", with(`{a:1}`), grammar, nil},
	{"comment", with(`[/* */]`), grammar, nil},
	{"unknown escape", with(`["\x41"]`), grammar, nil},
	{"short escape", with(`["\u004"]`), grammar, nil},
	{"control character in a string", with("[\"\x01\"]"), grammar, nil},
	{"tab in a string", with("[\"\t\"]"), grammar, nil},
	{"form feed as white space", with("[\f1]"), grammar, nil},
	{"bracket of the wrong kind", with(`[}`), grammar, nil},
	{"something behind", strings.TrimSuffix(with(`[]`), "\n") + "x\n", grammar, nil},
	{"a second message behind", strings.TrimSuffix(with(`[]`), "\n") + " {}\n", grammar, nil},
	{"broken off", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{` + "\n", grammar, nil},

	{"lone continuation byte", with("[\"\x80\"]"), utf8, lax},
	{"overlong slash", with("[\"\xc0\xaf\"]"), utf8, lax},
	{"surrogate", with("[\"\xed\xa0\x80\"]"), utf8, lax},
	{"beyond U+10FFFF", with("[\"\xf4\x90\x80\x80\"]"), utf8, lax},
	{"broken off character", with("[\"\xe2\x82\"]"), utf8, lax},
	{"bad character in a key", with("{\"a\xff\":1}"), utf8, lax},
	{"bad character in the name", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"` + "\xff" + `"}}` + "\n", utf8, lax},

	{"two methods", `{"jsonrpc":"2.0","id":7,"method":"ping","method":"tools/call","params":{}}` + "\n", keys, lax},
	{"two names", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a","name":"b"}}` + "\n", keys, lax},
	{"two keys deep inside", with(`[[{"b":{"a":1,"a":2}}]]`), keys, lax},
	{"two keys, one escaped", with(`{"a":1,"\u0061":2}`), keys, lax},
	{"two keys far apart", with(`{"a":1` + manyKeys + `,"a":2}`), keys, lax},

	{"20,000 arrays", with(strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)), depth, deep},
	{"20,000 objects", with(strings.Repeat(`{"a":`, 20_000) + "1" + strings.Repeat("}", 20_000)), depth, deep},
}

func with(arguments string) string { return string(call(arguments)) }

var manyKeys = func() string {
	var s strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&s, `,"k%d":%d`, i, i)
	}
	return s.String()
}()

// TestRefused tells which library takes which bad message, and holds what it is said to check to that.
func TestRefused(t *testing.T) {
	fails := map[string]map[string]bool{} // by library and check
	for _, l := range libraries {
		fails[l.name] = map[string]bool{}
	}
	for _, m := range bad {
		var takenBy []string
		for _, l := range libraries {
			if _, err := l.prepare([]byte(m.line))(); err == nil {
				takenBy = append(takenBy, l.name)
				fails[l.name][m.check] = true
			}
		}
		if !slices.Equal(takenBy, m.takenBy) {
			t.Errorf("%s (%s) is taken by %q, want %q", m.name, m.check, takenBy, m.takenBy)
		}
	}
	for _, l := range libraries {
		for _, check := range []string{grammar, utf8, keys, depth} {
			if says, does := slices.Contains(l.checks, check), !fails[l.name][check]; says != does {
				t.Errorf("%s checks %s: %v, want %v", l.name, check, does, says)
			}
		}
	}
}

// TestTaken has all libraries take good messages, so that a refusal says something.
func TestTaken(t *testing.T) {
	good := map[string][]byte{
		"empty":   call(`{}`),
		"escapes": call(`{"a":"\u00e9\ud83d\ude00\n\"","\u0062":"é😀"}`),
		"numbers": call(`[0,-1,1.5e+10,1E-5,true,false,null]`),
		"spaces":  call(" { \"a\" : [ 1 , \t2 ] } "),
		"deep":    call(strings.Repeat("[", 100) + strings.Repeat("]", 100)),
		"keys":    call(`{"a":1,"b":{"a":2}}`),
	}
	for _, s := range shapes() {
		good[s.name] = s.line
	}
	for name, line := range good {
		for _, l := range libraries {
			if method, err := l.prepare(line)(); err != nil || method != wanted {
				t.Errorf("%s, %s: %q, %v", name, l.name, method, err)
			}
		}
	}
}
