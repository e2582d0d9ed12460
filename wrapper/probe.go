package wrapper

import (
	"context"

	"mcp-valet/wrapper/frame"
)

// renewalDue tells whether the token must be renewed before a server can be started with it. Where that cannot be told,
// it is for Token to say what the matter is.
func (o *Options) renewalDue(ctx context.Context) bool {
	t, ok := o.Tokens.(StoredTokens)
	if !ok {
		return false
	}
	token, err := t.Stored(ctx)
	return err == nil && token.IsZero()
}

// textProbe is no more than a client needs to go on with initialize.
const textProbe = "the server has not been started yet"

// asked answers probes until the client sends something else, which is left for whoever reads next, and tells whether
// that came before the end.
func (h host) asked(ctx context.Context, o *Options, in *inbound, ahead <-chan struct{}) bool {
	found := false
	client := start(func() {
		for {
			m, ok := in.next()
			if !ok {
				return
			}
			if m.Kind != frame.Request || m.Method != methodDiscover {
				in.first, found = &m, true
				return
			}
			in.refuse(m.ID, codeNoMethod, textProbe)
		}
	})
	if h.await(ctx, o, in, ahead, client) && found {
		return true
	}
	in.close(client)
	return false
}
