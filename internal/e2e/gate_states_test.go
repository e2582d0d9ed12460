//go:build linux

package e2e

import (
	"strings"
	"testing"
	"time"
)

// TestGateStandIn is a first start after which nothing is known of the server, which does not start without its token. The
// one tool that there is leads to the sign-in; the client, which ignores tools that come later, is opened again.
func TestGateStandIn(t *testing.T) {
	t.Parallel()
	p := panva(t, "AT_TTL=5")
	v := lastWeek(t, p, "-without-token=end", "-legacy")
	weekend(p)
	before := p.stats()
	v.probe(t, claudeDesktop, 1, false)
	c := v.start(t, claudeDesktop)
	said := c.begin()
	if !strings.Contains(said.tools, `"name":"sign_in"`) || strings.Contains(said.tools, `"name":"note"`) ||
		!strings.Contains(said.tools, "open it again") || strings.Contains(said.hello, "sdkserver") {
		t.Errorf("the stand-in says %+v", said)
	}
	held := c.ask("tools/call", `{"name":"sign_in","arguments":{}}`)
	asked := v.asked(t)
	c.pending(held)
	approve(t, asked.URIComplete)
	if m := c.answered("the tool sign_in", held, holdLimit); m.Error != nil || strings.Contains(string(m.Result), `"isError"`) ||
		!strings.Contains(string(m.Result), "Signed in to work.") || !strings.Contains(string(m.Result), "open it again") {
		t.Errorf("after the sign-in: %s %v", m.Result, m.Error)
	}
	c.hears("notifications/tools/list_changed")
	c.hearsNothing()
	c.stop()
	c = v.start(t, claudeDesktop)
	if said := c.begin(); !strings.Contains(said.tools, `"name":"note"`) || strings.Contains(said.tools, `"name":"sign_in"`) {
		t.Errorf("opened again: %+v", said)
	}
	c.stop(c.carriedOut(c.answered("a call", c.note("now"), holdLimit)))
	p.mustHaveAsked(t, before, 1)
}

// TestGateBare is the same with a server that starts without its token: it tells of itself, and a call goes to another one,
// which has the token.
func TestGateBare(t *testing.T) {
	t.Parallel()
	p := panva(t, "AT_TTL=5")
	v := lastWeek(t, p)
	weekend(p)
	before := p.stats()
	c := v.start(t, claudeDesktop)
	if said := c.begin(); !strings.Contains(said.tools, `"name":"note"`) || !strings.Contains(said.hello, "sdkserver") {
		t.Errorf("without its token: %+v", said)
	}
	held := c.note("with a token")
	approve(t, v.asked(t).URIComplete)
	server := c.carriedOut(c.answered("the call that was held", held, holdLimit))
	c.hears("notifications/tools/list_changed") // with the token there may be other ones
	c.hearsNothing()
	c.stop(server)
	v.mustHaveNoted(t, "with a token")
	p.mustHaveAsked(t, before, 1)
}

// TestGateUnreachable is a start on a plane: the client is answered, a call is told what the matter is, and at once, nobody
// is asked to sign in. Back on the ground the same session goes on.
func TestGateUnreachable(t *testing.T) {
	t.Parallel()
	network := startForwarder(t)
	p := panva(t, "AT_TTL=5", "ISSUER="+network.url)
	network.to(p.issuer)
	p.issuer = network.url
	v := lastWeek(t, p, "-without-token=end", "-legacy")
	want := v.use(t, claudeDesktop)
	time.Sleep(tokenLife) // the token's life
	p.life(300)
	before, login := p.stats(), v.signIn(t)
	network.down.Store(true)
	c := v.start(t, claudeDesktop)
	if got := c.begin(); got != want {
		t.Errorf("in the air the client is told\n%s\nlast week it was\n%s", got, want)
	}
	called := time.Now()
	text := c.toldWhy(c.answered("a call in the air", c.note("in the air"), 15*time.Second)) // held it would be for 20
	t.Logf("after %s told: %s", time.Since(called).Round(time.Millisecond), text)
	if !strings.Contains(text, strings.TrimPrefix(network.url, "http://")+" cannot be reached") || strings.Contains(text, "mcp-valet login") {
		t.Errorf("told: %s", text)
	}
	network.down.Store(false)
	var last message
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		if last = c.answered("a call on the ground", c.note("on the ground"), holdLimit); len(v.noted()) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("a minute after the landing: %s", c.toldWhy(last))
		}
	}
	c.stop(c.carriedOut(last))
	v.mustHaveNoted(t, "on the ground")
	if now := p.stats(); now["device_authorization"] != before["device_authorization"] || v.signIn(t) != login {
		t.Errorf("a sign-in was begun: %v, before it %v", now, before)
	}
}

