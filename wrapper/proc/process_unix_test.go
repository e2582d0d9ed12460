//go:build unix

package proc_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mcp-valet/wrapper/proc"
)

func init() {
	// stubborn says "no" to each SIGTERM and lives on.
	roles["stubborn"] = func([]string) {
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGTERM)
		report()
		for end := time.After(longer); ; {
			select {
			case <-asked:
				fmt.Println("no")
			case <-end:
				return
			}
		}
	}

	// household and its servant each tell that they were asked to end, and end.
	roles["household"] = func([]string) { startShared("servant"); roles["servant"](nil) }
	roles["servant"] = func([]string) {
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGTERM)
		report()
		select {
		case <-asked:
			fmt.Println("asked", os.Getpid())
		case <-time.After(longer):
		}
	}

	// heritage leaves a deaf process behind, that holds its stdout, and writes its last words after that.
	roles["heritage"] = func(args []string) {
		s := spec("deaf")
		must(os.StartProcess(s.Path, []string{s.Path}, &os.ProcAttr{
			Env: s.Env, Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
			Sys: &syscall.SysProcAttr{Setsid: args[0] == "stranger"},
		}))
		must(os.Stdin.Read(make([]byte, 1)))
		must(io.WriteString(os.Stdout, lastWords))
	}

	// sip reads one byte and no more.
	roles["sip"] = func([]string) {
		must(os.Stdin.Read(make([]byte, 1)))
		report()
		time.Sleep(longer)
	}

	roles["cwd"] = func([]string) { io.WriteString(os.Stdout, must(os.Getwd())) }
}

// lastWords fit into the smallest pipe, macOS's.
var lastWords = strings.Repeat("the last answer\n", 500)

func TestTerminateReachesGroup(t *testing.T) {
	p := start(t, "household")
	pids := []string{readLine(t, p.Stdout()), readLine(t, p.Stdout())}
	if err := p.Terminate(); err != nil {
		t.Fatal(err)
	}
	said := readAll(t, "stdout", p.Stdout()) // ends when both do
	for _, pid := range pids {
		if !strings.Contains(said, "asked "+pid+"\n") {
			t.Errorf("process %s got no SIGTERM; they said %q", pid, said)
		}
	}
}

func TestKillAfterTerminate(t *testing.T) {
	p := start(t, "stubborn")
	readLine(t, p.Stdout())
	if err := p.Terminate(); err != nil {
		t.Fatal(err)
	}
	if got := readLine(t, p.Stdout()); got != "no" {
		t.Fatalf("got %q", got)
	}
	if got := p.ExitCode(); got != -1 {
		t.Errorf("a running child has exit code %d", got)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if got := waitDone(t, p); got != 137 {
		t.Errorf("exit code %d, want 137", got)
	}
}

// TestCloseLivingFamily: Close does not need Done.
func TestCloseLivingFamily(t *testing.T) {
	p := start(t, "family")
	child, grandchild := number(readLine(t, p.Stdout())), number(readLine(t, p.Stdout()))
	within(t, "Close", func() { p.Close() })
	if got := p.ExitCode(); got != 137 {
		t.Errorf("exit code %d, want 137", got)
	}
	gone(t, child, grandchild)
}

// TestLastWordsBeforeStray: a stray process holds stdout open, and what the child said is not lost with it.
func TestLastWordsBeforeStray(t *testing.T) {
	for _, stray := range []string{"member", "stranger"} { // of the group, or to it
		for _, early := range []bool{false, true} { // is somebody reading before Close?
			t.Run(fmt.Sprintf("%s, reading early %v", stray, early), func(t *testing.T) {
				testLastWords(t, stray, early)
			})
		}
	}
}

func testLastWords(t *testing.T, stray string, early bool) {
	p := start(t, "heritage", stray)
	pid := number(readLine(t, p.Stdout()))
	defer unix.Kill(pid, unix.SIGKILL)
	if _, err := p.Stdin().Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	waitDone(t, p)
	if !alive(pid) {
		t.Fatal("the stray process should outlive the child")
	}

	said := make(chan string, 1)
	read := func() { said <- readAll(t, "stdout", p.Stdout()) }
	if early {
		go read()
	}
	begin := time.Now()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if !early {
		go read()
	}
	if got := <-said; got != lastWords {
		t.Errorf("%d bytes of %d were read, or they differ", len(got), len(lastWords))
	}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("the end came after %v", took)
	}
	if stray == "stranger" && !alive(pid) {
		t.Error("the stranger died, so this tested nothing")
	}
}

// TestCloseStdinUnderWay: the child has begun to read, so the write waits for room when Close comes.
func TestCloseStdinUnderWay(t *testing.T) {
	p := start(t, "sip")
	const size = 8 << 20
	type result struct {
		n   int
		err error
	}
	writing := make(chan result, 1)
	go func() {
		n, err := p.Stdin().Write(make([]byte, size))
		writing <- result{n, err}
	}()
	readLine(t, p.Stdout())
	within(t, "closing stdin", func() { p.Stdin().Close() })
	within(t, "the write", func() {
		if got := <-writing; !errors.Is(got.err, os.ErrClosed) || got.n < 1 || got.n >= size {
			t.Errorf("wrote %d of %d bytes, %v; want some of them and os.ErrClosed", got.n, size, got.err)
		}
	})
	if got := p.ExitCode(); got != -1 {
		t.Errorf("the child should live on, and ended with %d", got)
	}
}

