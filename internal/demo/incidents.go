package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// An incident is what the server keeps.
type incident struct {
	ID        string    `json:"id"` // INC-0001, …
	Title     string    `json:"title"`
	Severity  string    `json:"severity"`
	CreatedBy string    `json:"createdBy"`
	CreatedAt time.Time `json:"createdAt"`
}

// Bounds of a book: the number of incidents, and its file in bytes.
const (
	maxIncidents = 1000
	maxBookFile  = 4 << 20
)

var errBookFull = errors.New("there is no room for another incident")

// A book keeps incidents in memory or, with a path, in a file, which is read anew
// each time: a server may be replaced by a fresh one while it still ends.
type book struct {
	path string
	kept []incident
}

// all lists the incidents, oldest first.
func (b *book) all() ([]incident, error) {
	if b.path == "" {
		return b.kept, nil
	}
	f, err := os.Open(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading incidents: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxBookFile))
	if err != nil {
		return nil, fmt.Errorf("reading incidents: %w", err)
	}
	var list []incident
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("reading incidents %q: %w", b.path, err)
	}
	return list, nil
}

// add gives an incident its id and keeps it.
func (b *book) add(i incident) (incident, error) {
	list, err := b.all()
	if err != nil {
		return i, err
	}
	if len(list) >= maxIncidents {
		return i, errBookFull
	}
	i.ID = fmt.Sprintf("INC-%04d", len(list)+1)
	list = append(list, i)
	if b.path == "" {
		b.kept = list
		return i, nil
	}
	return i, writeIncidents(b.path, list)
}

// writeIncidents replaces the file in one step, so that a crash leaves the old or
// the new list whole. Incidents are nobody else's to read: 0600.
func writeIncidents(path string, list []incident) error {
	text, err := json.MarshalIndent(list, "", " ")
	if err != nil {
		return fmt.Errorf("writing incidents: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp") // made with 0600
	if err != nil {
		return fmt.Errorf("writing incidents: %w", err)
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name()) // what went wrong before is the error to tell
		return fmt.Errorf("writing incidents: %w", err)
	}
	return nil
}
