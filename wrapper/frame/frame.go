// Package frame cuts a byte stream into newline-delimited JSON-RPC messages and checks each one's header.
//
// The stdio transport of MCP carries one JSON-RPC 2.0 message a line, UTF-8, without embedded newlines
// (https://modelcontextprotocol.io/specification/2025-11-25/basic/transports). Whoever decides by a message's
// header must see what the next parser sees, whatever parser that is (CVE-2026-27896, GHSA-q382-vc8q-7jhj): a
// reader for ClientToServer therefore passes only messages that leave a parser no choice, byte for byte as they
// came. A reader for ServerToClient holds only to what every client needs, so that what works without it works
// through it:
//
//	                              ClientToServer          ServerToClient
//	JSON grammar (RFC 8259)       strict                  strict
//	UTF-8                         strict                  as it comes
//	one object a line, no batch   refused                 refused
//	jsonrpc "2.0"                 exact                   exact
//	nesting                       512                     10,000, as encoding/json
//	members of the envelope       the six known, exact    any; jsonrpc, id, method once
//	repeated keys                 refused at every depth  passed
//	case twins, NUL in keys       refused in the envelope, passed
//	                              params and _meta
//	id                            string of 1,024 bytes,  string, number or null,
//	                              or integer to 2^53-1    6,146 bytes as written
//	lone surrogates               refused in keys, id,    passed
//	                              method, name, uri
//	carriage returns              refused inside          passed
//
// A carriage return is white space to JSON but the end of a line to Python, Java, C# and Node, which could find a
// whole message between two of them. Batches are refused both ways: MCP removed them in 2025-06-18, and a server has no batch to answer when no
// client's batch reaches it. Blank lines are skipped.
package frame

// Direction says who wrote the stream, and with it how strict the reader is.
type Direction int

const (
	// ClientToServer is the strict direction: what passes means the same to every parser.
	ClientToServer Direction = iota
	// ServerToClient is the lenient direction: what a client could read passes.
	ServerToClient
)

// Kind is what a message is to JSON-RPC.
type Kind int

const (
	// Unknown is a message whose kind could not be told; JSON-RPC asks for an answer with its id, or with null.
	Unknown Kind = iota
	// Request has a method and an id, and is owed an answer.
	Request
	// Notification has a method and no id, and is never answered.
	Notification
	// Response has a result or an error, and is never answered.
	Response
)

// String returns the kind's name in lower case.
func (k Kind) String() string {
	switch k {
	case Request:
		return "request"
	case Notification:
		return "notification"
	case Response:
		return "response"
	}
	return "unknown"
}

// DefaultMax is the usual limit of one message in bytes, its newline not counted.
const DefaultMax = 32 << 20

// Message is one line whose header has been checked.
type Message struct {
	Raw    []byte // the line as received, its newline included; valid until the next call of Next
	Kind   Kind   // Request, Notification or Response
	ID     ID     // zero when absent
	Method string // decoded; "" for a response
	Name   string // decoded params.name of tools/call and prompts/get from a client; "" when absent
	URI    string // decoded params.uri of resources/* from a client; "" when absent

	// Modern says that params._meta names a protocol version, as every request does since 2026-07-28.
	Modern bool
	// ProtocolVersion is that version, or the one initialize asks for; "" when neither is there.
	ProtocolVersion string
}

// Violation is a line that was not passed. It is not fatal: the reader goes on with the next line. A Response or
// Notification is not to be answered; anything else is, under ID.
type Violation struct {
	Code   int    // JSON-RPC error code: -32700 parse, -32600 invalid request, -32602 invalid params
	Reason string // a constant of this package, never bytes of the message
	ID     ID     // zero when it is absent, ambiguous or no legal JSON-RPC id: answer with null
	Kind   Kind   // Unknown when the line broke off before it could be told
	Size   int64  // bytes of the line, its newline included
	Line   []byte // ServerToClient only: a copy of the line's beginning, at most 8 KiB, for stderr
}

// Error returns the reason.
func (v *Violation) Error() string { return v.Reason }
