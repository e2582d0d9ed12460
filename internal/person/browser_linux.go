package person

import (
	"fmt"
	"os/exec"
	"syscall"
)

// opener gives the command that opens a URL, which is to be its last argument. A forwarded display counts as one, so
// that a login over ssh is none of our business here. $BROWSER is left to xdg-open: its value is shell text.
func opener(getenv func(string) string) ([]string, error) {
	if getenv("DISPLAY") == "" && getenv("WAYLAND_DISPLAY") == "" {
		return nil, ErrNoDisplay
	}
	path, err := exec.LookPath("xdg-open")
	if err != nil {
		return nil, fmt.Errorf("%w: xdg-open (of xdg-utils) is not in PATH", ErrNoBrowser)
	}
	return []string{path}, nil
}

func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
