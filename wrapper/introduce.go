package wrapper

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"mcp-valet/wrapper/frame"
)

// legacyVersions are the protocol versions of the handshake, MCP before 2026-07-28.
var legacyVersions = []string{"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"}

// talk is what is known of the server in the protocol version of m.
func (g *gate) talk(m *frame.Message) *talk {
	if g.snap == nil {
		g.snap = readSnapshot(g.s.o.Snapshot, g.s.rec.subject)
	}
	return g.snap.talk(g.talkKey(m))
}

func (g *gate) talkKey(m *frame.Message) string {
	version := g.s.hello.version
	if m.Modern || m.Method == "initialize" {
		version = m.ProtocolVersion
	}
	return talkKey(m.Modern, version)
}

// introduce answers initialize and server/discover: from the snapshot; else as the server does without its token; else
// the gate stands in. A stand-in leaves the era open, as nobody knows which one the server speaks.
func (g *gate) introduce(m *frame.Message) {
	t := g.talk(m)
	if t.Hello == nil && !t.None && g.askBare(m) {
		return
	}
	switch {
	case t.Hello != nil && m.Method == "initialize":
		g.s.hello.answered = asObject(t.Hello)
		g.answer(m, t.Hello)
	case t.Hello != nil:
		g.answer(m, t.Hello)
	case m.Method == methodDiscover:
		g.s.out.refuse(m.ID, codeNoMethod, textProbe)
	default:
		version := m.ProtocolVersion
		if !slices.Contains(legacyVersions, version) {
			version = legacyVersion
		}
		g.standIn, g.guessed = true, true
		hello := g.standInHello(version)
		g.s.hello.answered = asObject(encode(hello))
		g.answer(m, hello)
	}
}

// list answers a list.
func (g *gate) list(m *frame.Message) {
	t := g.talk(m)
	key := listKey(m.Method, textIn(paramsOf(m.Raw), "cursor"))
	if t.Lists[key] == nil && !g.standIn && g.askBare(m) {
		return
	}
	switch {
	case t.Lists[key] != nil:
		g.s.out.send(g.s.filter(g.s.user.Load(), m.ID, m.Method, resultLine(m.ID, t.Lists[key])))
	case m.Method == "tools/list":
		g.standIn, g.guessed = true, true
		g.answer(m, g.standInTools(m.Modern))
	default:
		g.s.out.refuse(m.ID, codeNoMethod, "nothing is known of this list yet")
	}
}

// askBare has m wait while the server tells of itself without its token, which it is asked for once for each talk. It
// tells whether m waits.
func (g *gate) askBare(m *frame.Message) bool {
	key := g.talkKey(m)
	if g.bare[key] && !g.asking {
		return false
	}
	h := g.hold(m, false)
	if h == nil {
		return true // and has been told
	}
	h.intro = true
	if g.asking {
		return true
	}
	g.bare[key], g.asking = true, true
	hello, params := "initialize", g.s.hello.params
	if m.Modern {
		hello, params = methodDiscover, object{}
		if meta := paramsOf(m.Raw)["_meta"]; meta != nil {
			params["_meta"] = meta
		}
	}
	g.s.tasks.Go(func() {
		said := &talk{Lists: map[string]json.RawMessage{}}
		err := g.s.interviewBare(hello, params, said)
		g.s.locked(func() { g.told(key, said, err) })
	})
	return true
}

// interviewBare has the server tell of itself without its token.
func (s *session) interviewBare(hello string, params object, said *talk) error {
	ctx, cancel := context.WithTimeout(s.ctx, bareTime)
	defer cancel()
	bare := <-s.ask(ctx, Bare)
	if bare.err != nil {
		return bare.err
	}
	h := interviews{s.host, s.o, s.err, s.tasks.Go, s.ctx.Done()}
	return h.interview(ctx, bare.Start, hello, params, said)
}

// told goes on with those that wait for an introduction.
func (g *gate) told(key string, said *talk, err error) {
	g.asking = false
	switch {
	case err == nil:
		g.guessed = true
		g.snap.Talks[key] = said
	case errors.Is(err, errRefused):
		g.snap.Talks[key] = &talk{None: true}
	}
	if g.s.relay != nil {
		return // the server has come meanwhile, and got what was held
	}
	for _, h := range slices.Clone(g.held) {
		if h.intro && g.drop(h) {
			g.request(h.Message)
		}
	}
	g.stir()
}
