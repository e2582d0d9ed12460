//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience is how long a program may take to end once its stdin has.
const patience = 5 * time.Second

// client is an MCP client with one program behind it. Its ends of the pipes are blocking ones: what is measured is the
// program, not the poller of this process.
type client struct {
	cmd  *exec.Cmd
	in   *os.File
	out  *os.File
	room []byte // what comes back, a piece at a time
	id   int
}

// start runs a row's program and waits for its answer to initialize.
func start(r *row) (*client, error) {
	theirIn, in, err := pipe()
	if err != nil {
		return nil, err
	}
	out, theirOut, err := pipe()
	if err != nil {
		return nil, err
	}
	defer theirIn.Close()
	defer theirOut.Close()
	c := &client{cmd: exec.Command(r.command[0], r.command[1:]...), in: in, out: out, room: make([]byte, 1<<20)}
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Env = theirIn, theirOut, r.env
	if os.Getenv("BENCH_STDERR") != "" {
		c.cmd.Stderr = os.Stderr
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	return c, c.initialize()
}

func pipe() (r, w *os.File, err error) {
	var p [2]int
	if err := syscall.Pipe2(p[:], syscall.O_CLOEXEC); err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(p[0]), "read end"), os.NewFile(uintptr(p[1]), "write end"), nil
}

func (c *client) initialize() error {
	const hello = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":` +
		`{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}` + "\n"
	if _, err := c.in.WriteString(hello); err != nil {
		return err
	}
	head, _, err := c.answers(1)
	if err != nil || !bytes.Contains(head, []byte(`"protocolVersion"`)) {
		return fmt.Errorf("initialize is answered with %q (%v)", head, err)
	}
	_, err = c.in.WriteString(`{"jsonrpc":"2.0","method":"notifications/initialized"}` + "\n")
	return err
}

// answers reads n lines: the beginning of the first, and how many bytes they all have.
func (c *client) answers(n int) (head []byte, size int, err error) {
	for n > 0 {
		m, err := c.out.Read(c.room)
		if err != nil {
			return head, size, err
		}
		if size == 0 {
			head = bytes.Clone(c.room[:min(m, 256)])
		}
		size += m
		n -= bytes.Count(c.room[:m], []byte{'\n'})
	}
	return head, size, nil
}

// call sends one request and reads its answer, which has the request's arguments.
func (c *client) call(arguments string) (time.Duration, error) {
	c.id++
	line := request(c.id, arguments)
	began := time.Now()
	if _, err := c.in.Write(line); err != nil {
		return 0, err
	}
	head, size, err := c.answers(1)
	took := time.Since(began)
	if err == nil && (size < len(arguments) || !bytes.Contains(head, fmt.Appendf(nil, `"id":%d,`, c.id))) {
		err = fmt.Errorf("call %d of %d bytes is answered with %d bytes, %.100q", c.id, len(line), size, head)
	}
	return took, err
}

// burst sends n requests at once and reads their answers.
func (c *client) burst(n int, arguments string) (time.Duration, error) {
	var lines []byte
	for range n {
		c.id++
		lines = append(lines, request(c.id, arguments)...)
	}
	began := time.Now()
	sent := make(chan error, 1)
	go func() {
		_, err := c.in.Write(lines)
		sent <- err
	}()
	_, _, err := c.answers(n)
	took := time.Since(began)
	return took, errors.Join(err, <-sent)
}

func request(id int, arguments string) []byte {
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","arguments":%s}}`+"\n", id, arguments)
}

// memory is a figure in KiB of the program's /proc/PID/status, in MiB.
func (c *client) memory(key string) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), key+":")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, _ := strconv.Atoi(fields[0])
	return float64(kib) / 1024
}

// stop ends the program as a client does: by the end of its stdin.
func (c *client) stop() {
	c.in.Close()
	killer := time.AfterFunc(patience, func() { c.cmd.Process.Kill() })
	c.cmd.Wait()
	killer.Stop()
	c.out.Close()
}
