package audit_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"mcp-valet/wrapper/audit"
)

// sample is a signed log in one file, and its lines.
func sample(t testing.TB, dir string) (file string, lines [][]byte) {
	l := open(t, audit.Options{Dir: dir, Sign: sign})
	for i := range 8 {
		appendAll(t, l, fmt.Sprint("tool", i))
	}
	closeLog(t, l)
	file = files(t, dir)[0]
	return file, bytes.SplitAfter(bytes.TrimSuffix(read(t, file), []byte("\n")), []byte("\n"))
}

func TestVerifyFinds(t *testing.T) {
	tests := []struct {
		name   string
		change func(lines [][]byte) [][]byte
		line   int
		want   string
	}{
		{"changed", func(l [][]byte) [][]byte { l[3] = bytes.Replace(l[3], []byte("deny"), []byte("deni"), 1); return l }, 4, "was changed"},
		{"cut in the middle", func(l [][]byte) [][]byte { return slices.Delete(l, 3, 5) }, 4, "records 4 to 5 are missing"},
		{"cut at the front", func(l [][]byte) [][]byte { return l[2:] }, 1, "records 1 to 2 are missing"},
		{"swapped", func(l [][]byte) [][]byte { l[3], l[4] = l[4], l[3]; return l }, 5, "record 4 stands behind record 5"},
		{"repeated", func(l [][]byte) [][]byte { return slices.Insert(l, 4, l[3]) }, 5, "record 4 stands behind record 4"},
		{"foreign line", func(l [][]byte) [][]byte { return slices.Insert(l, 4, []byte("{}\n")) }, 5, "is not a record"},
		{"empty line", func(l [][]byte) [][]byte { return slices.Insert(l, 4, []byte("\n")) }, 5, "is not a record"},
		{"joined lines", func(l [][]byte) [][]byte { l[3] = bytes.TrimSpace(l[3]); return l }, 4, "was changed"},
		{"very long line", func(l [][]byte) [][]byte { return slices.Insert(l, 4, append(bytes.Repeat([]byte("x"), 1<<20), '\n')) }, 5, "is not a record"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := folder(t)
			file, lines := sample(t, dir)
			write(t, file, bytes.Join(tt.change(lines), nil))
			r := verify(t, dir, public())
			found(t, r, tt.line, tt.want)
			if len(r.Problems) > 3 {
				t.Errorf("one change, %d problems: %v", len(r.Problems), r.Problems)
			}
		})
	}
}

// TestRewrittenLog: whoever writes a whole new log has no key, or not the right one.
func TestRewrittenLog(t *testing.T) {
	dir := folder(t)
	file, lines := sample(t, dir)
	known := verified(t, dir, public()).Heads
	if len(known) != 1 || !known[0].SignedBy(public()) {
		t.Fatalf("heads %+v", known)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	l := open(t, audit.Options{Dir: dir, Sign: func([]byte) ([]byte, error) { return make([]byte, 64), nil }})
	appendAll(t, l, slices.Repeat([]string{"nothing"}, len(lines))...)
	closeLog(t, l)
	r := verify(t, dir, public(), audit.Known{Head: known[0], From: "the keychain"})
	found(t, r, len(lines)+2, "not by the key")
	found(t, r, 9, "is not the one that the keychain knows")
	found(t, r, 0, "knows another log")
}

func TestCutAtTheEnd(t *testing.T) {
	dir := folder(t)
	var counted []audit.Head
	l := open(t, audit.Options{Dir: dir, Sign: sign, Count: func(h audit.Head) error { counted = append(counted, h); return nil }})
	appendAll(t, l, "a", "b", "c")
	closeLog(t, l)
	if len(counted) != 1 || counted[0].Seq != 4 {
		t.Fatalf("counted %+v", counted)
	}
	known := audit.Known{Head: counted[0], From: "the keychain"}
	verified(t, dir, public(), known)
	file := files(t, dir)[0]
	lines := bytes.SplitAfter(read(t, file), []byte("\n"))
	write(t, file, bytes.Join(lines[:3], nil))
	verified(t, dir, public()) // nobody can tell without it
	found(t, verify(t, dir, public(), known), 0, "the end is missing")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Verify(dir, nil, known); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no log at all: %v", err)
	}
}

func TestRotationBySize(t *testing.T) {
	dir := folder(t)
	l := open(t, audit.Options{Dir: dir, MaxSize: 3000, Sign: sign})
	for range 40 {
		appendAll(t, l, "a")
	}
	closeLog(t, l)
	all := files(t, dir)
	if r := verified(t, dir, public()); len(all) < 5 || r.Files != len(all) || r.Signed < 40 {
		t.Errorf("%d files, %+v", len(all), r)
	}
	for _, f := range all {
		if n := len(read(t, f)); n > 3000+2000 {
			t.Errorf("%s has %d bytes", f, n)
		}
	}
	moved := read(t, all[2])
	if err := os.Remove(all[2]); err != nil {
		t.Fatal(err)
	}
	found(t, verify(t, dir, public()), 1, "are missing before this line")
	write(t, all[2], moved[:len(moved)-10])
	if r := verify(t, dir, public()); len(r.Problems) == 0 || !strings.Contains(r.Problems[0].String(), "goes on in another file") {
		t.Errorf("%v", r.Problems)
	}
	write(t, all[2], moved)
	if err := os.Remove(all[0]); err != nil {
		t.Fatal(err)
	}
	found(t, verify(t, dir, public()), 0, "nothing in it says")
}

