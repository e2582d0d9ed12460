package wrapper

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"mcp-valet/refresh"
	"mcp-valet/wrapper/frame"
)

// prompt is the sign-in that a gate has asked for, as its own client has seen it.
type prompt struct {
	beginning bool      // it is being asked for
	begun     bool      // and now under way, here or by another launcher
	since     time.Time // the end of a sign-in before this is another one's
	refusal   error     // why there is none
	elicited  string    // the id under which a legacy client was shown the address; "" for not
	elicits   int       // ids so far
	answered  bool      // the client has said what became of that
	declined  bool      // by the person
	unable    bool      // the client cannot show it after all
	told      bool      // a request was answered with how to sign in
	done      bool      // it has succeeded, and the credential is being looked for
}

// beginSignIn has a sign-in begin, if none is under way.
func (g *gate) beginSignIn() {
	if g.prompt.done { // and that has not helped: another one would not either
		g.prompt.done = false
		g.tellAll(g.textFailed())
		return
	}
	if g.prompt.beginning {
		return
	}
	// One that is under way is asked for all the same: its agent may have been killed.
	p := prompt{beginning: true, elicits: g.prompt.elicits, since: time.Now()}
	if g.prompt.begun {
		p.begun, p.since, p.unable = true, g.prompt.since, g.prompt.unable
		if !g.prompt.answered { // else it may be closed by now: a new call shows it again
			p.elicited = g.prompt.elicited
		}
	}
	g.prompt = p
	quiet := g.clientShows()
	g.s.tasks.Go(func() {
		err := g.s.o.SignIns.Begin(g.s.ctx, quiet)
		g.s.locked(func() {
			g.prompt.beginning, g.prompt.begun, g.prompt.refusal = false, err == nil, err
			if err != nil {
				g.tellAll(g.s.o.refusal(err))
				return
			}
			g.stir()
			g.watchPrompt()
		})
	})
}

// clientShows tells whether the client will show the address to the person for every request that waits.
func (g *gate) clientShows() bool {
	for _, h := range g.held {
		if h.timer != nil && !g.mayElicit(h.Message) && !g.mayAskInput(h.Message) {
			return false
		}
	}
	return g.waiting()
}

// mayElicit tells whether the client takes elicitation/create for URLs (MCP 2025-11-25).
func (g *gate) mayElicit(m *frame.Message) bool {
	return !m.Modern && g.s.hello.elicitsURLs && g.s.hello.version >= "2025-11-25"
}

// mayAskInput tells whether m may be answered with a request for input (MCP 2026-07-28, multi round-trip requests). One
// that answers the server's own request for input is not: its answers are the server's.
func (g *gate) mayAskInput(m *frame.Message) bool {
	if !m.Modern || !slices.Contains([]string{"tools/call", "prompts/get", "resources/read"}, m.Method) {
		return false
	}
	params := paramsOf(m.Raw)
	return params["inputResponses"] == nil && params["requestState"] == nil && elicitsURLs(asObject(params["_meta"])[metaCapabilities])
}

// watchPrompt sees how the sign-in stands, and has the client show it where it can.
func (g *gate) watchPrompt() {
	if !g.prompt.begun {
		return
	}
	st := g.signInOf()
	switch {
	case !st.Live(time.Now()) && st.At.Before(g.prompt.since):
		// The agent has said nothing yet.
	case st.Outcome == refresh.SignInDone:
		g.prompt.begun, g.prompt.done = false, true
		g.look()
	case st.Live(time.Now()) && address(st) != "":
		g.showPrompt(st)
	case !st.Live(time.Now()):
		g.prompt.begun = false
		text := g.textOver(st)
		if text == "" {
			text = g.textFailed()
		}
		g.tellAll(text)
	}
}

// showPrompt gives the address to clients that show it.
func (g *gate) showPrompt(st refresh.SignIn) {
	for _, h := range slices.Clone(g.held) {
		switch {
		case h.timer == nil:
		case g.mayAskInput(h.Message):
			g.drop(h)
			g.answer(h.Message, g.inputRequired(st))
		case g.mayElicit(h.Message) && g.prompt.elicited == "" && !g.prompt.unable:
			g.elicit(st)
		}
	}
}

