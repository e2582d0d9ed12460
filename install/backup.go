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

	"github.com/tailscale/hujson"

	"mcp-valet/keyring"
)

// mostBackups is how many backups of one client's config are kept.
const mostBackups = 5

// BackupDir is the folder of the backups.
func BackupDir(stateDir string) string { return filepath.Join(stateDir, "backups") }

// Backup keeps a client's config as it was before a change, less the secrets that have been adopted, by the reference
// that stands for each; they are taken out of the earlier backups as well. The oldest backups beyond five are removed.
func (c Client) Backup(stateDir string, text []byte, adopted map[string]keyring.Secret) error {
	names, err := c.backups(stateDir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := scrubFile(filepath.Join(BackupDir(stateDir), name), adopted); err != nil {
			return err
		}
	}
	clean, err := scrub(text, adopted)
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
func scrubFile(path string, adopted map[string]keyring.Secret) error {
	if len(adopted) == 0 {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading a backup: %w", err)
	}
	clean, err := scrub(text, adopted)
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

// shortSecret is the length in bytes below which a secret may occur by chance: it is then looked for only as the whole
// value of a variable of its own name.
const shortSecret = 8

// scrub puts references in place of secrets, wherever they stand in a text. adopted has them by their reference.
func scrub(text []byte, adopted map[string]keyring.Secret) ([]byte, error) {
	root, err := hujson.Parse(bytes.Clone(text))
	if err != nil {
		return nil, errors.New("the text is not JSON")
	}
	s := scrubber{text: text}
	for ref, secret := range adopted {
		if value := secret.Reveal(); value != "" {
			s.secrets = append(s.secrets, replacement{ref, value})
		}
	}
	// The longest first: one may be part of another.
	slices.SortFunc(s.secrets, func(x, y replacement) int {
		if len(x.value) != len(y.value) {
			return len(y.value) - len(x.value)
		}
		return strings.Compare(x.ref, y.ref)
	})
	s.walk("", root)
	return append(s.out, text[s.at:]...), nil
}

type replacement struct{ ref, value string }

type scrubber struct {
	secrets []replacement
	text    []byte
	at      int // text before this offset is done
	out     []byte
}

// walk goes through the values in the order of the text. key is that of the member that v is the value of.
func (s *scrubber) walk(key string, v hujson.Value) {
	switch box := v.Value.(type) {
	case *hujson.Array:
		for _, e := range box.Elements {
			s.walk("", e)
		}
	case *hujson.Object:
		for _, m := range box.Members {
			s.walk(textOf(m.Name), m.Value)
		}
	case hujson.Literal:
		if !isText(v) {
			return
		}
		old := textOf(v)
		if clean := s.clean(key, old); clean != old {
			s.out = append(append(s.out, s.text[s.at:v.StartOffset]...), encode(clean)...)
			s.at = v.EndOffset
		}
	}
}

func (s *scrubber) clean(key, value string) string {
	for _, r := range s.secrets {
		switch {
		case len(r.value) >= shortSecret:
			value = strings.ReplaceAll(value, r.value, r.ref)
		case value == r.value && strings.HasSuffix(r.ref, "/"+key):
			value = r.ref
		}
	}
	return value
}
