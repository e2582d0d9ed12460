package policy

// Matches tells whether a glob matches a name.
func Matches(g, name string) bool { return newGlob(g).match(name) }

// Overlap tells whether two globs have a name in common.
func Overlap(g, h string) bool { return overlap(newGlob(g), newGlob(h)) }
