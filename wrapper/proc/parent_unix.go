//go:build unix

package proc

import "os"

// parentAtStart is taken as early as can be, before the parent has had much time to die.
var parentAtStart = os.Getppid()

// watchParent: an orphan gets a new parent, init or a subreaper.
func watchParent() (p parent, ok bool) {
	return parent{dead: orphaned, await: awaitParent, release: func() {}}, true
}

func orphaned() bool { return os.Getppid() != parentAtStart }
