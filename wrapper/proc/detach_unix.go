//go:build unix

package proc

import (
	"os"
	"syscall"
)

func rootOf(string) string { return "/" }

// startDetached asks for no death signal: this child is meant to outlive us.
func startDetached(s Spec, files []*os.File) (*os.Process, error) {
	return startProcess(s, files, &syscall.SysProcAttr{Setsid: true})
}

func stateCode(state *os.ProcessState) int {
	return exitCode(state.Sys().(syscall.WaitStatus))
}
