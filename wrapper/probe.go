package wrapper

import (
	"context"

	"mcp-valet/keyring"
	"mcp-valet/wrapper/frame"
)

// stored gives the token if it is there and good, or tells that a renewal is due. Where neither can be told, it is for
// Token to say what the matter is.
func (o *Options) stored(ctx context.Context) (token keyring.Secret, due bool) {
	t, ok := o.Tokens.(StoredTokens)
	if !ok {
		return token, false
	}
	token, err := t.Stored(ctx)
	return token, err == nil && token.IsZero()
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
