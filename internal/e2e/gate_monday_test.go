//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// holdLimit is within what time a call must be answered that waits for a person.
const holdLimit = 25 * time.Second

// gateConfig is a config with a server of the given options. The server writes down what it is asked to.
func gateConfig(p *provider, store string, options ...string) string {
	args, _ := json.Marshal(append([]string{}, options...)) // strings only
	return fmt.Sprintf(`{
  "store": { "kind": %q },
  "accounts": { "work": { "issuer": %q, "clientId": "valet", "scopes": ["openid", "offline_access"] } },
  "mcpServers": { "sdk": { "command": %q, "args": %s, "auth": { "account": "work" } } }
}`, store, p.issuer, built.sdkserver, args)
}

// lastWeek is an installation that is signed in, with a sealed store and a server of the given options.
func lastWeek(t testing.TB, p *provider, options ...string) *valet {
	t.Helper()
	v := newValet(t)
	v.t = t
	v.writeConfig(gateConfig(p, "file", options...))
	v.mustLogin("", "work")
	return v
}

// weekend ends the access token by its time, and the refresh token at the provider. Whoever signs in after it has time.
func weekend(p *provider) {
	p.endSignIns()
	time.Sleep(tokenLife) // the token's life
	p.life(300)
}

// use is a run of a client when all is well.
func (v *valet) use(t testing.TB, h habits) introduction {
	t.Helper()
	p := v.start(t, h)
	said := p.begin()
	await(t, "what is kept for the gate", func() bool { return strings.Contains(v.snapshot(t), "tools/list") }) // no session is this short
	p.stop()
	return said
}

// snapshot is what is kept of what the server has said of itself; "" for nothing.
func (v *valet) snapshot(t testing.TB) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(v.state(), "snapshots", "*.json"))
	if err != nil || len(paths) > 1 {
		t.Fatalf("%q: one server has one snapshot (%v)", paths, err)
	}
	if len(paths) == 0 {
		return ""
	}
	text, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// notes is the file that the server writes to, and noted are its lines.
func (v *valet) notes() string { return filepath.Join(v.dir, "notes") }

func (v *valet) noted() []string {
	text, err := os.ReadFile(v.notes())
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// mustHaveNoted compares what was carried out, in whatever order.
func (v *valet) mustHaveNoted(t testing.TB, want ...string) {
	t.Helper()
	got := v.noted()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("carried out: %q, want %q", got, want)
	}
}

// signIn is what is noted of the sign-in that was asked for.
type signIn struct {
	Outcome, Server, UserCode, URI, URIComplete string
	Opened, Notified, Quiet                     bool
	Unanswered                                  int
}

func (v *valet) signIn(t testing.TB) (s signIn) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(v.state(), "accounts", "work.signin"))
	if os.IsNotExist(err) {
		return s
	}
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asked is the sign-in that a person is asked for.
func (v *valet) asked(t testing.TB) (s signIn) {
	t.Helper()
	await(t, "a sign-in that waits for the person", func() bool {
		s = v.signIn(t)
		return s.Outcome == "waiting"
	})
	if s.UserCode == "" || s.URIComplete == "" || s.Server != "sdk" || s.Opened || s.Notified {
		t.Errorf("the sign-in that waits: %+v", s)
	}
	return s
}

// mustHaveAsked makes sure of how often a person was asked to sign in since the last week, and that the dead refresh
// token was tried once.
func (p *provider) mustHaveAsked(t testing.TB, lastWeek map[string]int, times int) {
	t.Helper()
	now := p.stats()
	if got := now["device_authorization"] - lastWeek["device_authorization"]; got != times {
		t.Errorf("%d sign-ins were begun, want %d", got, times)
	}
	if got := now["token:refresh_token"] - lastWeek["token:refresh_token"]; got != 1 {
		t.Errorf("the refresh token was tried %d times, want 1", got)
	}
}

// probe is how Claude Desktop finds out about a server's era: with a process that does nothing else and gets no more than
// a second to end. One in a hurry does not even wait for the answer.
func (v *valet) probe(t *testing.T, h habits, n int, hurry bool) {
	t.Helper()
	p := v.start(t, h)
	c := p.askAs(fmt.Sprintf(`"server-discover-probe-%d"`, n), "server/discover", `{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",`+
		`"io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"claude-ai","version":"0.1.0"}}}`)
	if !hurry {
		m := p.answered("the probe", c, h.startLimit)
		t.Logf("%s: the probe is answered %s after its start", h.name, time.Since(p.started).Round(time.Millisecond))
		if m.Error == nil || m.Error.Code != -32601 {
			t.Errorf("the probe's answer is %s %v, want error -32601", m.Result, m.Error)
		}
	}
	p.stdin.Close()
	p.kill(syscall.SIGTERM)
	p.mustEndWithin(time.Second)
}

