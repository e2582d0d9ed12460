package keyring

// SetRunRoot stands in for /run/user and returns what puts it back.
func SetRunRoot(dir string) (restore func()) {
	old := runRoot
	runRoot = dir
	return func() { runRoot = old }
}

// FindBus is what every call does first.
var FindBus = findBus
