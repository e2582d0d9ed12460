package keyring

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
)

// maxKeyFile is ample for one key and its comments, in bytes.
const maxKeyFile = 16 << 10

// NewKeyFile makes a fresh key for the file store and puts it in a new file at
// path, 0600, in the format of age-keygen. A file that is there already is
// never overwritten: the error then wraps [fs.ErrExist].
func NewKeyFile(path string) error {
	id, err := age.GenerateX25519Identity()
	if err == nil {
		err = writeNew(path, fmt.Sprintf("# public key: %s\n%s\n", id.Recipient(), id))
	}
	if err != nil {
		return fmt.Errorf("making key file %q: %w", path, err)
	}
	return nil
}

// writeNew is atomic like WriteFile, but a link instead of a rename at the end,
// which fails when there is something at path.
func writeNew(path, text string) error {
	if _, err := os.Lstat(path); err == nil {
		return fs.ErrExist
	}
	dir, base := filepath.Split(path)
	dir = filepath.Clean(dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	temp, err := writeTemp(dir, base, []byte(text))
	if err != nil {
		return spaceError(err)
	}
	defer os.Remove(temp) // private, and swept by nobody only if this very call fails
	if err := os.Link(temp, path); err != nil {
		return err
	}
	return syncDir(dir)
}

// readKeyFile takes what age-keygen or NewKeyFile wrote: comments and one key.
func readKeyFile(path string) (*age.X25519Identity, error) {
	b, err := readPrivate(path, maxKeyFile)
	if err != nil {
		return nil, during(fmt.Sprintf("reading key file %q", path), "", err)
	}
	var keys []string
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			keys = append(keys, line)
		}
	}
	if len(keys) != 1 {
		return nil, fmt.Errorf("key file %q holds %d lines that could be a key, want one", path, len(keys))
	}
	id, err := parseIdentity(NewSecret(keys[0]))
	if err != nil {
		return nil, fmt.Errorf("key file %q holds %w", path, err)
	}
	return id, nil
}
