package wrapper

// text masks a stream that comes in pieces of any size. It holds back only what may turn out to be the beginning of
// a secret, so a line that ends in a newline is never late.
type text struct {
	*masker
	raw  *layer
	held []byte // what is not out yet, masked as far as it is known
	base int64  // the place of held[0] in the stream
	sent int    // how much of held the last call has returned
}

func newText(m *masker) *text {
	t := &text{masker: m}
	if m != nil {
		t.raw = newLayers(m, t.star)
	}
	return t
}

// mask takes the next piece and returns what can be shown now, which is valid until the next call.
func (t *text) mask(piece []byte) []byte {
	if t.masker == nil {
		return piece
	}
	t.held = append(t.held[:0], t.held[t.sent:]...)
	t.base += int64(t.sent)
	place := t.base + int64(len(t.held))
	t.held = append(t.held, piece...)
	t.raw.feedAll(piece, place)
	t.sent = int(t.raw.hold(place+int64(len(piece))) - t.base)
	return t.held[:t.sent]
}

// end returns what was held back, for nothing follows, and makes t ready for another stream. What may be the
// beginning of a secret is masked when it is as long as a secret.
func (t *text) end() []byte {
	if t.masker == nil {
		return nil
	}
	t.raw.cut(t.base + int64(len(t.held)))
	rest := t.held[t.sent:]
	t.raw.reset()
	t.held, t.sent, t.base = nil, 0, 0
	return rest
}

// under is a text that goes on where t is, with another masker.
func (t *text) under(m *masker) *text {
	next := newText(m)
	if t.masker == nil || m == nil {
		return next
	}
	held := t.held[t.sent:]
	next.held = append(next.held, held...)
	next.raw.feedAll(held, 0)
	return next
}

func (t *text) star(start, end int64) {
	for i := start - t.base; i < end-t.base; i++ {
		t.held[i] = '*'
	}
}
