//go:build darwin || windows

package person

// remote tells whether the person sits at another machine, where no window of this one is seen.
func remote(getenv func(string) string) bool {
	return getenv("SSH_CONNECTION") != "" || getenv("SSH_TTY") != ""
}
