package cli

import "golang.org/x/sys/unix"

// hideMemory keeps other programs of the same user, the servers that we start among them, from reading our environment
// (which may hold the key of the sealed store) and memory, and a crash from leaving them in a core file. It is lost at
// exec: servers are what they would be without us.
func hideMemory() {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) // a kernel that refuses leaves things as they are
}
