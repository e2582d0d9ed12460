package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tailscale/hujson"
)

// splice replaces the bytes from start to end.
type splice struct {
	start, end int
	by         string
}

// apply does splices that lie one behind the other.
func (d *document) apply(splices ...splice) (*document, error) {
	var out []byte
	at := 0
	for _, s := range splices {
		out = append(append(out, d.text[at:s.start]...), s.by...)
		at = s.end
	}
	return d.changed(append(out, d.text[at:]...))
}

// find gives the value at keys, or nil.
func (d *document) find(keys ...string) *hujson.Value {
	v := &d.root
	for _, key := range keys {
		obj, ok := v.Value.(*hujson.Object)
		if !ok {
			return nil
		}
		i := slices.IndexFunc(obj.Members, func(m hujson.ObjectMember) bool { return stringOf(m.Name) == key })
		if i < 0 {
			return nil
		}
		v = &obj.Members[i].Value
	}
	return v
}

// replace puts v in the place of a value, unless that says the same already.
func (d *document) replace(now hujson.Value, v any) (*document, error) {
	if same(now, v) {
		return d, nil
	}
	by, err := d.styleAt(now.StartOffset).render(v)
	if err != nil {
		return nil, err
	}
	return d.apply(splice{now.StartOffset, now.EndOffset, by})
}

// insert adds a member at the end of the object that the last of keys is to be in.
func (d *document) insert(keys []string, v any) (*document, error) {
	in := d.find(keys[:len(keys)-1]...)
	obj, ok := in.Value.(*hujson.Object)
	if !ok {
		at := (*place)(nil)
		for _, k := range keys[:len(keys)-1] {
			at = at.child(k)
		}
		return nil, d.errorAt(in.StartOffset, at.String(), "must be an object in { }")
	}
	tail := d.tailOf(*in, obj)
	style := d.styleInside(*in, obj)
	body, err := style.render(v)
	if err != nil {
		return nil, err
	}
	name, err := quote(keys[len(keys)-1])
	if err != nil {
		return nil, err
	}
	text := style.lead + name + ": " + body
	if style.closing != "" {
		return d.apply(splice{tail.after, tail.after, text + style.closing})
	}
	// An empty object that is open already stays open when the member is removed again: the comma says so.
	if tail.comma || len(obj.Members) == 0 && style.lines && !hasComment(obj.AfterExtra) {
		return d.apply(splice{tail.after, tail.after, text + ","})
	}
	if len(obj.Members) == 0 {
		return d.apply(splice{tail.after, tail.after, text})
	}
	return d.apply(splice{tail.start, tail.start, ","}, splice{tail.after, tail.after, text})
}

// tail is what stands between the last member of an object and its closing brace.
type tail struct {
	comma bool // a trailing comma stands before it
	start int  // offset behind the last member, its comma, or the opening brace
	after int  // offset behind the last comment, or start: here a new member goes
}

func (d *document) tailOf(v hujson.Value, obj *hujson.Object) tail {
	t := tail{start: v.StartOffset + 1}
	if n := len(obj.Members); n > 0 {
		last := obj.Members[n-1].Value
		t.start = last.EndOffset
		if last.AfterExtra != nil {
			t.comma = true
			t.start += len(last.AfterExtra) + 1
		}
	}
	t.after = t.start + commentsEnd(obj.AfterExtra)
	return t
}

// commentsEnd gives the offset behind the last comment, less the line end that ends it.
func commentsEnd(extra []byte) int {
	end := 0
	for i := 0; i < len(extra); i++ {
		if extra[i] == '/' {
			line := extra[i+1] == '/'
			i = skipComment(extra, i)
			if end = i + 1; line {
				end = len(bytes.TrimRight(extra[:i], "\r"))
			}
		}
	}
	return end
}

func hasComment(extra []byte) bool { return bytes.IndexByte(extra, '/') >= 0 }

// endsInLineComment tells whether the last comment goes to the end of its line.
func endsInLineComment(extra []byte) bool {
	line := false
	for i := 0; i < len(extra); i++ {
		if extra[i] == '/' {
			line = extra[i+1] == '/'
			i = skipComment(extra, i)
		}
	}
	return line
}

