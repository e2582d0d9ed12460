package person_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"mcp-valet/internal/person"
)

func TestSanitize(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		most     int
		want     string
	}{
		{"plain", "Ann Example <ann@example.com>", 80, "Ann Example <ann@example.com>"},
		{"other alphabets", "Änn 安 😀 שלום", 80, "Änn 安 😀 שלום"},
		{"line ends and spaces", "  a\r\n\r\nb\t \u00a0c\u2028d  ", 80, "a b c d"},
		{"nothing", "", 80, ""},
		{"control characters", "a\x00b\x07c\x7fd\u0085e\u009fz", 80, "abcd ez"},
		{"colours", "a\x1b[31;1mred\x1b[0m", 80, "ared"},
		{"8-bit colours", "a\u009b31mred", 80, "ared"},
		{"window title", "a\x1b]0;evil\x07b\x1b]52;c;evil\x1b\\c\u009d0;evil\u009cd", 80, "abcd"},
		{"device control", "a\x1bP$q evil\x1b\\b\x1b_evil\x1b\\c", 80, "abc"},
		{"reset", "a\x1bcb", 80, "ab"},
		{"sequence without an end", "a\x1b]0;text \x1b[31", 80, "a0;text 31"},
		{"escape at the end", "a\x1b", 80, "a"},
		{"a sequence in a sequence", "\x1b[\x1b[31m1mred", 80, "1mred"},
		{"direction", "user\u202egnp.exe \u2066x\u2069\u200f\u061c", 80, "usergnp.exe x"},
		{"nothing to see", "a\u200bb\u200dc\ufeffd\U000e0041e\u00adf", 80, "abcdef"},
		{"not UTF-8", "a\xffb", 80, "a\ufffdb"},
		{"just fits", "abcdef", 6, "abcdef"},
		{"fits without its end", "abcdef \x1b[0m\n", 6, "abcdef"},
		{"too long", "abcdefg", 6, "abcde…"},
		{"too long at a space", "abcde fg", 6, "abcde…"},
		{"room for one", "ab", 1, "…"},
		{"no room", "ab", 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := person.Sanitize(tt.in, tt.most); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzSanitize(f *testing.F) {
	f.Add("a\x1b]0;\x1b[31m\u202e", 5)
	f.Add("a b\xff", 3)
	f.Fuzz(func(t *testing.T, s string, most int) {
		if most < 0 {
			most = 0
		}
		got := person.Sanitize(s, most)
		if n := utf8.RuneCountInString(got); n > most {
			t.Errorf("%d characters, not %d", n, most)
		}
		if i := strings.IndexFunc(got, func(r rune) bool { return r != ' ' && !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("not printable: %q", got)
		}
		if again := person.Sanitize(got, most); again != got {
			t.Errorf("%q becomes %q", got, again)
		}
	})
}
