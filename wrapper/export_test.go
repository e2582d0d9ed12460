package wrapper

import (
	"context"
	"strings"
	"time"

	"mcp-valet/keyring"
)

// MaskMessage masks one message.
func MaskMessage(secrets []keyring.Secret, line string, keepID bool) string {
	return string(newMessages(newMasker(secrets)).mask([]byte(line), keepID))
}

// MessageMasker and TextMasker are the maskers of messages and of text.
type (
	MessageMasker struct{ *messages }
	TextMasker    struct{ *text }
)

func NewMessageMasker(secrets []keyring.Secret) MessageMasker {
	return MessageMasker{newMessages(newMasker(secrets))}
}
func (m MessageMasker) Mask(line []byte, keepID bool) []byte { return m.mask(line, keepID) }

func NewTextMasker(secrets []keyring.Secret) TextMasker {
	return TextMasker{newText(newMasker(secrets))}
}
func (m TextMasker) Mask(piece []byte) []byte { return m.mask(piece) }
func (m TextMasker) End() []byte              { return m.end() }

// LongEnough are those of values that are masked, as they are masked.
func LongEnough(values ...string) []string {
	var all []string
	for _, v := range values {
		if v = strings.TrimSpace(v); len(v) >= MaskedFrom {
			all = append(all, v)
		}
	}
	return all
}

// Hasten shortens what tests would have to wait for.
func Hasten() {
	holdTime, tickTime, silenceTime = 3*time.Second, 20*time.Millisecond, 3*time.Second
	crashDelays = [...]time.Duration{0, 50 * time.Millisecond, 100 * time.Millisecond}
}

// ServerProcess is a running server, as a fake one must be.
type ServerProcess = server

// RunOn is Run on another operating system: start starts the server, parent is closed when our parent is gone.
func RunOn(ctx context.Context, o Options, start func(env []string) (ServerProcess, error), parent <-chan struct{}) (exit int, err error) {
	h := host{start: func(_ Server, env []string) (server, error) { return start(env) }, parent: parent}
	return h.run(ctx, o)
}

// ReadAheadLimit is how much is read from a client while the relay is stuck.
const ReadAheadLimit = aheadLimit

// MaxPending is how many requests may wait.
const MaxPending = maxPending
