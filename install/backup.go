package install

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mcp-valet/keyring"
)

// mostBackups is how many backups of one client's config are kept.
const mostBackups = 5

// BackupDir is the folder of the backups.
func BackupDir(stateDir string) string { return filepath.Join(stateDir, "backups") }

// Backup keeps a client's config as it was before a change, less the secrets that are known, by the reference that stands
// for each, and less what looks like a secret in any of its entries; both are taken out of the earlier backups as well.
// The oldest backups beyond five are removed.
func (c Client) Backup(stateDir string, text []byte, known map[string]keyring.Secret) error {
	names, err := c.backups(stateDir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := c.scrubFile(filepath.Join(BackupDir(stateDir), name), known); err != nil {
			return err
		}
	}
	clean, err := c.scrub(text, known)
	if err != nil {
		return fmt.Errorf("keeping a backup: %w", err)
	}
	if len(names) > 0 {
		last, err := os.ReadFile(filepath.Join(BackupDir(stateDir), names[len(names)-1]))
		if err == nil && bytes.Equal(last, clean) {
			return nil
		}
	}
	name := c.Name + time.Now().UTC().Format(".20060102T150405.000000000Z") + ".json"
	if err := keyring.WriteFile(filepath.Join(BackupDir(stateDir), name), clean); err != nil {
		return fmt.Errorf("keeping a backup: %w", err)
	}
	names = append(names, name)
	for _, old := range names[:max(0, len(names)-mostBackups)] {
		if err := os.Remove(filepath.Join(BackupDir(stateDir), old)); err != nil {
			return fmt.Errorf("removing an old backup: %w", err)
		}
	}
	return nil
}

// backups lists the client's backups, the oldest first.
func (c Client) backups(stateDir string) ([]string, error) {
	entries, err := os.ReadDir(BackupDir(stateDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing the backups: %w", err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), c.Name+".") && strings.HasSuffix(e.Name(), ".json") {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// scrubFile takes secrets out of a backup. One that is not JSON any more was damaged; nobody can tell what it holds.
func (c Client) scrubFile(path string, known map[string]keyring.Secret) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading a backup: %w", err)
	}
	clean, err := c.scrub(text, known)
	switch {
	case err != nil:
		err = os.Remove(path)
	case !bytes.Equal(text, clean):
		err = keyring.WriteFile(path, clean)
	}
	if err != nil {
		return fmt.Errorf("taking a secret out of a backup: %w", err)
	}
	return nil
}
