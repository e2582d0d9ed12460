package wrapper_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mcp-valet/wrapper"
)

// TestFreshTokenEnds holds that a token that was got for the next request is not used when that comes after its end.
func TestFreshTokenEnds(t *testing.T) {
	atWork(t, time.Hour, wrapper.RenewRestart, func(s *shift) {
		time.Sleep(40 * time.Minute)
		s.ask("tools/call")
		time.Sleep(16 * time.Hour) // the second token was got at the beginning of that
		if token := s.ask("tools/call"); token != "03" {
			t.Errorf("in the morning a call is answered with token %q", token)
		}
	})
}

// TestNewServersEnd holds that requests are answered after a new server has ended in its handshake, beside the old one
// and alone, and that a server is then tried again.
func TestNewServersEnd(t *testing.T) {
	c := &crew{how: wrapper.RenewRestart}
	c.does = func(h *hand, m *message) {
		if h.number == 2 || h.number == 3 {
			h.leave(3)
			return
		}
		h.answer(m)
	}
	c.work(t, func() {
		time.Sleep(2 * time.Hour)
		if c.ask("tools/call") == "" {
			t.Error("the call that led to the change has no answer")
		}
		time.Sleep(time.Minute)
		for _, method := range []string{"ping", "tools/list", "tools/call"} {
			if c.ask(method) == "" {
				t.Errorf("%s has no answer", method)
			}
		}
		if got := c.ask("tools/call"); !strings.Contains(got, `"by"`) {
			t.Errorf("after %d servers a call is answered with %s", len(c.all()), got)
		}
	})
}

// TestOverlapNotStarted holds that a server that cannot be started beside the old one is started when that is gone.
func TestOverlapNotStarted(t *testing.T) {
	c := &crew{how: wrapper.RenewRestart}
	c.begins = func(h *hand) error {
		switch {
		case h.number == 2:
			return errors.New("resource temporarily unavailable")
		case h.number > 2 && !h.crew.server(1).exited():
			t.Errorf("server %d is started beside the first", h.number)
		}
		return nil
	}
	c.work(t, func() {
		for c.age() < 59*time.Minute && len(c.all()) < 3 {
			time.Sleep(time.Minute)
			if got := c.ask("tools/call"); !strings.Contains(got, `"by"`) {
				t.Errorf("a call is answered with %s", got)
			}
		}
		if got := c.ask("tools/call"); !strings.Contains(got, `"by":3`) {
			t.Errorf("at last a call is answered with %s", got)
		}
	})
}

// TestSignalWhileResuming holds that a signal ends a session whose server takes its new token and then does not read what
// has waited meanwhile.
func TestSignalWhileResuming(t *testing.T) {
	c := &crew{how: wrapper.RenewMeta}
	c.does = func(h *hand, m *message) {
		h.answer(m)
		<-h.done
	}
	c.work(t, func() {
		time.Sleep(2 * time.Hour)
		c.request("tools/call")
		time.Sleep(5 * time.Second)
		c.stop <- syscall.SIGTERM
		if !c.ends(5 * time.Second) {
			t.Errorf("it goes on after SIGTERM; the server saw %v", c.server(1).events)
		}
	})
}

// TestSignalWhileClientIsDeaf holds that a signal ends a session whose client reads nothing, while the call of an old
// server that has died is to be answered.
func TestSignalWhileClientIsDeaf(t *testing.T) {
	c := &crew{how: wrapper.RenewRestart}
	c.does = func(h *hand, m *message) {
		if h.number > 1 || m.Method != "tools/call" {
			h.answer(m)
		}
	}
	c.work(t, func() {
		c.request("tools/call") // stays with the first
		time.Sleep(2 * time.Hour)
		c.ask("tools/call")
		close(c.out.shut)
		c.request("tools/list")
		c.server(1).leave(9)
		time.Sleep(time.Second)
		c.stop <- syscall.SIGTERM
		if !c.ends(5 * time.Second) {
			t.Error("Run does not return after SIGTERM")
		}
	})
}

// TestSignalDuringChange holds that a signal ends a session where the old server still runs when a request comes that
// would have another one take its place.
func TestSignalDuringChange(t *testing.T) {
	c := &crew{how: wrapper.RenewRestart}
	c.begins = func(h *hand) error {
		h.onTerm, h.onEOF = -1, -1 // it takes its time
		return nil
	}
	c.work(t, func() {
		time.Sleep(2 * time.Hour)
		c.stop <- syscall.SIGTERM
		time.Sleep(100 * time.Millisecond)
		c.request("tools/call")
		if !c.ends(5 * time.Second) {
			t.Errorf("it goes on after SIGTERM, with %d servers", len(c.all()))
		}
	})
}

