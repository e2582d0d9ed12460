package wrapper_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"mcp-valet/keyring"
	"mcp-valet/wrapper"
)

const (
	jwt  = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.s5IkFxTqBvQ-9sJ_0aZkLwPq"
	odd  = `pa"ss/w\or+d<é😀>&=1` // every kind of character that some JSON writer escapes
	pin  = "4712345678901"
	hard = `"/\<>&'+=` + "`é<"
)

func secrets(values ...string) []keyring.Secret {
	var all []keyring.Secret
	for _, v := range values {
		all = append(all, keyring.NewSecret(v))
	}
	return all
}

func stars(n int) string { return strings.Repeat("*", n) }

func TestMaskMessage(t *testing.T) {
	for _, tt := range []struct {
		name    string
		secrets []string
		line    string
		want    string // "" when the line is to stay as it is, "*" when all between its quotes is to go
	}{
		{"none", []string{jwt}, `{"jsonrpc":"2.0","id":1,"result":{}}`, ""},
		{"whole value", []string{jwt}, `{"result":"` + jwt + `"}`, `{"result":"` + stars(len(jwt)) + `"}`},
		{"inside a value", []string{jwt}, `{"result":"x ` + jwt + ` y"}`, `{"result":"x ` + stars(len(jwt)) + ` y"}`},
		{"a key", []string{jwt}, `{"` + jwt + `":0}`, `{"` + stars(len(jwt)) + `":0}`},
		{"twice and overlapping", []string{"abcabcabcabc"}, `"abcabcabcabcabc abcabcabcabc"`, `"` + stars(15) + ` ` + stars(12) + `"`},
		{"one in another", []string{"abcdefghijkl", "xxabcdefghijklyy"}, `"xxabcdefghijklyy xxabcdefghijkl"`, `"` + stars(16) + ` xx` + stars(12) + `"`},
		{"beginning only", []string{jwt}, `"` + jwt[:40] + `"`, ""},
		{"not across strings", []string{`secret","b":"more`}, `{"a":"secret","b":"more"}`, ""},
		{"short secret", []string{"elevenbytes"}, `"elevenbytes"`, ""},
		{"space around a secret", []string{"\n abcdefghijkl\n"}, `"abcdefghijkl"`, `"` + stars(12) + `"`},

		{"escaped as Go does", []string{odd}, `"pa\"ss/w\\or+d\u003cé😀\u003e\u0026=1"`, "*"},
		{"escaped as JavaScript does", []string{odd}, `"pa\"ss/w\\or+d<é😀>&=1"`, "*"},
		{"escaped as Python does", []string{odd}, `"pa\"ss/w\\or+d<\u00e9\ud83d\ude00>&=1"`, "*"},
		{"escaped as PHP does", []string{odd}, `"pa\"ss\/w\\or+d<\u00e9\ud83d\ude00>&=1"`, "*"},
		{"escaped as .NET does", []string{odd}, `"pa\u0022ss/w\\or\u002Bd\u003C\u00E9\uD83D\uDE00\u003E\u0026=1"`, "*"},
		{"JSON in JSON", []string{odd}, `"{\"v\":\"pa\\\"ss/w\\\\or+d<é😀>&=1\"}"`, `"{\"v\":\"` + stars(len(odd)+6) + `\"}"`},
		{"no plain run", []string{hard}, `["\"\/\\<>&'+=` + "`" + `\u00e9<"]`, `["` + stars(len(hard)+7) + `"]`},
		{"a secret that begins like the end of an escape", []string{"nPassword1234"}, `"\nPassword1234"`, ""},
		{"and after a backslash", []string{"nPassword1234"}, `"\\nPassword1234"`, `"\\` + stars(13) + `"`},
		{"a secret that looks like an escape", []string{`u0041bcdefghi`}, `"\u0041bcdefghi"`, ""},

		{"digits in a string", []string{pin}, `["` + pin + `"]`, `["` + stars(len(pin)) + `"]`},
		{"digits as a number", []string{pin}, `[-1` + pin + `.5]`, `[-1` + strings.Repeat("9", len(pin)) + `.5]`},

		{"id stays", []string{jwt}, `{"id":"` + jwt + `","result":"` + jwt + `"}`, `{"id":"` + jwt + `","result":"` + stars(len(jwt)) + `"}`},
		{"escaped id stays", []string{jwt}, `{ "\u0069d" : "` + jwt + `"}`, ""},
		{"number id stays", []string{pin}, `{"id": ` + pin + `, "result": ` + pin + `}`, `{"id": ` + pin + `, "result": 9999999999999}`},
		{"id inside does not stay", []string{jwt}, `{"result":{"id":"` + jwt + `"}}`, `{"result":{"id":"` + stars(len(jwt)) + `"}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.want
			switch want {
			case "":
				want = tt.line
			case "*":
				want = `"` + stars(len(tt.line)-2) + `"`
			}
			got := wrapper.MaskMessage(secrets(tt.secrets...), tt.line, true)
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if !json.Valid([]byte(got)) {
				t.Errorf("not JSON any more: %s", got)
			}
		})
	}
}

func TestMaskMessageServersOwnID(t *testing.T) {
	line := `{"id":"` + jwt + `","method":"roots/list"}`
	want := strings.ReplaceAll(line, jwt, stars(len(jwt)))
	if got := wrapper.MaskMessage(secrets(jwt), line, false); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestMaskTextHoldsBackOnlyBeginnings(t *testing.T) {
	s := jwt
	for _, tt := range []struct {
		name   string
		pieces []string
		want   []string // after each piece, and at the end
	}{
		{"nothing to hide", []string{"starting\n", "e", "x\n"}, []string{"starting\n", "", "ex\n", ""}},
		{"whole", []string{"token " + s}, []string{"token " + stars(len(s)), ""}},
		{"split", []string{"a" + s[:9], s[9:30], s[30:] + "\n"}, []string{"a", "", stars(len(s)) + "\n", ""}},
		{"false start", []string{"a" + s[:9], " no\n"}, []string{"a", s[:9] + " no\n", ""}},
		{"short end", []string{"a" + s[:9]}, []string{"a", s[:9]}},
		{"cut off", []string{"a" + s[:20]}, []string{"a", stars(20)}},
		{"not JSON", []string{`C:\user\new\` + "\n"}, []string{`C:\user\new\` + "\n", ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := wrapper.NewTextMasker(secrets(s))
			var got []string
			for _, p := range tt.pieces {
				got = append(got, string(m.Mask([]byte(p))))
			}
			got = append(got, string(m.End()))
			if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

// naive masks every occurrence of the secrets, the slow way, as long as nothing in s is an escape.
func naive(s string, secrets ...string) string {
	b := []byte(s)
	for _, secret := range secrets {
		for i := 0; i+len(secret) <= len(s); i++ {
			if s[i:i+len(secret)] == secret {
				copy(b[i:], stars(len(secret)))
			}
		}
	}
	return string(b)
}

// pieces cuts b at places that seed decides.
func pieces(b []byte, seed uint64) [][]byte {
	r := rand.New(rand.NewPCG(seed, 1))
	var all [][]byte
	for len(b) > 0 {
		n := min(len(b), 1+r.IntN(20))
		all, b = append(all, b[:n]), b[n:]
	}
	return all
}

func FuzzMaskText(f *testing.F) {
	f.Add("abcabcabcabc", "abcabcabcabcabc", "xabcabcabcabcabcabcabcabcabcx", uint64(1))
	f.Add(jwt, odd, "log "+jwt+" and "+odd+"\n", uint64(2))
	f.Add(jwt, odd, `{"a":"pa\"ss\/w\\or\u002bd<\u00e9\ud83d\ude00>&=1"}`, uint64(3))
	f.Add(`\\\\\\\\\\\\\\\\`, `\u005c\u005c\u`, `\\\\\\\\\\\\\\\\\u005c\u005c\u005c\ud83d\\\n`, uint64(4))
	f.Fuzz(func(t *testing.T, a, b, in string, seed uint64) {
		all := wrapper.LongEnough(a, b)
		whole := wrapper.NewTextMasker(secrets(all...))
		want := string(whole.Mask([]byte(in)))
		want += string(whole.End())
		checkMasked(t, in, want)
		if !strings.Contains(in, `\`) && !endsInBeginning(in, all) && want != naive(in, all...) {
			t.Errorf("got  %q\nwant %q", want, naive(in, all...))
		}
		for _, s := range all {
			if !strings.Contains(s, "*") && strings.Contains(want, s) {
				t.Errorf("%q is left in %q", s, want)
			}
		}
		var got []byte
		m := wrapper.NewTextMasker(secrets(all...))
		for _, p := range pieces([]byte(in), seed) {
			got = append(got, m.Mask(p)...)
		}
		got = append(got, m.End()...)
		if string(got) != want {
			t.Errorf("in pieces  %q\nin one     %q", got, want)
		}
	})
}

// endsInBeginning tells whether in ends in what could become a secret: more of it is masked than naive would.
func endsInBeginning(in string, secrets []string) bool {
	for _, s := range secrets {
		for n := 12; n < len(s); n++ {
			if strings.HasSuffix(in, s[:n]) {
				return true
			}
		}
	}
	return false
}

// checkMasked holds to the law that masking keeps every byte in its place and changes some into a star.
func checkMasked(t *testing.T, in, out string) {
	t.Helper()
	if len(in) != len(out) {
		t.Fatalf("%d bytes became %d", len(in), len(out))
	}
	for i := range len(in) {
		if out[i] != in[i] && out[i] != '*' {
			t.Fatalf("byte %d: %q became %q", i, in[i], out[i])
		}
	}
}

func FuzzMaskMessage(f *testing.F) {
	f.Add(jwt, "x ", " y", uint8(0))
	f.Add(odd, "", `"\`, uint8(1))
	f.Add(hard, `\`, "n", uint8(2))
	f.Add("nPassword1234", "\n", "\\", uint8(3))
	f.Fuzz(func(t *testing.T, secret, before, after string, writer uint8) {
		all := wrapper.LongEnough(secret)
		if len(all) == 0 || strings.Contains(secret, "*") {
			return
		}
		secret = all[0]
		if !utf8.ValidString(secret) {
			return // JSON cannot tell it
		}
		line := mustJSON(map[string]any{"id": 1, "result": before + secret + after, "nested": mustJSON([]string{secret}, writer)}, writer)
		got := wrapper.MaskMessage(secrets(secret), line, true)
		checkMasked(t, line, got)
		var v struct{ Result, Nested string }
		if err := json.Unmarshal([]byte(got), &v); err != nil {
			t.Fatalf("%v\n%s\n%s", err, line, got)
		}
		if strings.Contains(v.Result, secret) {
			t.Errorf("result holds the secret: %q", got)
		}
		var inner []string
		if err := json.Unmarshal([]byte(v.Nested), &inner); err != nil {
			t.Fatalf("the JSON inside: %v: %s", err, v.Nested)
		}
		if strings.Contains(inner[0], secret) {
			t.Errorf("nested holds the secret: %q", got)
		}
	})
}

// mustJSON encodes v as one of several writers would.
func mustJSON(v any, writer uint8) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(writer&1 == 0)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	s := strings.TrimSuffix(b.String(), "\n")
	if writer&2 == 0 {
		s = strings.ReplaceAll(s, "/", `\/`)
	}
	if writer&4 == 0 {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "+", `\u002B`), "=", `\u003d`)
	}
	if writer&8 == 0 {
		s = asciiOnly(s)
	}
	return s
}

func asciiOnly(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < 0x80:
			b.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		}
	}
	return b.String()
}

func BenchmarkMaskMessage(b *testing.B) {
	base64 := `{"result":"` + strings.Repeat("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo", 1<<20/35) + `"}`
	text := `{"result":"` + strings.Repeat(`  \"event\": \"the quick brown fox, eyJ\",\n`, 1<<20/44) + `"}`
	for _, bb := range []struct {
		name, line string
		secrets    []string
	}{
		{"200B", text[:200], []string{jwt}},
		{"1MiB-base64", base64, []string{jwt}},
		{"1MiB-text", text, []string{jwt}},
		{"1MiB-text-5-secrets", text, []string{jwt, odd, pin, "postgres-password", "AKIAIOSFODNN7EXAMPLE"}},
		{"1MiB-text-careful", text, []string{hard}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			m := wrapper.NewMessageMasker(secrets(bb.secrets...))
			line := []byte(bb.line)
			b.SetBytes(int64(len(line)))
			b.ReportAllocs()
			for b.Loop() {
				m.Mask(line, true)
			}
		})
	}
}

func BenchmarkMaskText(b *testing.B) {
	line := []byte(strings.Repeat("2026-11-24 12:00:00 DEBUG request served in 3 ms by the engine\n", 500))
	m := wrapper.NewTextMasker(secrets(jwt, odd))
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		m.Mask(line)
	}
}
