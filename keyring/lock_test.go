package keyring_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mcp-valet/keyring"
)

// childVariable makes the test binary do one of these instead of its tests.
const childVariable = "KEYRING_TEST_CHILD"

var children = map[string]func(args []string){
	"hold":  holdLock,
	"write": writeForever,
}

func TestMain(m *testing.M) {
	if job := os.Getenv(childVariable); job != "" {
		words := strings.Split(job, "\n")
		children[words[0]](words[1:])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// startChild re-runs the test binary and waits for its first line of output.
func startChild(t *testing.T, job ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+strings.Join(job, "\n"))
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil { // open as long as we live
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the child said %q (%v)", line, err)
	}
	return cmd
}

// ready tells the parent to go on; then the child lives as long as it does.
func ready() { os.Stdout.WriteString("ready\n") }

func must(err error) {
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}

func holdLock(args []string) {
	s, err := keyring.Open(keyring.Options{StateDir: args[0]})
	must(err)
	_, err = s.Lock(context.Background(), keyring.RefreshLock, args[1])
	must(err)
	ready()
	io.Copy(io.Discard, os.Stdin)
}

func brief(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func mustLock(t *testing.T, s *keyring.Store, kind keyring.LockKind, account string) *keyring.Lock {
	t.Helper()
	l, err := s.Lock(patient(t), kind, account)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLockExcludesProcessesAndGoesWithACrash(t *testing.T) {
	dir := stateDir(t)
	s := openFake(t, dir, newKeychain())
	child := startChild(t, "hold", dir, "work")
	start := time.Now()
	_, err := s.Lock(brief(t), keyring.RefreshLock, "work")
	wantErr(t, err, keyring.ErrBusy)
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("gave up after %s", took)
	}
	mustLock(t, s, keyring.SignInLock, "work").Unlock()
	mustLock(t, s, keyring.RefreshLock, "home").Unlock()

	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	mustLock(t, s, keyring.RefreshLock, "work").Unlock()
}

func TestLockExcludesWithinAProcess(t *testing.T) {
	dir := stateDir(t)
	a, b := openFake(t, dir, newKeychain()), openFake(t, dir, newKeychain())
	l := mustLock(t, a, keyring.RefreshLock, "work")
	for _, s := range []*keyring.Store{a, b} {
		_, err := s.Lock(brief(t), keyring.RefreshLock, "work")
		wantErr(t, err, keyring.ErrBusy)
		wantErr(t, err, context.DeadlineExceeded)
	}
	for range 2 {
		if err := l.Unlock(); err != nil {
			t.Error(err)
		}
	}
	second := mustLock(t, b, keyring.RefreshLock, "work")
	l.Unlock() // a spent lock frees nobody else's
	_, err := a.Lock(brief(t), keyring.RefreshLock, "work")
	wantErr(t, err, keyring.ErrBusy)
	second.Unlock()
}

func TestLockCounts(t *testing.T) {
	dir := stateDir(t)
	n := 0
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s := openFake(t, dir, newKeychain())
			for range 5 {
				l, err := s.Lock(context.Background(), keyring.RefreshLock, "work")
				if err != nil {
					t.Error(err)
					return
				}
				n++ // no other lock: the race detector is the judge
				l.Unlock()
			}
		})
	}
	wg.Wait()
	if n != 40 {
		t.Errorf("counted %d", n)
	}
}

func TestLockOfAnEndedContext(t *testing.T) {
	s := openFake(t, stateDir(t), newKeychain())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Lock(ctx, keyring.RefreshLock, "work")
	wantErr(t, err, keyring.ErrBusy)
	wantErr(t, err, context.Canceled)
}

func TestLockFilesStayAndMayBeTidiedUp(t *testing.T) {
	dir := stateDir(t)
	s := openFake(t, dir, newKeychain())
	mustLock(t, s, keyring.RefreshLock, "work").Unlock()
	path := filepath.Join(dir, "locks", "work.refresh.lock")
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	os.Remove(path)
	mustLock(t, s, keyring.RefreshLock, "work").Unlock()
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestLockRefusals(t *testing.T) {
	s := openFake(t, stateDir(t), newKeychain())
	for _, account := range []string{"", "a/b", "é"} {
		if _, err := s.Lock(t.Context(), keyring.RefreshLock, account); err == nil {
			t.Errorf("account %q was taken", account)
		}
	}
	if _, err := s.Lock(t.Context(), "../x", "work"); err == nil {
		t.Error("an unknown kind was taken")
	}
}

func TestLockFileThatIsALink(t *testing.T) {
	skipWithoutModes(t)
	dir := stateDir(t)
	s := openFake(t, dir, newKeychain())
	target := filepath.Join(t.TempDir(), "target")
	os.Symlink(target, filepath.Join(dir, "locks", "work.refresh.lock"))
	_, err := s.Lock(patient(t), keyring.RefreshLock, "work")
	wantErr(t, err, keyring.ErrInsecure)
	if _, err := os.Lstat(target); !errors.Is(err, os.ErrNotExist) {
		t.Error("the link was followed")
	}
}

// A record's own lock is bounded by the context as well.
func TestSetWaitsNoLongerThanItsContext(t *testing.T) {
	dir, chain := stateDir(t), newKeychain()
	inside, release := make(chan struct{}), make(chan struct{})
	slow := newKeychain()
	slow.fail = func(op string) error {
		if op == "set" {
			close(inside)
			<-release
		}
		return nil
	}
	done := make(chan error)
	go func() {
		done <- openFake(t, dir, slow).Set(context.Background(), work, keyring.NewSecret(small))
	}()
	<-inside
	err := openFake(t, dir, chain).Set(brief(t), work, keyring.NewSecret(small))
	wantErr(t, err, keyring.ErrBusy)
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func writeForever(args []string) {
	s, err := keyring.Open(keyring.Options{Kind: keyring.KindFile, StateDir: args[0], KeyFile: args[1]})
	must(err)
	must(s.Set(context.Background(), work, keyring.NewSecret(large)))
	ready()
	for i := 0; ; i++ {
		must(s.Set(context.Background(), work, keyring.NewSecret([]string{large, large + "2", small}[i%3])))
	}
}

// TestKilledWriters kills real processes in the middle of their writes.
func TestKilledWriters(t *testing.T) {
	dir, key := stateDir(t), filepath.Join(t.TempDir(), "key")
	if err := keyring.NewKeyFile(key); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		child := startChild(t, "write", dir, key)
		<-time.After(time.Duration(3+7*i) * time.Millisecond) // any moment will do
		child.Process.Kill()
		child.Wait()
		s, err := keyring.Open(keyring.Options{Kind: keyring.KindFile, StateDir: dir, KeyFile: key})
		if err != nil {
			t.Fatal(err)
		}
		v, err := s.Get(t.Context(), work)
		if got := v.Reveal(); err != nil || got != large && got != large+"2" && got != small {
			t.Fatalf("after a kill: %d bytes, %v", len(got), err)
		}
	}
	s, err := keyring.Open(keyring.Options{Kind: keyring.KindFile, StateDir: dir, KeyFile: key})
	if err != nil {
		t.Fatal(err)
	}
	makeOld(t, filepath.Join(dir, "store"))
	mustSet(t, s, work, small)
	if names := filesIn(t, filepath.Join(dir, "store")); len(names) != 1 {
		t.Errorf("left over: %v", names)
	}
}