// remove takes a member out: with the line it begins, its comma, and the comment behind it on the same line. Comments
// above it stay.
func (d *document) remove(keys []string) (*document, error) {
	in := d.find(keys[:len(keys)-1]...)
	obj := in.Value.(*hujson.Object)
	i := slices.IndexFunc(obj.Members, func(m hujson.ObjectMember) bool { return stringOf(m.Name) == keys[len(keys)-1] })
	m := obj.Members[i]
	before := obj.Members[i].Name.BeforeExtra
	isLast := i == len(obj.Members)-1
	hasComma := !isLast || m.Value.AfterExtra != nil
	start := d.lineBefore(m.Name.StartOffset)

	if len(obj.Members) == 1 && !hasComma && bytes.ContainsAny(d.text[start:m.Name.StartOffset], "\n") &&
		!hasComment(before) && !hasComment(obj.AfterExtra) {
		return d.apply(splice{in.StartOffset + 1, in.EndOffset - 1, ""})
	}
	end := m.Value.EndOffset
	if hasComma {
		end += len(m.Value.AfterExtra) + 1
	}
	end += commentOnLine(d.text[end:])
	if endsInLineComment(before) && !startsWithLineEnd(d.text[end:]) {
		start = m.Name.StartOffset // else what follows would become part of the comment above
	}
	gone := splice{start, end, ""}
	if hasComma || i == 0 {
		return d.apply(gone)
	}
	previous := obj.Members[i-1].Value
	comma := previous.EndOffset + len(previous.AfterExtra)
	return d.apply(splice{comma, comma + 1, ""}, gone)
}

// lineBefore goes back from at over the spaces before it and the line end before those.
func (d *document) lineBefore(at int) int {
	for at > 0 && (d.text[at-1] == ' ' || d.text[at-1] == '\t') {
		at--
	}
	if at > 0 && d.text[at-1] == '\n' {
		if at--; at > 0 && d.text[at-1] == '\r' {
			at--
		}
	}
	return at
}

// commentOnLine gives the length of a comment that ends the line which text begins in, with the spaces before it.
func commentOnLine(text []byte) int {
	at := len(text) - len(bytes.TrimLeft(text, " \t"))
	if at == len(text) || text[at] != '/' {
		return 0
	}
	end := skipComment(text, at) + 1
	if text[at+1] == '/' {
		return len(bytes.TrimRight(text[:min(end, len(text))], "\r\n"))
	}
	if bytes.ContainsAny(text[at:end], "\n") || !startsWithLineEnd(text[end:]) {
		return 0
	}
	return end
}

func startsWithLineEnd(text []byte) bool {
	rest := bytes.TrimLeft(text, " \t\r")
	return len(rest) == 0 || rest[0] == '\n'
}

// style is how text is laid out around a place.
type style struct {
	newline string // line end of this file
	indent  string // of the line that the value begins in
	unit    string // one level of indentation
	lines   bool   // the value may take more than one line
	lead    string // what comes before a new member
	closing string // what comes behind it
}

// styleAt is the style for a value that replaces another.
func (d *document) styleAt(at int) style {
	return style{newline: d.newline(), indent: d.indentAt(at), unit: d.unit(), lines: bytes.ContainsAny(d.text, "\n")}
}

// styleInside is the style for a new member of an object.
func (d *document) styleInside(v hujson.Value, obj *hujson.Object) style {
	s := d.styleAt(v.StartOffset)
	outer := s.indent
	switch {
	case len(obj.Members) == 0 && len(obj.AfterExtra) == 0: // {}
		if !s.lines {
			return s
		}
		s.closing = s.newline + outer
	case !d.spread(obj):
		s.lines, s.lead = false, " "
		return s
	}
	s.indent = outer + s.unit
	for _, m := range obj.Members {
		if at := m.Name.StartOffset; d.beginsLine(at) {
			s.indent = d.indentAt(at)
		}
	}
	s.lead = s.newline + s.indent
	return s
}

