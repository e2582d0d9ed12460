package wrapper_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"mcp-valet/wrapper"
)

// TestMetaOfAnyKind holds that the token takes the place of a _meta that is no object, and joins one that is; a server
// that finds two of them might read the other.
func TestMetaOfAnyKind(t *testing.T) {
	const token = `"mcp-valet/token":"the-token-number-01"`
	requests := make(chan *message, 1)
	c := &crew{how: wrapper.RenewMeta}
	c.does = func(h *hand, m *message) {
		if m.Method == "tools/call" {
			requests <- m
		}
		h.answer(m)
	}
	c.work(t, func() {
		for _, tt := range []struct{ params, want string }{
			{`{"a":[{"_meta":null}]}`, `{"_meta":{` + token + `},"a":[{"_meta":null}]}`},
			{`{"_meta":null}`, `{"_meta":{` + token + `}}`},
			{`{"_meta":[1,"]"],"b":2}`, `{"_meta":{` + token + `},"b":2}`},
			{`{"_meta":"\"}"}`, `{"_meta":{` + token + `}}`},
			{`{"_meta": 1.5e3 }`, `{"_meta": {` + token + `} }`},
			{`{"\u005fmeta" : { }}`, `{"\u005fmeta" : {` + token + ` }}`},
			{`{"_meta":{"x":1}}`, `{"_meta":{` + token + `,"x":1}}`},
			{`{"_meta":{"mcp-valet\/token":{"of":["another"]},"x":1}}`, `{"_meta":{"mcp-valet\/token":"the-token-number-01","x":1}}`},
		} {
			c.asked++
			c.send(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":%s}`, c.asked, tt.params)
			if c.answerTo(c.asked, time.Second); len(requests) == 0 {
				t.Errorf("params %s do not reach the server", tt.params)
				continue
			}
			var got struct{ Params json.RawMessage }
			if m := <-requests; json.Unmarshal([]byte(m.line), &got) != nil || string(got.Params) != tt.want {
				t.Errorf("params %s become %s; want %s", tt.params, got.Params, tt.want)
			}
		}
	})
}

// TestServerCancels holds that a server's cancellation is about the id that the client knows, which is not the server's
// own where an old server has asked under that already.
func TestServerCancels(t *testing.T) {
	c := &crew{how: wrapper.RenewRestart}
	c.does = func(h *hand, m *message) {
		if m.Method != "tools/call" {
			h.answer(m)
			return
		}
		h.say(`{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{"by":"server %d"}}`, h.number)
		if h.number == 2 {
			h.say(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
		}
	}
	c.work(t, func() {
		c.request("tools/call")
		if got := c.get("server 1", time.Second); !strings.Contains(got, `"id":1,`) {
			t.Errorf("the first server's request comes as %s", got)
		}
		time.Sleep(2 * time.Hour)
		c.request("tools/call")
		var asked message
		var cancelled struct {
			Params struct{ RequestID json.RawMessage }
		}
		json.Unmarshal([]byte(c.get("server 2", time.Second)), &asked)
		json.Unmarshal([]byte(c.get("notifications/cancelled", time.Second)), &cancelled)
		if got := string(cancelled.Params.RequestID); got == "" || got == "1" || got != string(asked.ID) {
			t.Errorf("the second server asks under %s and cancels %s", asked.ID, got)
		}
	})
}

// TestStandInsListChanges holds that a client that was given a stand-in's list is told of a change before the server that
// takes over in the end answers it.
func TestStandInsListChanges(t *testing.T) {
	c := &crew{how: wrapper.RenewRestart}
	c.does = func(h *hand, m *message) {
		if h.number == 2 { // it is asked for its list without a token
			h.leave(1)
			return
		}
		h.answer(m)
	}
	c.work(t, func() {
		c.reach(false)
		time.Sleep(2 * time.Hour)
		if got := c.ask("tools/list"); !strings.Contains(got, `"tools"`) {
			t.Errorf("with its issuer away, a list is answered with %s", got)
		}
		c.reach(true)
		time.Sleep(time.Minute)
		c.request("tools/call")
		if got := c.get("", time.Minute); !strings.Contains(got, "notifications/tools/list_changed") {
			t.Errorf("the first that the client gets is %s", got)
		}
	})
}
