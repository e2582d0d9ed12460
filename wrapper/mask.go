package wrapper

import (
	"bytes"
	"strings"

	"mcp-valet/keyring"
)

const (
	// MaskedFrom is the length in bytes from which a secret is masked: a shorter one is likely to be part of a word.
	MaskedFrom = 12
	// minProbe and maxProbe bound the part of a secret that a message is first searched for.
	minProbe, maxProbe = 4, 16
)

// masker finds the exact values of secrets and puts `*` in their place, byte for byte, so that no length, no
// framing and no JSON grammar changes. It also finds what a value becomes inside a JSON string (`\/`, `\"`, `\u002B`,
// whoever wrote it) and inside a JSON string in a JSON string, which is how a tool returns JSON as text.
// Any other encoding of a secret (base64, reversed, cut in two, hidden in more layers of JSON) is not found.
//
// A masker does not change and is safe for concurrent use; its text and messages are not.
type masker struct {
	secrets []*pattern
	begins  [256]bool // the bytes that a secret, or an escape, may begin with
}

// pattern is a secret with what its search needs.
type pattern struct {
	value []byte
	fail  []int  // Knuth-Morris-Pratt: the longest proper beginning of value[:i+1] that is also its end
	probe []byte // a part of value that no JSON writer escapes; nil when there is none of use
}

// newMasker makes a masker of the secrets that are long enough; it is nil when none is.
// White space around a secret is not part of it, since a server is likely to cut it off.
func newMasker(secrets []keyring.Secret) *masker {
	m := &masker{begins: [256]bool{'\\': true}}
	seen := map[string]bool{}
	for _, s := range secrets {
		value := strings.TrimSpace(s.Reveal())
		if len(value) < MaskedFrom || seen[value] {
			continue
		}
		seen[value] = true
		p := newPattern(value)
		m.secrets = append(m.secrets, p)
		m.begins[value[0]] = true
	}
	if len(m.secrets) == 0 {
		return nil
	}
	return m
}

func newPattern(value string) *pattern {
	p := &pattern{value: []byte(value), fail: make([]int, len(value)), probe: probe([]byte(value))}
	for i, k := 1, 0; i < len(value); i++ {
		for k > 0 && value[i] != value[k] {
			k = p.fail[k-1]
		}
		if value[i] == value[k] {
			k++
		}
		p.fail[i] = k
	}
	return p
}

// step says how many bytes of the secret a text ends with after b, when it ended with k of them, not all, before.
func (p *pattern) step(k int, b byte) int {
	for k > 0 && p.value[k] != b {
		k = p.fail[k-1]
	}
	if p.value[k] == b {
		k++
	}
	return k
}

// probe is the end of the longest run of bytes in value that no JSON writer escapes; the end, since tokens of one
// kind begin alike.
func probe(value []byte) []byte {
	var best []byte
	for start, i := 0, 0; i <= len(value); i++ {
		if i < len(value) && plain(value[i]) {
			continue
		}
		if i-start > len(best) {
			best = value[start:i]
		}
		start = i + 1
	}
	if len(best) < minProbe {
		return nil
	}
	from := 0
	for i := range best[:max(1, len(best)-maxProbe/2)] {
		if strings.IndexByte(common, best[i]) > strings.IndexByte(common, best[from]) {
			from = i
		}
	}
	return best[from:min(len(best), from+maxProbe)]
}

// common are bytes from the most common in messages to the rarest: a search that begins with a rare one is the faster.
const common = " e0123456789taoinsrhldcumfpgwyb-_.vkxjqzETAOINSRHLDCUMFPGWYBVKXJQZ"

// plain tells whether b stands for itself in a JSON string, whoever writes it: Go and PHP also escape what means
// something to HTML, Python all that is not ASCII, .NET quotes and `+`, Gson `=`, PHP `/`.
func plain(b byte) bool {
	return ' ' <= b && b < 0x7f && !strings.ContainsRune("\"\\/<>&'+=`", rune(b))
}

// suspect tells whether line may hold a secret: the one question that most messages cost.
func (m *masker) suspect(line []byte) bool {
	for _, p := range m.secrets {
		if p.suspect(line) {
			return true
		}
	}
	return false
}

func (p *pattern) suspect(line []byte) bool {
	if p.probe != nil {
		return bytes.Contains(line, p.probe)
	}
	return bytes.IndexByte(line, '\\') >= 0 || bytes.Contains(line, p.value)
}
