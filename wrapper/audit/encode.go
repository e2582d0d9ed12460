package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"unicode/utf8"
)

// A line is one JSON object: seq and prev first, hash last. The hash is over all that stands before it, so that a line
// tells by itself whether it is whole, and with prev commits to every line before it.

const hashMark = `,"hash":"`

// lineTail is how long the end of a line is: hashMark, 64 digits, quote and brace.
const lineTail = len(hashMark) + 2*sha256.Size + len(`"}`)

const noHash = "0000000000000000000000000000000000000000000000000000000000000000"

const timeForm = "2006-01-02T15:04:05.000000Z07:00"

// appendLine writes e and its line end, and sets e.Hash.
func appendLine(b []byte, e *Entry) []byte {
	start := len(b)
	w := lineWriter{b}
	w.raw(`{"seq":`)
	w.b = strconv.AppendUint(w.b, e.Seq, 10)
	w.raw(`,"prev":"` + e.Prev + `","time":"`)
	w.b = e.Time.UTC().AppendFormat(w.b, timeForm)
	w.raw(`"`)
	w.record(&e.Record)
	w.bookkeeping(e)
	sum := sha256.Sum256(w.b[start:])
	w.raw(hashMark)
	at := len(w.b)
	w.b = hex.AppendEncode(w.b, sum[:])
	e.Hash = string(w.b[at:])
	w.raw("\"}\n")
	return w.b
}

type lineWriter struct{ b []byte }

func (w *lineWriter) raw(s string) { w.b = append(w.b, s...) }

func (w *lineWriter) record(r *Record) {
	w.text("event", r.Event)
	w.text("server", r.Server)
	w.text("account", r.Account)
	w.text("sub", r.Subject)
	w.text("tenant", r.Tenant)
	w.list("roles", r.Roles)
	w.text("method", r.Method)
	w.text("tool", r.Tool)
	w.text("verdict", r.Verdict)
	w.text("rule", r.Rule)
	w.text("outcome", r.Outcome)
	w.number("us", max(0, r.Duration.Microseconds()))
	w.number("in", int64(r.SizeIn))
	w.number("out", int64(r.SizeOut))
	if len(r.Arguments) > 0 {
		w.raw(`,"arguments":`)
		w.b = append(w.b, r.Arguments...)
	}
	if r.Detail != "" {
		w.raw(`,"detail":`)
		w.b = appendString(w.b, r.Detail, maxDetail)
	}
}

func (w *lineWriter) bookkeeping(e *Entry) {
	w.number("back_us", e.Back.Microseconds())
	w.number("missed", int64(e.Missed))
	w.number("torn", int64(e.Torn))
	w.text("torn_hash", e.TornHash)
	w.number("through", int64(e.Through))
	w.text("log", e.Log)
	w.number("at", int64(e.At))
	w.text("at_hash", e.AtHash)
	w.text("sig", e.Sig)
}

func (w *lineWriter) text(key, s string) {
	if s != "" {
		w.raw(`,"` + key + `":`)
		w.b = appendString(w.b, s, maxText)
	}
}

func (w *lineWriter) number(key string, n int64) {
	if n != 0 {
		w.raw(`,"` + key + `":`)
		w.b = strconv.AppendInt(w.b, n, 10)
	}
}

func (w *lineWriter) list(key string, list []string) {
	if len(list) == 0 {
		return
	}
	w.raw(`,"` + key + `":[`)
	for i, s := range list[:min(len(list), maxRoles)] {
		if i > 0 {
			w.raw(",")
		}
		w.b = appendString(w.b, s, maxRole)
	}
	w.raw("]")
}

// appendString writes s as a JSON string, cut to about limit bytes. What is not UTF-8 becomes U+FFFD; controls, and what
// some programs take for a line end, are escaped, so that a record is one line to everybody.
func appendString(b []byte, s string, limit int) []byte {
	const digits = "0123456789abcdef"
	cut := len(s) > limit
	if cut {
		s = s[:limit]
		for len(s) > 0 && !utf8.RuneStart(s[len(s)-1]) {
			s = s[:len(s)-1]
		}
		if len(s) > 0 && s[len(s)-1] >= utf8.RuneSelf {
			s = s[:len(s)-1]
		}
	}
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c < 0x7f && c != '"' && c != '\\' {
			b = append(b, c)
			i++
			continue
		}
		if c == '"' || c == '\\' {
			b = append(b, '\\', c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r < 0xa0 || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			b = append(b, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
		i += n
	}
	if cut {
		b = append(b, "…"...)
	}
	return append(b, '"')
}
