//go:build linux

package soak

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// signInByHand is a person who runs login in a terminal, and says yes to what it asks; the issuer knows what they say to
// the code.
func (s *schedule) signInByHand() (code int, screen string) {
	cmd := s.command("login", "--no-open", "--export", account)
	master, slave, err := openTerminal()
	if err != nil {
		return -1, err.Error()
	}
	defer master.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = cmd.Start()
	slave.Close()
	if err != nil {
		return -1, err.Error()
	}
	timer := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer timer.Stop()
	screen = sayYes(master)
	cmd.Wait()
	s.note("login by hand: %s", cmd.ProcessState)
	s.search("what login shows", screen)
	return cmd.ProcessState.ExitCode(), s.redact(screen)
}

// sayYes reads the screen until the program ends, and says yes to each question.
func sayYes(terminal *os.File) string {
	var screen strings.Builder
	part := make([]byte, 4096)
	for {
		n, err := terminal.Read(part)
		screen.Write(part[:n])
		if err != nil {
			return screen.String() // the program has closed its terminal
		}
		if strings.HasSuffix(screen.String(), "[y/N] ") {
			io.WriteString(terminal, "y\n")
		}
	}
}

func openTerminal() (master, slave *os.File, err error) {
	if master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		return nil, nil, err
	}
	n := 0
	if err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err == nil {
		n, err = unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	}
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		master.Close()
	}
	return master, slave, err
}
