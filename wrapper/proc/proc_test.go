package proc_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mcp-valet/wrapper/proc"
)

// patience is how long a test waits for what should come at once.
const patience = 20 * time.Second

// start starts a role and closes it when the test ends.
func start(t testing.TB, role string, args ...string) *proc.Process {
	t.Helper()
	return startSpec(t, spec(role, args...))
}

func startSpec(t testing.TB, s proc.Spec) *proc.Process {
	t.Helper()
	p, err := proc.Start(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// within fails the test if f does not come back.
func within(t testing.TB, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		buf := make([]byte, 1<<20)
		t.Fatalf("%s hangs\n%s", what, buf[:runtime.Stack(buf, true)])
	}
}

func waitDone(t testing.TB, p *proc.Process) int {
	t.Helper()
	within(t, "the child", func() { <-p.Done() })
	return p.ExitCode()
}

func readAll(t testing.TB, what string, r io.Reader) string {
	t.Helper()
	var all []byte
	var err error
	within(t, what, func() { all, err = io.ReadAll(r) })
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
	return string(all)
}

func TestStreams(t *testing.T) {
	p := start(t, "say", "to stdout", "to stderr")
	if got := readAll(t, "stdout", p.Stdout()); got != "to stdout" {
		t.Errorf("stdout %q", got)
	}
	if got := readAll(t, "stderr", p.Stderr()); got != "to stderr" {
		t.Errorf("stderr %q", got)
	}
	if code := waitDone(t, p); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestExitCode(t *testing.T) {
	for _, code := range []int{0, 1, 2, 126, 255} {
		p := start(t, "exit", fmt.Sprint(code))
		if got := waitDone(t, p); got != code {
			t.Errorf("got %d, want %d", got, code)
		}
	}
}

func TestExitCodeBeforeDone(t *testing.T) {
	p := start(t, "echo")
	if got := p.ExitCode(); got != -1 {
		t.Errorf("a running child has exit code %d", got)
	}
	p.Stdin().Close()
	if got := waitDone(t, p); got != 0 {
		t.Errorf("got %d, want 0", got)
	}
}

// TestEnvironment: the child gets Env alone, and never ours instead of none.
func TestEnvironment(t *testing.T) {
	t.Setenv("PROC_TEST_SECRET", "of ours")
	s := spec("env")
	s.Env = []string{roleVar + "=env", "A=b=c"}
	if runtime.GOOS == "windows" {
		s.Env = append(s.Env, "SystemRoot="+os.Getenv("SystemRoot"))
	}
	got := readAll(t, "stdout", startSpec(t, s).Stdout())
	if want := strings.Join(s.Env, "\n"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestLastWords: what the child wrote is still read after Close, and then comes the end.
func TestLastWords(t *testing.T) {
	p := start(t, "say", "the last answer", "the last complaint")
	waitDone(t, p)
	within(t, "Close", func() { p.Close() })
	if got := readAll(t, "stdout", p.Stdout()); got != "the last answer" {
		t.Errorf("stdout %q", got)
	}
	if got := readAll(t, "stderr", p.Stderr()); got != "the last complaint" {
		t.Errorf("stderr %q", got)
	}
}

// TestBigMessages: more than any pipe holds, both ways at once.
func TestBigMessages(t *testing.T) {
	p := start(t, "echo")
	message := bytes.Repeat([]byte("0123456789abcdef"), 5<<20/16)
	writing := make(chan error, 1)
	go func() {
		_, err := p.Stdin().Write(message)
		writing <- errors.Join(err, p.Stdin().Close())
	}()
	if got := readAll(t, "stdout", p.Stdout()); got != string(message) {
		t.Errorf("%d bytes came back, %d were sent, or they differ", len(got), len(message))
	}
	if err := <-writing; err != nil {
		t.Error(err)
	}
}

// TestCloseStdinDuringWrite: a child that reads nothing does not hold us up.
func TestCloseStdinDuringWrite(t *testing.T) {
	p := start(t, "deaf")
	var written atomic.Int64
	writing := make(chan error, 1)
	go func() {
		for {
			n, err := p.Stdin().Write(make([]byte, 4<<10))
			written.Add(int64(n))
			if err != nil {
				writing <- err
				return
			}
		}
	}()
	settled(&written)
	within(t, "closing stdin", func() { p.Stdin().Close() })
	within(t, "the write", func() {
		if err := <-writing; !errors.Is(err, os.ErrClosed) {
			t.Errorf("the write gave %v, want os.ErrClosed", err)
		}
	})
	if _, err := p.Stdin().Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a write after Close gave %v, want os.ErrClosed", err)
	}
}

// settled waits until a count has stopped growing, which is when its writer waits for the child.
func settled(count *atomic.Int64) {
	for last := int64(0); ; {
		time.Sleep(50 * time.Millisecond)
		now := count.Load()
		if now > 0 && now == last {
			return
		}
		last = now
	}
}

func TestStdinOfDeadChild(t *testing.T) {
	p := start(t, "exit", "0")
	waitDone(t, p)
	within(t, "the write", func() {
		if _, err := p.Stdin().Write(make([]byte, 1<<20)); err == nil {
			t.Error("a write to a dead child succeeded")
		}
	})
}

func TestStdoutClosedEarly(t *testing.T) {
	p := start(t, "quiet")
	if got := readAll(t, "stdout", p.Stdout()); got != "" {
		t.Errorf("stdout %q", got)
	}
	select {
	case <-p.Done():
		t.Error("the child should live on")
	default:
	}
	p.Stdin().Close()
	if got := waitDone(t, p); got != 3 {
		t.Errorf("exit code %d, want 3", got)
	}
}

// TestKill: neither SIGTERM nor the end of stdin moves this child.
func TestKill(t *testing.T) {
	p := start(t, "deaf")
	readLine(t, p.Stdout())
	p.Stdin().Close()
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	want := 128 + 9
	if runtime.GOOS == "windows" {
		want = 1
	}
	if got := waitDone(t, p); got != want {
		t.Errorf("exit code %d, want %d", got, want)
	}
	if err := errors.Join(p.Kill(), p.Terminate()); err != nil {
		t.Errorf("once it has ended: %v", err)
	}
}

// TestClose: it may come at any time, from anybody, and again.
func TestClose(t *testing.T) {
	p := start(t, "deaf")
	readLine(t, p.Stdout())
	reads := make(chan error, 1)
	go func() {
		_, err := p.Stderr().Read(make([]byte, 1))
		reads <- err
	}()
	within(t, "Close", func() {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	})
	within(t, "the read", func() {
		if err := <-reads; err != io.EOF {
			t.Errorf("the read gave %v, want io.EOF", err)
		}
	})
	select {
	case <-p.Done():
	default:
		t.Error("not done after Close")
	}
	if err := errors.Join(p.Kill(), p.Terminate(), p.Stdin().Close()); err != nil {
		t.Errorf("after Close: %v", err)
	}
}

func TestStartErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := spec("exit", "0")
	tests := []struct {
		name string
		spec proc.Spec
		want error
	}{
		{"no file", proc.Spec{Path: filepath.Join(dir, "nope")}, proc.ErrNotFound},
		{"relative", proc.Spec{Path: "nope"}, proc.ErrNotFound},
		{"empty", proc.Spec{}, proc.ErrNotFound},
		{"not executable", proc.Spec{Path: file}, proc.ErrNotExecutable},
		{"directory", proc.Spec{Path: dir}, proc.ErrNotExecutable},
		{"no working directory", proc.Spec{Path: good.Path, Dir: filepath.Join(dir, "nope")}, proc.ErrNotExecutable},
		{"working file", proc.Spec{Path: good.Path, Dir: file}, proc.ErrNotExecutable},
		{"NUL in argument", proc.Spec{Path: good.Path, Args: []string{"s3cr3t\x00"}}, proc.ErrNotExecutable},
		{"NUL in environment", proc.Spec{Path: good.Path, Env: []string{"A=s3cr3t\x00"}}, proc.ErrNotExecutable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, startErr := proc.Start(tt.spec)
			_, detachErr := proc.Detach(tt.spec)
			for _, err := range []error{startErr, detachErr} {
				if !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				} else if strings.Contains(err.Error(), "s3cr3t") {
					t.Errorf("the error tells a value: %v", err)
				}
			}
		})
	}
}

func readLine(t testing.TB, r io.Reader) string {
	t.Helper()
	var line string
	within(t, "a line", func() {
		// One byte at a time: what follows belongs to the next reader.
		one := bufio.NewReaderSize(oneByte{r}, 16)
		line, _ = one.ReadString('\n')
	})
	if !strings.HasSuffix(line, "\n") {
		t.Fatalf("no line, only %q", line)
	}
	return strings.TrimSpace(line)
}

type oneByte struct{ r io.Reader }

func (o oneByte) Read(b []byte) (int, error) { return o.r.Read(b[:1]) }