// TestEcho: nothing is lost, doubled or out of order; random bytes, as a pattern would hide a shift.
func TestEcho(t *testing.T) {
	p := start(t, "echo")
	random := rand.NewChaCha8([32]byte{1})
	message := make([]byte, 8<<20)
	must(random.Read(message))
	writing := make(chan error, 1)
	go func() {
		var err error
		for rest := message; len(rest) > 0 && err == nil; {
			n := min(len(rest), 1+int(random.Uint64()%200_000))
			_, err = p.Stdin().Write(rest[:n])
			rest = rest[n:]
		}
		writing <- errors.Join(err, p.Stdin().Close())
	}()
	if got := readAll(t, "stdout", p.Stdout()); !bytes.Equal([]byte(got), message) {
		t.Errorf("%d bytes came back, %d were sent, or they differ", len(got), len(message))
	}
	if err := <-writing; err != nil {
		t.Error(err)
	}
	if got := waitDone(t, p); got != 0 {
		t.Errorf("exit code %d", got)
	}
}

// TestNoEnvironment: nil is none, not ours.
func TestNoEnvironment(t *testing.T) {
	t.Setenv("PROC_TEST_SECRET", "9")
	env, err := proc.Resolve("env", "", os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	for _, none := range [][]string{nil, {}} {
		p := startSpec(t, proc.Spec{Path: env, Env: none})
		if got := readAll(t, "stdout", p.Stdout()); got != "" {
			t.Errorf("Env %#v: the child has %q", none, got)
		}
	}
}

// TestDetachedOutcome: what Start does for a child, Detach does, too.
func TestDetachedOutcome(t *testing.T) {
	t.Setenv("PROC_TEST_SECRET", "9")
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("exit 4\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	shell := func(text string, env ...string) proc.Spec {
		return proc.Spec{Path: "/bin/sh", Args: []string{"-c", text}, Env: env}
	}
	tests := []struct {
		name string
		spec proc.Spec
		want int
	}{
		{"exit code", shell("exit 255"), 255},
		{"signal", shell("kill -KILL $$"), 137},
		{"no environment", shell("exit ${PROC_TEST_SECRET:-8}"), 8},
		{"environment", shell("exit $PROC_TEST_SECRET", "PROC_TEST_SECRET=6"), 6},
		{"script without #!", proc.Spec{Path: script}, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := proc.Detach(tt.spec)
			if err != nil {
				t.Fatal(err)
			}
			within(t, "the detached child", func() {
				if got, err := d.Wait(t.Context()); got != tt.want || err != nil {
					t.Errorf("got %d, %v; want %d", got, err, tt.want)
				}
			})
		})
	}
}

func TestDir(t *testing.T) {
	dir := must(filepath.EvalSymlinks(t.TempDir()))
	s := spec("cwd")
	for _, tt := range []struct{ dir, want string }{
		{dir, dir},
		{"", must(filepath.EvalSymlinks(must(os.Getwd())))},
	} {
		s.Dir = tt.dir
		got := readAll(t, "stdout", startSpec(t, s).Stdout())
		if got = must(filepath.EvalSymlinks(got)); got != tt.want {
			t.Errorf("Dir %q: the child is in %q, want %q", tt.dir, got, tt.want)
		}
	}

	file := filepath.Join(dir, "here")
	d, err := proc.Detach(proc.Spec{Path: "/bin/sh", Args: []string{"-c", `pwd -P >"$0"`, file}, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	within(t, "the detached child", func() { must(d.Wait(t.Context())) })
	if got := strings.TrimSpace(string(must(os.ReadFile(file)))); got != dir {
		t.Errorf("the detached child is in %q, want %q", got, dir)
	}
}

// TestStartAtOnce: no child gets hold of another's pipes, or it would not see the end of its stdin.
func TestStartAtOnce(t *testing.T) {
	const many = 20
	var children [many]*proc.Process
	var errs [many]error
	var all sync.WaitGroup
	begin := make(chan struct{})
	for i := range many {
		all.Go(func() {
			<-begin
			children[i], errs[i] = proc.Start(spec("echo"))
		})
	}
	close(begin)
	within(t, "Start", all.Wait)
	for _, p := range children {
		if p != nil {
			defer p.Close()
		}
	}
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	for i, p := range children {
		if _, err := fmt.Fprintln(p.Stdin(), "number", i); err != nil {
			t.Fatal(err)
		}
		if got, want := readLine(t, p.Stdout()), fmt.Sprint("number ", i); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	last := children[many-1]
	for i, p := range children {
		if got := last.ExitCode(); got != -1 {
			t.Fatalf("the last one ended early, with %d", got)
		}
		p.Stdin().Close()
		if got := waitDone(t, p); got != 0 {
			t.Errorf("child %d: exit code %d", i, got)
		}
	}
}

// TestAllAtOnce is for the race detector: everything may be called while the child ends by itself.
func TestAllAtOnce(t *testing.T) {
	for range 20 {
		p, err := proc.Start(spec("say", "out", "err"))
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for _, f := range []func() error{
			p.Kill, p.Terminate, p.Close, p.Stdin().Close,
			func() error { p.ExitCode(); return nil },
			func() error { _, err := io.Copy(io.Discard, p.Stdout()); return err },
			func() error { _, err := io.Copy(io.Discard, p.Stderr()); return err },
		} {
			all.Go(func() {
				if err := f(); err != nil {
					t.Error(err)
				}
			})
		}
		all.Go(func() { _, _ = p.Stdin().Write(make([]byte, 1<<20)) }) // fails, as nobody reads
		within(t, "one of all", all.Wait)
	}
}