// TestAnswerToTheGone holds that the client's answer to a server that is gone does not reach another one that asks under
// the same id: it is not what that has asked.
func TestAnswerToTheGone(t *testing.T) {
	answers := make(chan string, 10)
	c := &crew{how: wrapper.RenewRestart}
	c.does = func(h *hand, m *message) {
		switch {
		case m.Method == "tools/call":
			h.say(`{"jsonrpc":"2.0","id":0,"method":"elicitation/create","params":{"message":"server %d asks"}}`, h.number)
		case m.Method == "" && h.number == 2:
			answers <- m.line
		default:
			h.answer(m)
		}
	}
	c.work(t, func() {
		first := c.request("tools/call")
		c.get("server 1 asks", time.Second)
		time.Sleep(2 * time.Hour)
		c.ask("tools/list") // the second takes over
		c.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d}}`, first)
		time.Sleep(10 * time.Second)
		if !c.server(1).exited() {
			t.Fatal("the first server lives on, with nothing to do")
		}
		c.request("tools/call")
		var asked message
		json.Unmarshal([]byte(c.get("server 2 asks", time.Second)), &asked)
		c.send(`{"jsonrpc":"2.0","id":0,"result":{"answer":"to server 1"}}`)
		c.send(`{"jsonrpc":"2.0","id":%s,"result":{"answer":"to server 2"}}`, asked.ID)
		if got := <-answers; !strings.Contains(got, "to server 2") || !strings.Contains(got, `"id":0`) {
			t.Errorf("the second server gets %s", got)
		}
	})
}

// TestCallsThatNeverEnd holds that calls without an answer, one for each token, do not keep a session from a new token:
// the server that has the oldest is ended in time.
func TestCallsThatNeverEnd(t *testing.T) {
	c := &crew{how: wrapper.RenewRestart}
	c.does = func(h *hand, m *message) {
		if m.Method != "tools/call" {
			h.answer(m)
		}
	}
	c.work(t, func() {
		for i := range 7 {
			c.request("tools/call")
			time.Sleep(2 * time.Hour)
			want := fmt.Sprintf(`"by":%d`, i+2)
			if got := c.ask("tools/list"); !strings.Contains(got, want) || c.age() > time.Hour {
				t.Errorf("after %d changes a token is %v old, and a list is answered with %s", i, c.age(), got)
			}
		}
		if !c.server(1).exited() {
			t.Errorf("the first of %d servers lives on", len(c.all()))
		}
	})
}

// TestExclusiveWaits holds what waits for a call to end where servers exclude each other and the token has ended: a ping
// does not, and a list no longer than for a person.
func TestExclusiveWaits(t *testing.T) {
	c := &crew{how: wrapper.RenewExclusive}
	c.does = func(h *hand, m *message) {
		if m.Method != "tools/call" {
			h.answer(m)
		}
	}
	c.work(t, func() {
		c.request("tools/call")
		time.Sleep(61 * time.Minute)
		list := c.request("tools/list")
		began := time.Now()
		if got := c.ask("ping"); !strings.Contains(got, `"result"`) || time.Since(began) > 0 {
			t.Errorf("a ping is answered after %v with %s", time.Since(began), got)
		}
		if got := c.answerTo(list, 20*time.Second); got == "" {
			t.Errorf("a list has no answer after %v", time.Since(began))
		}
	})
}

// TestRetiredAtTheEnd holds that a call that is still with an old server at the end of the session is answered: by that
// server where there is time, or in its place.
func TestRetiredAtTheEnd(t *testing.T) {
	for _, end := range []string{"signal", "the client's end"} {
		for answer, after := range map[string]time.Duration{`"by":1`: 300 * time.Millisecond, `"error"`: time.Hour} {
			t.Run(end+", "+answer, func(t *testing.T) {
				c := &crew{how: wrapper.RenewRestart}
				c.begins = func(h *hand) error { h.onTerm, h.onEOF = -1, -1; return nil }
				c.does = func(h *hand, m *message) {
					if h.number == 1 && m.Method == "tools/call" {
						time.AfterFunc(2*time.Hour+after, func() { h.answer(m) })
						return
					}
					h.answer(m)
				}
				c.work(t, func() {
					call := c.request("tools/call")
					time.Sleep(2 * time.Hour)
					c.ask("tools/list")
					if end == "signal" {
						c.stop <- syscall.SIGTERM
					} else {
						c.in.Close()
					}
					if got := c.answerTo(call, 5*time.Second); !strings.Contains(got, answer) {
						t.Errorf("the call is answered with %q", got)
					}
				})
			})
		}
	}
}

// TestStderrAcrossMasks holds that a token is not shown on stderr that a server writes in two halves, one before it gets
// another token and one after.
func TestStderrAcrossMasks(t *testing.T) {
	c := &crew{how: wrapper.RenewMeta}
	c.does = func(h *hand, m *message) {
		if m.Method == "tools/call" {
			fmt.Fprint(h.stderrWrite, "en-number-01 was the token\n")
		}
		h.answer(m)
	}
	c.work(t, func() {
		fmt.Fprint(c.server(1).stderrWrite, "the-tok")
		time.Sleep(2 * time.Hour)
		c.ask("tools/call")
		time.Sleep(time.Second)
		if got := c.log.String(); !strings.Contains(got, " was the token") || strings.Contains(got, "the-token-number") {
			t.Errorf("stderr: %q", got)
		}
	})
}

// TestReplayHasToken holds that, where the token comes in messages, a later server finds it in every request: also in
// those that it is told in the client's place.
func TestReplayHasToken(t *testing.T) {
	var mu sync.Mutex
	var replayed []string
	c := &crew{how: wrapper.RenewMeta}
	c.does = func(h *hand, m *message) {
		if m.ID != nil {
			mu.Lock()
			defer mu.Unlock()
			if want := fmt.Sprintf("the-token-number-%02d", h.number); !strings.Contains(m.line, want) {
				t.Errorf("server %d gets, without its token, %s", h.number, m.line)
			}
			if h.number == 2 {
				replayed = append(replayed, m.Method)
			}
		}
		h.answer(m)
	}
	c.work(t, func() {
		c.ask("resources/subscribe")
		c.reach(false)
		time.Sleep(2 * time.Hour)
		c.ask("tools/call")
		c.reach(true)
		time.Sleep(time.Minute)
		c.ask("tools/call")
		mu.Lock()
		defer mu.Unlock()
		if got := strings.Join(replayed, " "); got != "initialize resources/subscribe tools/call" {
			t.Errorf("the second server gets: %s", got)
		}
	})
}