func TestRotationByAgeAndRetention(t *testing.T) {
	dir := folder(t)
	day, now := 24*time.Hour, time.Now()
	options := audit.Options{Dir: dir, MaxAge: day, Retention: 3 * day, Sign: sign}
	for i := range 8 { // a day each, by the files' times
		l := open(t, options)
		at := now.Add(time.Duration(i-7) * (day + time.Hour))
		l.SetClock(func() time.Time { return at })
		appendAll(t, l, fmt.Sprint("day", i))
		closeLog(t, l)
		for _, f := range files(t, dir)[max(0, len(files(t, dir))-2):] {
			if err := os.Chtimes(f, at, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	left := files(t, dir)
	r := verified(t, dir, public())
	if len(left) < 3 || len(left) > 5 || r.First == 1 {
		t.Fatalf("%d files left, from record %d", len(left), r.First)
	}
	if err := os.Remove(left[0]); err != nil {
		t.Fatal(err)
	}
	found(t, verify(t, dir, public()), 0, "nothing in it says")
}

// TestClockAheadKeepsFiles: a clock that jumps ten years ahead must not empty the log.
func TestClockAheadKeepsFiles(t *testing.T) {
	dir := folder(t)
	l := open(t, audit.Options{Dir: dir, MaxSize: 1000})
	appendAll(t, l, "a", "b", "c", "d")
	before := files(t, dir)
	l.SetClock(func() time.Time { return time.Now().AddDate(10, 0, 0) })
	appendAll(t, l, "e")
	if now := files(t, dir); len(now) < len(before) {
		t.Errorf("%d files of %d left", len(now), len(before))
	}
}

func TestSigningFails(t *testing.T) {
	dir := folder(t)
	locked := errors.New("the keychain is locked")
	l := open(t, audit.Options{Dir: dir, Every: 2, Sign: func([]byte) ([]byte, error) { return nil, locked }})
	appendAll(t, l, "a", "b", "c", "d", "e")
	if err := l.Close(); !errors.Is(err, locked) {
		t.Errorf("closed: %v", err)
	}
	if r := verified(t, dir, public()); r.Signed != 0 || r.Records != 6 {
		t.Errorf("report %+v", r)
	}
}

func TestHeadsWhileOpen(t *testing.T) {
	dir := folder(t)
	counted := make(chan audit.Head, 10)
	l := open(t, audit.Options{Dir: dir, Sign: sign, Every: 3, Count: func(h audit.Head) error { counted <- h; return nil }})
	appendAll(t, l, "a", "b") // records 2 and 3
	h := <-counted
	if h.Seq != 3 || !h.SignedBy(public()) {
		t.Errorf("head %+v", h)
	}
	l.SetClock(func() time.Time { return time.Now().Add(11 * time.Minute) })
	appendAll(t, l, "c")
	if h := <-counted; h.Seq < 5 {
		t.Errorf("head %+v", h)
	}
}

// FuzzVerify: whatever byte is changed, whatever lines before the last are cut or swapped, is found.
func FuzzVerify(f *testing.F) {
	f.Add(uint32(10), byte(1), uint8(2), uint8(5), uint8(0))
	f.Add(uint32(1<<31), byte(0x80), uint8(0), uint8(1), uint8(1))
	f.Add(uint32(0), byte(0xff), uint8(7), uint8(3), uint8(2))
	f.Add(uint32(99999), byte(0x20), uint8(7), uint8(3), uint8(0))
	dir := folder(f)
	l := open(f, audit.Options{Dir: dir, MaxSize: 1800, Sign: sign})
	for i := range 6 {
		appendAll(f, l, fmt.Sprint("tool", i))
	}
	if err := l.Close(); err != nil {
		f.Fatal(err)
	}
	all := files(f, dir)
	var texts [][]byte
	for _, file := range all {
		texts = append(texts, read(f, file))
	}
	f.Fuzz(func(t *testing.T, at uint32, flip byte, from, to, kind uint8) {
		i := int(at) % len(all)
		text := bytes.Clone(texts[i])
		lines := bytes.SplitAfter(text, []byte("\n"))
		lines = lines[:len(lines)-1]
		x, y := int(from)%len(lines), int(to)%len(lines)
		x, y = min(x, y), max(x, y)
		switch kind % 3 {
		case 0:
			if flip == 0 {
				return
			}
			text[int(at/uint32(len(all)))%len(text)] ^= flip
		case 1:
			if x == y || i == len(all)-1 && y == len(lines) {
				return
			}
			text = bytes.Join(slices.Delete(lines, x, y), nil) // the last line stays
		case 2:
			if x == y {
				return
			}
			lines[x], lines[y] = lines[y], lines[x]
			text = bytes.Join(lines, nil)
		}
		tampered := folder(t)
		if err := os.Mkdir(tampered, 0o700); err != nil {
			t.Fatal(err)
		}
		for j, file := range all {
			b := texts[j]
			if j == i {
				b = text
			}
			write(t, tampered+file[len(dir):], b)
		}
		if r := verify(t, tampered, public()); len(r.Problems) == 0 && r.Torn == nil {
			t.Errorf("not found in %s:\n%s", all[i], text)
		}
	})
}
