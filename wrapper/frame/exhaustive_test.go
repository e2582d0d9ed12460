package frame_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"mcp-valet/wrapper/frame"
)

// passes reports whether a line passes, read whole and read in small pieces, which must agree.
func passes(t *testing.T, line string, d frame.Direction) bool {
	t.Helper()
	_, whole := frame.NewReader(strings.NewReader(line), d, 0).Next()
	_, cut := frame.NewReader(pieces(line, uint64(len(line))), d, 0).Next()
	if (whole == nil) != (cut == nil) {
		t.Fatalf("%q: whole: %v; in pieces: %v", line, whole, cut)
	}
	return whole == nil
}

// stream reads many lines through one reader, which is quicker than a reader for each.
func stream(t *testing.T, lines []string, d frame.Direction, want func(line string) bool) {
	t.Helper()
	all := strings.Join(lines, "\n") + "\n"
	for _, r := range []*frame.Reader{
		frame.NewReader(strings.NewReader(all), d, 0),
		frame.NewReader(pieces(all, 1), d, 0),
	} {
		for _, line := range lines {
			if _, err := r.Next(); (err == nil) != want(line) {
				t.Fatalf("%q: %v", line, err)
			}
		}
	}
}

// TestGrammar compares every sequence of up to five tokens, as a value inside a message, with encoding/json.
func TestGrammar(t *testing.T) {
	tokens := []string{"{", "}", "[", "]", ",", ":", `"a"`, `"bcdefghijk"`, "1", " "}
	var lines []string
	var write func(value string, more int)
	write = func(value string, more int) {
		// The text behind the value is what the quick way wants to see ahead.
		lines = append(lines, `{"jsonrpc":"2.0","id":1,"result":{"a":{"b":[[`+value+`],"a text of more than the bytes that are looked ahead"]}}}`)
		for _, token := range tokens {
			if more > 0 {
				write(value+token, more-1)
			}
		}
	}
	write("", 5)
	stream(t, lines, frame.ClientToServer, func(line string) bool { return json.Valid([]byte(line)) })
}

// TestUTF8 compares every first two bytes, and those that come third and fourth where it matters, with unicode/utf8.
func TestUTF8(t *testing.T) {
	tails := []byte{0x20, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0}
	var lines []string
	add := func(text ...byte) {
		if s := string(text); !strings.ContainsAny(s, "\"\\\n") {
			lines = append(lines, strings.TrimSuffix(withText(s), "\n"), strings.TrimSuffix(withText("é"+s+"é and more text"), "\n"))
		}
	}
	for a := 0xBF; a < 0x100; a++ {
		add(byte(a))
		for b := 0; b < 0x100; b++ {
			add(byte(a), byte(b))
		}
		for _, b := range tails {
			for _, c := range tails {
				add(byte(a), b, c)
				for _, d := range tails {
					add(byte(a), b, c, d)
				}
			}
		}
	}
	stream(t, lines, frame.ClientToServer, func(line string) bool {
		return utf8.ValidString(line) && json.Valid([]byte(line))
	})
}

// TestText sets every byte at every place of a word's and of four words' length, in a key and in a string.
func TestText(t *testing.T) {
	var lines []string
	for at := range 41 {
		for c := range 0x100 {
			if c == '\n' {
				continue
			}
			b := []byte("a text that is longer than four words, to be sure")
			b[at] = byte(c)
			lines = append(lines, `{"jsonrpc":"2.0","id":1,"result":{"a":{"b":[["`+string(b)+`"],{"`+string(b)+`":1}],"c":"more text"}}}`)
		}
	}
	for _, d := range []frame.Direction{frame.ServerToClient, frame.ClientToServer} {
		stream(t, lines, d, func(line string) bool {
			return json.Valid([]byte(line)) && (d == frame.ServerToClient || utf8.ValidString(line))
		})
	}
}

// TestNumbers compares every sequence of up to five bytes that numbers are made of with encoding/json.
func TestNumbers(t *testing.T) {
	var lines []string
	var write func(number string, more int)
	write = func(number string, more int) {
		lines = append(lines, `{"jsonrpc":"2.0","id":1,"result":{"a":{"b":[[`+number+`],"a text of more than the bytes that are looked ahead"]}}}`)
		for _, c := range "-+.019eE" {
			if more > 0 {
				write(number+string(c), more-1)
			}
		}
	}
	write("1", 5)
	write("", 5)
	stream(t, lines, frame.ClientToServer, func(line string) bool { return json.Valid([]byte(line)) })
}

// TestLiterals compares what looks like a literal with encoding/json.
func TestLiterals(t *testing.T) {
	for _, word := range []string{"true", "false", "null"} {
		for at := range len(word) + 1 {
			for _, c := range "\x00 abeflnrstuTFN0,]" {
				for _, more := range []string{word[at:], word[min(at+1, len(word)):]} {
					line := `{"jsonrpc":"2.0","id":1,"result":{"a":{"b":[[` + word[:at] + string(c) + more + `],"a text of more than the bytes that are looked ahead"]}}}` + "\n"
					if want := json.Valid([]byte(line)); passes(t, line, frame.ClientToServer) != want {
						t.Errorf("%q passes: %v", line, !want)
					}
				}
			}
		}
	}
}
