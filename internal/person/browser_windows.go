package person

import (
	"fmt"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/windows"
)

// opener gives the command that opens a URL, which is to be its last argument. It is taken from the system's own folder:
// a rundll32.exe in the current folder or in PATH could be anybody's.
func opener(getenv func(string) string) ([]string, error) {
	if remote(getenv) {
		return nil, ErrNoDisplay
	}
	system, err := windows.GetSystemDirectory()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoBrowser, err)
	}
	return []string{filepath.Join(system, "rundll32.exe"), "url.dll,FileProtocolHandler"}, nil
}

func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
