package frame_test

import (
	"strings"
	"testing"

	"mcp-valet/wrapper/frame"
)

func idOf(t *testing.T, raw string) frame.ID {
	t.Helper()
	m, err := frame.NewReader(strings.NewReader(envelope(`"id":`+raw+`,"method":"x"`)), frame.ServerToClient, 0).Next()
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	if got := string(m.ID.Raw()); got != raw {
		t.Errorf("%s became %s", raw, got)
	}
	return m.ID
}

func TestKey(t *testing.T) {
	// Each line has the ways to write one id.
	for _, same := range [][]string{
		{`7`, `7.0`, `7e0`, `70e-1`, `0.7E+1`, `7.` + strings.Repeat("0", 100)},
		{`-7`, `-7.0`},
		{`0`, `-0`, `0.0`, `-0e5`, `0e999999999999999999999`},
		{`10`, `1e1`, `100e-1`},
		{`1.5`, `15e-1`, `0.15e1`},
		{`-1.5`, `-15e-1`},
		{`9007199254740993`, `9007199254740993.0`},
		{`9007199254740992`},
		{`1e400`, `10e399`, `0.1e401`},
		{`1e-400`},
		{`123456789012345678901234567890`},
		{`"7"`, `"\u0037"`},
		{`""`},
		{`"n7"`},
		{`"null"`},
		{`null`},
		{`"a/b"`, `"a\/b"`, `"\u0061/\u0062"`},
		{`"😀"`, `"\ud83d\ude00"`, `"\uD83D\uDE00"`},
		{`"\ud800"`},
		{`"\ud801"`},
		{`"\ufffd"`, "\"\uFFFD\""},
		{"\"\xff\""},
		{`"` + strings.Repeat("long", 30) + `"`, `"\u006c` + strings.Repeat("long", 30)[1:] + `"`},
	} {
		first := idOf(t, same[0]).Key()
		if before, ok := seenKeys[first]; ok {
			t.Errorf("%s and %s have one key", same[0], before)
		}
		seenKeys[first] = same[0]
		for _, raw := range same {
			if key := idOf(t, raw).Key(); key != first {
				t.Errorf("%s has key %q, %s has %q", same[0], first, raw, key)
			}
		}
	}
}

var seenKeys = map[string]string{}

func TestZeroID(t *testing.T) {
	var id frame.ID
	if !id.IsZero() || id.Key() != "" || id.Raw() != nil {
		t.Errorf("got %q, %q", id.Key(), id.Raw())
	}
	if idOf(t, "0").IsZero() || idOf(t, `""`).IsZero() || idOf(t, "null").IsZero() {
		t.Error("an id that is there is zero")
	}
}

// TestIDOutlives holds that an id is good after the message is gone.
func TestIDOutlives(t *testing.T) {
	long := `"` + strings.Repeat("x", 200) + `"`
	r := frame.NewReader(strings.NewReader(withID("12345")+withID(long)+withID("67890")), frame.ClientToServer, 0)
	var ids []frame.ID
	for range 3 {
		m, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, m.ID)
	}
	for i, want := range []string{"12345", long, "67890"} {
		if got := string(ids[i].Raw()); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
