//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// stage is what the rows need: built programs, a home of its own, and daemons that end with it.
type stage struct {
	source string // this folder
	dir    string
	env    []string
	ends   []func()
}

// newStage builds the programs and the launcher, as they are released.
func newStage(source string) (*stage, error) {
	dir, err := os.MkdirTemp("", "mcp-valet-bench-")
	if err != nil {
		return nil, err
	}
	s := &stage{source: source, dir: dir, ends: []func(){func() { os.RemoveAll(dir) }}}
	s.env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "MCP_REMOTE_CONFIG_DIR=" + dir, "MCP_VALET_NO_OPEN=1"}
	for _, p := range []struct{ name, folder string }{
		{"echo", "echo"}, {"blk", "blk"}, {"iocopy", "iocopy"}, {"sdkrelay", "sdkrelay"}, {"mcp-valet", "../.."},
	} {
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", s.program(p.name), ".")
		cmd.Dir = filepath.Join(source, p.folder)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			s.close()
			return nil, fmt.Errorf("building %s: %w\n%s", p.name, err, out)
		}
	}
	return s, nil
}

func (s *stage) program(name string) string { return filepath.Join(s.dir, name) }

// daemon runs a program until the stage is closed. What it says is shown when it ends too early.
func (s *stage) daemon(env []string, stdin, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Env = append(s.env[:len(s.env):len(s.env)], env...)
	if stdin != "" {
		cmd.Stdin = strings.NewReader(stdin)
	} else if _, err := cmd.StdinPipe(); err != nil { // it stays open: supergateway ends with its stdin
		return err
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		cmd.Wait()
	}()
	s.ends = append(s.ends, func() {
		cmd.Process.Kill()
		<-done
	})
	select {
	case <-done:
		return fmt.Errorf("%s has ended: %s", filepath.Base(name), said.String())
	case <-time.After(100 * time.Millisecond):
		return nil
	}
}

func (s *stage) close() {
	for i := len(s.ends) - 1; i >= 0; i-- {
		s.ends[i]()
	}
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

func awaitPort(port string) error {
	for range 100 {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			return c.Close()
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.New("it does not listen")
}
