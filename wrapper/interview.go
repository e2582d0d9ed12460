package wrapper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"mcp-valet/wrapper/frame"
)

const (
	bareTime     = 5 * time.Second  // an interview that a client waits for
	snapshotTime = 60 * time.Second // one that a person waits for: the server may have to be fetched first
)

// interviews is what interviews need beside the server.
type interviews struct {
	host
	o     *Options
	err   *console
	later func(func())    // does what nobody needs to wait for
	hurry <-chan struct{} // closed when the end must not take long
}

// interview starts a server, has it tell of itself, and ends it. hello and params are how a client of the talk begins;
// what could be had before ctx ends is kept in t, and without an answer to hello there is an error.
func (h interviews) interview(ctx context.Context, with Start, hello string, params object, t *talk) error {
	child, err := h.launch(h.o, with)
	if err != nil {
		return err
	}
	i := &interviewer{server: child, masks: newMessages(newMasker(with.secrets())), console: h.err, answers: make(chan object), left: make(chan struct{})}
	spoken := start(func() { i.listen(h.o.maxMessage()) })
	noise := start(func() { i.overhear(newText(newMasker(with.secrets()))) })
	cut := context.AfterFunc(ctx, func() { child.Stdin().Close() }) // a Write to a server that does not read
	err = i.interview(ctx, hello, params, t)
	cut()
	close(i.left)
	patience := eofGrace
	if ctx.Err() != nil { // it has had its time
		patience = 0
	}
	h.later(func() { i.end(h.hurry, patience, spoken, noise) })
	return err
}

// interviewer asks a server one question after another.
type interviewer struct {
	server  server
	masks   *messages
	console *console
	answers chan object
	left    chan struct{} // closed when nobody listens to answers any more
	asked   int
}

func (i *interviewer) interview(ctx context.Context, hello string, params object, t *talk) error {
	began := time.Now()
	result, err := i.ask(ctx, hello, params)
	if err != nil {
		return err
	}
	t.Slow = time.Since(began)
	t.Hello = perishable(encode(result))
	if hello == "initialize" {
		i.tell("notifications/initialized")
		params = object{}
	}
	capabilities := asObject(result["capabilities"])
	for _, l := range []struct{ capability, method string }{
		{"tools", "tools/list"}, {"prompts", "prompts/list"},
		{"resources", "resources/list"}, {"resources", "resources/templates/list"},
	} {
		if capabilities[l.capability] != nil {
			i.list(ctx, l.method, params["_meta"], t)
		}
	}
	return nil
}

// list reads a list to its end, or as far as it goes.
func (i *interviewer) list(ctx context.Context, method string, meta json.RawMessage, t *talk) {
	cursor := ""
	for range maxPages {
		params := object{}
		if meta != nil {
			params["_meta"] = meta
		}
		if cursor != "" {
			params["cursor"] = encode(cursor)
		}
		result, err := i.ask(ctx, method, params)
		if err != nil {
			return
		}
		t.put(method, cursor, encode(result))
		if cursor = textIn(result, "nextCursor"); cursor == "" {
			return
		}
	}
}

// ask asks for a result.
func (i *interviewer) ask(ctx context.Context, method string, params object) (object, error) {
	i.asked++
	id := fmt.Sprintf("%s%d", ownIDs, i.asked)
	if _, err := i.server.Stdin().Write(requestLine(id, method, params)); err != nil {
		return nil, errNoAnswer
	}
	for {
		select {
		case m, ok := <-i.answers:
			switch {
			case !ok:
				return nil, errNoAnswer
			case textIn(m, "id") != id:
				continue
			}
			if result := asObject(m["result"]); result != nil {
				return result, nil
			}
			return nil, errRefused
		case <-ctx.Done():
			return nil, errNoAnswer
		}
	}
}

func (i *interviewer) tell(method string) {
	i.server.Stdin().Write(append(encode(object{"jsonrpc": encode("2.0"), "method": encode(method)}), '\n'))
}

