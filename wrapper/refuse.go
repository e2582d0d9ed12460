package wrapper

import (
	"context"
	"strings"

	"mcp-valet/wrapper/frame"
	"mcp-valet/wrapper/proc"
)

// Refuse takes the place of a server that is not started because of cause: it answers every request at once with the
// text that o.Refusal gives, until the client or a signal ends it, and returns cause.
func Refuse(ctx context.Context, o Options, cause error) error {
	defer surviveBrokenPipes()()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return host{parent: proc.ParentGone(ctx)}.refuse(ctx, o, cause)
}

func (h host) refuse(ctx context.Context, o Options, cause error) error {
	text := o.refusal(cause)
	ahead := make(chan struct{})
	in := newInbound(&o, ahead)
	in.err.note("no server is started, and every request is answered with this: %s", text)
	client := start(func() {
		in.each(func(m frame.Message) {
			if m.Kind == frame.Request {
				in.refuse(m.ID, refusalCode(m.Method), text)
			}
		})
	})
	select {
	case <-client:
	case <-ahead:
	case <-in.out.gone:
	case <-ctx.Done():
	case <-o.Stop:
	case <-h.parent:
	}
	in.close(client)
	return cause
}

// refusalCode leaves the era open: to a client that asks for the modern one, "no such method" means no more than
// that the server may be a legacy one, and it goes on with initialize.
func refusalCode(method string) int {
	if method == "server/discover" {
		return codeNoMethod
	}
	return codeRefused
}

// refusal is what the client is told of err; our answers say themselves who speaks.
func (o *Options) refusal(err error) string {
	if o.Refusal == nil {
		return err.Error()
	}
	return strings.TrimPrefix(o.Refusal(err), speaker)
}
