package keyring

import (
	"errors"
	"syscall"
)

// ignoresCase: Credential Manager finds "work" under "Work".
const ignoresCase = true

// connectKeychain: calls go to the local security authority, with nothing to
// open before and nothing to close when one hangs.
func connectKeychain() (hangUp func(), err error) { return nil, nil }

// isOpen and isLocked: Credential Manager is open while its user is signed in.
func isOpen() bool   { return true }
func isLocked() bool { return false }

func sentinelOfErrno(err error) error {
	var number syscall.Errno
	if errors.As(err, &number) {
		return sentinelOfWindows(uintptr(number))
	}
	return nil
}
