package demo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"mcp-valet/internal/issuer"
)

// The environment of the incident server.
const (
	envToken    = "MCP_AUTH_TOKEN"     // the access token, read once at start
	envIssuer   = "INCIDENTS_ISSUER"   // URL of the issuer whose tokens are taken
	envAudience = "INCIDENTS_AUDIENCE" // what a token must be addressed to
	envFile     = "INCIDENTS_FILE"     // where incidents are kept; unset = in memory
)

// modernVersion is the one protocol version without a handshake that the server speaks.
const modernVersion = "2026-07-28"

// legacyVersions are those with an initialize handshake, newest first.
var legacyVersions = []string{"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"}

var serverInfo = map[string]string{"name": "incidents", "version": "1.0.0"}

const instructions = "Keeps security incidents. Every tool needs a valid access token; whoami says whose it is."

// incidentServer is one run of the server: it handles one message after another.
type incidentServer struct {
	token       string
	verifier    *issuer.Verifier
	book        book
	log         io.Writer
	initialized bool
}

// Serve runs an MCP server over stdio, until in ends or ctx does: a small real one,
// which keeps incidents and checks its access token by itself at every call. It
// speaks the protocol versions with a handshake up to 2025-11-25, and 2026-07-28.
// A read that has begun ends with ctx only if in is an io.Closer whose Close wakes
// it. Errors are those of the configuration, of reading and of writing.
func Serve(ctx context.Context, in io.Reader, out, errw io.Writer, getenv func(string) string) error {
	for _, name := range []string{envIssuer, envAudience} {
		if getenv(name) == "" {
			return fmt.Errorf("incident server: %s is not set", name)
		}
	}
	verifier, err := issuer.NewVerifier(getenv(envIssuer), getenv(envAudience))
	if err != nil {
		return fmt.Errorf("incident server: %w", err)
	}
	s := &incidentServer{token: getenv(envToken), verifier: verifier, book: book{path: getenv(envFile)}, log: errw}
	if c, ok := in.(io.Closer); ok {
		defer context.AfterFunc(ctx, func() { c.Close() })()
	}
	return s.serve(ctx, bufio.NewReader(in), out)
}

func (s *incidentServer) serve(ctx context.Context, in *bufio.Reader, out io.Writer) error {
	for {
		line, err := readLine(in)
		var answer []byte
		switch {
		case ctx.Err() != nil || err == io.EOF:
			return nil
		case err == errTooLong:
			answer = errorLine(nil, &wireError{Code: codeInvalidRequest, Message: "the message is too long"})
		case err != nil:
			return fmt.Errorf("incident server: reading: %w", err)
		default:
			answer = s.handle(ctx, line)
		}
		if answer == nil {
			continue
		}
		if _, err := out.Write(answer); err != nil {
			return fmt.Errorf("incident server: writing: %w", err)
		}
	}
}

// handle answers one line; nil is no answer.
func (s *incidentServer) handle(ctx context.Context, line []byte) []byte {
	if len(bytes.TrimSpace(line)) == 0 {
		return nil
	}
	m, err := parseMessage(line)
	if err != nil {
		return errorLine(m.id, err)
	}
	if m.id == nil { // a notification, or a response to nothing: neither is answered
		return nil
	}
	result, err := s.result(ctx, m)
	if err != nil {
		return errorLine(m.id, err)
	}
	return resultLine(m.id, result)
}

// A method serves the eras it exists in.
type method struct {
	legacy, modern bool
	early          bool // may come before initialize
	serve          func(*incidentServer, context.Context, message) (map[string]any, error)
}

var methods = map[string]method{
	"initialize":      {legacy: true, early: true, serve: (*incidentServer).initialize},
	"ping":            {legacy: true, early: true, serve: (*incidentServer).ping},
	"server/discover": {modern: true, serve: (*incidentServer).discover},
	"tools/list":      {legacy: true, modern: true, serve: (*incidentServer).listTools},
	"tools/call":      {legacy: true, modern: true, serve: (*incidentServer).callTool},
}

func (s *incidentServer) result(ctx context.Context, m message) (map[string]any, error) {
	modern, err := m.modern()
	if err != nil {
		return nil, err
	}
	method, known := methods[m.method]
	switch {
	case known && !modern && !method.legacy: // it lacks what every request of its era must carry
		return nil, &wireError{Code: codeInvalidParams, Message: "_meta lacks " + metaVersion}
	case !known || modern && !method.modern:
		return nil, &wireError{Code: codeMethodNotFound, Message: "method not found"}
	case !modern && !s.initialized && !method.early:
		return nil, &wireError{Code: codeInvalidRequest, Message: "initialize comes first"}
	}
	result, err := method.serve(s, ctx, m)
	if err != nil {
		return nil, err
	}
	if modern {
		result["resultType"] = "complete"
		result["_meta"] = map[string]any{metaServerInfo: serverInfo}
	}
	return result, nil
}

func capabilities() map[string]any { return map[string]any{"tools": struct{}{}} }

func (s *incidentServer) initialize(_ context.Context, m message) (map[string]any, error) {
	var version string
	if err := json.Unmarshal(m.params["protocolVersion"], &version); err != nil || version == "" {
		return nil, &wireError{Code: codeInvalidParams, Message: "protocolVersion is not a string"}
	}
	if s.initialized {
		return nil, &wireError{Code: codeInvalidRequest, Message: "initialized already"}
	}
	s.initialized = true
	if !slices.Contains(legacyVersions, version) {
		version = legacyVersions[0]
	}
	return map[string]any{
		"protocolVersion": version, "capabilities": capabilities(), "serverInfo": serverInfo, "instructions": instructions,
	}, nil
}

func (*incidentServer) ping(context.Context, message) (map[string]any, error) {
	return map[string]any{}, nil
}

// cacheable adds the hints that lists and discovery must carry since 2026-07-28:
// what they say never changes and is the same for everybody. Older clients skip them.
func cacheable(result map[string]any) map[string]any {
	result["ttlMs"], result["cacheScope"] = 300_000, "public"
	return result
}

func (*incidentServer) discover(context.Context, message) (map[string]any, error) {
	return cacheable(map[string]any{
		"supportedVersions": supportedVersions(), "capabilities": capabilities(), "instructions": instructions,
	}), nil
}

func (*incidentServer) listTools(context.Context, message) (map[string]any, error) {
	return cacheable(map[string]any{"tools": json.RawMessage(toolList)}), nil
}

func supportedVersions() []string { return append([]string{modernVersion}, legacyVersions...) }
