package frame_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"mcp-valet/wrapper/frame"
)

// outcome writes what Next returned in one line: a passed message as kind, id, method and name or URI; a refused one
// as code, kind, id (or -) and reason.
func outcome(m frame.Message, err error) string {
	var v *frame.Violation
	if errors.As(err, &v) {
		id := "-"
		if !v.ID.IsZero() {
			id = string(v.ID.Raw())
		}
		return fmt.Sprintf("%d %s %s: %s", v.Code, v.Kind, id, v.Reason)
	}
	if err != nil {
		return err.Error()
	}
	parts := []string{m.Kind.String()}
	for _, part := range []string{string(m.ID.Raw()), m.Method, m.Name, m.URI} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, " ")
}

// outcomes reads r to its end.
func outcomes(r *frame.Reader) []string {
	var all []string
	for {
		m, err := r.Next()
		if err == io.EOF {
			return all
		}
		all = append(all, outcome(m, err))
	}
}

// chunks is a source that gives one of its pieces a read.
type chunks struct{ rest []string }

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.rest[0])
	if c.rest[0] = c.rest[0][n:]; c.rest[0] == "" {
		c.rest = c.rest[1:]
	}
	if len(c.rest) == 0 {
		return n, io.EOF // as io.Reader allows
	}
	return n, nil
}

// TestChunks holds the law that how a stream is cut into reads changes nothing.
func TestChunks(t *testing.T) {
	for _, table := range []struct {
		name  string
		d     frame.Direction
		cases []difference
	}{
		{"differences", frame.ClientToServer, differences},
		{"client", frame.ClientToServer, fromClient},
		{"server", frame.ServerToClient, fromServer},
	} {
		for _, max := range []int{0, 60} { // with small limits, lines are dropped while they come
			t.Run(fmt.Sprint(table.name, " ", max), func(t *testing.T) {
				for _, c := range table.cases {
					checkChunks(t, c.name, c.in, table.d, max)
				}
			})
		}
	}
}

func checkChunks(t *testing.T, name, in string, d frame.Direction, max int) {
	t.Helper()
	read := func(source io.Reader) string {
		return strings.Join(outcomes(frame.NewReader(source, d, max)), "\n")
	}
	want := read(strings.NewReader(in))
	if got := read(iotest.OneByteReader(strings.NewReader(in))); got != want {
		t.Errorf("%s, byte by byte: got\n%s\nwant\n%s", name, got, want)
	}
	step := 1 + len(in)/400
	if len(in) > 4<<10 {
		step = 1 + len(in)/40
	}
	if len(in) > 64<<10 {
		step = 1 + len(in)/4
	}
	for i := 1; i < len(in); i += step {
		if got := read(&chunks{rest: []string{in[:i], in[i:]}}); got != want {
			t.Errorf("%s, cut at %d: got\n%s\nwant\n%s", name, i, got, want)
			return
		}
	}
}
