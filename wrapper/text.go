package wrapper

import (
	"fmt"

	"mcp-valet/refresh"
	"mcp-valet/wrapper/frame"
)

// What the gate says is made of constants, of the names that our config has for server and account, and, where no
// other channel shows them, of a sign-in's code and checked address. Nothing of it is prose of a server or an issuer: a
// model reads it.

// signInTool is the one tool of a stand-in.
const signInTool = "sign_in"

func (g *gate) who() string {
	if g.s.o.Account == "" {
		return "this server"
	}
	return g.s.o.Account
}

// textSignIn tells how to finish the sign-in st. Who asks again may not have seen what was shown.
func (g *gate) textSignIn(st refresh.SignIn, elicited, again bool) string {
	where, code := st.Tellable()
	how := "in a terminal, they run mcp-valet login " + g.s.o.Account
	if where != "" && code != "" {
		how = fmt.Sprintf("open %s and enter the code %s there", where, code)
	}
	switch {
	case again:
		how = "what was shown for that may be behind other windows; else " + how
	case elicited:
		how = "your client shows the address"
	case st.Opened:
		how = "a browser window was opened for it"
		if st.URIComplete == "" && code != "" {
			how += " (its code is " + code + ")"
		}
	case st.Notified:
		how = "a notification shows how"
	}
	return fmt.Sprintf("a person must sign in to %s: %s. Call this again when that is done.", g.who(), how)
}

func (g *gate) textPreparing() string {
	return fmt.Sprintf("a person must sign in to %s, and the sign-in is still being prepared. Call this again in a moment.", g.who())
}

func (g *gate) textDeclined() string {
	return fmt.Sprintf("the sign-in to %s was declined. Without it %s cannot be used.", g.who(), g.s.o.label())
}

func (g *gate) textOver(st refresh.SignIn) string {
	return map[string]string{
		refresh.SignInDenied:      fmt.Sprintf("the sign-in to %s was denied.", g.who()),
		refresh.SignInExpired:     fmt.Sprintf("nobody has signed in to %s in time. %s", g.who(), g.textNext(st)),
		refresh.SignInUnreachable: fmt.Sprintf("the issuer of %s cannot be reached. Call this again later.", g.who()),
	}[st.Outcome]
}

func (g *gate) textNext(st refresh.SignIn) string {
	if st.HeldBack() && !g.clientShows() {
		return "No more windows open by themselves; in a terminal: mcp-valet login " + g.s.o.Account
	}
	return "Call this again to be asked once more."
}

func (g *gate) textFailed() string {
	return fmt.Sprintf("the sign-in to %s did not succeed. In a terminal, mcp-valet status tells more.", g.who())
}

func (g *gate) textLong() string {
	return fmt.Sprintf("%s is not ready yet. Call this again in a moment.", g.s.o.label())
}

func (g *gate) textSignedIn() string {
	return fmt.Sprintf("Signed in to %s. If the tools of %s do not appear now, quit this app and open it again.", g.who(), g.s.o.label())
}

// toolResult is an answer that a model reads; what it says goes to tools/call alone.
func toolResult(text string, failed, modern bool) map[string]any {
	r := map[string]any{"content": []any{map[string]any{"type": "text", "text": speaker + text}}}
	if failed {
		r["isError"] = true
	}
	return completed(r, modern)
}

// completed marks a result as MCP 2026-07-28 wants it.
func completed(r map[string]any, modern bool) map[string]any {
	if modern {
		r["resultType"] = "complete"
	}
	return r
}

// tellHeld answers a request that needs the server with a text.
func (g *gate) tellHeld(m *frame.Message, text string) {
	if m.Method == "tools/call" {
		g.s.out.send(resultLine(m.ID, toolResult(text, true, m.Modern)))
		return
	}
	g.s.out.refuse(m.ID, codeRefused, text)
}

// standIn is what the gate says of itself where nothing is known of the server.
func (g *gate) standInHello(version string) map[string]any {
	return map[string]any{
		"protocolVersion": version,
		"capabilities":    map[string]any{"tools": map[string]any{"listChanged": true}},
		"serverInfo":      map[string]any{"name": "mcp-valet", "version": "0"},
		"instructions":    g.standInText(),
	}
}

func (g *gate) standInText() string {
	if g.obstacle == signedOut {
		return fmt.Sprintf("%s%s cannot be used until a person has signed in to %s. The tool %s begins that. After it, quit this app and open it again.",
			speaker, g.s.o.label(), g.who(), signInTool)
	}
	return fmt.Sprintf("%s%s cannot be used now. The tool %s tells why.", speaker, g.s.o.label(), signInTool)
}

func (g *gate) standInTools(modern bool) map[string]any {
	r := map[string]any{"tools": []any{map[string]any{
		"name": signInTool, "description": g.standInText(),
		"inputSchema": map[string]any{"type": "object", "properties": map[string]any{}},
	}}}
	if modern {
		r["ttlMs"], r["cacheScope"] = 0, "private"
	}
	return completed(r, modern)
}
