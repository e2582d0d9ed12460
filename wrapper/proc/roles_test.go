package proc_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mcp-valet/wrapper/proc"
)

// roleVar makes the test binary play a part in its own tests.
const roleVar = "PROC_TEST_ROLE"

func TestMain(m *testing.M) {
	role, ok := os.LookupEnv(roleVar)
	if !ok {
		os.Exit(m.Run())
	}
	play, ok := roles[role]
	if !ok {
		fmt.Fprintln(os.Stderr, "no role", role)
		os.Exit(99)
	}
	play(os.Args[1:])
}

// longer is when a role that no test ended gives up by itself.
const longer = time.Minute

var roles = map[string]func(args []string){
	"exit":  func(args []string) { os.Exit(number(args[0])) },
	"sleep": func([]string) { report(); time.Sleep(longer) },
	"echo": func([]string) {
		if _, err := io.Copy(os.Stdout, os.Stdin); err != nil {
			os.Exit(1)
		}
	},
	"say": func(args []string) {
		io.WriteString(os.Stdout, args[0])
		io.WriteString(os.Stderr, args[1])
	},
	"env": func([]string) { io.WriteString(os.Stdout, strings.Join(os.Environ(), "\n")) },

	// deaf heeds neither SIGTERM nor the end of its stdin.
	"deaf": func([]string) { signal.Ignore(syscall.SIGTERM); report(); time.Sleep(longer) },

	// polite tells that it was asked to end, and does.
	"polite": func([]string) {
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		report()
		<-c
		os.Exit(7)
	},

	// quiet closes its stdout and goes on.
	"quiet": func([]string) { os.Stdout.Close(); io.Copy(io.Discard, os.Stdin); os.Exit(3) },

	// family starts a deaf child that shares its streams, and ends when its stdin does.
	"family": func([]string) {
		report()
		startShared("deaf")
		io.Copy(io.Discard, os.Stdin)
		os.Exit(5)
	},

	// launcher stands for us: it starts a child that heeds nothing, and tells of it.
	"launcher": func([]string) {
		report()
		p := must(proc.Start(spec("deaf")))
		io.Copy(os.Stdout, p.Stdout())
	},

	// detacher starts a detached child and sleeps.
	"detacher": func(args []string) {
		report()
		must(proc.Detach(spec("detached", args[0])))
		time.Sleep(longer)
	},

	// detached writes where it is into a file and ends when that file is gone.
	"detached": func(args []string) {
		where := fmt.Sprintf("%d %d %s %v", os.Getpid(), session(), must(os.Getwd()), nullStreams())
		writeFile(args[0], where)
		for deadline := time.Now().Add(longer); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			if _, err := os.Stat(args[0]); err != nil {
				os.Exit(42)
			}
		}
	},

	// between starts a watcher and sleeps until it is killed.
	"between": func(args []string) {
		report()
		startShared("watcher", args...)
		time.Sleep(longer)
	},

	// watcher waits for its parent's death.
	"watcher": func(args []string) {
		gone := proc.ParentGone(context.Background())
		report()
		select {
		case <-gone:
			writeFile(args[0], "gone")
		case <-time.After(longer):
		}
	},
}

// report tells the process's number on stdout.
func report() { fmt.Println(os.Getpid()) }

// startShared starts a role with our own streams, and does not wait for it.
func startShared(role string, args ...string) {
	s := spec(role, args...)
	must(os.StartProcess(s.Path, append([]string{s.Path}, s.Args...), &os.ProcAttr{
		Env: s.Env, Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
	}))
}

// spec starts the test binary in a role.
func spec(role string, args ...string) proc.Spec {
	ours := func(e string) bool { return strings.HasPrefix(e, roleVar+"=") || strings.HasPrefix(e, "GORACE=") }
	env := append(slices.DeleteFunc(os.Environ(), ours),
		roleVar+"="+role,
		"GORACE=atexit_sleep_ms=0") // or each child ends a second late under the race detector
	return proc.Spec{Path: must(os.Executable()), Args: args, Env: env}
}

func must[T any](v T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(98)
	}
	return v
}

func number(s string) int { return must(strconv.Atoi(s)) }

// writeFile makes a file that is never seen half written.
func writeFile(path, text string) {
	tmp := filepath.Join(filepath.Dir(path), fmt.Sprint(os.Getpid(), ".tmp"))
	must(0, os.WriteFile(tmp, []byte(text), 0o600))
	must(0, os.Rename(tmp, path))
}

func nullStreams() bool {
	null := must(os.Stat(os.DevNull))
	for _, f := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
		if info, err := f.Stat(); err != nil || !os.SameFile(info, null) {
			return false
		}
	}
	return true
}
