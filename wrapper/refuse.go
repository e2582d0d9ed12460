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
	return host{parent: proc.ParentGone(ctx)}.refuseAll(ctx, o, cause)
}

func (h host) refuseAll(ctx context.Context, o Options, cause error) error {
	ahead := make(chan struct{})
	return h.refuseOn(ctx, &o, newInbound(&o, ahead), ahead, cause)
}

// refuseOn is refuseAll for a client whose first message may have been read already.
func (h host) refuseOn(ctx context.Context, o *Options, in *inbound, ahead <-chan struct{}, cause error) error {
	text := o.refusal(cause)
	in.err.note("no server is started, and every request is answered with this: %s", text)
	client := start(func() {
		in.each(func(m frame.Message) {
			if m.Kind == frame.Request {
				in.refuse(m.ID, refusalCode(m.Method), text)
			}
		})
	})
	h.await(ctx, o, in, ahead, client)
	in.close(client)
	return cause
}

// await waits until client is done, or there is no client to wait for any more, and tells which.
func (h host) await(ctx context.Context, o *Options, in *inbound, ahead, client <-chan struct{}) (done bool) {
	select {
	case <-client:
		return true
	case <-ahead:
	case <-in.out.gone:
	case <-ctx.Done():
	case <-o.Stop:
	case <-h.parent:
	}
	return false
}

// refusalCode leaves the era open: to a client that asks for the modern one, "no such method" means no more than
// that the server may be a legacy one, and it goes on with initialize.
func refusalCode(method string) int {
	if method == methodDiscover {
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
