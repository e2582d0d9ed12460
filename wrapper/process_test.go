package wrapper_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"mcp-valet/wrapper"
	"mcp-valet/wrapper/proc"
)

// endLimit is what the end of a session may take on a busy machine; TestEndTimes has the times to the millisecond.
const endLimit = 10 * time.Second

// ends waits for Run and tells of one that takes too long.
func (c *conversation) ends(after time.Time) map[string]string {
	c.t.Helper()
	got := c.wait()
	if took := time.Since(after); took > endLimit {
		c.t.Errorf("the end took %v", took)
	}
	return got
}

// TestGrandchildren end with the server, though they heed nothing and hold its streams.
func TestGrandchildren(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the job object of the server has a test of its own, in proc")
	}
	for _, tt := range []struct{ name, script, want string }{
		{"server exits", "read ping\ngrandchild\nprint {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\nexit 3", "3\n"},
		{"server is ended", "read ping\ngrandchild\nprint {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\nignore-term\nsleep 1m", "137\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newConversation(t, tt.script, "")
			c.run()
			c.play(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
			c.await(1)
			begin := time.Now()
			c.play("!close")
			got := c.ends(begin)
			if got["exit"] != tt.want || got["stdout"] != `{"jsonrpc":"2.0","id":1,"result":{}}`+"\n" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// TestJammed ends sessions whose pipes are full to the brim.
func TestJammed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no signals on Windows")
	}
	t.Run("server never reads", func(t *testing.T) {
		t.Parallel()
		c := newConversation(t, "ignore-term\nprint {\"jsonrpc\":\"2.0\",\"method\":\"n\"}\nsleep 1m", "")
		c.run()
		c.await(1)
		fill(t, c)
		begin := time.Now()
		c.play("!stop")
		if got := c.ends(begin); got["exit"] != "137\n" {
			t.Errorf("exit %s", got["exit"])
		}
	})
	t.Run("client never reads", func(t *testing.T) {
		t.Parallel()
		c := newConversation(t, "echo", "") // and without run nobody reads c.out
		done := make(chan int)
		go func() {
			code, err := wrapper.Run(t.Context(), c.options)
			if err != nil {
				t.Errorf("Run: %v", err)
			}
			done <- code
		}()
		fill(t, c)
		c.stop <- syscall.SIGTERM
		select {
		case code := <-done:
			if code != 143 {
				t.Errorf("exit code %d, want 143", code)
			}
		case <-time.After(endLimit):
			t.Error("Run has not returned")
		}
	})
}

// TestStandardStreams runs a program whose standard streams are a client's pipes: the client stops reading, or the
// server exits while nothing comes on stdin, whose Read cannot be interrupted.
func TestStandardStreams(t *testing.T) {
	for _, tt := range []struct {
		name, script string
		leave        bool
		code         int
	}{
		{"client stops reading", "answer-all\nexit 6", true, 6},
		{"server exits", "answer 2\nexit 7", false, 7},
	} {
		t.Run(tt.name, func(t *testing.T) {
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			inRead, inWrite := pipe(t)
			outRead, outWrite := pipe(t)
			cmd := exec.CommandContext(t.Context(), self)
			cmd.Env = append(os.Environ(), relayEnv+"="+tt.script, "GORACE=atexit_sleep_ms=0")
			cmd.Stdin, cmd.Stdout, cmd.Stderr = inRead, outWrite, os.Stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			timer := time.AfterFunc(endLimit, func() { cmd.Process.Kill() })
			defer timer.Stop()
			io.WriteString(inWrite, call+"\n")
			if _, err := bufio.NewReader(outRead).ReadString('\n'); err != nil {
				t.Errorf("reading the first answer: %v", err)
			}
			outWrite.Close()
			if tt.leave {
				outRead.Close()
			}
			io.WriteString(inWrite, call+"\n")
			if !tt.leave {
				time.Sleep(100 * time.Millisecond)
				inWrite.Close()
			}
			cmd.Wait() // an exit code is an error to it
			if code := cmd.ProcessState.ExitCode(); code != tt.code {
				t.Errorf("exit code %d (%v), want %d", code, cmd.ProcessState, tt.code)
			}
		})
	}
}

// fill sends messages until no more go in.
func fill(t *testing.T, c *conversation) {
	t.Helper()
	if err := c.in.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	many := strings.Repeat(`{"jsonrpc":"2.0","method":"notifications/x"}`+"\n", 1_000_000)
	if _, err := io.WriteString(c.in, many); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the pipes took everything: %v", err)
	}
}

func TestNotStarted(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		s    wrapper.Server
		want error
		code int
	}{
		{"missing", wrapper.Server{Path: filepath.Join(t.TempDir(), "missing")}, proc.ErrNotFound, 127},
		{"not in PATH", wrapper.Server{Path: "no-such-mcp-server"}, proc.ErrNotFound, 127},
		{"no program", wrapper.Server{Path: plain}, proc.ErrNotExecutable, 126},
		{"bad variable", wrapper.Server{Path: plain, Env: map[string]string{"A=B": ""}}, nil, 126},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out buffer
			code, err := wrapper.Run(t.Context(), wrapper.Options{
				Starter: wrapper.Fixed{Server: tt.s}, In: strings.NewReader(""), Out: &out, Err: &out, Environ: []string{},
			})
			if code != tt.code || err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %d, %v; want %d, %v", code, err, tt.code, tt.want)
			}
			if out.String() != "" {
				t.Errorf("output: %s", out.String())
			}
		})
	}
}

// TestRefuse covers what the conversations do not: Refuse itself, and its other ends.
func TestRefuse(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(c *conversation)
	}{
		{"client ends", func(c *conversation) { c.play("!close") }},
		{"client stops reading", func(c *conversation) { c.play("!leave"); c.play(call) }},
		{"signal", func(c *conversation) { c.play("!stop") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newConversation(t, "", "")
			c.options.Refusal = nil
			go c.readOut()
			end := make(chan error)
			go func() { end <- wrapper.Refuse(t.Context(), c.options, errSignedOut) }()
			c.play(call)
			c.await(1)
			if want := `{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"mcp-valet: account work is signed out"}}` + "\n"; c.lines[0] != want {
				t.Errorf("got %s want %s", c.lines[0], want)
			}
			tt.end(c)
			select {
			case err := <-end:
				if err != errSignedOut {
					t.Errorf("Refuse returned %v", err)
				}
			case <-time.After(endLimit):
				t.Error("Refuse has not returned")
			}
		})
	}
}
