package config

import "io/fs"

// othersMayWrite says what to do about a config file that somebody else could have written. On Windows the folder of a
// user lets nobody else write in it, and file modes say nothing.
func othersMayWrite(string, fs.FileInfo) string { return "" }
