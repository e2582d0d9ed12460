package person

var SessionBus = sessionBus

// SetRunRoot is where the users' runtime folders are; the function it gives puts it back.
func SetRunRoot(dir string) func() {
	old := runRoot
	runRoot = dir
	return func() { runRoot = old }
}
