// Package scan compares the check of a message's header with what JSON libraries for Go do with the same message.
package scan

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
	goccy "github.com/goccy/go-json"
	"github.com/minio/simdjson-go"
	"github.com/tidwall/gjson"

	"mcp-valet/wrapper/frame"
)

// What a library can check of a message, and refuse it for.
const (
	grammar = "grammar" // RFC 8259
	utf8    = "utf8"    // well-formed
	keys    = "keys"    // none twice in an object, at any depth
	depth   = "depth"   // a bound of nesting
)

// library is a way to check a message and to find its method.
type library struct {
	name    string
	checks  []string // TestRefused holds it to these
	prepare func(line []byte) func() (method string, err error)
}

var errInvalid = errors.New("invalid")

// libraries are compared. What they can reuse from one message to the next, they do.
var libraries = []library{
	{"mcp-valet", []string{grammar, utf8, keys, depth}, ours},
	{"jsontext", []string{grammar, utf8, keys, depth}, jsontextDecoder},
	{"encoding-json-Valid", []string{grammar, depth}, func(line []byte) func() (string, error) {
		return func() (string, error) { return valid(json.Valid(line)) }
	}},
	{"encoding-json-struct", []string{grammar, depth}, func(line []byte) func() (string, error) {
		return func() (string, error) { return unmarshal(json.Unmarshal, line) }
	}},
	{"gjson", []string{grammar}, func(line []byte) func() (string, error) {
		return func() (string, error) {
			if !gjson.ValidBytes(line) {
				return "", errInvalid
			}
			return gjson.GetBytes(line, "method").Str, nil
		}
	}},
	{"goccy-Valid", []string{grammar, depth}, func(line []byte) func() (string, error) {
		return func() (string, error) { return valid(goccy.Valid(line)) }
	}},
	{"goccy-struct", []string{grammar, depth}, func(line []byte) func() (string, error) {
		return func() (string, error) {
			return unmarshal(func(b []byte, v any) error { return goccy.Unmarshal(b, v) }, line)
		}
	}},
	{"simdjson", []string{grammar}, simd},
}

// ours is the reader as the launcher uses it: it reads, finds the newline, checks and decodes the header. A message has
// to be read to be checked, so that is in its figures; the others get the message in one piece.
func ours(line []byte) func() (string, error) {
	r := frame.NewReader(&repeat{line: line}, frame.ClientToServer, 0)
	return func() (string, error) {
		m, err := r.Next()
		return m.Method, err
	}
}

// jsontextDecoder reads the members of the message and skips their values, which it checks.
func jsontextDecoder(line []byte) func() (string, error) {
	source := bytes.NewReader(nil)
	d := jsontext.NewDecoder(source)
	return func() (method string, err error) {
		source.Reset(line)
		d.Reset(source)
		if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
			return "", errors.Join(err, errInvalid)
		}
		for d.PeekKind() != '}' {
			name, err := d.ReadToken()
			if err != nil {
				return "", err
			}
			if name.String() != "method" {
				err = d.SkipValue()
			} else if value, e := d.ReadToken(); e != nil {
				err = e
			} else {
				method = value.String()
			}
			if err != nil {
				return "", err
			}
		}
		if _, err := d.ReadToken(); err != nil {
			return "", err
		}
		if _, err := d.ReadToken(); err != io.EOF {
			return "", errInvalid // something follows
		}
		return method, nil
	}
}

// simd has the whole message parsed, since simdjson-go can do no less.
func simd(line []byte) func() (string, error) {
	var reused *simdjson.ParsedJson
	var object *simdjson.Object
	var element simdjson.Element
	return func() (string, error) {
		parsed, err := simdjson.Parse(line, reused, simdjson.WithCopyStrings(false))
		if err != nil {
			return "", err
		}
		reused = parsed
		i := parsed.Iter()
		i.AdvanceInto()
		_, root, err := i.Root(nil)
		if err != nil {
			return "", err
		}
		if object, err = root.Object(object); err != nil {
			return "", err
		}
		if object.FindKey("method", &element) == nil {
			return "", nil
		}
		return element.Iter.String()
	}
}

// envelope is a message as programs usually take it apart.
type envelope struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params"`
	Result  json.RawMessage `json:"result"`
	Error   json.RawMessage `json:"error"`
}

func unmarshal(do func([]byte, any) error, line []byte) (string, error) {
	var e envelope
	err := do(line, &e)
	return e.Method, err
}

// valid is for what only says yes or no.
func valid(ok bool) (string, error) {
	if !ok {
		return "", errInvalid
	}
	return wanted, nil
}

// repeat gives a line over and over, as a pipe would: at most 64 KiB a read.
type repeat struct {
	line []byte
	at   int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := copy(p[:min(len(p), 64<<10)], r.line[r.at:])
	r.at = (r.at + n) % len(r.line)
	return n, nil
}
