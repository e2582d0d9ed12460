package demo

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"slices"
)

// JSON-RPC 2.0 section 5.1, and MCP 2026-07-28, "Error Codes".
const (
	codeParse              = -32700
	codeInvalidRequest     = -32600
	codeMethodNotFound     = -32601
	codeInvalidParams      = -32602
	codeInternal           = -32603
	codeUnsupportedVersion = -32022
)

// What MCP 2026-07-28 puts into _meta.
const (
	metaVersion      = "io.modelcontextprotocol/protocolVersion"
	metaCapabilities = "io.modelcontextprotocol/clientCapabilities"
	metaServerInfo   = "io.modelcontextprotocol/serverInfo"
)

// wireError is a JSON-RPC error to be sent.
type wireError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

func (e *wireError) Error() string { return e.Message }

// message is what came in. All keys are compared exactly: encoding/json alone would
// take "Method" for "method" in a struct.
type message struct {
	id     json.RawMessage // nil: no answer is due
	method string
	params map[string]json.RawMessage
}

// maxLine bounds a message, in bytes.
const maxLine = 1 << 20

var errTooLong = errors.New("line too long")

// readLine reads up to a newline, which it drops. A line over maxLine is skipped
// and gives errTooLong; one without its newline at the end of input is no message.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for long := false; ; {
		part, err := r.ReadSlice('\n')
		if !long {
			line = append(line, part...)
		}
		long = long || len(line) > maxLine
		switch {
		case err == bufio.ErrBufferFull:
			if long {
				line = nil
			}
		case err != nil:
			return nil, err
		case long:
			return nil, errTooLong
		default:
			return line[:len(line)-1], nil
		}
	}
}

// parseMessage reads one line. With an error the id is set as far as it was found.
func parseMessage(line []byte) (m message, err error) {
	if !json.Valid(line) {
		return m, &wireError{Code: codeParse, Message: "not JSON"}
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil || fields == nil {
		return m, &wireError{Code: codeInvalidRequest, Message: "not a JSON object"}
	}
	if raw, there := fields["id"]; there {
		if !validID(raw) {
			return m, &wireError{Code: codeInvalidRequest, Message: "the id is neither a string nor an integer"}
		}
		m.id = raw
	}
	if string(fields["jsonrpc"]) != `"2.0"` {
		return m, &wireError{Code: codeInvalidRequest, Message: `jsonrpc is not "2.0"`}
	}
	raw, there := fields["method"]
	if !there && (fields["result"] != nil || fields["error"] != nil) {
		return message{}, nil // a response; we never ask
	}
	if json.Unmarshal(raw, &m.method) != nil || m.method == "" {
		return m, &wireError{Code: codeInvalidRequest, Message: "method is not a string"}
	}
	if raw, there := fields["params"]; there {
		if m.params, err = object(raw, "params"); err != nil && m.id == nil {
			err = nil // nobody waits for an answer to a notification
		}
	}
	return m, err
}

// validID accepts strings and integers, and no null (MCP, "Requests").
func validID(raw json.RawMessage) bool {
	return raw[0] == '"' || !bytes.ContainsAny(raw, ".eEntf{[")
}

func object(raw json.RawMessage, name string) (fields map[string]json.RawMessage, err error) {
	if json.Unmarshal(raw, &fields) != nil || fields == nil {
		return nil, &wireError{Code: codeInvalidParams, Message: name + " is not an object"}
	}
	return fields, nil
}

// modern reports whether a request is of the era without handshake, and refuses a
// version that we do not speak and a request that lacks what its era demands.
func (m message) modern() (bool, error) {
	raw, there := m.params["_meta"]
	if !there {
		return false, nil
	}
	meta, err := object(raw, "_meta")
	if err != nil {
		return false, err
	}
	raw, there = meta[metaVersion]
	if !there {
		return false, nil
	}
	var version string
	if json.Unmarshal(raw, &version) != nil || string(raw) == "null" {
		return false, &wireError{Code: codeInvalidParams, Message: metaVersion + " is not a string"}
	}
	switch {
	case slices.Contains(legacyVersions, version): // those are agreed on by initialize alone
		return false, nil
	case version != modernVersion:
		return false, &wireError{Code: codeUnsupportedVersion, Message: "unsupported protocol version",
			Data: map[string]any{"supported": supportedVersions(), "requested": version}}
	}
	if _, err := object(meta[metaCapabilities], metaCapabilities); err != nil {
		return false, err
	}
	return true, nil
}

func resultLine(id json.RawMessage, result map[string]any) []byte {
	return encodeLine(map[string]any{"jsonrpc": "2.0", "id": id, "result": result})
}

// errorLine answers with null where no id could be read (JSON-RPC 2.0 section 5).
func errorLine(id json.RawMessage, err error) []byte {
	var wire *wireError
	if !errors.As(err, &wire) {
		wire = &wireError{Code: codeInternal, Message: "internal error"}
	}
	if id == nil {
		id = json.RawMessage("null")
	}
	return encodeLine(map[string]any{"jsonrpc": "2.0", "id": id, "error": wire})
}

// encodeLine encodes a message, newline included. What goes in was made by this package
// or is JSON that was read before, so that it cannot fail.
func encodeLine(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("encoding a message: " + err.Error())
	}
	return b.Bytes()
}
