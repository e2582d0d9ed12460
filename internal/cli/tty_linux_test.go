package cli_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

func init() { scriptCommands["attended"] = attended }

// attended is the script command attended INPUT PROGRAM ARGS...: a person at a terminal runs a program and types what
// the file INPUT holds, a line at each question (a text that ends in a colon or bracket and a space). What the screen
// showed is in the file "screen". With "!" the program must end as refused, exit code 5.
func attended(ts *testscript.TestScript, neg bool, args []string) {
	want := 0
	if neg {
		want = 5
	}
	typed, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	master, slave, err := openPTY()
	ts.Check(err)
	defer master.Close()
	path := ""
	for _, dir := range strings.Split(ts.Getenv("PATH"), string(os.PathListSeparator)) {
		if _, err := os.Stat(dir + "/" + args[1]); err == nil && path == "" {
			path = dir + "/" + args[1]
		}
	}
	cmd := exec.Command(path, args[2:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "MCP_VALET_CONFIG", "MCP_VALET_STATE_DIR"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	ts.Check(cmd.Start())
	slave.Close()
	timer := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
	defer timer.Stop()
	screen := converse(master, string(typed))
	cmd.Wait()
	ts.Check(os.WriteFile(ts.MkAbs("screen"), screen, 0o600))
	if got := cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("%v ended with exit code %d, want %d; the screen:\n%s", args[1:], got, want, screen)
	}
}

// converse reads the screen until the program ends, and types a line at each question.
func converse(master *os.File, typed string) []byte {
	var screen bytes.Buffer
	lines := strings.SplitAfter(typed, "\n")
	buf := make([]byte, 4096)
	for {
		n, err := master.Read(buf)
		screen.Write(buf[:n])
		if err != nil {
			return screen.Bytes() // EIO: the program has closed its terminal
		}
		if end := screen.String(); len(lines) > 0 && (strings.HasSuffix(end, ": ") || strings.HasSuffix(end, "] ")) {
			io.WriteString(master, lines[0])
			lines = lines[1:]
		}
	}
}

func openPTY() (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, err
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		return nil, nil, err
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	return master, slave, err
}