// listen passes answers on, and refuses what the server asks in its turn, until its stdout ends.
func (i *interviewer) listen(most int) {
	defer close(i.answers)
	frames := frame.NewReader(i.server.Stdout(), frame.ServerToClient, most)
	for {
		m, err := frames.Next()
		if _, bad := errors.AsType[*frame.Violation](err); bad {
			continue
		}
		if err != nil {
			return
		}
		switch m.Kind {
		case frame.Response:
			select {
			case i.answers <- asObject(i.masks.mask(m.Raw, true)):
			case <-i.left:
			}
		case frame.Request:
			line := frame.AppendError(nil, m.ID, codeNoMethod, speaker+"nobody is there yet")
			if m.Method == "ping" {
				line = resultLine(m.ID, object{})
			}
			i.server.Stdin().Write(line)
		}
	}
}

// overhear passes the server's stderr on.
func (i *interviewer) overhear(text *text) {
	room := make([]byte, 32<<10)
	for {
		n, err := i.server.Stderr().Read(room)
		i.console.relay(text.mask(room[:n]))
		if err != nil {
			i.console.relay(text.end())
			return
		}
	}
}

// end ends the server, as the end of a client would; patience is how long it has from the end of its stdin on, unless
// there is hurry.
func (i *interviewer) end(hurry <-chan struct{}, patience time.Duration, streams ...<-chan struct{}) {
	i.server.Stdin().Close()
	if !i.ends(patience, hurry) {
		i.server.Terminate()
		if !i.ends(termGrace, hurry) && !wait(lastTime, i.server.Done()) {
			i.server.Kill()
			wait(reapGrace, i.server.Done())
		}
	}
	wait(drainStopped, streams...)
	i.server.Close()
	wait(lastTime, streams...)
}

// ends waits for the server's end, for limit or until there is hurry, and tells whether it came.
func (i *interviewer) ends(limit time.Duration, hurry <-chan struct{}) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-i.server.Done():
	case <-hurry:
	case <-timer.C:
	}
	return exited(i.server)
}

// TakeSnapshot starts the server, has it tell of itself in both eras, ends it, and keeps what it said in o.Snapshot: so
// that the first gate knows it. Nothing is read from o.In or written to o.Out. The error is the Starter's, or says that
// the server did not answer.
func TakeSnapshot(ctx context.Context, o Options) error {
	defer surviveBrokenPipes()()
	ctx, cancel := context.WithTimeout(ctx, snapshotTime)
	defer cancel()
	defer o.removeFile()
	with, err := o.Starter.Start(ctx, Renewed)
	if err != nil {
		return err
	}
	log := newConsole(o.Err)
	defer log.close(lastTime)
	h := interviews{host{start: startProcess}, &o, log, func(end func()) { end() }, ctx.Done()}
	shot := newSnapshot(with.Subject)
	client := encode(map[string]any{"name": "mcp-valet", "version": "0"})
	initialize := object{"protocolVersion": encode(legacyVersion), "capabilities": encode(object{}), "clientInfo": client}
	if err := h.interview(ctx, with, "initialize", initialize, shot.talk(talkKey(false, legacyVersion))); err != nil {
		delete(shot.Talks, talkKey(false, legacyVersion))
		if !errors.Is(err, errRefused) { // it may be of the modern era alone
			return fmt.Errorf("%s: %w", o.label(), err)
		}
	}
	meta := encode(object{
		"io.modelcontextprotocol/protocolVersion": encode(modernVersion),
		"io.modelcontextprotocol/clientInfo":      client,
		metaCapabilities:                          encode(object{}),
	})
	modern := talkKey(true, modernVersion)
	err = h.interview(ctx, with, methodDiscover, object{"_meta": meta}, shot.talk(modern))
	shot.talk(modern).None = errors.Is(err, errRefused)
	if err != nil && !shot.talk(modern).None {
		delete(shot.Talks, modern)
	}
	if shot.talk(talkKey(false, legacyVersion)).Hello == nil && err != nil {
		return fmt.Errorf("%s: %w", o.label(), errNoAnswer)
	}
	for _, t := range shot.Talks {
		t.Used = time.Now().UTC().Truncate(24 * time.Hour)
	}
	return shot.save(o.Snapshot)
}

// The protocol versions of a snapshot that no client has asked for.
const (
	legacyVersion = "2025-11-25"
	modernVersion = "2026-07-28"
)
