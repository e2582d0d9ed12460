package install

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tailscale/hujson"
)

// maxSize bounds a client's config, in bytes.
const maxSize = 16 << 20

// Error is what is wrong with a client's config. It repeats no value from the file, which might be a secret.
type Error struct {
	Path string // file; "" where the text is in no file
	Line int    // from 1; 0 where no place can be named
	Msg  string
}

// Error gives "claude_desktop_config.json:12: the key "command" is there twice".
func (e *Error) Error() string {
	switch {
	case e.Path == "":
		return e.Msg
	case e.Line == 0:
		return e.Path + ": " + e.Msg
	}
	return fmt.Sprintf("%s:%d: %s", e.Path, e.Line, e.Msg)
}

// Document is the text of a client's config together with its syntax tree, whose offsets point into the text. It is
// never changed: edits give new text.
type Document struct {
	path string
	key  string // top-level key of the object that holds the servers
	text []byte
	root *hujson.Object
	end  int // offset of the brace that closes root
}

// Parse reads a client's config: strict JSON as the clients take it, an object, UTF-8 without a byte order mark. A file
// in which a key is there twice, at any depth, is refused: nobody can say which one counts. So is one in which the key
// of the servers is there in upper or lower case. Errors are [*Error].
func (c Client) Parse(path string, b []byte) (*Document, error) {
	d := &Document{path: path, key: c.Key, text: b}
	if err := d.checkText(); err != nil {
		return nil, err
	}
	if err := d.checkSyntax(); err != nil {
		return nil, err
	}
	root, err := hujson.Parse(bytes.Clone(b))
	if err != nil {
		return nil, d.whole("is not JSON") // not reached: the syntax was checked
	}
	obj, ok := root.Value.(*hujson.Object)
	if !ok {
		return nil, d.errorAt(root.StartOffset, "must be an object in { }")
	}
	d.root, d.end = obj, root.EndOffset-1
	if err := d.checkKeys(root); err != nil {
		return nil, err
	}
	if err := d.checkServers(); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *Document) whole(msg string) error { return &Error{Path: d.path, Msg: msg} }

// errorAt makes an Error for an offset in the text.
func (d *Document) errorAt(at int, format string, args ...any) error {
	line := 1 + bytes.Count(d.text[:min(at, len(d.text))], []byte("\n"))
	return &Error{Path: d.path, Line: line, Msg: fmt.Sprintf(format, args...)}
}

func (d *Document) checkText() error {
	b := d.text
	switch {
	case len(b) > maxSize:
		return d.whole(fmt.Sprintf("is larger than %d MiB", maxSize>>20))
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		return d.errorAt(0, "begins with a byte order mark, which clients do not take; save it as UTF-8 without one")
	case bytes.HasPrefix(b, []byte("\xff\xfe")), bytes.HasPrefix(b, []byte("\xfe\xff")):
		return d.whole("is in UTF-16; save it as UTF-8")
	case len(bytes.TrimSpace(b)) == 0:
		return d.whole("is empty, which is not JSON; an empty config is {}")
	case utf8.Valid(b):
		return nil
	}
	at := 0
	for r, n := utf8.DecodeRune(b); r != utf8.RuneError || n != 1; r, n = utf8.DecodeRune(b[at:]) {
		at += n
	}
	return d.errorAt(at, "is not UTF-8")
}

// checkSyntax uses the standard library's parser, which is as strict as the clients'. It also bounds the depth.
func (d *Document) checkSyntax() error {
	var any json.RawMessage
	err := json.Unmarshal(d.text, &any)
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &syntax):
		return d.whole("is not JSON")
	}
	at := int(syntax.Offset) - 1 // of the character that does not belong there
	if at < 0 || at >= len(d.text) || strings.Contains(err.Error(), "unexpected end") {
		return d.errorAt(len(d.text), "ends too early: a bracket or a quote is still open")
	}
	before := bytes.TrimSpace(d.text[:at])
	switch c := d.text[at]; {
	case strings.Contains(err.Error(), "max depth"):
		return d.errorAt(at, "has too many levels of { and [")
	case c == '/':
		return d.errorAt(at, "holds a comment, which clients do not take")
	case (c == '}' || c == ']') && bytes.HasSuffix(before, []byte(",")):
		return d.errorAt(at, "has a comma before %c, which clients do not take", c)
	}
	return d.errorAt(at, "is not JSON from here on")
}

// checkKeys finds a key that an object has twice, at any depth.
func (d *Document) checkKeys(v hujson.Value) error {
	switch v := v.Value.(type) {
	case *hujson.Array:
		for _, e := range v.Elements {
			if err := d.checkKeys(e); err != nil {
				return err
			}
		}
	case *hujson.Object:
		seen := make(map[string]bool, len(v.Members))
		for _, m := range v.Members {
			name := textOf(m.Name)
			if seen[name] {
				return d.errorAt(m.Name.StartOffset, "the key %s is there already; take one of the two out", shown(name))
			}
			seen[name] = true
			if err := d.checkKeys(m.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkServers looks at the object that holds the servers.
func (d *Document) checkServers() error {
	for _, m := range d.root.Members {
		name := textOf(m.Name)
		if name != d.key && strings.EqualFold(name, d.key) {
			return d.errorAt(m.Name.StartOffset, "the key %s must be written %q", shown(name), d.key)
		}
		if _, ok := m.Value.Value.(*hujson.Object); name == d.key && !ok {
			return d.errorAt(m.Value.StartOffset, "%q must be an object in { }", d.key)
		}
	}
	return nil
}

// textOf decodes a JSON string.
func textOf(v hujson.Value) string {
	lit, _ := v.Value.(hujson.Literal)
	var s string
	if err := json.Unmarshal(lit, &s); err != nil {
		return "" // not a string, and then nobody asks
	}
	return s
}

func isText(v hujson.Value) bool { return v.Value.Kind() == '"' }

// shown makes a key of the file fit to be shown: on one line, and not all of a long one.
func shown(key string) string {
	const limit = 80
	if len(key) > limit {
		return fmt.Sprintf("%+q…", strings.ToValidUTF8(key[:limit], ""))
	}
	return fmt.Sprintf("%+q", key)
}

// member gives the member of an object that has a name, with its place among the others; -1 when there is none.
func member(obj *hujson.Object, name string) (hujson.ObjectMember, int) {
	for i, m := range obj.Members {
		if textOf(m.Name) == name {
			return m, i
		}
	}
	return hujson.ObjectMember{}, -1
}
