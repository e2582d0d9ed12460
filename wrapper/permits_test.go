package wrapper_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mcp-valet/wrapper"
	"mcp-valet/wrapper/policy"
)

// roles is a Starter whose user has other roles with each token.
type roles struct {
	*issuer
	each [][]string
}

func (r *roles) Start(ctx context.Context, effort wrapper.Effort) (wrapper.Start, error) {
	s, err := r.issuer.Start(ctx, effort)
	r.issuer.mu.Lock()
	defer r.issuer.mu.Unlock()
	if n := min(r.issuer.tokens, len(r.each)); n > 0 {
		s.User = &policy.User{Subject: "ada", Roles: r.each[n-1]}
	}
	return s, err
}

var kbPolicy = func() *policy.Policy {
	p, err := policy.Compile(policy.Source{
		Roles: map[string][]string{"viewer": {"read"}, "analyst": {"read", "write"}},
		Tools: map[string]string{"look": "read", "create": "write"}, Resources: map[string]string{"file:///*": "read"},
	})
	if err != nil {
		panic(err)
	}
	return p
}()

// offers has a server offer two tools.
func offers(h *hand, m *message) {
	if m.Method == "tools/list" {
		h.say(`{"jsonrpc":"2.0","id":%s,"result":{"tools":[{"name":"look"},{"name":"create"}]}}`, m.ID)
		return
	}
	h.answer(m)
}

func (c *crew) call(tool string) string {
	c.asked++
	c.send(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q}}`, c.asked, tool)
	return c.answerTo(c.asked, time.Minute)
}

const denied = `does not allow this`

// TestRolesFollowToken: with a token that gives fewer roles, less is allowed and shown at once, however it is delivered.
func TestRolesFollowToken(t *testing.T) {
	for name, how := range map[string]wrapper.Renewal{"restart": wrapper.RenewRestart, "file": wrapper.RenewFile, "meta": wrapper.RenewMeta} {
		t.Run(name, func(t *testing.T) {
			c := &crew{how: how, issuer: &issuer{life: time.Hour}, does: offers}
			c.starter = &roles{c.issuer, [][]string{{"analyst"}, {"viewer"}}}
			c.guard.Policy = func() *policy.Policy { return kbPolicy }
			c.work(t, func() {
				if got := c.call("create"); !strings.Contains(got, `"by":1`) {
					t.Errorf("as an analyst: %s", got)
				}
				if got := c.ask("tools/list"); !strings.Contains(got, `[{"name":"look"},{"name":"create"}]`) {
					t.Errorf("what an analyst sees: %s", got)
				}
				time.Sleep(62 * time.Minute)
				c.ask("tools/list") // has the new token come into force
				if got := c.call("create"); !strings.Contains(got, denied) {
					t.Errorf("as a viewer: %s", got)
				}
				if got := c.ask("tools/list"); !strings.Contains(got, `{"tools":[{"name":"look"}]}`) {
					t.Errorf("what a viewer sees: %s", got)
				}
				if got := c.call("look"); !strings.Contains(got, `"by":`) {
					t.Errorf("what a viewer may: %s", got)
				}
			})
		})
	}
}

// TestListsThatAreNotClear are not passed on where a policy filters them.
func TestListsThatAreNotClear(t *testing.T) {
	for name, answer := range map[string]string{
		"twice":       `{"jsonrpc":"2.0","id":%s,"result":{"tools":[]},"result":{"tools":[{"name":"create"}]}}`,
		"escaped":     `{"jsonrpc":"2.0","id":%s,"result":{"tools":[]},"resul\u0074":{"tools":[{"name":"create"}]}}`,
		"no name":     `{"jsonrpc":"2.0","id":%s,"result":{"tools":[{"name":"look"},{"title":"create"}]}}`,
		"two names":   `{"jsonrpc":"2.0","id":%s,"result":{"tools":[{"name":"look","name":"create"}]}}`,
		"not a list":  `{"jsonrpc":"2.0","id":%s,"result":{"tools":{"name":"create"}}}`,
		"other twins": `{"jsonrpc":"2.0","id":%s,"result":{"tools":[],"Tools":[{"name":"create"}]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			c := &crew{how: wrapper.RenewOff, issuer: &issuer{life: time.Hour}}
			c.starter = &roles{c.issuer, [][]string{{"viewer"}}}
			c.guard.Policy = func() *policy.Policy { return kbPolicy }
			c.does = func(h *hand, m *message) {
				if m.Method == "tools/list" {
					h.say(answer, m.ID)
					return
				}
				h.answer(m)
			}
			c.work(t, func() {
				if got := c.ask("tools/list"); !strings.Contains(got, `"error"`) || strings.Contains(got, "create") {
					t.Errorf("%s", got)
				}
			})
		})
	}
}

// TestNoRecordNoCall: what cannot be recorded is not carried out, and what was revoked neither.
func TestNoRecordNoCall(t *testing.T) {
	var full, revoked atomic.Bool
	var notes []wrapper.Decision
	var outcomes []wrapper.Outcome
	c := &crew{how: wrapper.RenewOff}
	c.guard.Note = func(d wrapper.Decision) error {
		notes = append(notes, d)
		if full.Load() {
			return errors.New("the disk is full")
		}
		return nil
	}
	c.guard.Answered = func(o wrapper.Outcome) { outcomes = append(outcomes, o) }
	c.guard.Revoked = revoked.Load
	c.work(t, func() {
		if got := c.call("look"); !strings.Contains(got, `"by":1`) {
			t.Errorf("%s", got)
		}
		full.Store(true)
		if got := c.call("look"); !strings.Contains(got, "is to be recorded, and cannot be: the disk is full") {
			t.Errorf("with a full disk: %s", got)
		}
		full.Store(false)
		revoked.Store(true)
		if got := c.call("look"); !strings.Contains(got, "has been revoked") {
			t.Errorf("revoked: %s", got)
		}
		if got := c.ask("tools/list"); !strings.Contains(got, `"by":1`) {
			t.Errorf("a list: %s", got)
		}
		if len(notes) != 3 || notes[0].Name != "look" || !notes[0].Allowed || notes[2].Allowed || len(outcomes) != 1 || outcomes[0].Failed {
			t.Errorf("noted %+v, %+v", notes, outcomes)
		}
	})
}
