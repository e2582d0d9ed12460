package wrapper_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"mcp-valet/wrapper"
)

// TestCrashes: a server that ends by itself is started again three times within a minute, and again when that is over.
func TestCrashes(t *testing.T) {
	fatal := true
	c := &crew{how: wrapper.RenewOff}
	c.does = func(h *hand, m *message) {
		if m.Method == "tools/call" && fatal {
			h.leave(7)
			return
		}
		h.answer(m)
	}
	c.work(t, func() {
		for n := range 4 {
			if got := c.ask("tools/call"); !strings.Contains(got, "may have been carried out") {
				t.Errorf("call %d: %s", n, got)
			}
		}
		for range 3 {
			if got := c.ask("tools/list"); !strings.Contains(got, "is given a rest") {
				t.Errorf("after that: %s", got)
			}
		}
		if n := len(c.all()); n != 4 {
			t.Errorf("%d servers were started, want 4", n)
		}
		fatal = false
		time.Sleep(time.Minute)
		if got := c.ask("tools/call"); !strings.Contains(got, `"by":5`) {
			t.Errorf("a minute later: %s", got)
		}
	})
}

// TestCrashUnstartable: a request waits for the next try where a server cannot be started again.
func TestCrashUnstartable(t *testing.T) {
	c := &crew{how: wrapper.RenewOff}
	c.begins = func(h *hand) error {
		if h.number == 2 || h.number == 3 {
			return syscall.EAGAIN
		}
		return nil
	}
	c.does = func(h *hand, m *message) {
		h.answer(m)
		if m.Method == "tools/call" {
			h.leave(7)
		}
	}
	c.work(t, func() {
		c.ask("tools/call")
		if got := c.ask("tools/list"); !strings.Contains(got, `"by":4`) {
			t.Errorf("%s; %s", got, c.log.String())
		}
	})
}

// TestCrashNobodyAsks: without a request no server is started, and the exit code is that of the last one.
func TestCrashNobodyAsks(t *testing.T) {
	c := &crew{how: wrapper.RenewRestart}
	c.work(t, func() {
		c.server(1).leave(7)
		time.Sleep(10 * time.Minute)
		if n := len(c.all()); n != 1 {
			t.Errorf("%d servers were started, want 1", n)
		}
		if got := c.ask("ping"); !strings.Contains(got, `"result":{}`) || len(c.all()) != 1 {
			t.Errorf("%d servers, %s", len(c.all()), got)
		}
	})
	if c.code != 7 {
		t.Errorf("exit code %d, want 7", c.code)
	}
}
