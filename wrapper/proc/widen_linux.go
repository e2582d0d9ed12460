package proc

import "golang.org/x/sys/unix"

// wideCapacity is what a pipe is made to hold. Linux allows 1 MiB, but it also counts what all pipes of a user may hold
// (64 MiB), and when that is used up every new pipe of any program of theirs is a small one.
const wideCapacity = 512 << 10

func widen(fd int) { _, _ = unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, wideCapacity) }
