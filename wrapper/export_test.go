package wrapper

import (
	"strings"

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
		if v = strings.TrimSpace(v); len(v) >= minSecret {
			all = append(all, v)
		}
	}
	return all
}
