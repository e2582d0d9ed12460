package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// environ is what this program sees when the demo starts it: as little as a client gives, and the demo's folder.
func (s *stage) environ() []string {
	env := []string{"MCP_VALET_CONFIG=" + s.configFile(), "MCP_VALET_STATE_DIR=" + s.folder + string(os.PathSeparator) + "state"}
	if !s.options.Interactive {
		env = append(env, "MCP_VALET_NO_OPEN=1") // the demo is the person, and needs no window
	}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "MCP_VALET_") {
			env = append(env, v)
		}
	}
	return env
}

// valet runs this program to its end; what it prints goes to out.
func (s *stage) valet(ctx context.Context, in io.Reader, out io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, s.exe, append([]string{"--store", s.storeKind()}, args...)...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = s.environ(), in, out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("mcp-valet %s: %w", args[0], err)
	}
	return nil
}

// session is a client's side of one running server: requests one after another over stdio.
type session struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	lines  chan []byte // what the server wrote; closed at its end
	nextID int
}

// entry is what the client's config says of the server.
func (s *stage) entry() (e struct {
	Command string
	Args    []string
}, err error) {
	text, err := os.ReadFile(s.clientFile())
	if err != nil {
		return e, err
	}
	config := struct {
		MCPServers map[string]json.RawMessage `json:"mcpServers"`
	}{}
	if err := json.Unmarshal(text, &config); err != nil {
		return e, err
	}
	return e, json.Unmarshal(config.MCPServers[s.server], &e)
}

// connect starts the server as a client does.
func (s *stage) connect() (*session, error) {
	entry, err := s.entry()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(entry.Command, entry.Args...)
	cmd.Env, cmd.Stderr = s.environ(), quoted{s.out, "stderr |"}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &session{cmd: cmd, in: in, lines: make(chan []byte, 16)}
	go func() { // ends at the end of the server's output; end waits for that
		defer close(c.lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			c.lines <- append([]byte(nil), scan.Bytes()...)
		}
	}()
	return c, nil
}

// rpcError is a JSON-RPC error that came back.
type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *rpcError) Error() string { return fmt.Sprintf("error %d: %s", e.Code, e.Message) }

// request sends one request and waits for its answer.
func (c *session) request(ctx context.Context, method string, params any, result any) error {
	c.nextID++
	line, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": c.nextID, "method": method, "params": params})
	if err != nil {
		return err
	}
	if _, err := c.in.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("writing to the server: %w", err)
	}
	for {
		select {
		case line, ok := <-c.lines:
			if !ok {
				return errors.New("the server ended without an answer")
			}
			var m struct {
				ID     int             `json:"id"`
				Result json.RawMessage `json:"result"`
				Error  *rpcError       `json:"error"`
			}
			if err := json.Unmarshal(line, &m); err != nil {
				return fmt.Errorf("the answer is no message: %w", err)
			}
			switch {
			case m.ID != c.nextID:
				continue // a notification
			case m.Error != nil:
				return m.Error
			}
			return json.Unmarshal(m.Result, result)
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", method, ctx.Err())
		}
	}
}

// initialize shakes hands and returns the server's name.
func (c *session) initialize(ctx context.Context) (string, error) {
	var answer struct {
		ServerInfo struct{ Name, Version string }
	}
	params := map[string]any{
		"protocolVersion": "2025-11-25", "capabilities": map[string]any{},
		"clientInfo": map[string]any{"name": "mcp-valet demo", "version": "1"},
	}
	if err := c.request(ctx, "initialize", params, &answer); err != nil {
		return "", err
	}
	_, err := io.WriteString(c.in, `{"jsonrpc":"2.0","method":"notifications/initialized"}`+"\n")
	return strings.TrimSpace(answer.ServerInfo.Name + " " + answer.ServerInfo.Version), err
}

// call calls a tool and returns its text, and whether the tool says that it failed.
func (c *session) call(ctx context.Context, tool string, args map[string]any) (text string, failed bool, err error) {
	var answer struct {
		Content []struct{ Text string }
		IsError bool
	}
	if args == nil {
		args = map[string]any{}
	}
	if err := c.request(ctx, "tools/call", map[string]any{"name": tool, "arguments": args}, &answer); err != nil {
		return "", false, err
	}
	var parts []string
	for _, p := range answer.Content {
		parts = append(parts, p.Text)
	}
	return strings.Join(parts, "\n"), answer.IsError, nil
}

// tools lists the names of the tools.
func (c *session) tools(ctx context.Context) (names []string, err error) {
	var answer struct{ Tools []struct{ Name string } }
	err = c.request(ctx, "tools/list", map[string]any{}, &answer)
	for _, t := range answer.Tools {
		names = append(names, t.Name)
	}
	return names, err
}

// end closes the server's stdin, as a client does, and waits for its end.
func (c *session) end() error {
	err := c.wait()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return fmt.Errorf("the server ended badly: %w", err)
	}
	return err
}

// endRefused is end for a launcher that started no server, which must say so by its exit code.
func (c *session) endRefused() error {
	const refused = 5
	err := c.wait()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != refused {
		return fmt.Errorf("the launcher ended with %v, want exit code %d", err, refused)
	}
	return nil
}

func (c *session) wait() error {
	if c == nil || c.cmd == nil {
		return nil
	}
	cmd := c.cmd
	c.cmd = nil
	c.in.Close()
	killer := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
	defer killer.Stop()
	for range c.lines { // drained, so that the reader ends
	}
	return cmd.Wait()
}
