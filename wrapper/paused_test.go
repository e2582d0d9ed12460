package wrapper_test

import (
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mcp-valet/wrapper"
)

// pausing is a client that sometimes takes its time to read.
type pausing struct {
	io.Writer
	until atomic.Int64
}

func (p *pausing) Write(b []byte) (int, error) {
	if d := time.Until(time.Unix(0, p.until.Load())); d > 0 {
		time.Sleep(d)
	}
	return p.Writer.Write(b)
}

// A server that crashes while the client reads nothing for two seconds is started again; while the server's answer is on its
// way, or the launcher itself answers (a repeated id is refused).
func TestCrashWhilePaused(t *testing.T) {
	mute := func(h *hand, m *message) {
		if m.Method != "tools/call" {
			h.answer(m)
		}
	}
	for name, tt := range map[string]struct {
		does   func(*hand, *message)
		second string
	}{"answered": {nil, "b"}, "refused": {mute, "a"}} {
		t.Run(name, func(t *testing.T) {
			defer wrapper.AtItsPace()()
			c := &crew{how: wrapper.RenewRestart, does: tt.does}
			c.work(t, func() {
				p := &pausing{Writer: c.out.Writer}
				c.out.Writer = p
				c.ask("tools/list")
				p.until.Store(time.Now().Add(2 * time.Second).UnixNano())
				c.send(`{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"x"}}`)
				time.Sleep(10 * time.Millisecond)
				c.send(`{"jsonrpc":"2.0","id":%q,"method":"tools/call","params":{"name":"x"}}`, tt.second)
				c.server(1).leave(7)
				time.Sleep(3 * time.Second)
				if c.ends(time.Second) {
					t.Errorf("the session has ended: %d; %s", c.code, c.log.String())
				} else if got := c.ask("tools/list"); !strings.Contains(got, `"by":2`) {
					t.Errorf("%q", got)
				}
			})
		})
	}
}

// A server that takes over dies while the client reads nothing, and a ping was answered at the gate.
func TestTakeoverWhilePaused(t *testing.T) {
	defer wrapper.AtItsPace()()
	c := &crew{how: wrapper.RenewRestart}
	c.does = func(h *hand, m *message) {
		if h.number == 2 && m.Method == "initialize" {
			time.Sleep(100 * time.Millisecond)
			h.leave(7)
			return
		}
		h.answer(m)
	}
	c.work(t, func() {
		p := &pausing{Writer: c.out.Writer}
		c.out.Writer = p
		time.Sleep(61 * time.Minute)
		p.until.Store(time.Now().Add(2 * time.Second).UnixNano())
		id := c.request("tools/list")
		c.request("ping")
		got := c.answerTo(id, time.Minute)
		if c.ends(time.Second) || !strings.Contains(got, `"by":`) {
			t.Errorf("%q; the session has ended: %d; %s", got, c.code, c.log.String())
		}
	})
}

// One 401 does not have every request wait for a long call, where servers exclude each other.
func TestRefusedExclusiveBusy(t *testing.T) {
	defer wrapper.AtItsPace()()
	i := &mint{}
	c := &crew{how: wrapper.RenewExclusive, starter: i, texts: []string{"401"}}
	first := true
	c.does = func(h *hand, m *message) {
		switch {
		case m.Method == "tools/call" && first:
			first = false
			go func() {
				select {
				case <-time.After(5 * time.Minute):
					h.answer(m)
				case <-h.done:
				}
			}()
		case m.Method == "tools/call":
			h.unauthorized(m)
		default:
			h.answer(m)
		}
	}
	c.work(t, func() {
		time.Sleep(2 * time.Minute)
		c.request("tools/call")
		c.ask("tools/call")
		for range 3 {
			if got := c.ask("tools/list"); !strings.Contains(got, `"by":`) {
				t.Errorf("%s", got)
			}
			time.Sleep(time.Minute)
		}
	})
}

// A tool that is not marked any more is not repeated.
func TestRefusedStaleMark(t *testing.T) {
	defer wrapper.AtItsPace()()
	i := &mint{}
	c := &crew{how: wrapper.RenewRestart, starter: i, texts: []string{"401"}, snapshot: t.TempDir() + "/s/kb.json"}
	calls, changed := 0, false
	c.does = func(h *hand, m *message) {
		switch {
		case m.Method == "initialize":
			h.say(`{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"s","version":"1"}}}`, m.ID)
		case m.Method == "tools/list" && !changed:
			h.say(`{"jsonrpc":"2.0","id":%s,"result":{"tools":[{"name":"x","inputSchema":{"type":"object"},"annotations":{"idempotentHint":true}}]}}`, m.ID)
		case m.Method == "tools/list":
			h.say(`{"jsonrpc":"2.0","id":%s,"result":{"tools":[{"name":"x","inputSchema":{"type":"object"},"annotations":{"idempotentHint":false}}]}}`, m.ID)
		case m.Method == "tools/call":
			if calls++; calls == 1 {
				h.unauthorized(m)
				return
			}
			h.answer(m)
		default:
			h.answer(m)
		}
	}
	c.work(t, func() {
		c.ask("tools/list")
		time.Sleep(2 * time.Minute)
		changed = true
		c.server(1).say(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
		time.Sleep(time.Second)
		c.send(`{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"x"}}`)
		got := c.get(`"id":"x"`, time.Minute)
		if calls != 1 {
			t.Errorf("carried out %d times: %s", calls, got)
		}
	})
}

// Nothing is started for a client that is gone.
func TestRefusedAfterEnd(t *testing.T) {
	defer wrapper.AtItsPace()()
	i := &mint{slow: 500 * time.Millisecond}
	c := &crew{how: wrapper.RenewRestart, starter: i, texts: []string{"401"}}
	c.begins = func(h *hand) error { h.onEOF = -1; return nil }
	c.does = func(h *hand, m *message) {
		if h.number == 1 && m.Method == "resources/read" {
			h.unauthorized(m)
			return
		}
		h.answer(m)
	}
	c.work(t, func() {
		time.Sleep(2 * time.Minute)
		c.request("resources/read")
		c.in.Close()
		began := time.Now()
		c.ends(10 * time.Second)
		t.Logf("%v, %d servers", time.Since(began), len(c.all()))
		if len(c.all()) > 1 || time.Since(began) > 1600*time.Millisecond {
			t.Errorf("%v, %d servers; %v", time.Since(began), len(c.all()), c.log.String())
		}
	})
}

// Control: the same takeover without a pause is survived.
func TestTakeoverControl(t *testing.T) {
	defer wrapper.AtItsPace()()
	c := &crew{how: wrapper.RenewRestart}
	c.does = func(h *hand, m *message) {
		if h.number == 2 && m.Method == "initialize" {
			time.Sleep(100 * time.Millisecond)
			h.leave(7)
			return
		}
		h.answer(m)
	}
	c.work(t, func() {
		time.Sleep(61 * time.Minute)
		id := c.request("tools/list")
		c.request("ping")
		if got := c.answerTo(id, time.Minute); !strings.Contains(got, `"by":`) {
			t.Errorf("%q; %s", got, c.log.String())
		}
	})
}