// TestGateMuteIssuer has a network that takes everything and answers nothing, as behind a VPN that is half up: not even the
// client with the least patience notices.
func TestGateMuteIssuer(t *testing.T) {
	t.Parallel()
	network := startForwarder(t)
	p := panva(t, "AT_TTL=5", "ISSUER="+network.url)
	network.to(p.issuer)
	p.issuer = network.url
	v := lastWeek(t, p, "-without-token=end", "-legacy")
	want := v.use(t, codex)
	time.Sleep(tokenLife) // the token's life
	login := v.signIn(t)
	network.mute.Store(true)
	c := v.start(t, codex)
	if got := c.begin(); got != want {
		t.Errorf("without an answer of the issuer the client is told\n%s\nlast week it was\n%s", got, want)
	}
	called := time.Now()
	text := c.toldWhy(c.answered("a call", c.note("never"), holdLimit))
	t.Logf("after %s told: %s", time.Since(called).Round(time.Millisecond), text)
	held := c.note("nor this one")
	c.answered("a ping behind it", c.ask("ping", "{}"), holdLimit)
	c.stop()
	if s := v.signIn(t); s != login {
		t.Errorf("a sign-in was begun: %+v", s)
	}
	if m := c.answered("the call that was held at the end", held, holdLimit); m.Error == nil && c.toldWhy(m) == "" {
		t.Errorf("at the end told: %s", m.Result)
	}
	v.mustHaveNoted(t)
}

// TestGateTwoWindows has nobody answer two sign-ins: a third one is not begun until a person acts.
func TestGateTwoWindows(t *testing.T) {
	t.Parallel()
	p := panva(t, "AT_TTL=5", "DC_TTL=3")
	v := lastWeek(t, p, "-without-token=end", "-legacy")
	v.use(t, claudeDesktop)
	weekend(p)
	before := p.stats()
	c := v.start(t, claudeDesktop)
	c.begin()
	for range 2 {
		text := c.toldWhy(c.answered("a call that nobody signs in for", c.note("unanswered"), holdLimit))
		if !strings.Contains(text, "nobody has signed in to work in time") {
			t.Errorf("after the code's end: %s", text)
		}
	}
	text := c.toldWhy(c.answered("a call after two windows", c.note("one too many"), holdLimit))
	if !strings.Contains(text, "mcp-valet login work") {
		t.Errorf("after two windows: %s", text)
	}
	p.mustHaveAsked(t, before, 2)
	v.mustLogin("", "work")
	c.stop(c.carriedOut(c.answered("a call after the login", c.note("after the login"), holdLimit)))
	v.mustHaveNoted(t, "after the login")
}

// TestGateLoginByHand has the person sign in in a terminal while a call waits for them: it goes on all the same.
func TestGateLoginByHand(t *testing.T) {
	t.Parallel()
	p := panva(t, "AT_TTL=5")
	v := lastWeek(t, p, "-without-token=end", "-legacy")
	v.use(t, claudeDesktop)
	weekend(p)
	before := p.stats()
	c := v.start(t, claudeDesktop)
	c.begin()
	held := c.note("held")
	v.asked(t)
	v.mustLogin("", "work")
	c.stop(c.carriedOut(c.answered("the call that was held", held, holdLimit)))
	v.mustHaveNoted(t, "held")
	p.mustHaveAsked(t, before, 2)
}

// TestGateHangingServer has a server that says nothing without its token, and of which nothing is known: the client with
// the least patience does not have to wait for it.
func TestGateHangingServer(t *testing.T) {
	t.Parallel()
	p := panva(t, "AT_TTL=5")
	v := lastWeek(t, p, "-without-token=hang", "-legacy")
	weekend(p)
	c := v.start(t, codex)
	if said := c.begin(); !strings.Contains(said.tools, `"name":"sign_in"`) {
		t.Errorf("the stand-in says %+v", said)
	}
	c.stop()
}

// TestGateHangingProbe is a probe of such a server: once answered, it gets a second to end.
func TestGateHangingProbe(t *testing.T) {
	t.Parallel()
	p := panva(t, "AT_TTL=5")
	v := lastWeek(t, p, "-without-token=hang", "-legacy")
	weekend(p)
	v.probe(t, claudeDesktop, 1, true)
	v.probe(t, claudeDesktop, 2, false)
}
