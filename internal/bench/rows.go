//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// row is one way to put something between a client and a server.
type row struct {
	name    string
	command []string
	env     []string
	effort  effort
	most    int // bytes of the largest message that it passes on
}

const allSizes = 1 << 30

// missing says why a row cannot be measured here.
type missing struct{ row, why string }

func (m *missing) Error() string { return m.row + " is left out: " + m.why }

// allRows are the rows of the table. Those whose parts are not there are left out, with an error each that says so.
func allRows(s *stage) (all []*row, left []error) {
	echo := s.program("echo")
	add := func(name string, command ...string) *row {
		r := &row{name: name, command: command, env: s.env, effort: usual, most: allSizes}
		all = append(all, r)
		return r
	}
	add("direct", echo)
	add("blk", s.program("blk"), echo)
	add("io.Copy", s.program("iocopy"), echo)
	for _, store := range []string{"none", "sealed", "keyring"} {
		valet, err := s.valet(store, echo)
		if err != nil {
			left = append(left, &missing{"valet, " + store, err.Error()})
			continue
		}
		add("valet, "+store, valet...)
	}
	add("go-sdk", s.program("sdkrelay"), echo).effort.trips /= 2
	node, err := exec.LookPath("node")
	if err != nil {
		return all, append(left, &missing{"node", "node is not installed"})
	}
	add("node pipe", node, filepath.Join(s.source, "node", "pipe.mjs"), echo).effort.starts /= 2
	remote, err := s.remote(node, echo)
	if err != nil {
		return all, append(left, &missing{"mcp-remote + supergateway", err.Error()})
	}
	r := add("mcp-remote + supergateway", remote...)
	r.effort, r.most = slower, 64<<10 // supergateway refuses 1 MiB
	return all, left
}

// also is the row of another build of the launcher, without a token.
func also(program string, all []*row) *row {
	for _, r := range all {
		if r.name == "valet, none" {
			other := *r
			other.name = filepath.Base(program)
			other.command = append([]string{program}, r.command[1:]...)
			return &other
		}
	}
	return nil
}

// remote starts supergateway before the server, and gives the command of an mcp-remote that talks to it.
func (s *stage) remote(node, echo string) ([]string, error) {
	modules := filepath.Join(s.source, "node", "node_modules")
	gateway, remote := filepath.Join(modules, "supergateway/dist/index.js"), filepath.Join(modules, "mcp-remote/dist/proxy.js")
	for _, file := range []string{gateway, remote} {
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("to have it: npm ci --ignore-scripts in internal/bench/node")
		}
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	err = s.daemon(nil, "", node, "--require", filepath.Join(s.source, "node", "loopback.cjs"), gateway,
		"--stdio", echo, "--outputTransport", "streamableHttp", "--stateful", "--port", port, "--logLevel", "none")
	if err != nil {
		return nil, err
	}
	if err := awaitPort(port); err != nil {
		return nil, fmt.Errorf("supergateway: %w", err)
	}
	return []string{node, remote, "http://127.0.0.1:" + port + "/mcp", "--allow-http", "--transport", "http-only"}, nil
}
