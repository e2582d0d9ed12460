package audit

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// shot is a file of the log as long as it was at one moment.
type shot struct {
	name string
	file *os.File
	size int64
}

// snapshot opens all files of the log at one moment between two records; closeAll closes them.
func snapshot(dir string) ([]shot, error) {
	if err := checkDir(dir); err != nil {
		return nil, err
	}
	l := &Log{o: Options{Dir: dir}}
	defer l.closeFiles() // only the lock, which is not written
	if _, err := os.Lstat(filepath.Join(dir, lockName)); errors.Is(err, fs.ErrNotExist) {
		return openAll(dir) // a copy, or a log without a record: nobody is writing
	}
	var shots []shot
	err := l.locked(func() (err error) { shots, err = openAll(dir); return err })
	return shots, err
}

func openAll(dir string) (shots []shot, err error) {
	names, err := listFiles(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		f, err := openPrivate(filepath.Join(dir, name), os.O_RDONLY)
		if err != nil {
			closeAll(shots)
			return nil, err
		}
		info, err := f.Stat()
		if err != nil {
			f.Close() // only read
			closeAll(shots)
			return nil, err
		}
		shots = append(shots, shot{name, f, info.Size()})
	}
	return shots, nil
}

func closeAll(shots []shot) {
	for _, s := range shots {
		s.file.Close() // only read
	}
}

// line is one line of a file, without its line end.
type line struct {
	n     int // from 1
	text  []byte
	whole bool // had a line end
	entry *Entry
	err   error // why entry is nil
}

// lines reads a file line by line, and gives each line to do together with the one after it, or nil.
func (s shot) lines(do func(now, after *line) error) error {
	r := bufio.NewReaderSize(io.NewSectionReader(s.file, 0, s.size), maxLine+2)
	var now *line
	for n := 1; ; n++ {
		after, err := readLine(r)
		if err != nil {
			return err
		}
		if after != nil {
			after.n = n
		}
		if now != nil {
			if err := do(now, after); err != nil {
				return err
			}
		}
		if after == nil {
			return nil
		}
		now = after
	}
}

// readLine gives nil at the end. Of a line that is too long only the beginning is kept.
func readLine(r *bufio.Reader) (*line, error) {
	b, err := r.ReadSlice('\n')
	l := &line{text: append([]byte(nil), b...)}
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = r.ReadSlice('\n')
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if l.whole = err == nil; !l.whole && len(l.text) == 0 {
		return nil, nil
	}
	if n := len(l.text) - 1; n >= 0 && l.text[n] == '\n' {
		l.text = l.text[:n]
	}
	l.entry, l.err = parseLine(l.text)
	return l, nil
}

// tornBy tells whether the line after this one says that this one was not finished, when its writer ended.
func (l *line) tornBy(after *line) bool {
	return after != nil && after.entry != nil && after.entry.Event == EventCrash &&
		after.entry.Torn == len(l.text) && after.entry.TornHash == hashOf(l.text)
}
