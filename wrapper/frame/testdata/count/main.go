// Command count has messages read, for a counter of instructions: its arguments are a direction, "client" or "server",
// how often, and a file with one message; and so on. It calls mark before and after each.
package main

import (
	"fmt"
	"os"
	"strconv"

	"mcp-valet/wrapper/frame"
)

func main() {
	for args := os.Args[1:]; len(args) >= 3; args = args[3:] {
		if err := count(args[0], args[1], args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func count(direction, times, file string) error {
	n, err := strconv.Atoi(times)
	if err != nil {
		return err
	}
	line, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	r := frame.NewReader(&repeat{line: line}, map[string]frame.Direction{"client": frame.ClientToServer, "server": frame.ServerToClient}[direction], 0)
	if err := read(r, 2); err != nil { // the first ones make the buffers
		return err
	}
	mark()
	err = read(r, n)
	mark()
	return err
}

func read(r *frame.Reader, n int) error {
	for range n {
		if _, err := r.Next(); err != nil {
			return err
		}
	}
	return nil
}

// mark does nothing; the counter looks for calls of it.
//
//go:noinline
func mark() {}

// repeat gives a line over and over, as a pipe would: at most 64 KiB a read.
type repeat struct {
	line []byte
	at   int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := copy(p[:min(len(p), 64<<10)], r.line[r.at:])
	r.at = (r.at + n) % len(r.line)
	return n, nil
}