func address(st refresh.SignIn) string {
	if st.URIComplete != "" {
		return st.URIComplete
	}
	return st.URI
}

func (g *gate) elicitation(st refresh.SignIn) object {
	message := fmt.Sprintf("%s needs a sign-in to %s.", g.s.o.label(), g.who())
	if _, code := st.Tellable(); st.URIComplete == "" && code != "" {
		message += " The code to enter is " + code + "."
	}
	return object{"mode": encode("url"), "message": encode(message), "url": encode(address(st))}
}

// elicit shows the address by a request to the client.
func (g *gate) elicit(st refresh.SignIn) {
	g.prompt.elicits++
	g.prompt.elicited = fmt.Sprintf("%ssign-in-%d", ownIDs, g.prompt.elicits)
	params := g.elicitation(st)
	params["elicitationId"] = encode(g.prompt.elicited)
	g.s.out.send(requestLine(g.prompt.elicited, "elicitation/create", params))
}

// endPrompt tells the client that what it shows is over.
func (g *gate) endPrompt() {
	if id := g.prompt.elicited; id != "" && !g.prompt.declined {
		g.s.out.send(append(encode(map[string]any{
			"jsonrpc": "2.0", "method": "notifications/elicitation/complete", "params": map[string]any{"elicitationId": id},
		}), '\n'))
	}
	g.prompt = prompt{elicits: g.prompt.elicits}
}

// consumes tells whether m answers a request of ours.
func (g *gate) consumes(m *frame.Message) bool {
	if g.prompt.elicits == 0 {
		return false
	}
	message := asObject(m.Raw)
	id := textIn(message, "id")
	if !ours(id) {
		return false
	}
	if id != g.prompt.elicited {
		return true
	}
	g.prompt.answered = true
	switch action := textIn(asObject(message["result"]), "action"); {
	case message["error"] != nil: // the address will be told
		g.prompt.unable, g.prompt.elicited = true, ""
	case action != "accept":
		g.prompt.declined = true
		g.tellAll(g.textDeclined())
	}
	return true
}

// promptText is what a request is told that has waited for the sign-in in vain.
func (g *gate) promptText() string {
	switch st := g.signInOf(); {
	case g.prompt.refusal != nil:
		return g.s.o.refusal(g.prompt.refusal)
	case st.Live(time.Now()) && address(st) != "":
		again := g.prompt.told
		g.prompt.told = true
		return g.textSignIn(st, g.prompt.elicited != "", again)
	}
	return g.textPreparing()
}

// inputKey names our request for input, and mark the state that comes back with the answer. The state says nothing and
// decides nothing: it marks what is to be taken out before the server gets the request, so it needs no protection.
const (
	inputKey = "mcp-valet-sign-in"
	mark     = "mcp-valet-sign-in"
)

func (g *gate) inputRequired(st refresh.SignIn) object {
	return object{
		"resultType":    encode("input_required"),
		"inputRequests": encode(object{inputKey: encode(object{"method": encode("elicitation/create"), "params": encode(g.elicitation(st))})}),
		"requestState":  encode(mark),
	}
}

// input is the answer to our request for input.
type input struct{ accepted bool }

// inputOf is the answer that m brings; nil for none.
func inputOf(m *frame.Message) *input {
	if !m.Modern {
		return nil
	}
	params := paramsOf(m.Raw)
	if textIn(params, "requestState") != mark {
		return nil
	}
	answer := asObject(asObject(params["inputResponses"])[inputKey])
	return &input{accepted: textIn(answer, "action") == "accept"}
}

// unmarked is m as the server gets it: without the answer to our request for input.
func (g *gate) unmarked(m *frame.Message) []byte {
	if !m.Modern || !bytes.Contains(m.Raw, []byte(mark)) || inputOf(m) == nil {
		return m.Raw
	}
	message := asObject(m.Raw)
	params := asObject(message["params"])
	delete(params, "requestState")
	delete(params, "inputResponses")
	message["params"] = encode(params)
	return append(encode(message), '\n')
}
