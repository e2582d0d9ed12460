// Package install points an MCP client at mcp-valet.
package install

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
)

// Entry is how a client starts a server through mcp-valet: one member of its mcpServers.
type Entry struct {
	Command string   `json:"command"`
	Args    []string `json:"args"`
}

// EntryFor is the entry that starts server with the program at exe, an absolute path. configPath is written into it
// where the config is not in its usual place, since a client hands down no environment of ours; "" where it is.
func EntryFor(exe, server, configPath string) Entry {
	e := Entry{Command: exe, Args: []string{"run", server}}
	if configPath != "" {
		e.Args = append(e.Args, "--config", configPath)
	}
	return e
}

// JSON is the entry as a member of mcpServers under the name of the server: strict JSON on one line, no comma after it.
func (e Entry) JSON(server string) []byte {
	return fmt.Appendf(nil, "%s: { \"command\": %s, \"args\": %s }", compact(server), compact(e.Command), compact(e.Args))
}

// compact is JSON without the escapes that encoding/json adds for HTML's sake.
func compact(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // strings and slices of them always encode
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// StableExe says why a client cannot be pointed at the program at exe for good: it was built for this one run by
// `go run`, or its path is not absolute.
func StableExe(exe string) error {
	if !filepath.IsAbs(exe) {
		return fmt.Errorf("%s is not an absolute path: a client starts it from another folder", exe)
	}
	for _, part := range strings.Split(filepath.ToSlash(exe), "/") {
		if strings.HasPrefix(part, "go-build") {
			return fmt.Errorf("%s is gone after this run: build mcp-valet into a place that stays, and use that path below", exe)
		}
	}
	return nil
}
