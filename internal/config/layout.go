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
	if indent, found := d.indentInside(obj); found {
		s.indent = indent
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
	if obj, ok := d.root.Value.(*hujson.Object); ok {
		if indent, found := d.indentInside(obj); found && indent != "" {
			return indent
		}
	}
	return "  "
}

// indentInside is the indentation of an object's last member, or of its first, where one of them begins a line.
func (d *document) indentInside(obj *hujson.Object) (string, bool) {
	for _, i := range []int{len(obj.Members) - 1, 0} {
		if i >= 0 && i < len(obj.Members) && d.beginsLine(obj.Members[i].Name.StartOffset) {
			return d.indentAt(obj.Members[i].Name.StartOffset), true
		}
	}
	return "", false
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
