package person

import "syscall"

// opener gives the command that opens a URL, which is to be its last argument.
func opener(getenv func(string) string) ([]string, error) {
	if remote(getenv) {
		return nil, ErrNoDisplay
	}
	return []string{"/usr/bin/open"}, nil
}

func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
