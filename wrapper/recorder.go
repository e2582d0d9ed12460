package wrapper

import (
	"bytes"
	"encoding/json"
	"maps"
	"sync"
	"time"

	"mcp-valet/wrapper/frame"
)

// saveDelay is how long a snapshot waits for more of a server's answers before it is written.
const saveDelay = 50 * time.Millisecond

// recorder keeps what a server says of itself, for the gate of a later run. It is safe for concurrent use.
type recorder struct {
	path    string // "" keeps nothing
	subject string

	mu     sync.Mutex
	known  *snapshot // nil until something has been said
	marked bool      // what is known of the tools is what the server has said last
	writer *time.Timer
	dirty  bool
}

func newRecorder(path, subject string) *recorder { return &recorder{path: path, subject: subject} }

// become notes whose lists the next ones are.
func (r *recorder) become(subject string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if subject != "" && subject != r.subject {
		r.subject, r.known = subject, nil
	}
}

// topic is what is to be remembered of a request, for the moment of its answer.
type topic struct{ talk, method, cursor string }

// topicOf tells whether the answer to a request of a client is to be kept; legacy is the version that the handshake
// asked for.
func (r *recorder) topicOf(m *frame.Message, legacy string) *topic {
	if r.path == "" || !isList(m.Method) && m.Method != "initialize" && m.Method != methodDiscover {
		return nil
	}
	version := legacy
	if m.Modern || m.Method == "initialize" {
		version = m.ProtocolVersion
	}
	return &topic{talkKey(m.Modern, version), m.Method, textIn(paramsOf(m.Raw), "cursor")}
}

// answer keeps an answer of the server, as the client gets it; took is how long the first one took.
func (r *recorder) answer(about *topic, line []byte, took time.Duration) {
	answer := asObject(line)
	if about.method == methodDiscover && answer["error"] != nil {
		r.none(about)
		return
	}
	result := answer["result"]
	if asObject(result) == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.talk(about)
	t.None = false
	if about.method != "initialize" && about.method != methodDiscover {
		r.change(about, result, t)
		return
	}
	if took > t.Slow {
		t.Slow, r.dirty = took, true
	}
	if hello := perishable(result); !bytes.Equal(t.Hello, hello) {
		t.Hello, r.dirty = hello, true
	}
	r.saveSoon()
}

// talk is what is known already of the talk that a topic belongs to; mu is held.
func (r *recorder) talk(about *topic) *talk {
	if r.known == nil {
		r.known = readSnapshot(r.path, r.subject)
	}
	t := r.known.talk(about.talk)
	t.Used = time.Now().UTC().Truncate(24 * time.Hour)
	return t
}

// lists are the first pages of the lists that a talk is known to have.
func (r *recorder) lists(key string) map[string]json.RawMessage {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		return nil // nothing has been said in this session
	}
	known := maps.Clone(r.known.talk(key).Lists)
	maps.DeleteFunc(known, func(k string, _ json.RawMessage) bool { return !isList(k) })
	return known
}

// none keeps that the server speaks no such version: it refused to say what it speaks, or died of the question.
func (r *recorder) none(about *topic) {
	if about == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.talk(about); !t.None && t.Hello == nil {
		t.None, r.dirty = true, true
		r.saveSoon()
	}
}

func (r *recorder) change(about *topic, result json.RawMessage, t *talk) {
	if about.method == "tools/list" && about.cursor == "" {
		r.marked = true
	}
	if old, ok := t.Lists[listKey(about.method, about.cursor)]; ok && bytes.Equal(old, perishable(result)) {
		return
	}
	t.put(about.method, about.cursor, result)
	r.dirty = true
	r.saveSoon()
}

// saveSoon has the snapshot written after a while; mu is held.
func (r *recorder) saveSoon() {
	if r.dirty && r.writer == nil {
		r.writer = time.AfterFunc(saveDelay, r.save)
	}
}

// save writes what is new. An error loses comfort and nothing else: a later gate has to start the server.
func (r *recorder) save() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writer = nil
	if r.dirty {
		r.dirty = false
		_ = r.known.save(r.path)
	}
}

// close writes what is still to be written.
func (r *recorder) close() {
	r.mu.Lock()
	if r.writer != nil {
		r.writer.Stop()
	}
	r.mu.Unlock()
	r.save()
}

// slowest is the longest that the server is known to have taken until its first answer.
func (r *recorder) slowest() (slow time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range readSnapshot(r.path, r.subject).Talks {
		slow = max(slow, t.Slow)
	}
	return slow
}
