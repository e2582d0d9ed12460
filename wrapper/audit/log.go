package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// What a log does when a record cannot be written.
const (
	Block    = "block"    // Append returns the error: the caller refuses what was to be recorded
	Continue = "continue" // Append counts the record; a "gap" record says how many when writing works again
)

const (
	defaultMaxSize   = 32 << 20
	defaultMaxAge    = 30 * 24 * time.Hour
	defaultRetention = 365 * 24 * time.Hour
	defaultEvery     = 1000
	defaultInterval  = 10 * time.Minute

	lockWait = 5 * time.Second // for another process, which holds the lock for microseconds
)

// Options say where a log is and how it is kept. Only Dir has no default.
type Options struct {
	Dir       string        // made when missing, 0700
	MaxSize   int64         // bytes; a file that has grown so long is followed by another; 0 = 32 MiB
	MaxAge    time.Duration // since a file's first record, with the same end; 0 = 30 days
	Retention time.Duration // files whose last record is older are removed; 0 = 365 days; negative: none ever
	OnFull    string        // "" or Block, or Continue

	// Sign signs a head with Ed25519; nil leaves the log without heads. It may be slow: no Append waits for it.
	// It and Count are never called twice at a time, and not after Close.
	Sign func(head []byte) ([]byte, error)
	// Count is told each head that was written, so that the caller remembers how long the log was; nil: nobody does.
	Count    func(Head) error
	Every    uint64        // a head after so many records; 0 = 1000
	Interval time.Duration // and after so long a time, when there were some; 0 = 10 min

	// Written is shown each record that was written, in order, and must not wait or append; nil: nobody is.
	Written func(*Entry)
}

// Log appends records. It is safe for concurrent use, and several processes may have the same folder open.
type Log struct {
	o   Options
	now func() time.Time

	mu     sync.Mutex
	closed bool
	lock   *os.File
	file   *os.File // the newest, or nil
	tail   tail
	before time.Time // of the last record that was there when the lock was taken
	buf    []byte
	missed uint64 // records that could not be written
	since  time.Time
	fresh  uint64 // records of ours since the last head
	headed time.Time

	notary notary
}

// Open opens the log in o.Dir for appending. A folder or file that is not this user's alone is [ErrInsecure].
func Open(o Options) (*Log, error) {
	l, err := open(o)
	if err != nil {
		return nil, fmt.Errorf("opening the audit log: %w", err)
	}
	return l, nil
}

func open(o Options) (*Log, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	if err := ensureDir(o.Dir); err != nil {
		return nil, err
	}
	l := &Log{o: o, now: time.Now}
	l.headed = l.now()
	if err := l.locked(l.start); err != nil && !(o.OnFull == Continue && !errors.Is(err, ErrInsecure)) {
		l.closeFiles()
		return nil, err
	}
	l.notary.start(l)
	return l, nil
}

func (o *Options) complete() error {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&o.MaxAge, defaultMaxAge)
	set(&o.Retention, defaultRetention)
	set(&o.Interval, defaultInterval)
	if o.MaxSize == 0 {
		o.MaxSize = defaultMaxSize
	}
	if o.Every == 0 {
		o.Every = defaultEvery
	}
	if o.OnFull == "" {
		o.OnFull = Block
	}
	switch {
	case !filepath.IsAbs(o.Dir):
		return fmt.Errorf("the folder %.200q is not an absolute path", o.Dir)
	case o.OnFull != Block && o.OnFull != Continue:
		return fmt.Errorf("unknown word %.20q for what happens when the disk is full", o.OnFull)
	case o.MaxSize < 0 || o.MaxAge < 0 || o.Interval < 0:
		return errors.New("a negative limit")
	}
	return nil
}

// start looks at what is there: what is wrong with it is to be known before anything depends on it.
func (l *Log) start() error {
	if err := l.refresh(); err != nil {
		return err
	}
	l.before = l.tail.time
	return l.retain()
}

