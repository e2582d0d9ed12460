package cli

import (
	"context"
	"time"

	"mcp-valet/refresh"
)

// loginNote is what tells the launchers, which may be waiting at a gate, that a person is signing in by hand: they ask for
// no sign-in of their own, and go on when it is done. Losing it loses that and no more, so only its beginning may fail.
type loginNote struct {
	stateDir, account string
	over              bool
}

// beginNote forgets what windows went unanswered, since a person acts, and ends the sign-in that an agent waits with.
func (a *app) beginNote(account string) (*loginNote, error) {
	stateDir, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	n := &loginNote{stateDir: stateDir, account: account}
	return n, n.begin()
}

func (n *loginNote) begin() error { return refresh.NoteLogin(n.stateDir, n.account, time.Time{}) }

// browserTime is how long launchers are told to expect a sign-in in a browser to take.
const browserTime = 5 * time.Minute

// taken is p with each code and window noted.
func (n *loginNote) taken(p refresh.Prompt) refresh.Prompt {
	code, browser := p.Code, p.Browser
	p.Code = func(ctx context.Context, c refresh.DeviceCode) {
		_ = refresh.NoteLogin(n.stateDir, n.account, c.Expires)
		code(ctx, c)
	}
	p.Browser = func(ctx context.Context, url string) {
		_ = refresh.NoteLogin(n.stateDir, n.account, time.Now().Add(browserTime))
		browser(ctx, url)
	}
	return p
}

// done says that the credential is stored.
func (n *loginNote) done() {
	n.over = true
	_ = refresh.NoteSignedIn(n.stateDir, n.account)
}

// end forgets the note unless it is done.
func (n *loginNote) end() {
	if !n.over {
		_ = refresh.ForgetWindows(n.stateDir, n.account)
	}
}
