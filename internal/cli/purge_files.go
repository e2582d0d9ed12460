package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mcp-valet/install"
	"mcp-valet/internal/config"
	"mcp-valet/keyring"
)

// noInstalls refuses while a client starts servers through us: they would be left without their secrets. It looks at what
// is remembered, and at the clients' configs themselves; a client may have written an entry back that was taken out. What
// it gives is what is remembered of entries that stay ours by force.
func (a *app) noInstalls(state string, force bool) (kept []install.Record, err error) {
	records, err := install.AllRecords(state)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, r := range records {
		client, known := install.ClientNamed(r.Client)
		if !known {
			continue
		}
		if now, err := stateIn(client, r); !r.Out || err == nil && now == entryOurs {
			names, kept = append(names, r.Server), append(kept, r)
		}
	}
	known := len(names)
	others, unread := entriesOfClients(records)
	for _, o := range others {
		if !slices.Contains(names, o) {
			names = append(names, o)
		}
	}
	unknown := names[known:]
	list := strings.Join(slices.Compact(sorted(slices.Clone(names))), ", ")
	switch {
	case len(names) == 0 && unread == nil:
		return nil, nil
	case !force && len(names) == 0:
		return nil, &hinted{fmt.Errorf("whether a client still starts servers through mcp-valet cannot be told: %w", unread), "put the client's config right, or say --force"}
	case !force:
		return nil, &refusal{
			"clients still start servers through mcp-valet: " + printable(list),
			"put their entries back first (mcp-valet uninstall NAME; an entry that was written by hand is taken out by hand), or say --force",
		}
	}
	if known > 0 {
		a.sayf("Clients go on starting these through mcp-valet: %s. mcp-valet uninstall NAME still puts their entries back, less the secrets.", printable(strings.Join(serversIn(kept), ", ")))
	}
	if len(unknown) > 0 {
		a.sayf("Clients go on starting these through mcp-valet, and nothing is remembered of what they were: %s. Take them out by hand.", printable(strings.Join(unknown, ", ")))
	}
	return kept, nil
}

// entriesOfClients lists the servers that clients start through mcp-valet, by their usual configs and those that are
// remembered.
func entriesOfClients(records []install.Record) (servers []string, unread error) {
	for _, client := range install.Clients() {
		files := client.Found(install.ThisSystem())
		for _, r := range records {
			if r.Client == client.Name && !slices.Contains(files, r.File) {
				files = append(files, r.File)
			}
		}
		for _, file := range files {
			text, err := install.Read(file)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			var doc *install.Document
			if err == nil {
				doc, err = client.Parse(file, text)
			}
			if err != nil {
				unread = errors.Join(unread, err)
				continue
			}
			for _, name := range startsThis(doc) {
				server, _ := startsOurs(doc, name)
				servers = append(servers, server)
			}
		}
	}
	return servers, unread
}

// removableRecords are those that nobody needs once the secrets are gone.
func removableRecords(state string, kept []install.Record) ([]install.Record, error) {
	all, err := install.AllRecords(state)
	return slices.DeleteFunc(all, func(r install.Record) bool {
		return slices.ContainsFunc(kept, func(k install.Record) bool {
			return k.Server == r.Server && k.File == r.File && k.Name == r.Name
		})
	}), err
}

// purgedFolders lie in the state folder and hold nothing that is not made again when it is needed.
var purgedFolders = []string{snapshotsFolder, tokensFolder, "backups", "keys", "accounts", "audit", "locks", issuerFolder}

// purgeFiles lists what is to be removed besides the keychain's records: folders, what edits of the config have left, and
// the key that the sealed store made for itself.
func purgeFiles(cfg *config.Config, state, kind string) ([]string, error) {
	var all []string
	for _, folder := range purgedFolders {
		if dir := filepath.Join(state, folder); holdsFiles(dir) {
			all = append(all, dir)
		}
	}
	drafts, err := leftDrafts(cfg.Path)
	if err != nil {
		return nil, err
	}
	all = append(all, drafts...)
	candidates := []string{filepath.Join(state, indexFile)}
	if kind == keyring.KindFile && cfg.Store.KeyFile == "" {
		candidates = append(candidates, storeKeyFile(cfg))
	}
	for _, file := range candidates {
		if _, err := os.Lstat(file); err == nil {
			all = append(all, file)
		}
	}
	return all, nil
}

// leftDrafts are texts that edits of the config have left.
func leftDrafts(path string) (drafts []string, err error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("looking for drafts of the config: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), filepath.Base(path)+".edit") && e.Type().IsRegular() {
			drafts = append(drafts, filepath.Join(filepath.Dir(path), e.Name()))
		}
	}
	return drafts, nil
}

// indexFile lies in the state folder and lists what every kind of store has.
const indexFile = "index.json"

// removeFiles removes files and folders, but not the key of a store that still holds something, nor the index of one.
func removeFiles(s *session, p *purgeKeys) error {
	var errs []error
	// Looking at the store and emptying it has made locks, too.
	for _, f := range append(slices.Clone(p.files), filepath.Join(s.state, "locks")) {
		switch f {
		case storeKeyFile(s.cfg):
			if !storeEmpty(s.state) {
				continue
			}
		case filepath.Join(s.state, indexFile):
			if listsSome(f) {
				continue
			}
		}
		if err := os.RemoveAll(f); err != nil {
			errs = append(errs, fmt.Errorf("removing what is kept: %w", err))
		}
	}
	return errors.Join(errs...)
}

// listsSome tells whether an index lists anything, be it in another store than this one; one that cannot be read may.
func listsSome(path string) bool {
	var index struct {
		Keys map[string][]string `json:"keys"`
	}
	b, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(b, &index) != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	for _, keys := range index.Keys {
		if len(keys) > 0 {
			return true
		}
	}
	return false
}