// Append writes one record before it returns: the system has it then, and it survives the end of this process in
// whatever way, though not that of the machine (nothing is forced to the disk). A record that cannot be written is an
// error, also of [ErrFull] and [ErrBusy]; with [Continue] it is counted instead, and the error is nil, but for
// [ErrInsecure]. It waits 5 s at most.
func (l *Log) Append(r *Record) error {
	if err := r.check(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	e := &Entry{Record: *r}
	e.clip()
	if err := l.append(e); err != nil {
		return l.miss(err)
	}
	l.fresh++
	if e.Seq%l.o.Every == 0 || l.now().Sub(l.headed) >= l.o.Interval {
		l.notary.wake()
	}
	return nil
}

// append writes e, and before it what has to come first. l.mu is held.
func (l *Log) append(e *Entry) error {
	err := l.locked(func() error {
		if err := l.ready(); err != nil {
			return err
		}
		if l.missed > 0 {
			gap := &Entry{Missed: l.missed, Record: Record{
				Event: EventGap, Detail: "from " + l.since.UTC().Format(time.RFC3339) + " on records could not be written",
			}}
			if err := l.put(gap); err != nil {
				return err
			}
			l.missed = 0
		}
		return l.put(e)
	})
	if err != nil {
		return fmt.Errorf("writing the audit log: %w", err)
	}
	return nil
}

// miss counts a record that could not be written, where that is what is wanted.
func (l *Log) miss(err error) error {
	if l.o.OnFull != Continue || errors.Is(err, ErrInsecure) {
		return err
	}
	if l.missed == 0 {
		l.since = l.now()
	}
	l.missed++
	return nil
}

// put writes one record behind the tail. The lock is held and the tail is known.
func (l *Log) put(e *Entry) error {
	now := l.now()
	if e.Time.IsZero() {
		e.Time = now
	}
	if back := l.tail.time.Sub(now); back > time.Second {
		e.Back = back
	}
	e.Seq, e.Prev = l.tail.seq+1, l.tail.hash
	l.buf = l.buf[:0]
	if l.tail.torn > 0 {
		l.buf = append(l.buf, '\n') // ends the line that was not finished
	}
	l.buf = appendLine(l.buf, e)
	if err := writeEnd(l.file, l.buf, l.tail.size); err != nil {
		// A part of a line may be there. When it cannot be taken back the next writer finds a line that was not finished.
		terr := l.file.Truncate(l.tail.size)
		l.tail.known = terr == nil
		return spaceError(err)
	}
	l.tail.size += int64(len(l.buf))
	l.tail.torn = 0
	l.tail.follow(e, now)
	if l.o.Written != nil {
		l.o.Written(e)
	}
	return nil
}

// locked runs f while no other process is at the log.
func (l *Log) locked(f func() error) error {
	if err := l.takeLock(); err != nil {
		return err
	}
	err := f()
	return errors.Join(err, unlock(l.lock))
}

// takeLock waits for the lock. A lock file that lost its name excludes nobody, and is opened anew.
func (l *Log) takeLock() error {
	var waited time.Duration
	for wait := 20 * time.Microsecond; ; wait = min(2*wait, 5*time.Millisecond) {
		if l.lock == nil {
			f, err := openPrivate(filepath.Join(l.o.Dir, lockName), os.O_RDWR|os.O_CREATE)
			if err != nil {
				return err
			}
			l.lock = f
		}
		got, err := tryLock(l.lock)
		if err != nil {
			return err
		}
		if got {
			info, err := l.lock.Stat()
			if err != nil {
				return err
			}
			if !removed(info) {
				return nil
			}
			l.lock.Close() // was never written
			l.lock = nil
			continue
		}
		if waited > lockWait {
			return ErrBusy
		}
		time.Sleep(wait)
		waited += wait
	}
}

// Close writes a last head, and what is known of records that could not be written. Further calls do nothing.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	headErr := l.notary.end()
	l.mu.Lock()
	defer l.mu.Unlock()
	missed := l.sayMissed()
	return errors.Join(headErr, missed, l.closeFiles())
}

// sayMissed tries a last time to write how many records are missing.
func (l *Log) sayMissed() error {
	if l.missed == 0 {
		return nil
	}
	n := l.missed
	err := l.locked(func() error {
		if err := l.ready(); err != nil {
			return err
		}
		return l.put(&Entry{Missed: n, Record: Record{Event: EventGap, Detail: "known at the end"}})
	})
	if err != nil {
		return fmt.Errorf("%d audit records could not be written: %w", n, err)
	}
	l.missed = 0
	return nil
}

func (l *Log) closeFiles() error {
	var errs []error
	for _, f := range []*os.File{l.file, l.lock} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	l.file, l.lock = nil, nil
	return errors.Join(errs...)
}
