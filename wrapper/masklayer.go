package wrapper

import (
	"unicode/utf16"
	"unicode/utf8"
)

// rounds is through how many rounds of JSON escaping a secret is recognised: two, for a value in a JSON text that is
// itself a string of a JSON message.
const rounds = 2

// layer searches a text for secrets, byte by byte, as it reads after some rounds of JSON unescaping: the layer above
// it gets the same text unescaped once more. Each byte knows its place in the text as it was written, and what is
// masked are whole bytes of that, so an escape is masked whole or not at all.
type layer struct {
	*masker
	star   func(start, end int64) // masks that place of the written text
	up     *layer                 // nil at the top
	silent bool                   // finds nothing itself
	states []int                  // for each secret: how much of it the text ends with
	starts []int64                // a ring: where the latest bytes begin in the written text
	n      int                    // how many bytes there were
	open   [12]span               // an escape that has not ended; 12 bytes is the longest, `\ud83d\ude00`
	opened int
}

// span is a byte and where it was written.
type span struct {
	b          byte
	start, end int64
}

// newLayers makes the layer for the text as written, and those above it.
func newLayers(m *masker, star func(start, end int64)) *layer {
	size := 1
	for _, p := range m.secrets {
		for size < len(p.value) {
			size *= 2
		}
	}
	var l *layer
	for range rounds + 1 {
		l = &layer{masker: m, star: star, up: l, states: make([]int, len(m.secrets)), starts: make([]int64, size)}
	}
	return l
}

// feedAll feeds piece, which is written at place; it steps quickly over what cannot begin a secret.
func (l *layer) feedAll(piece []byte, place int64) {
	for i := 0; i < len(piece); i++ {
		if l.idle() {
			for i < len(piece) && !l.begins[piece[i]] {
				i++
			}
			if i == len(piece) {
				return
			}
		}
		l.feed(piece[i], place+int64(i), place+int64(i)+1)
	}
}

// feed takes the next byte, b, which is written from start to end.
func (l *layer) feed(b byte, start, end int64) {
	if !l.silent {
		l.search(b, start, end)
	}
	if l.up == nil {
		return
	}
	if l.opened == 0 && b != '\\' {
		l.up.feed(b, start, end)
		return
	}
	l.open[l.opened] = span{b, start, end}
	l.opened++
	l.unescape(false)
}

func (l *layer) search(b byte, start, end int64) {
	ring := len(l.starts) - 1
	l.starts[l.n&ring] = start
	l.n++
	for i, p := range l.secrets {
		k := p.step(l.states[i], b)
		if k == len(p.value) {
			l.star(l.starts[(l.n-k)&ring], end)
			k = p.fail[k-1]
		}
		l.states[i] = k
	}
}

// unescape passes on what stands open, as far as it can be read; at the end of the text all of it.
func (l *layer) unescape(atEnd bool) {
	for l.opened > 0 {
		var b [len(l.open)]byte
		for i, s := range l.open[:l.opened] {
			b[i] = s.b
		}
		r, n := escape(b[:l.opened])
		if n == 0 && !atEnd {
			return
		}
		if n < 2 {
			l.up.feed(b[0], l.open[0].start, l.open[0].end)
			n = 1
		} else {
			l.feedRune(r, l.open[0].start, l.open[n-1].end)
		}
		l.opened = copy(l.open[:], l.open[n:l.opened])
	}
}

func (l *layer) feedRune(r rune, start, end int64) {
	var b [utf8.UTFMax]byte
	for _, c := range b[:utf8.EncodeRune(b[:], r)] {
		l.up.feed(c, start, end)
	}
}

// idle tells whether nothing has begun, so that bytes that begin nothing may be left out.
func (l *layer) idle() bool {
	for ; l != nil; l = l.up {
		if l.opened > 0 {
			return false
		}
		for _, k := range l.states {
			if k > 0 {
				return false
			}
		}
	}
	return true
}

// hold is where that part of the written text begins which may still be masked; none when there is no such part.
func (l *layer) hold(none int64) int64 {
	from := none
	for ; l != nil; l = l.up {
		if l.opened > 0 {
			from = min(from, l.open[0].start)
		}
		for _, k := range l.states {
			if k > 0 {
				from = min(from, l.starts[(l.n-k)&(len(l.starts)-1)])
			}
		}
	}
	return from
}

// cut says that the text ends here, perhaps inside a secret: a beginning that is as long as a secret is masked.
func (l *layer) cut(end int64) {
	for ; l != nil; l = l.up {
		if l.up != nil {
			l.unescape(true)
		}
		for _, k := range l.states {
			if k >= MaskedFrom {
				l.star(l.starts[(l.n-k)&(len(l.starts)-1)], end)
			}
		}
	}
}

// reset forgets the text so far.
func (l *layer) reset() {
	for ; l != nil; l = l.up {
		l.opened = 0
		clear(l.states)
	}
}

// escape reads the JSON escape at the beginning of b: what it stands for and how many bytes it has. n is 0 when b is
// too short to tell, and 1 when there is no escape.
func escape(b []byte) (r rune, n int) {
	if b[0] != '\\' {
		return 0, 1
	}
	if len(b) < 2 {
		return 0, 0
	}
	switch b[1] {
	case '"', '\\', '/':
		return rune(b[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		return unicodeEscape(b)
	}
	return 0, 1
}

// unicodeEscape is escape for `\u`, with the second half of a surrogate pair.
func unicodeEscape(b []byte) (r rune, n int) {
	r, n = hexEscape(b)
	if n < 2 || !utf16.IsSurrogate(r) {
		return r, n
	}
	if r >= 0xdc00 {
		return utf8.RuneError, 6
	}
	low, m := rune(0), 0
	if len(b) > 6 {
		low, m = hexEscape(b[6:])
	}
	switch {
	case m == 0:
		return 0, 0
	case m == 6 && utf16.DecodeRune(r, low) != utf8.RuneError:
		return utf16.DecodeRune(r, low), 12
	}
	return utf8.RuneError, 6
}

// hexEscape reads one `\uXXXX`; n as for escape.
func hexEscape(b []byte) (r rune, n int) {
	for i, c := range b {
		switch {
		case i == 6:
			return r, 6
		case i == 0 && c == '\\', i == 1 && c == 'u':
		case i < 2:
			return 0, 1
		default:
			d := hexDigit(c)
			if d < 0 {
				return 0, 1
			}
			r = r<<4 | d
		}
	}
	if len(b) < 6 {
		return 0, 0
	}
	return r, 6
}

func hexDigit(c byte) rune {
	switch {
	case '0' <= c && c <= '9':
		return rune(c - '0')
	case 'a' <= c && c <= 'f':
		return rune(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return rune(c-'A') + 10
	}
	return -1
}
