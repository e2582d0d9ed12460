// Package wrapper stands between an MCP client and a stdio MCP server: it starts the server with its credential,
// passes every message on that may pass, and ends with it.
//
// Messages pass as they came, byte for byte. What wrapper/frame refuses of the client's messages is answered with a
// JSON-RPC error; what the server writes to stdout besides messages goes to stderr. The exact values of the server's
// secrets are masked in its stderr and in what the client gets: the client's log, and its model, are no place for
// them. Encoded copies (base64, reversed, in pieces) are not found.
package wrapper
