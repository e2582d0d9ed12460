package config

import (
	"errors"
	"strings"

	"mcp-valet/keyring"
)

// scheme begins a value that stands for a secret in the keychain.
const scheme = "keyring://"

// clientSecretKey is the key under which an account's client secret is kept.
const clientSecretKey = "CLIENT_SECRET"

// Reference names a secret in the keychain: "keyring://OWNER/KEY" in the file.
type Reference struct{ Owner, Key string }

// String gives the reference as it is written in a config file.
func (r Reference) String() string { return scheme + r.Owner + "/" + r.Key }

var errReference = errors.New(`a secret is referred to as "keyring://NAME/KEY", names of letters, digits, dot, dash and underscore`)

// ParseReference reads "keyring://OWNER/KEY". Its error does not repeat s.
func ParseReference(s string) (owner, key string, err error) {
	rest, found := strings.CutPrefix(s, scheme)
	owner, key, cut := strings.Cut(rest, "/")
	if !found || !cut || !validName(owner) || !validName(key) {
		return "", "", errReference
	}
	return owner, key, nil
}

// mentionsReference tells whether s was meant to hold a reference somewhere.
func mentionsReference(s string) bool {
	s = strings.ToLower(s)
	return strings.HasPrefix(s, "keyring:") || strings.Contains(s, scheme)
}

// validName: names become command arguments and file names, so they are plain and never look like an option or a folder.
func validName(s string) bool {
	return keyring.ValidName(s) && s[0] != '-' && s != "." && s != ".."
}

const nameRule = "a name has letters, digits, dot, dash and underscore, 128 at most, and does not begin with a dash"
