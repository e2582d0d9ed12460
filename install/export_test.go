package install

import "mcp-valet/keyring"

// Amongst tells whether a client runs on a system where one process does.
func Amongst(c Client, goos, name, path string) bool {
	return c.amongst(goos, []process{{"another", "/bin/another"}, {name, path}})
}

// ProcessesNow lists the short names and the files of what this user runs.
func ProcessesNow() (names, paths []string, err error) {
	all, err := processes()
	for _, p := range all {
		names, paths = append(names, p.name), append(paths, p.path)
	}
	return names, paths, err
}

// Scrub is how secrets leave a backup.
func Scrub(text []byte, adopted map[string]keyring.Secret) ([]byte, error) {
	c, _ := ClientNamed("claude-desktop")
	return c.scrub(text, adopted)
}
