package audit

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// tail is what a writer must know of the end of the log. It is kept from one record to the next, and found out anew when
// the file is not as long as it was left.
type tail struct {
	known bool
	size  int64 // of the newest file
	seq   uint64
	hash  string
	time  time.Time // latest that the clock is known to have shown
	event string
	born  time.Time // first record of the newest file
	log   string    // identity of the log

	torn     int // bytes of a line that was not finished
	tornHash string
	damaged  bool // lines at the end are no records
}

// window is how much of a file's end is looked at for a record.
const window = 4 * maxLine

// follow makes e the last record.
func (t *tail) follow(e *Entry, now time.Time) {
	t.seq, t.hash, t.event = e.Seq, e.Hash, e.Event
	t.time = now
	if e.Log != "" {
		t.log = e.Log
	}
}

// refresh makes l.tail and l.file true. The lock is held.
func (l *Log) refresh() error {
	if l.file != nil {
		info, err := l.file.Stat()
		if err != nil {
			return err
		}
		switch {
		case moved(l.file, info):
			l.forget()
		case l.tail.known && info.Size() == l.tail.size:
			return nil
		default:
			if err := l.readTail(); err != nil {
				return err
			}
			if l.tail.event != EventRotate {
				return nil
			}
			l.forget() // another file has the end by now, or is to be made
		}
	}
	return l.findTail()
}

func (l *Log) forget() {
	if l.file != nil {
		l.file.Close() // every record was written, or an error was returned for it
	}
	l.file, l.tail = nil, tail{}
}

// findTail opens the newest file and finds the last record, which is in the one before when a process ended just as it
// had made the newest.
func (l *Log) findTail() error {
	names, err := listFiles(l.o.Dir)
	if err != nil {
		return err
	}
	l.tail = tail{known: true, hash: noHash}
	if len(names) == 0 {
		return nil
	}
	newest := names[len(names)-1]
	l.file, err = openPrivate(filepath.Join(l.o.Dir, newest), os.O_RDWR)
	if err != nil {
		return err
	}
	if err := l.readTail(); err != nil || l.tail.seq > 0 {
		return err
	}
	return l.tailBefore(names[:len(names)-1], firstOf(newest))
}

// tailBefore takes the last record from the file before one that has none.
func (l *Log) tailBefore(names []string, first uint64) error {
	now := l.tail
	switch {
	case len(names) > 0:
		f, err := openPrivate(filepath.Join(l.o.Dir, names[len(names)-1]), os.O_RDONLY)
		if err != nil {
			return err
		}
		defer f.Close() // only read
		before, err := tailOf(f)
		if err != nil {
			return err
		}
		now.seq, now.hash, now.time, now.log = before.seq, before.hash, before.time, before.log
	case first == 1:
		now.hash = noHash
	}
	if now.seq+1 != first {
		return fmt.Errorf("%w: %s has no record, and none before it leads there", ErrDamaged, l.file.Name())
	}
	l.tail = now
	return nil
}

func (l *Log) readTail() error {
	t, err := tailOf(l.file)
	if err != nil {
		return err
	}
	if t.log == "" {
		t.log = l.tail.log
	}
	l.tail = t
	return nil
}

// tailOf reads the end of a file, and its first line.
func tailOf(f *os.File) (tail, error) {
	info, err := f.Stat()
	if err != nil {
		return tail{}, err
	}
	t := tail{known: true, size: info.Size()}
	b, err := readAt(f, max(0, t.size-window), t.size)
	if err != nil {
		return t, err
	}
	whole := int64(len(b)) == t.size
	end := bytes.LastIndexByte(b, '\n') + 1
	if t.torn = len(b) - end; t.torn > 0 {
		if end == 0 && !whole {
			return t, fmt.Errorf("%w: %s ends with no record", ErrDamaged, f.Name())
		}
		t.tornHash = hashOf(b[end:])
	}
	for b = b[:end]; len(b) > 0; {
		start := bytes.LastIndexByte(b[:len(b)-1], '\n') + 1
		if e, err := parseLine(b[start : len(b)-1]); err == nil {
			t.follow(e, e.Time)
			break
		}
		t.damaged = true
		b = b[:start]
	}
	if t.seq == 0 && (t.damaged || !whole) {
		return t, fmt.Errorf("%w: %s ends with no record", ErrDamaged, f.Name())
	}
	return t, t.readFirst(f)
}

// readFirst learns from the first line how old the file is, and which log's.
func (t *tail) readFirst(f *os.File) error {
	b, err := readAt(f, 0, min(t.size, maxLine+1))
	if err != nil {
		return err
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	if e, err := parseLine(line); err == nil {
		t.born, t.log = e.Time, e.Log
	}
	return nil
}

func readAt(f *os.File, from, to int64) ([]byte, error) {
	b := make([]byte, to-from)
	n, err := f.ReadAt(b, from)
	if n == len(b) {
		err = nil
	}
	return b[:n], err
}

// ready makes the tail such that a record can be put behind it: known, in a file that is neither too long nor too old,
// and with nothing unfinished before it. The lock is held.
func (l *Log) ready() error {
	if err := l.refresh(); err != nil {
		return err
	}
	l.before = l.tail.time
	if l.file != nil && l.tail.event != EventRotate && l.due() {
		if err := l.mend(); err != nil {
			return err
		}
		if err := l.put(&Entry{Record: Record{Event: EventRotate}}); err != nil {
			return err
		}
	}
	if l.file == nil || l.tail.event == EventRotate {
		if err := l.next(); err != nil {
			return err
		}
	}
	if err := l.mend(); err != nil {
		return err
	}
	return l.begin()
}

// mend records what a process left that ended while it wrote, or what somebody did to the end of the file.
func (l *Log) mend() error {
	switch {
	case l.tail.torn > 0:
		return l.put(&Entry{Torn: l.tail.torn, TornHash: l.tail.tornHash, Record: Record{
			Event: EventCrash, Detail: "a line of " + strconv.Itoa(l.tail.torn) + " bytes was not finished",
		}})
	case l.tail.damaged:
		l.tail.damaged = false
		return l.put(&Entry{Record: Record{Event: EventCrash, Detail: "lines before this one are no records: audit verify names them"}})
	}
	return nil
}

// due tells whether the newest file has come to its end.
func (l *Log) due() bool {
	age := l.now().Sub(l.tail.born)
	return l.tail.size >= l.o.MaxSize || !l.tail.born.IsZero() && age > l.o.MaxAge
}

// next makes the next file.
func (l *Log) next() error {
	last := l.tail
	path := filepath.Join(l.o.Dir, fileName(last.seq+1))
	f, err := openPrivate(path, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	if l.file != nil {
		l.file.Close() // every record was written, or an error was returned for it
	}
	l.file = f
	l.tail = tail{known: true, seq: last.seq, hash: last.hash, time: last.time, log: last.log, born: l.now()}
	return nil
}

// begin gives a file its first record, and a log its identity.
func (l *Log) begin() (err error) {
	if l.tail.size > 0 && l.tail.log != "" {
		return nil
	}
	id := l.tail.log
	if id == "" {
		if id, err = newIdentity(); err != nil {
			return err
		}
	}
	if err := l.put(&Entry{Log: id, Record: Record{Event: EventFile}}); err != nil {
		return err
	}
	return l.retain()
}

func newIdentity() (string, error) {
	b := make([]byte, 8)
	_, err := rand.Read(b)
	return hex.EncodeToString(b), err
}
