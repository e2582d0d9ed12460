package wrapper_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mcp-valet/wrapper"
)

// fakeServer is a server in memory; its behaviour is in the fields, which are set before it starts.
type fakeServer struct {
	begin      time.Time
	onTerm     int  // exit code at SIGTERM; -1 ignores it
	onKill     int  // exit code at the kill; -1 survives it
	onEOF      int  // exit code at the end of stdin; -1 ignores it
	reads      bool // reads stdin
	grandchild bool // holds stdout and stderr open until Close

	stdinRead, stdoutRead, stderrRead    *io.PipeReader
	stdinWrite, stdoutWrite, stderrWrite *io.PipeWriter

	mu     sync.Mutex
	events []string
	done   chan struct{}
	exit   int
}

func newFakeServer() *fakeServer {
	f := &fakeServer{begin: time.Now(), onTerm: 143, onKill: 137, onEOF: 0, reads: true, done: make(chan struct{})}
	f.stdinRead, f.stdinWrite = io.Pipe()
	f.stdoutRead, f.stdoutWrite = io.Pipe()
	f.stderrRead, f.stderrWrite = io.Pipe()
	return f
}

func (f *fakeServer) run([]string) (wrapper.ServerProcess, error) {
	if f.reads {
		go func() {
			io.Copy(io.Discard, f.stdinRead)
			f.leave(f.onEOF)
		}()
	}
	return f, nil
}

// leave ends the server with a code that is not negative.
func (f *fakeServer) leave(code int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if code < 0 || f.exited() {
		return
	}
	f.exit = code
	f.stdinRead.Close()
	if !f.grandchild {
		f.stdoutWrite.Close()
		f.stderrWrite.Close()
	}
	close(f.done)
}

func (f *fakeServer) exited() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// event notes what is done to the server, and when.
func (f *fakeServer) event(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, fmt.Sprintf("%s %v", what, time.Since(f.begin)))
}

func (f *fakeServer) Stdin() io.WriteCloser { return f.stdinWrite }
func (f *fakeServer) Stdout() io.Reader     { return f.stdoutRead }
func (f *fakeServer) Stderr() io.Reader     { return f.stderrRead }
func (f *fakeServer) Done() <-chan struct{} { return f.done }
func (f *fakeServer) ExitCode() int         { return f.exit }
func (f *fakeServer) Terminate() error      { f.event("term"); f.leave(f.onTerm); return nil }
func (f *fakeServer) Kill() error           { f.event("kill"); f.leave(f.onKill); return nil }
func (f *fakeServer) Close() error {
	f.event("close")
	f.stdinWrite.Close()
	f.stdoutWrite.Close()
	f.stderrWrite.Close()
	return nil
}

// bubble is a Run of a fakeServer in a synctest bubble.
type bubble struct {
	*fakeServer
	t       *testing.T
	options wrapper.Options
	client  *io.PipeWriter
	out     buffer
	err     buffer
	stop    chan os.Signal
	parent  chan struct{}
	cancel  context.CancelFunc
	end     chan struct{}
	code    int
	took    time.Duration
}

// inBubble runs f in a bubble and checks what was done to the server, and that Run returned code after took.
func inBubble(t *testing.T, f func(b *bubble), code int, took time.Duration, events ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Helper()
		b := &bubble{
			t: t, fakeServer: newFakeServer(), stop: make(chan os.Signal, 2),
			parent: make(chan struct{}), end: make(chan struct{}),
		}
		in, client := io.Pipe()
		defer client.Close() // or a goroutine is left in its Read
		b.client = client
		b.options = wrapper.Options{
			Name: "kb", Starter: &starter{}, In: in, Out: &b.out, Err: &b.err, Stop: b.stop, Environ: []string{"PATH=/bin"},
		}
		f(b)
		<-b.end
		if b.code != code || b.took != took {
			t.Errorf("exit code %d after %v; want %d after %v", b.code, b.took, code, took)
		}
		if got, want := strings.Join(b.events, ", "), strings.Join(append(events, "close"), ", "); !strings.HasPrefix(got, want) {
			t.Errorf("the server saw: %s; want: %s", got, want)
		}
	})
}

// start starts Run.
func (b *bubble) start() {
	ctx, cancel := context.WithCancel(b.t.Context())
	b.cancel = cancel
	go func() {
		defer close(b.end)
		defer cancel()
		code, err := wrapper.RunOn(ctx, b.options, b.run, b.parent)
		if err != nil {
			b.t.Errorf("Run: %v", err)
		}
		b.code, b.took = code, time.Since(b.begin)
	}()
	synctest.Wait()
}

// send sends a line without waiting until it is read.
func (b *bubble) send(line string) {
	go b.client.Write([]byte(line + "\n"))
	synctest.Wait()
}
