package wrapper

import (
	"sync/atomic"

	"mcp-valet/wrapper/frame"
)

// The eras of MCP: legacy has the initialize handshake (up to 2025-11-25), modern carries the protocol version in
// every request (since 2026-07-28).
// methodDiscover is how a client finds out which era a server speaks (MCP 2026-07-28).
const methodDiscover = "server/discover"

// methodListen opens a subscription, which stays open (MCP 2026-07-28); its notifications carry the id of the request.
const (
	methodListen       = "subscriptions/listen"
	methodAcknowledged = "notifications/subscriptions/acknowledged"
	metaSubscription   = "io.modelcontextprotocol/subscriptionId"
)

const (
	eraUnknown int32 = iota
	eraLegacy
	eraModern
)

// era is what the client has shown of its era. A server/discover shows none, as it is how a client finds out what
// the server speaks, and whatever comes later counts: one process may serve both. It is safe for concurrent use.
type era struct {
	now  atomic.Int32
	told atomic.Bool
}

func (e *era) learn(m *frame.Message) {
	switch {
	case m.Kind != frame.Request || m.Method == methodDiscover:
	case m.Method == "initialize":
		e.now.Store(eraLegacy)
	case m.Modern:
		e.now.Store(eraModern)
	}
}

// serverAsks notes, once, that the server sent a request in an era that has none. It is passed on all the same: what
// a client and its server agree on is theirs.
func (e *era) serverAsks(err *console) {
	if e.now.Load() == eraModern && !e.told.Swap(true) {
		err.note("the server sends requests, which MCP 2026-07-28 does not allow; they are passed on")
	}
}
