package install

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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

// Record is what install remembers of one entry that it took over: enough to put everything back. It holds no secret.
type Record struct {
	Server    string          `json:"server"` // its name in our config
	Client    string          `json:"client"`
	File      string          `json:"file"`               // the client's config
	Name      string          `json:"name"`               // the entry's name there
	At        Place           `json:"at"`                 // where it stood
	Original  string          `json:"original,omitempty"` // text of its value, less what was adopted; "" where the client had none
	Secrets   []Adopted       `json:"secrets,omitempty"`
	Written   string          `json:"written"`            // text of the value that install put there
	Insertion Insertion       `json:"insertion,omitzero"` // where the client had no such entry: what was added
	Made      bool            `json:"made"`               // install made the entry of our config
	Ours      json.RawMessage `json:"ours,omitempty"`     // what our config said of the server then, in words of its own
	// Out says that uninstall has taken it out. It is remembered all the same: a client that has its config in memory may
	// write our entry back, and the secrets are in the keychain alone.
	Out   bool      `json:"out,omitempty"`
	OutAt time.Time `json:"outAt,omitzero"`
}

const (
	recordVersion = 1
	// maxRecords bounds the clients that one server is installed in, and the bytes of a file of records.
	maxRecords    = 64
	maxRecordFile = 4 * maxSize
)

type recordFile struct {
	Version  int      `json:"version"`
	Installs []Record `json:"installs"`
}

func recordDir(stateDir string) string { return filepath.Join(stateDir, "installs") }

func recordPath(stateDir, server string) string {
	file := server + ".json"
	if !filepath.IsLocal(file) { // "nul.json" is a device on Windows
		sum := sha256.Sum256([]byte(server))
		file = hex.EncodeToString(sum[:16]) + ".json"
	}
	return filepath.Join(recordDir(stateDir), file)
}

// Records gives what is remembered of a server's entries, one for each file of a client; none is no error.
func Records(stateDir, server string) ([]Record, error) {
	return readRecords(recordPath(stateDir, server))
}

// AllRecords gives what is remembered of every server's entries.
func AllRecords(stateDir string) ([]Record, error) {
	entries, err := os.ReadDir(recordDir(stateDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading what was installed: %w", err)
	}
	var all []Record
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".json") || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		some, err := readRecords(filepath.Join(recordDir(stateDir), e.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

func readRecords(path string) ([]Record, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading what was installed: %w", err)
	}
	if info.Size() > maxRecordFile {
		return nil, fmt.Errorf("reading what was installed: %s is too large", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading what was installed: %w", err)
	}
	var f recordFile
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("reading what was installed: %s is damaged: %w", path, err)
	}
	if f.Version != recordVersion {
		return nil, fmt.Errorf("reading what was installed: %s is of version %d, this program knows %d", path, f.Version, recordVersion)
	}
	return f.Installs, nil
}

// SaveRecord remembers r, in place of what was remembered of the same entry.
func SaveRecord(stateDir string, r Record) error {
	all, err := Records(stateDir, r.Server)
	if err != nil {
		return err
	}
	all = append(slices.DeleteFunc(all, r.sameEntry), r)
	if len(all) > maxRecords {
		return fmt.Errorf("%s is installed in %d files of clients: that is too many", r.Server, len(all))
	}
	return writeRecords(stateDir, r.Server, all)
}

// ForgetRecord forgets r, and is content when nothing is remembered.
func ForgetRecord(stateDir string, r Record) error {
	all, err := Records(stateDir, r.Server)
	if err != nil {
		return err
	}
	if left := slices.DeleteFunc(all, r.sameEntry); len(left) > 0 {
		return writeRecords(stateDir, r.Server, left)
	}
	if err := os.Remove(recordPath(stateDir, r.Server)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forgetting what was installed: %w", err)
	}
	return nil
}

func (r Record) sameEntry(other Record) bool { return r.File == other.File && r.Name == other.Name }

func writeRecords(stateDir, server string, all []Record) error {
	b, err := json.MarshalIndent(recordFile{recordVersion, all}, "", "\t")
	if err != nil {
		return fmt.Errorf("remembering what was installed: %w", err)
	}
	if err := keyring.WriteFile(recordPath(stateDir, server), append(b, '\n')); err != nil {
		return fmt.Errorf("remembering what was installed: %w", err)
	}
	return nil
}
