package wrapper

import (
	"context"
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
	if t.Hello == nil && !t.None {
		g.askBare(m, t)
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
	if t.Lists[key] == nil && !g.standIn {
		g.askBare(m, t)
	}
	switch {
	case t.Lists[key] != nil:
		g.answer(m, t.Lists[key])
	case m.Method == "tools/list":
		g.standIn, g.guessed = true, true
		g.answer(m, g.standInTools(m.Modern))
	default:
		g.s.out.refuse(m.ID, codeNoMethod, "nothing is known of this list yet")
	}
}

// askBare has the server tell of itself without its token, once for each talk.
func (g *gate) askBare(m *frame.Message, t *talk) {
	key := g.talkKey(m)
	if g.bare[key] || g.looking {
		return // the Starter is for one goroutine at a time
	}
	g.bare[key] = true
	ctx, cancel := context.WithTimeout(g.s.ctx, bareTime)
	defer cancel()
	bare, err := g.s.o.Starter.Start(ctx, Bare)
	if err != nil {
		return
	}
	hello, params := "initialize", g.s.hello.params
	if m.Modern {
		hello, params = methodDiscover, object{}
		if meta := paramsOf(m.Raw)["_meta"]; meta != nil {
			params["_meta"] = meta
		}
	}
	h := interviews{g.s.host, g.s.o, g.s.err, g.s.tasks.Go, g.s.ctx.Done()}
	switch err := h.interview(ctx, bare, hello, params, t); {
	case err == nil:
		g.guessed = true
	case errors.Is(err, errRefused):
		t.None = true
	}
}
