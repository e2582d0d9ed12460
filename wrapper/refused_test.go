package wrapper_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mcp-valet/keyring"
	"mcp-valet/wrapper"
)

// mint gives a new token each time that one was refused, after a while.
type mint struct {
	mu      sync.Mutex
	n       int
	refused int
	slow    time.Duration
	got     time.Time
}

func (i *mint) Start(ctx context.Context, effort wrapper.Effort) (wrapper.Start, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if effort == wrapper.Refused {
		if time.Since(i.got) < time.Minute { // as internal/cli has it (freshTime)
			return wrapper.Start{}, wrapper.ErrNoRemedy
		}
		i.refused++
		select {
		case <-time.After(i.slow):
		case <-ctx.Done():
			return wrapper.Start{}, ctx.Err()
		}
	}
	if effort == wrapper.Refused || i.n == 0 {
		i.n++
		i.got = time.Now()
	}
	return wrapper.Start{
		Server: wrapper.Server{TokenEnv: "TOKEN"}, Token: keyring.NewSecret(fmt.Sprintf("the-token-number-%02d", i.n)),
		Due: time.Now().Add(48 * time.Hour), Ends: time.Now().Add(60 * time.Hour),
	}, nil
}

func (h *hand) unauthorized(m *message) {
	h.say(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32000,"message":"401 says %d"}}`, m.ID, h.number)
}

// A tool that may not be repeated, and that is refused whatever the token: what that sets off gets rarer.
func TestRefusedChurn(t *testing.T) {
	defer wrapper.AtItsPace()()
	i := &mint{}
	c := &crew{how: wrapper.RenewRestart, starter: i, texts: []string{"401"}}
	c.does = func(h *hand, m *message) {
		if m.Method == "tools/call" {
			h.unauthorized(m)
			return
		}
		h.answer(m)
	}
	c.work(t, func() {
		for range 50 {
			c.ask("tools/call")
			time.Sleep(61 * time.Second)
		}
		if i.refused > 6 || len(c.all()) > 7 { // with pauses that grow
			t.Errorf("50 calls that are refused whatever the token: %d renewals, %d servers", i.refused, len(c.all()))
		}
	})
}

// A long call in flight is given up because others, of which each server has one, are told 401.
func TestRefusedLongCallsKilled(t *testing.T) {
	defer wrapper.AtItsPace()()
	i := &mint{}
	c := &crew{how: wrapper.RenewRestart, starter: i, texts: []string{"401"}}
	odd := false
	c.does = func(h *hand, m *message) {
		switch {
		case m.Method == "tools/call":
			if odd = !odd; odd {
				go func() {
					select {
					case <-time.After(20 * time.Minute):
						h.answer(m)
					case <-h.done:
					}
				}()
				return
			}
			h.unauthorized(m)
		default:
			h.answer(m)
		}
	}
	c.work(t, func() {
		time.Sleep(2 * time.Minute)
		first := c.request("tools/call")
		c.request("tools/call")
		for range 5 {
			time.Sleep(61 * time.Second)
			c.request("tools/call")
			c.request("tools/call")
		}
		if got := c.answerTo(first, time.Hour); !strings.Contains(got, `"by":1`) {
			t.Errorf("long call: %q; %s", got, c.log.String())
		}
	})
}

// A request that waits for a renewal and then for the server waits 20 s, no more.
func TestRefusedWaitsTwice(t *testing.T) {
	defer wrapper.AtItsPace()()
	i := &mint{slow: 5 * time.Second}
	c := &crew{how: wrapper.RenewRestart, starter: i, texts: []string{"401"}}
	c.does = func(h *hand, m *message) {
		switch {
		case h.number > 1: // slow to come
		case m.Method == "resources/read":
			h.unauthorized(m)
		default:
			h.answer(m)
		}
	}
	c.work(t, func() {
		time.Sleep(2 * time.Minute)
		began := time.Now()
		got := c.ask("resources/read")
		took := time.Since(began)
		t.Logf("%v: %q; %s", took, got, c.log.String())
		if took > 21*time.Second {
			t.Errorf("after %v: %q", took, got)
		}
	})
}

// The withheld answer comes within 20 s, however long the Starter takes.
func TestRefusedStarterHangs(t *testing.T) {
	defer wrapper.AtItsPace()()
	i := &mint{slow: 10 * time.Minute}
	c := &crew{how: wrapper.RenewRestart, starter: i, texts: []string{"401"}}
	c.does = func(h *hand, m *message) {
		if m.Method == "resources/read" {
			h.unauthorized(m)
			return
		}
		h.answer(m)
	}
	c.work(t, func() {
		time.Sleep(2 * time.Minute)
		began := time.Now()
		got := c.ask("resources/read")
		if took := time.Since(began); took > 21*time.Second {
			t.Errorf("after %v: %q", took, got)
		}
	})
}

// A handshake under way is not handed to a server that knows nothing of it.
func TestRefusedGreeting(t *testing.T) {
	defer wrapper.AtItsPace()()
	i := &mint{}
	c := &crew{how: wrapper.RenewRestart, starter: i, texts: []string{"401"}}
	var second []string
	inits := 0
	c.does = func(h *hand, m *message) {
		if h.number == 2 {
			second = append(second, m.Method)
		}
		switch {
		case h.number == 1 && m.Method == "initialize":
			if inits++; inits == 2 {
				go func() { time.Sleep(3 * time.Second); h.answer(m) }()
				return
			}
			h.answer(m)
		case h.number == 1 && m.Method == "tools/list":
			h.unauthorized(m)
		default:
			h.answer(m)
		}
	}
	c.work(t, func() {
		time.Sleep(2 * time.Minute)
		a := c.request("initialize")
		b := c.request("tools/list")
		if got := c.answerTo(b, time.Minute); !strings.Contains(got, "401 says 1") {
			t.Errorf("the list: %s", got)
		}
		if got := c.answerTo(a, time.Minute); !strings.Contains(got, `"by":1`) {
			t.Errorf("the handshake: %s", got)
		}
		if len(second) > 0 && second[0] != "initialize" {
			t.Errorf("the second server got: %v", second)
		}
	})
}

// A server that closed its stdout and survives the kill is not taken for one that answers.
func TestCrashOutlivesKill(t *testing.T) {
	defer wrapper.AtItsPace()()
	c := &crew{how: wrapper.RenewRestart, starter: &mint{}}
	c.begins = func(h *hand) error {
		if h.number == 1 {
			h.onTerm, h.onKill, h.onEOF = -1, -1, -1
		}
		return nil
	}
	c.work(t, func() {
		c.ask("tools/list")
		c.server(1).stdoutWrite.Close()
		time.Sleep(10 * time.Second)
		for range 3 {
			if got := c.ask("tools/list"); strings.Contains(got, `"by":2`) {
				return
			} else {
				t.Logf("%q", got)
			}
			time.Sleep(10 * time.Second)
		}
		t.Errorf("no other server; %d started; %s", len(c.all()), c.log.String())
	})
}

// What is cancelled at the gate is not repeated.
func TestRefusedCancelledAtGate(t *testing.T) {
	defer wrapper.AtItsPace()()
	i := &mint{slow: 5 * time.Second}
	c := &crew{how: wrapper.RenewRestart, starter: i, texts: []string{"401"}}
	reads := 0
	c.does = func(h *hand, m *message) {
		switch {
		case m.Method == "resources/read":
			if reads++; h.number == 1 {
				h.unauthorized(m)
				return
			}
			h.answer(m)
		default:
			h.answer(m)
		}
	}
	c.work(t, func() {
		time.Sleep(2 * time.Minute)
		id := c.request("resources/read")
		c.server(1).leave(7)
		time.Sleep(time.Second)
		c.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d}}`, id)
		if got := c.answerTo(id, 30*time.Second); got != "" || reads > 1 {
			t.Errorf("%d times, %s", reads, got)
		}
	})
}

// Who has a subscription is served again when the rest is over.
func TestCrashSubscriptionAfterRest(t *testing.T) {
	defer wrapper.AtItsPace()()
	c := &crew{how: wrapper.RenewOff}
	c.work(t, func() {
		c.ask("resources/subscribe")
		for n := range 4 {
			time.Sleep(5 * time.Second)
			c.server(n + 1).leave(7)
		}
		time.Sleep(10 * time.Minute)
		if n := len(c.all()); n < 5 {
			t.Errorf("%d servers after ten minutes; %s", n, c.log.String())
		}
	})
}

var _ = synctest.Wait
