package install

import (
	"bytes"
	"encoding/json"
	"path"
	"reflect"
	"strings"

	"github.com/tailscale/hujson"
)

// Server is a server as a client's config has it: a command that speaks stdio.
type Server struct {
	Command string
	Args    []string
	Env     map[string]string
	Cwd     string
}

// Server reads an entry. Keys that it does not know are the client's affair and stay in its file.
func (d *Document) Server(name string) (*Server, error) {
	m, i := d.entry(name)
	if i < 0 {
		return nil, d.whole("has no entry " + shown(name))
	}
	obj, ok := m.Value.Value.(*hujson.Object)
	if !ok {
		return nil, d.errorAt(m.Value.StartOffset, "%s must be an object in { }", shown(name))
	}
	r := entryReader{d: d, name: name}
	s := &Server{}
	for _, m := range obj.Members {
		r.read(s, textOf(m.Name), m.Value)
	}
	if r.err == nil && s.Command == "" {
		r.refuse(m.Value, "command", "is not there; only servers that are a command on this machine can be started by mcp-valet")
	}
	return s, r.err
}

// entryReader reads the parts of an entry and keeps the first thing that is wrong.
type entryReader struct {
	d    *Document
	name string
	err  error
}

func (r *entryReader) refuse(v hujson.Value, key, msg string) {
	if r.err == nil {
		r.err = r.d.errorAt(v.StartOffset, "%s: %q %s", shown(r.name), key, msg)
	}
}

func (r *entryReader) read(s *Server, key string, v hujson.Value) {
	switch key {
	case "command":
		s.Command = r.text(key, v)
	case "cwd":
		s.Cwd = r.text(key, v)
	case "args":
		list, ok := v.Value.(*hujson.Array)
		if !ok {
			r.refuse(v, key, "must be a list in [ ]")
			return
		}
		for _, e := range list.Elements {
			s.Args = append(s.Args, r.text(key, e))
		}
	case "env":
		obj, ok := v.Value.(*hujson.Object)
		if !ok {
			r.refuse(v, key, "must be an object in { }")
			return
		}
		s.Env = map[string]string{}
		for _, m := range obj.Members {
			s.Env[textOf(m.Name)] = r.text(key, m.Value)
		}
	case "type", "transport":
		if kind := textOf(v); isText(v) && kind != "stdio" {
			r.refuse(v, key, "is not stdio; only servers that are a command on this machine can be started by mcp-valet")
		}
	}
}

func (r *entryReader) text(key string, v hujson.Value) string {
	if !isText(v) {
		r.refuse(v, key, "holds something that is not text in double quotes")
		return ""
	}
	s := textOf(v)
	if lit := bytes.ToLower(v.Value.(hujson.Literal)); strings.Contains(s, "\ufffd") && !bytes.Contains(lit, []byte("\ufffd")) && !bytes.Contains(lit, []byte(`\ufffd`)) {
		r.refuse(v, key, `holds half of a pair of \ud800 to \udfff`)
	}
	return s
}

// Starts gives the server of our config that an entry starts, if it is an entry of ours. exe is the path of this
// program; a mcp-valet in any other place counts as well.
func (s *Server) Starts(exe string) (server string, ours bool) {
	base := strings.ToLower(path.Base(strings.ReplaceAll(s.Command, `\`, "/")))
	if s.Command != exe && strings.TrimSuffix(base, ".exe") != "mcp-valet" {
		return "", false
	}
	if len(s.Args) < 2 || s.Args[0] != "run" || strings.HasPrefix(s.Args[1], "-") {
		return "", false
	}
	return s.Args[1], true
}

// Same tells whether two texts are the same JSON value.
func Same(x, y []byte) bool {
	var vx, vy any
	return decode(x, &vx) && decode(y, &vy) && reflect.DeepEqual(vx, vy)
}

func decode(b []byte, v *any) bool {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode(v) == nil
}

// Wrapped writes e as the value of an entry: in the shape of the entry that it is to replace, with those of its keys that
// only the client knows. Without one (nil) it is set as the file is.
func (d *Document) Wrapped(e Entry, original []byte) []byte {
	v, err := hujson.Parse(original)
	obj, ok := v.Value.(*hujson.Object)
	if err != nil || !ok {
		return d.fresh(e)
	}
	command, at := member(obj, "command")
	var parts []string
	write := func(like hujson.ObjectMember, name, value string) {
		parts = append(parts, string(like.Name.BeforeExtra)+name+string(like.Name.AfterExtra)+":"+string(like.Value.BeforeExtra)+value+string(like.Value.AfterExtra))
	}
	_, hasArgs := member(obj, "args")
	if at < 0 {
		return d.fresh(e)
	}
	for _, m := range obj.Members {
		lit := string(m.Name.Value.(hujson.Literal))
		switch textOf(m.Name) {
		case "env", "cwd": // ours now
		case "command":
			write(m, lit, string(encode(e.Command)))
			if hasArgs < 0 {
				command.Value.AfterExtra = nil
				write(command, `"args"`, list(e.Args))
			}
		case "args":
			write(m, lit, list(e.Args))
		default:
			write(m, lit, string(original[m.Value.StartOffset:m.Value.EndOffset]))
		}
	}
	return []byte("{" + strings.Join(parts, ",") + string(obj.AfterExtra) + "}")
}

// fresh writes an entry's value as the file is set.
func (d *Document) fresh(e Entry) []byte {
	lead, closing := d.layout(d.end, d.root)
	if servers, obj := d.servers(); obj != nil {
		lead, closing = d.layout(servers.StartOffset, obj)
	} else if strings.Contains(lead, "\n") {
		lead += d.unit() // the object that holds the servers is made, too
	}
	inner := ""
	if strings.Contains(lead, "\n") {
		inner, closing = lead+d.unit(), lead
	}
	if inner == "" {
		closing = ""
	}
	gap := " "
	if inner != "" {
		gap = ""
	}
	return []byte("{" + inner + `"command": ` + string(encode(e.Command)) + "," + gap + inner + `"args": ` + list(e.Args) + closing + "}")
}

// list writes strings on one line.
func list(items []string) string {
	quoted := make([]string, len(items))
	for i, s := range items {
		quoted[i] = string(encode(s))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
