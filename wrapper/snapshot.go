package wrapper

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"mcp-valet/keyring"
)

const (
	// maxSnapshot bounds the file of a snapshot in bytes. What does not fit is not kept: the gate then starts the server.
	maxSnapshot = 16 << 20
	// maxPages bounds the results of one kind of list, maxTalks the protocol versions that a snapshot keeps.
	maxPages, maxTalks = 64, 8
)

// snapshot is what a server said of itself in its last good run, by the protocol version that the client asked for. It
// was masked on its way and holds no secret. It is not safe for concurrent use.
type snapshot struct {
	Version int              `json:"version"`
	Subject string           `json:"subject,omitempty"` // whose lists they are
	Talks   map[string]*talk `json:"talks"`
}

const snapshotVersion = 1

// talk is what was said in one protocol version.
type talk struct {
	Hello json.RawMessage            `json:"hello,omitempty"` // result of initialize, or of server/discover
	Lists map[string]json.RawMessage `json:"lists,omitempty"` // results of lists, see listKey
	None  bool                       `json:"none,omitempty"`  // the server refused hello: it speaks no such version
	Slow  time.Duration              `json:"slow,omitempty"`  // the longest that it took until the first answer, in ns
	Used  time.Time                  `json:"used"`            // rounded to days: it decides which talk goes first
}

// lists are the requests whose results a snapshot keeps.
var lists = []string{"tools/list", "prompts/list", "resources/list", "resources/templates/list"}

func isList(method string) bool { return slices.Contains(lists, method) }

// talkKey names a protocol version in a snapshot: the eras do not mix.
func talkKey(modern bool, version string) string {
	if modern {
		return "modern " + version
	}
	return version
}

// listKey names one page of a list.
func listKey(method, cursor string) string {
	if cursor == "" {
		return method
	}
	return method + " " + cursor
}

func newSnapshot(subject string) *snapshot {
	return &snapshot{Version: snapshotVersion, Subject: subject, Talks: map[string]*talk{}}
}

// readSnapshot reads a snapshot of subject; "" is whoever it is. There is an empty one where none can be had.
func readSnapshot(path, subject string) *snapshot {
	s, err := loadSnapshot(path)
	if err != nil || s.Version != snapshotVersion || subject != "" && s.Subject != "" && s.Subject != subject {
		return newSnapshot(subject)
	}
	if subject != "" {
		s.Subject = subject
	}
	return s
}

func loadSnapshot(path string) (*snapshot, error) {
	if path == "" {
		return nil, fs.ErrNotExist
	}
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(fs.ErrNotExist, err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read from
	b, err := io.ReadAll(io.LimitReader(f, maxSnapshot+1))
	if err != nil || len(b) > maxSnapshot {
		return nil, errors.Join(fs.ErrInvalid, err)
	}
	s := newSnapshot("")
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("reading snapshot %s: %w", path, err)
	}
	maps.DeleteFunc(s.Talks, func(_ string, t *talk) bool { return t == nil })
	return s, nil
}

// save writes s, unless it is too large.
func (s *snapshot) save(path string) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // or what is read back would differ from what the server says
	if err := enc.Encode(s); err != nil || b.Len() > maxSnapshot {
		return errors.Join(fs.ErrInvalid, err)
	}
	return keyring.WriteFile(path, b.Bytes())
}

// talk is what was said under key; it is made when it is not there.
func (s *snapshot) talk(key string) *talk {
	t := s.Talks[key]
	if t == nil {
		if len(s.Talks) >= maxTalks {
			oldest := slices.MinFunc(slices.Collect(maps.Keys(s.Talks)), func(a, b string) int { return s.Talks[a].Used.Compare(s.Talks[b].Used) })
			delete(s.Talks, oldest)
		}
		t = &talk{}
		s.Talks[key] = t
	}
	if t.Lists == nil {
		t.Lists = map[string]json.RawMessage{}
	}
	return t
}

// put keeps the result of a list. The first page ends what was known of the later ones: cursors are the server's own.
func (t *talk) put(method, cursor string, result json.RawMessage) {
	if cursor == "" {
		maps.DeleteFunc(t.Lists, func(k string, _ json.RawMessage) bool { return k == method || hasPage(k, method) })
	}
	pages := 0
	for k := range t.Lists {
		if hasPage(k, method) {
			pages++
		}
	}
	if pages < maxPages {
		t.Lists[listKey(method, cursor)] = perishable(result)
	}
}

func hasPage(key, method string) bool {
	return len(key) > len(method) && key[:len(method)] == method && key[len(method)] == ' '
}

// perishable is a result whose ttlMs (MCP 2026-07-28) tells clients not to keep it: what a snapshot says is out of date
// once the server can be asked again.
func perishable(result json.RawMessage) json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(result, &members) != nil || members["ttlMs"] == nil {
		return result
	}
	members["ttlMs"] = json.RawMessage("0")
	return encode(members)
}
