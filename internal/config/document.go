package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tailscale/hujson"
)

const (
	maxSize  = 4 << 20 // bytes in a config file
	maxDepth = 64      // objects and arrays inside of each other
)

const byteOrderMark = "\xef\xbb\xbf"

// document is the text of a config file together with its syntax tree, whose offsets point into text.
type document struct {
	path string
	mark string // the byte order mark that stood before text, or nothing
	text []byte
	root hujson.Value
}

// parseDocument checks that b is JSON with comments, and nothing about what it says.
func parseDocument(path string, b []byte) (*document, error) {
	d := &document{path: path, text: b}
	if after, found := bytes.CutPrefix(b, []byte(byteOrderMark)); found {
		d.mark, d.text = byteOrderMark, after
	}
	if err := d.checkText(); err != nil {
		return nil, err
	}
	// A comment may end with the file; the library wants a line end.
	root, err := hujson.Parse(append(bytes.Clone(d.text), '\n'))
	if err != nil {
		return nil, d.syntaxError(err)
	}
	d.root = root
	return d, nil
}

// checkText looks at what the parser does not look at.
func (d *document) checkText() error {
	whole := func(msg string) error { return &Error{Path: d.path, Msg: msg} }
	switch {
	case len(d.text) > maxSize:
		return whole(fmt.Sprintf("the file is larger than %d MiB", maxSize>>20))
	case bytes.HasPrefix(d.text, []byte("\xff\xfe")), bytes.HasPrefix(d.text, []byte("\xfe\xff")):
		return whole("the file is in UTF-16; save it as UTF-8")
	case len(bytes.TrimSpace(d.text)) == 0:
		return whole("the file is empty; an empty config is {}")
	}
	if at := invalidUTF8(d.text); at >= 0 {
		return d.errorAt(at, "", "not UTF-8 from here on; save the file as UTF-8")
	}
	if at := tooDeep(d.text); at >= 0 {
		return d.errorAt(at, "", fmt.Sprintf("more than %d levels of { and [", maxDepth))
	}
	return nil
}

func invalidUTF8(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// tooDeep gives the offset of the first bracket beyond the limit, or -1. The parser calls itself for each level, so this
// is known before it runs; up to the first mistake in the text both see the same strings and comments.
func tooDeep(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '{', '[':
			if depth++; depth > maxDepth {
				return i
			}
		case '}', ']':
			depth--
		case '"':
			i = skipString(b, i)
		case '/':
			i = skipComment(b, i)
		}
	}
	return -1
}

// skipString gives the offset of the quote that ends the string beginning at i, or the text's end.
func skipString(b []byte, i int) int {
	for i++; i < len(b) && b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i
}

// skipComment gives the offset of the last byte of the comment beginning at i; i itself when none does.
func skipComment(b []byte, i int) int {
	end := ""
	switch {
	case bytes.HasPrefix(b[i:], []byte("//")):
		end = "\n"
	case bytes.HasPrefix(b[i:], []byte("/*")):
		end = "*/"
	default:
		return i
	}
	n := bytes.Index(b[i+len("//"):], []byte(end))
	if n < 0 {
		return len(b)
	}
	return i + len("//") + n + len(end) - 1
}

// errorAt makes an Error for an offset in the text.
func (d *document) errorAt(at int, key, msg string) *Error {
	at = min(at, len(d.text))
	before := d.text[:at]
	start := bytes.LastIndexByte(before, '\n') + 1
	return &Error{
		Path: d.path, Line: 1 + bytes.Count(before, []byte("\n")), Column: 1 + utf8.RuneCount(before[start:]),
		Key: key, Msg: msg,
	}
}

// syntaxError words the parser's error anew: as it comes it may quote a whole string, which may be a secret.
func (d *document) syntaxError(err error) error {
	var line, column int
	if _, scanErr := fmt.Sscanf(err.Error(), "hujson: line %d, column %d:", &line, &column); scanErr != nil {
		return &Error{Path: d.path, Msg: "not JSON with comments"}
	}
	at := min(d.offset(line)+column-1, len(d.text))
	_, what, _ := strings.Cut(err.Error(), fmt.Sprintf("column %d: ", column))
	switch {
	case strings.HasPrefix(what, "invalid literal") && at < len(d.text) && d.text[at] == '"':
		what = `this text in quotes is not valid JSON: write \\ for a backslash, \" for a quote, \n for a line end`
	case strings.HasPrefix(what, "invalid literal"):
		what = "not a JSON value: text needs double quotes"
	case strings.HasSuffix(what, "unexpected EOF"):
		what = "the file ends too early: a bracket, a quote or a comment is still open"
	}
	return d.errorAt(at, "", what)
}

// offset is where a line begins.
func (d *document) offset(line int) int {
	at := 0
	for ; line > 1; line-- {
		n := bytes.IndexByte(d.text[at:], '\n')
		if n < 0 {
			return len(d.text)
		}
		at += n + 1
	}
	return at
}

// stringOf decodes a JSON string.
func stringOf(v hujson.Value) string {
	lit, _ := v.Value.(hujson.Literal)
	var s string
	if err := json.Unmarshal(lit, &s); err != nil {
		return "" // not a string, and then nobody asks
	}
	return s
}

// halfSurrogate tells whether a JSON string holds one half of a UTF-16 pair. Decoders disagree about those, Go's puts
// U+FFFD, so that two different texts become one.
func halfSurrogate(lit []byte) bool {
	for i := 0; i < len(lit); i++ {
		if lit[i] != '\\' {
			continue
		}
		i++
		if lit[i] != 'u' {
			continue
		}
		switch u := hex4(lit, i+1); {
		case u >= 0xdc00 && u <= 0xdfff:
			return true
		case u >= 0xd800 && u <= 0xdbff:
			if low := hex4(lit, i+7); !bytes.HasPrefix(lit[i+5:], []byte(`\u`)) || low < 0xdc00 || low > 0xdfff {
				return true
			}
			i += 6
		}
		i += 4
	}
	return false
}

// hex4 reads four hexadecimal digits, or gives 0.
func hex4(b []byte, at int) uint64 {
	if at+4 > len(b) {
		return 0
	}
	u, err := strconv.ParseUint(string(b[at:at+4]), 16, 16)
	if err != nil {
		return 0
	}
	return u
}
