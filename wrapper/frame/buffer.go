package frame

import (
	"io"
	"weak"
)

const (
	// baseSize is the buffer that a reader always has; a page of it that was never written to costs nothing.
	baseSize = 128 << 10
	// growth is how many times larger the next buffer is. Memory of a fresh large buffer is only taken as the message
	// fills it, so that a message in growth costs itself and a growth-th part for the buffer it came from.
	growth = 8
	// maxRead limits one read, so that what is scanned is still in the processor's cache.
	maxRead = 256 << 10
	// minRead is the least room to read into.
	minRead = 4 << 10
	// maxEmptyReads is how many reads may bring neither bytes nor an error.
	maxEmptyReads = 100
)

// block is the memory behind a large buffer. A reader lets go of it after a large message, and takes it again for the
// next one if no garbage collection came between.
type block struct{ bytes []byte }

// buffer holds the bytes of the line at hand and what came behind it: bytes[start:end].
type buffer struct {
	bytes      []byte
	start, end int
	most       int    // bytes a line in growth may need
	base       []byte // of baseSize, made at the first read
	large      *block // behind bytes when that is not base
	spare      weak.Pointer[block]
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

// grow moves to a larger buffer: the one used before, if it is still there.
func (b *buffer) grow() {
	large := b.spare.Value()
	if large == nil || len(large.bytes) <= len(b.bytes) {
		large = &block{make([]byte, min(growth*len(b.bytes), b.most))}
		b.spare = weak.Make(large)
	}
	b.moveTo(large.bytes)
	b.large = large
}

func (b *buffer) moveTo(to []byte) {
	b.end = copy(to, b.unread())
	b.start = 0
	b.bytes = to
}
