package install

import (
	"bytes"
	"strings"

	"github.com/tailscale/hujson"
)

// The edits below take a client's config and give its text changed in one place; every other byte stays: order, spacing,
// line ends, keys that nobody here knows. None of them touches a file: that is Update.

// Place is where an entry stands among the others.
type Place struct {
	Previous string `json:"previous,omitempty"` // the entry before it; "" for the first
	Next     string `json:"next,omitempty"`     // the entry behind it; "" for the last
}

// Insertion is what an edit added to a text: enough to take it out again without a trace.
type Insertion struct {
	Text  string `json:"text"`  // all that was added, in one piece
	Value int    `json:"value"` // offset in Text of the entry's value
}

// Names lists the entries in the order of the file.
func (d *Document) Names() []string {
	var names []string
	if _, servers := d.servers(); servers != nil {
		for _, m := range servers.Members {
			names = append(names, textOf(m.Name))
		}
	}
	return names
}

// Line gives the line that an entry begins in, or 0.
func (d *Document) Line(name string) int {
	m, i := d.entry(name)
	if i < 0 {
		return 0
	}
	return 1 + bytes.Count(d.text[:m.Name.StartOffset], []byte("\n"))
}

// Entry gives the text of an entry's value and where it stands; ok tells whether it is there.
func (d *Document) Entry(name string) (text []byte, at Place, ok bool) {
	m, i := d.entry(name)
	if i < 0 {
		return nil, Place{}, false
	}
	names := d.Names()
	if i > 0 {
		at.Previous = names[i-1]
	}
	if i+1 < len(names) {
		at.Next = names[i+1]
	}
	return bytes.Clone(d.text[m.Value.StartOffset:m.Value.EndOffset]), at, true
}

// Replace puts value in the place of an entry's value.
func (d *Document) Replace(name string, value []byte) []byte {
	m, i := d.entry(name)
	if i < 0 {
		return bytes.Clone(d.text)
	}
	return d.splice(m.Value.StartOffset, m.Value.EndOffset, string(value))
}

// Insert adds an entry that is not there: behind the entry that was before it, or before the one that was behind it, or
// at the end. The object that holds the servers is made where it is missing.
func (d *Document) Insert(name string, value []byte, at Place) ([]byte, Insertion) {
	head := string(encode(name)) + ": "
	box, servers := d.servers()
	if servers == nil {
		return d.insertServers(head, value)
	}
	lead, closing := d.layout(box.StartOffset, servers)
	previous, next := indexOf(servers, at.Previous), indexOf(servers, at.Next)
	switch {
	case len(servers.Members) == 0:
		return d.insert(box.StartOffset+1, lead+head, value, closing)
	case previous < 0 && next >= 0:
		return d.insert(servers.Members[next].Name.StartOffset, head, value, ","+lead)
	case previous < 0:
		previous = len(servers.Members) - 1
	}
	return d.insert(servers.Members[previous].Value.EndOffset, ","+lead+head, value, "")
}

// indexOf gives the place of an entry that a Place names.
func indexOf(servers *hujson.Object, name string) int {
	if name == "" {
		return -1
	}
	_, i := member(servers, name)
	return i
}

// insertServers adds an entry to a config that has no object for servers.
func (d *Document) insertServers(head string, value []byte) ([]byte, Insertion) {
	open := d.end - len(d.root.AfterExtra)
	lead, closing := d.layout(d.end, d.root)
	inner := lead
	if strings.Contains(lead, "\n") {
		inner += d.unit()
	}
	before, after := string(encode(d.key))+": {"+inner+head, ""
	if inner != lead {
		after = lead
	}
	after += "}"
	if n := len(d.root.Members); n > 0 {
		return d.insert(d.root.Members[n-1].Value.EndOffset, ","+lead+before, value, after)
	}
	return d.insert(open, lead+before, value, after+closing)
}

// insert adds before, value and after at one offset.
func (d *Document) insert(at int, before string, value []byte, after string) ([]byte, Insertion) {
	in := Insertion{before + string(value) + after, len(before)}
	return d.splice(at, at, in.Text), in
}

// Remove takes an entry out, and is content when it is not there. What in says was added with it goes too, if all of that
// is still there as it was.
func (d *Document) Remove(name string, in Insertion) []byte {
	m, i := d.entry(name)
	if i < 0 {
		return bytes.Clone(d.text)
	}
	if start := m.Value.StartOffset - in.Value; in.Text != "" && start >= 0 && bytes.HasPrefix(d.text[start:], []byte(in.Text)) {
		return d.splice(start, start+len(in.Text), "")
	}
	box, servers := d.servers()
	switch {
	case i > 0:
		return d.splice(servers.Members[i-1].Value.EndOffset, m.Value.EndOffset, "")
	case len(servers.Members) > 1:
		return d.splice(m.Name.StartOffset, servers.Members[1].Name.StartOffset, "")
	}
	return d.splice(box.StartOffset+1, box.EndOffset-1, "")
}

// servers gives the object that holds the servers, or nil.
func (d *Document) servers() (hujson.Value, *hujson.Object) {
	m, i := member(d.root, d.key)
	if i < 0 {
		return hujson.Value{}, nil
	}
	return m.Value, m.Value.Value.(*hujson.Object) // checked by Parse
}

func (d *Document) entry(name string) (hujson.ObjectMember, int) {
	_, servers := d.servers()
	if servers == nil {
		return hujson.ObjectMember{}, -1
	}
	return member(servers, name)
}

func (d *Document) splice(start, end int, by string) []byte {
	return append(append(bytes.Clone(d.text[:start]), by...), d.text[end:]...)
}

// layout is how the members of an object are set: lead comes before each, closing behind the last one of an object that
// was {}. box is an offset in the line that the object begins in.
func (d *Document) layout(box int, obj *hujson.Object) (lead, closing string) {
	if n := len(obj.Members); n > 0 {
		return string(obj.Members[n-1].Name.BeforeExtra), ""
	}
	if !bytes.ContainsAny(d.text, "\n") {
		return "", ""
	}
	indent := d.newline() + d.indentAt(box)
	if !bytes.ContainsAny(obj.AfterExtra, "\n") {
		closing = indent
	}
	return indent + d.unit(), closing
}

func (d *Document) newline() string {
	if i := bytes.IndexByte(d.text, '\n'); i > 0 && d.text[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

func (d *Document) indentAt(at int) string {
	line := d.text[bytes.LastIndexByte(d.text[:at], '\n')+1:]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

// unit is how far the file indents its first level.
func (d *Document) unit() string {
	for _, m := range d.root.Members {
		if bytes.ContainsAny(m.Name.BeforeExtra, "\n") {
			if indent := d.indentAt(m.Name.StartOffset); indent != "" {
				return indent
			}
		}
	}
	return "  "
}
