package frame_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"mcp-valet/wrapper/frame"
)

// faulty is a source that gives text together with err, and then only err.
type faulty struct {
	text string
	err  error
}

func (f *faulty) Read(p []byte) (int, error) {
	n := copy(p, f.text)
	f.text = f.text[n:]
	return n, f.err
}

func TestErrorsOfTheSource(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		name   string
		source io.Reader
		want   string // of the first call
		err    error  // of all after the text
	}{
		{"end with the text", &faulty{withID("7"), io.EOF}, passed, io.EOF},
		{"error with the text", &faulty{withID("7"), broken}, passed, broken},
		{"error inside a line", &faulty{bare, broken}, "-32700 request 7: last line has no newline", broken},
		{"reads of nothing", iotest.HalfReader(&faulty{withID("7"), io.EOF}), passed, io.EOF},
		{"timeout", iotest.TimeoutReader(strings.NewReader(withID("7"))), passed, iotest.ErrTimeout},
		{"never anything", io.MultiReader(strings.NewReader(withID("7")), iotest.ErrReader(nil)), passed, io.ErrNoProgress},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := frame.NewReader(c.source, frame.ClientToServer, 0)
			if got := outcome(r.Next()); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			for range 2 {
				if _, err := r.Next(); err != c.err {
					t.Errorf("then %v, want %v", err, c.err)
				}
			}
		})
	}
}

// TestAtOnce holds that a message is returned when its newline is there, without waiting for more.
func TestAtOnce(t *testing.T) {
	source, w := io.Pipe()
	defer w.Close()
	go io.WriteString(w, withID("7"))
	if got := outcome(frame.NewReader(source, frame.ClientToServer, 0).Next()); got != passed {
		t.Errorf("got %s", got)
	}
}

// TestRawIsWholeLine holds that white space around a message is passed on with it.
func TestRawIsWholeLine(t *testing.T) {
	line := " \t" + bare + "\t\r\n"
	m, err := frame.NewReader(strings.NewReader("\n \n"+line+withID("8")), frame.ClientToServer, 0).Next()
	if err != nil || string(m.Raw) != line {
		t.Errorf("got %q, %v", m.Raw, err)
	}
}

func TestLimit(t *testing.T) {
	const tooLarge = "-32600 request 7: message is too large"
	size := len(bare)
	for _, c := range []struct {
		name string
		in   string
		max  int
		want string
	}{
		{"exactly", withID("7"), size, passed},
		{"one less", withID("7"), size - 1, tooLarge},
		{"white space counts", " " + withID("7"), size, tooLarge},
		{"default", withID("7"), 0, passed},
		{"negative is default", withID("7"), -1, passed},
		{"wrong as well", withText("a\xffb"), size, tooLarge},
		{"blank lines do not count", strings.Repeat(" ", 300) + "\n" + withID("7"), size, passed},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, source := range []io.Reader{strings.NewReader(c.in), iotest.OneByteReader(strings.NewReader(c.in))} {
				if got := outcome(frame.NewReader(source, frame.ClientToServer, c.max).Next()); got != c.want {
					t.Errorf("got %s, want %s", got, c.want)
				}
			}
		})
	}
}
