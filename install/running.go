package install

import (
	"regexp"
	"runtime"
)

// process is one running program, as far as the system tells.
type process struct {
	name string // short name; on Linux and macOS cut off after 15 or 16 bytes
	path string // file that it was started from; "" where that is not told
}

// program tells a client's process from others. A nil pattern matches nothing.
type program struct{ name, path *regexp.Regexp }

func (p program) is(proc process) bool {
	return p.name != nil && p.name.MatchString(proc.name) || p.path != nil && p.path.MatchString(proc.path)
}

// Running tells whether this user runs the client.
func (c Client) Running() (bool, error) {
	all, err := processes()
	if err != nil {
		return false, err
	}
	return c.amongst(runtime.GOOS, all), nil
}

func (c Client) amongst(goos string, all []process) bool {
	want := c.Programs[goos]
	for _, proc := range all {
		if want.is(proc) {
			return true
		}
	}
	return false
}
