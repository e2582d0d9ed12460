// Package install points an MCP client at mcp-valet.
package install

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// ErrTemporary says that a program's file will not stay where it is.
var ErrTemporary = errors.New("the program is in a temporary place")

// Entry is what a client's config says about one server: the program to start and its arguments.
type Entry struct {
	Command string   `json:"command"`
	Args    []string `json:"args"`
}

// Places are the options that an entry needs where mcp-valet does not find things by itself, even when a client passes on
// nothing of the environment but the home folder. Each is "" where it does.
type Places struct {
	Config string // path of the config
	State  string // state folder
	Store  string // kind of store
}

// EntryFor is the entry that starts a server of our config through mcp-valet. exe is the absolute path of mcp-valet,
// see StableExe.
func EntryFor(exe, server string, p Places) Entry {
	args := []string{"run", server}
	for _, o := range [][2]string{{"--config", p.Config}, {"--state", p.State}, {"--store", p.Store}} {
		if o[1] != "" {
			args = append(args, o[0], o[1])
		}
	}
	return Entry{Command: exe, Args: args}
}

// JSON gives the entry as it is pasted into the "mcpServers" of a client's config: one member of a JSON object, "NAME":
// {…}, indented by two spaces, without a comma or a line end behind it. It is strict JSON, since many clients take no
// other.
func (e Entry) JSON(server string) []byte {
	if e.Args == nil {
		e.Args = []string{} // clients want a list
	}
	return append(append(encode(server), ": "...), encode(e)...)
}

// encode writes strings and structs of strings, which cannot fail.
func encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("install: encoding %T: %v", v, err))
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// built matches the folders where `go run` keeps what it has built: one below the temporary folder, and the build cache
// with its folders named after a hash.
var built = pattern{expr: `^(go-build[0-9]*|[0-9a-f]{64}-d)$`}

// StableExe refuses a path of mcp-valet that means nothing to a client, which starts it in any folder, or will mean
// nothing soon: [ErrTemporary] for what `go run` has built.
func StableExe(exe string) error {
	if !filepath.IsAbs(exe) {
		return fmt.Errorf("the path of mcp-valet is not absolute: %s", exe)
	}
	if slices.ContainsFunc(strings.Split(filepath.ToSlash(filepath.Dir(exe)), "/"), built.matches) {
		return fmt.Errorf("%w, where go run has put it: %s", ErrTemporary, exe)
	}
	return nil
}
