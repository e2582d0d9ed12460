package frame

import "io"

const (
	// mostMax bounds a reader's limit: positions in a line, and in the arena, which may be twice as long, are kept
	// in 31 bits.
	mostMax = 512 << 20
	// maxHead is how much of a server's offending line is kept for stderr.
	maxHead = 8 << 10
)

// Reader reads the messages of one stream. It is not safe for concurrent use.
type Reader struct {
	source  io.Reader
	scanner scanner
	names   interned
	buffer  buffer
	max     int // longest line, its newline not counted

	at      int    // how far the line at hand is scanned, from buffer.start
	dropped int64  // bytes of the line at hand that are gone
	head    []byte // the first of them, from a server
	passed  int    // length of what is left of a line that is done with
	done    bool   // the line at hand is done with
	err     error  // of the source, to be returned when all lines are
}

// NewReader returns a reader of the messages that a client or server writes to r. A message longer than max bytes,
// its newline not counted, is a Violation; max is DefaultMax when it is not positive, and 512 MiB at most.
func NewReader(r io.Reader, d Direction, max int) *Reader { return new(Memory).NewReader(r, d, max) }

// NewReader is [NewReader] for a reader that shares memory with others.
func (m *Memory) NewReader(r io.Reader, d Direction, max int) *Reader {
	if max <= 0 {
		max = DefaultMax
	}
	max = min(max, mostMax)
	reader := &Reader{source: r, max: max}
	reader.buffer.most, reader.buffer.memory = max+baseSize, m
	if d == ClientToServer {
		reader.scanner.strict = true
		reader.scanner.high = highBits
	}
	reader.scanner.reset()
	return reader
}

// Next returns the next message. A *Violation stands for one line that was not passed; call Next again. Any other
// error is final and is the source's, io.EOF at the end of the stream. A last line without newline is a Violation.
// Bytes are scanned as they come; a line that will not be passed is not kept.
func (r *Reader) Next() (Message, error) {
	r.forget()
	for {
		unread := r.buffer.unread()
		at, end := r.scanner.scan(unread, r.at)
		r.at = at
		if end && !r.scanner.blank() {
			return r.finish(unread[:at])
		}
		if end {
			r.passed, r.done = at, true
			r.forget()
			continue
		}
		if r.err != nil {
			return r.end()
		}
		r.drop()
		r.err = r.buffer.read(r.source)
	}
}

// forget drops the line that was returned last.
func (r *Reader) forget() {
	if !r.done {
		return
	}
	r.buffer.skip(r.passed)
	r.buffer.settle()
	r.passed, r.done, r.at, r.dropped = 0, false, 0, 0
	r.head = nil
	r.scanner.reset()
}

// finish returns what has become of a whole line.
func (r *Reader) finish(line []byte) (Message, error) {
	r.passed, r.done = len(line), true
	if r.size(line)-1 > int64(r.max) {
		return Message{}, r.violation(tooLarge, line)
	}
	m := Message{Raw: line}
	if why := r.scanner.check(line, &m, &r.names); why != 0 {
		return Message{}, r.violation(why, line)
	}
	return m, nil
}

// end returns what is left when the source has no more.
func (r *Reader) end() (Message, error) {
	line := r.buffer.unread()
	if r.size(line) == 0 || r.scanner.blank() && r.at == len(line) {
		return Message{}, r.err
	}
	r.passed, r.done = len(line), true
	if r.scanner.state != atEnd {
		r.scanner.breakOff(unterminated)
	}
	if r.size(line) > int64(r.max) {
		return Message{}, r.violation(tooLarge, line)
	}
	return Message{}, r.violation(unterminated, line)
}

// size returns the length of the line at hand, of which line is still there.
func (r *Reader) size(line []byte) int64 { return r.dropped + int64(len(line)) }

func (r *Reader) violation(why refusal, line []byte) *Violation {
	v := &Violation{
		Code:   refusals[why].code,
		Reason: refusals[why].text,
		ID:     r.scanner.answerID(),
		Kind:   r.scanner.kind(),
		Size:   r.size(line),
	}
	if !r.scanner.strict {
		v.Line = r.appendHead(line)
	}
	return v
}

// drop lets go of what is scanned of a line that will not be passed.
func (r *Reader) drop() {
	line := r.buffer.unread()
	tooLong := r.size(line) > int64(r.max)
	if tooLong && !r.scanner.blank() {
		r.scanner.refuse(tooLarge)
	}
	if r.scanner.bad == 0 && !tooLong {
		return
	}
	n := r.scanner.droppable(r.at)
	if !r.scanner.strict {
		r.head = r.appendHead(line[:n])
	}
	r.scanner.rebase(n)
	r.buffer.skip(n)
	r.buffer.settle()
	r.at -= n
	r.dropped += int64(n)
}

// appendHead returns the head with as much of line as there is room for.
func (r *Reader) appendHead(line []byte) []byte {
	return append(r.head, line[:min(len(line), maxHead-len(r.head))]...)
}
