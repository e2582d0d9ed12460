package wrapper

import (
	"bytes"
	"encoding/json"

	"mcp-valet/wrapper/frame"
)

// object is a JSON object whose members are left as they are. Keys are exact, unlike with Go structs.
type object map[string]json.RawMessage

// asObject reads an object; anything else is nil.
func asObject(b []byte) object {
	var o object
	if json.Unmarshal(b, &o) != nil {
		return nil
	}
	return o
}

// paramsOf are the params of a message that the header check has passed.
func paramsOf(line []byte) object { return asObject(asObject(line)["params"]) }

// textIn is a member that is a string; "" when it is not.
func textIn(o object, key string) string {
	var s string
	if json.Unmarshal(o[key], &s) != nil {
		return ""
	}
	return s
}

// metaCapabilities is where a modern request carries the client's capabilities (MCP 2026-07-28, _meta).
const metaCapabilities = "io.modelcontextprotocol/clientCapabilities"

// elicitsURLs tells whether capabilities of a client declare URL-mode elicitation. An empty "elicitation" means forms.
func elicitsURLs(capabilities []byte) bool {
	url := asObject(asObject(capabilities)["elicitation"])["url"]
	return asObject(url) != nil
}

// encode is JSON, on one line, for what comes from JSON or is ours, so that it cannot fail. Strings inside are left as
// they came.
func encode(v any) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("wrapper: encoding a checked value: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// kept is a message that outlives the reading of the next one.
func kept(m *frame.Message) *frame.Message {
	c := *m
	c.Raw = append([]byte(nil), m.Raw...)
	return &c
}
