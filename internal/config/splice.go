package config

import (
	"bytes"
	"slices"

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
func (d *document) find(keys ...string) *hujson.Value { return findIn(&d.root, keys...) }

func findIn(v *hujson.Value, keys ...string) *hujson.Value {
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
	ownLine := bytes.ContainsAny(d.text[start:m.Name.StartOffset], "\n")

	if len(obj.Members) == 1 && !hasComma && ownLine &&
		!hasComment(before) && !hasComment(obj.AfterExtra) {
		return d.apply(splice{in.StartOffset + 1, in.EndOffset - 1, ""})
	}
	end := m.Value.EndOffset
	if hasComma {
		end += len(m.Value.AfterExtra) + 1
	}
	end += commentOnLine(d.text[end:])
	switch onLine := startsWithLineEnd(d.text[end:]); {
	case !isLast && !ownLine && !onLine, endsInLineComment(before) && !onLine:
		// What follows takes this member's place; moved up, it could become part of a comment there.
		start = m.Name.StartOffset
		end += len(d.text[end:]) - len(bytes.TrimLeft(d.text[end:], " \t"))
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
