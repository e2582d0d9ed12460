package frame_test

import (
	"testing"

	"mcp-valet/wrapper/frame"
)

// TestMallocs holds the reader to no allocation at all, whatever the message, once it has seen one like it.
func TestMallocs(t *testing.T) {
	for _, d := range directions {
		for _, s := range shapes() {
			t.Run(d.name+"/"+s.name, func(t *testing.T) {
				r := frame.NewReader(&repeat{line: s.line}, d.direction, 0)
				next := func() {
					if _, err := r.Next(); err != nil {
						t.Fatal(err)
					}
				}
				if got := testing.AllocsPerRun(20, next); got != 0 { // which warms up with one
					t.Errorf("%v allocations a message", got)
				}
			})
		}
	}
}

var directions = []struct {
	name      string
	direction frame.Direction
}{{"client", frame.ClientToServer}, {"server", frame.ServerToClient}}