// spread tells whether an object takes more than one line.
func (d *document) spread(obj *hujson.Object) bool {
	for _, m := range obj.Members {
		if bytes.ContainsAny(m.Name.BeforeExtra, "\n") {
			return true
		}
	}
	return bytes.ContainsAny(obj.AfterExtra, "\n")
}

func (d *document) newline() string {
	if i := bytes.IndexByte(d.text, '\n'); i > 0 && d.text[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

func (d *document) indentAt(at int) string {
	line := d.text[bytes.LastIndexByte(d.text[:at], '\n')+1:]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

func (d *document) beginsLine(at int) bool {
	start := bytes.LastIndexByte(d.text[:at], '\n') + 1
	return start > 0 && len(bytes.Trim(d.text[start:at], " \t")) == 0
}

// unit is how far the file indents its first level.
func (d *document) unit() string {
	obj, ok := d.root.Value.(*hujson.Object)
	if !ok {
		return "  "
	}
	for _, m := range obj.Members {
		if at := m.Name.StartOffset; d.beginsLine(at) && d.indentAt(at) != "" {
			return d.indentAt(at)
		}
	}
	return "  "
}

// wide is how many characters an object may take in one line when it could take more lines.
const wide = 80

// render writes a value. The object itself takes a line for each member where it may; objects inside it stay on one
// line while they are short.
func (s style) render(v any) (string, error) {
	members, isObject := membersOf(v)
	if !isObject || !s.lines {
		return inline(v)
	}
	inner := s
	inner.indent += s.unit
	var lines []string
	for _, m := range members {
		body, err := inner.renderMember(m)
		if err != nil {
			return "", err
		}
		if body != "" {
			lines = append(lines, s.newline+inner.indent+body)
		}
	}
	if len(lines) == 0 {
		return "{}", nil
	}
	return "{" + strings.Join(lines, ",") + s.newline + s.indent + "}", nil
}

func (s style) renderMember(m member) (string, error) {
	name, err := quote(m.name)
	if err != nil || m.value == nil {
		return "", err
	}
	if _, goesWithoutSaying := m.value.(implied); goesWithoutSaying {
		return "", nil
	}
	body, err := inline(m.value)
	if members, isObject := membersOf(m.value); err == nil && isObject && (len(body) > wide || holdsObject(members)) {
		body, err = s.render(m.value)
	}
	return name + ": " + body, err
}

func holdsObject(members []member) bool {
	return slices.ContainsFunc(members, func(m member) bool { _, is := membersOf(m.value); return is })
}

// inline writes a value on one line.
func inline(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return quote(v)
	case bool:
		return strconv.FormatBool(v), nil
	case int:
		return strconv.Itoa(v), nil
	case []string:
		return inlineList(v)
	}
	members, isObject := membersOf(v)
	if !isObject {
		return "", fmt.Errorf("editing the config: no way to write a %T", v)
	}
	flat := style{}
	var parts []string
	for _, m := range members {
		name, err := flat.renderMember(m)
		if err != nil {
			return "", err
		}
		if name != "" {
			parts = append(parts, name)
		}
	}
	if len(parts) == 0 {
		return "{}", nil
	}
	return "{ " + strings.Join(parts, ", ") + " }", nil
}

func inlineList(list []string) (string, error) {
	quoted := make([]string, len(list))
	for i, s := range list {
		var err error
		if quoted[i], err = quote(s); err != nil {
			return "", err
		}
	}
	return "[" + strings.Join(quoted, ", ") + "]", nil
}

// quote writes a JSON string, with < > & as they are.
func quote(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", &Error{Msg: "the text to write is not UTF-8"}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return "", fmt.Errorf("editing the config: %w", err)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// same tells whether a value of the file says what v says.
func same(now hujson.Value, v any) bool {
	lit, _ := now.Value.(hujson.Literal)
	switch v := v.(type) {
	case string:
		return kindOf(now) == '"' && stringOf(now) == v
	case bool:
		return string(lit) == strconv.FormatBool(v)
	case int:
		return string(lit) == strconv.Itoa(v)
	case []string:
		arr, ok := now.Value.(*hujson.Array)
		return ok && slices.EqualFunc(arr.Elements, v, func(e hujson.Value, s string) bool { return same(e, s) })
	}
	return false
}