func nameOf(h habits) string { return h.name }

// TestGateMonday is the morning on which the refresh token is dead: the client is answered at once from what last week's
// run has left, a call waits, one person is asked once, and their late yes carries the call out.
func TestGateMonday(t *testing.T) {
	t.Parallel()
	together(t, clients, nameOf, func(t *testing.T, h habits) {
		p := panva(t, "AT_TTL=5")
		v := lastWeek(t, p, "-without-token=end", "-legacy")
		want := v.use(t, h)
		weekend(p)
		before := p.stats()
		copies := 1
		if h.probes {
			v.probe(t, h, 1, true)
			v.probe(t, h, 2, false)
			if now := p.stats(); fmt.Sprint(now) != fmt.Sprint(before) {
				t.Errorf("a probe has the provider asked: %v, before it %v", now, before)
			}
			copies = 2 // another one is for Cowork
		}
		var peers []*peer
		var held []<-chan message
		for range copies {
			peers = append(peers, v.start(t, h))
		}
		for _, p := range peers {
			if got := p.begin(); got != want {
				t.Errorf("%s is told\n%s\nlast week it was\n%s", h.name, got, want)
			}
		}
		for i, p := range peers {
			held = append(held, p.note(fmt.Sprint("held ", i)))
		}
		asked := v.asked(t)
		for i, p := range peers {
			if h.elicitsURLs {
				if url := p.shown(); url != asked.URIComplete {
					t.Errorf("the client shows %s, want %s", url, asked.URIComplete)
				}
			}
			p.pending(held[i])
		}
		approve(t, asked.URIComplete)
		for i, p := range peers {
			server := p.carriedOut(p.answered("the call that was held", held[i], holdLimit))
			if h.elicitsURLs {
				p.hears("notifications/elicitation/complete")
			}
			p.hearsNothing()
			p.stop(server)
		}
		v.mustHaveNoted(t, []string{"held 0", "held 1"}[:copies]...)
		p.mustHaveAsked(t, before, 1)
		if s := v.signIn(t); s.Outcome != "done" || s.Unanswered != 0 || s.Quiet != h.elicitsURLs {
			t.Errorf("the sign-in in the end: %+v", s)
		}
		v.mustHoldNoToken()
	})
}

// TestGateUnanswered is the same morning with nobody there: the call is answered in time by a text, and never carried out;
// after a late yes the next one is.
func TestGateUnanswered(t *testing.T) {
	t.Parallel()
	together(t, clients, nameOf, func(t *testing.T, h habits) {
		p := panva(t, "AT_TTL=5")
		v := lastWeek(t, p, "-without-token=end", "-legacy")
		want := v.use(t, h)
		weekend(p)
		before := p.stats()
		c := v.start(t, h)
		if got := c.begin(); got != want {
			t.Errorf("%s is told\n%s\nlast week it was\n%s", h.name, got, want)
		}
		called := time.Now()
		first := c.note("first")
		asked := v.asked(t)
		if h.elicitsURLs {
			c.shown()
		}
		text := c.toldWhy(c.answered("the call that nobody signs in for", first, holdLimit))
		t.Logf("%s: after %s told: %s", h.name, time.Since(called).Round(time.Millisecond), text)
		if !h.elicitsURLs != strings.Contains(text, asked.UserCode) || !h.elicitsURLs != strings.Contains(text, p.issuer) {
			t.Errorf("a text for a client that shows addresses: %t; it says: %s", h.elicitsURLs, text)
		}
		second := c.note("second")
		if h.elicitsURLs { // what was shown for the first call may be closed by now
			c.shown()
		}
		approve(t, asked.URIComplete)
		server := c.carriedOut(c.answered("the call after the sign-in", second, holdLimit))
		if h.elicitsURLs {
			c.hears("notifications/elicitation/complete")
		}
		c.hearsNothing()
		c.stop(server)
		v.mustHaveNoted(t, "second")
		p.mustHaveAsked(t, before, 1)
	})
}
