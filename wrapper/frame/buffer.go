package frame

import "io"

const (
	// baseSize is the buffer that a reader always has; a page of it that was never written to costs nothing.
	baseSize = 128 << 10
	// maxRead limits one read, so that what is scanned is still in the processor's cache.
	maxRead = 256 << 10
	// minRead is the least room to read into.
	minRead = 4 << 10
	// maxEmptyReads is how many reads may bring neither bytes nor an error.
	maxEmptyReads = 100
)

// buffer holds the bytes of the line at hand and what came behind it: bytes[start:end].
type buffer struct {
	bytes      []byte
	start, end int
	most       int     // bytes that the longest line in growth may need
	base       []byte  // of baseSize, made at the first read
	large      *region // behind bytes when that is not base
	memory     *Memory
}

// unread returns the bytes of the line at hand and what came behind it.
func (b *buffer) unread() []byte { return b.bytes[b.start:b.end] }

// skip drops the first n unread bytes.
func (b *buffer) skip(n int) {
	b.start += n
	if b.start == b.end {
		b.start, b.end = 0, 0
	}
}

// settle goes back to the base buffer when what is unread fits there, so that a large message holds no memory when
// it is gone.
func (b *buffer) settle() {
	if b.large != nil && b.end-b.start <= baseSize/2 {
		b.moveTo(b.base)
		b.memory.give(b.large)
		b.large = nil
	}
}

// read reads once, behind what is unread.
func (b *buffer) read(r io.Reader) error {
	b.makeRoom()
	room := b.bytes[b.end:min(len(b.bytes), b.end+maxRead)]
	for range maxEmptyReads {
		n, err := r.Read(room)
		b.end += n
		if n > 0 || err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

func (b *buffer) makeRoom() {
	switch held := b.end - b.start; {
	case b.bytes == nil:
		b.base = make([]byte, baseSize)
		b.bytes = b.base
	case len(b.bytes)-b.end >= minRead:
	case held <= len(b.bytes)/2:
		b.moveTo(b.bytes)
	default:
		b.grow()
	}
}

// grow moves to memory that has room for any line: pages that are not written to cost nothing, and what has been read is
// copied once, however long the line becomes.
func (b *buffer) grow() {
	b.large = b.memory.take(b.most)
	b.moveTo(b.large.bytes)
}

func (b *buffer) moveTo(to []byte) {
	b.end = copy(to, b.unread())
	b.start = 0
	b.bytes = to
}
