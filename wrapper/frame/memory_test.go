package frame_test

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mcp-valet/wrapper/frame"
)

// TestMemory holds that the memory of a large message is given back when it is gone: to the other direction at once, to
// the system a little later.
func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		large, small := withText(strings.Repeat("a", 3<<20)), withID("7")
		memory := new(frame.Memory)
		next := func(r *frame.Reader) {
			t.Helper()
			if m, err := r.Next(); err != nil {
				t.Fatal(outcome(m, err))
			}
		}
		client := memory.NewReader(io.MultiReader(strings.NewReader(large), &repeat{line: []byte(small)}), frame.ClientToServer, 0)
		next(client)
		if memory.Spare() != 0 {
			t.Error("the memory of a message that is still looked at counts as spare")
		}
		next(client)
		if memory.Spare() <= frame.DefaultMax {
			t.Errorf("%d bytes are kept of a message that is gone", memory.Spare())
		}
		server := memory.NewReader(strings.NewReader(large), frame.ServerToClient, 0)
		next(server)
		if memory.Spare() != 0 {
			t.Error("the other direction has not taken the memory")
		}
		if _, err := server.Next(); err != io.EOF || memory.Spare() == 0 {
			t.Errorf("at the end (%v), %d bytes have been given back", err, memory.Spare())
		}
		time.Sleep(frame.KeepTime - 1)
		if memory.Spare() == 0 {
			t.Errorf("nothing is kept for %v", frame.KeepTime)
		}
		time.Sleep(time.Nanosecond * 2)
		if memory.Spare() != 0 {
			t.Errorf("%d bytes are kept after %v", memory.Spare(), frame.KeepTime)
		}
		next(client) // has gone back to its own buffer
	})
}

// TestMemoryOfRefused holds that a line that is refused while it comes gives its memory back, too.
func TestMemoryOfRefused(t *testing.T) {
	memory := new(frame.Memory)
	r := memory.NewReader(io.MultiReader(long(idFirst, 40<<20, `"}}}`+"\n"), strings.NewReader(withID("8"))), frame.ClientToServer, 0)
	if m, err := r.Next(); err == nil {
		t.Fatal(outcome(m, err))
	}
	if memory.Spare() == 0 {
		t.Error("the memory has not been given back")
	}
	if m, err := r.Next(); err != nil {
		t.Fatal(outcome(m, err))
	}
}

// TestMemoryOfTwo holds that two messages may be large at the same time, and that no more than one region is kept.
func TestMemoryOfTwo(t *testing.T) {
	memory := new(frame.Memory)
	line := withText(strings.Repeat("a", 1<<20))
	var readers [2]*frame.Reader
	for i := range readers {
		readers[i] = memory.NewReader(&repeat{line: []byte(line)}, frame.ClientToServer, 0)
	}
	for range 10 {
		var raw [2]string
		for i, r := range readers {
			m, err := r.Next()
			if err != nil {
				t.Fatal(outcome(m, err))
			}
			raw[i] = string(m.Raw)
		}
		if raw[0] != line || raw[1] != line {
			t.Fatal("a message has changed")
		}
	}
}
