//go:build !linux && !windows

package keyring

// ignoresCase: macOS compares account names as they are.
const ignoresCase = false

// connectKeychain: each call is a run of /usr/bin/security, whose process
// go-keyring keeps to itself, so a call that hangs cannot be ended.
func connectKeychain() (hangUp func(), err error) { return nil, nil }

// isOpen and isLocked cannot be told: macOS asks the person by itself.
func isOpen() bool   { return false }
func isLocked() bool { return false }

func sentinelOfErrno(error) error { return nil }
