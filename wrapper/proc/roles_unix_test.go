//go:build unix

package proc_test

import (
	"syscall"

	"golang.org/x/sys/unix"
)

func init() {
	roles["signal"] = func(args []string) {
		must(0, syscall.Kill(syscall.Getpid(), syscall.Signal(number(args[0]))))
		select {}
	}
}

func session() int { return must(unix.Getsid(0)) }
