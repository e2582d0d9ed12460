package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mcp-valet/install"
	"mcp-valet/internal/config"
	"mcp-valet/keyring"
)

// secretStatus is one secret that is kept: never its value.
type secretStatus struct {
	Owner string `json:"owner"`
	Key   string `json:"key"`
	Use   string `json:"use"` // who gets it, or why it is kept
}

// gatherSecrets lists the secrets that the index knows of.
func gatherSecrets(cfg *config.Config, store *keyring.Store, installed []install.Record) ([]secretStatus, error) {
	all := []secretStatus{}
	if store == nil {
		return all, nil
	}
	keys, err := store.Index()
	if err != nil {
		return all, err
	}
	for _, ref := range sortKeys(keys).secrets {
		if !strings.HasSuffix(ref.Key, install.LiteralKey("")) {
			all = append(all, secretStatus{ref.Owner, ref.Key, useOf(cfg, installed, ref)})
		}
	}
	return all, nil
}

// useOf says what a secret is kept for.
func useOf(cfg *config.Config, installed []install.Record, ref config.Reference) string {
	if servers := serversWithSecret(cfg, ref.Owner, ref.Key); len(servers) > 0 {
		return strings.Join(servers, ", ")
	}
	if accounts := accountsWithSecret(cfg, ref); len(accounts) > 0 {
		return "account " + strings.Join(accounts, ", ")
	}
	for _, r := range installed {
		if r.Server == ref.Owner && slices.ContainsFunc(r.Secrets, func(s install.Adopted) bool { return s.Variable == ref.Key }) {
			return "(none: kept for uninstall --restore-secrets)"
		}
	}
	return "(none: mcp-valet secret rm " + ref.Owner + " " + ref.Key + ")"
}

// accountsWithSecret lists the accounts whose client secret is ref.
func accountsWithSecret(cfg *config.Config, ref config.Reference) (names []string) {
	for _, name := range sortedKeys(cfg.Accounts) {
		if owner, key, err := config.ParseReference(cfg.Accounts[name].ClientSecret); err == nil && owner == ref.Owner && key == ref.Key {
			names = append(names, name)
		}
	}
	return names
}

// serverNotes says what there is to mend about a server of our config.
func serverNotes(cfg *config.Config, installed []install.Record, name string) (notes []string) {
	for _, r := range installed {
		if r.Server == name {
			notes = append(notes, clientNote(r)...)
		}
	}
	args := cfg.Servers[name].Args
	for i := range args {
		if _, secret := install.DetectArgument(args, i); secret {
			return append(notes, "secret in arguments, in plain text")
		}
	}
	for _, r := range installed {
		if r.Server == name && !r.Out && slices.ContainsFunc(r.Secrets, func(s install.Adopted) bool { return s.Stays && s.Argument > 0 }) {
			return append(notes, "secret in arguments, in plain text")
		}
	}
	return notes
}

// clientNote says whether a client's entry is what install or uninstall has left.
func clientNote(r install.Record) []string {
	client, known := install.ClientNamed(r.Client)
	if !known {
		return nil
	}
	title := client.Title
	state, err := stateIn(client, r)
	switch {
	case r.Out && err == nil && state == entryOurs:
		return []string{title + " starts it again, although it was uninstalled: mcp-valet uninstall " + r.Server + ", or reapply " + r.Server}
	case r.Out:
		return nil
	case err != nil:
		return []string{title + ": its config cannot be read"}
	case state == entryOurs:
		return []string{title + ": in place"}
	case state == entryOther:
		return []string{title + ": somebody has changed its entry"}
	}
	return []string{title + " has lost our entry: mcp-valet reapply " + r.Server}
}

// stateIn looks at the client's config for what a record is about.
func stateIn(client install.Client, r install.Record) (entryState, error) {
	text, err := install.Read(r.File)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = nil, nil
	}
	if err != nil {
		return entryOther, err
	}
	doc, err := parseClient(client, r.File, text)
	if err != nil {
		return entryOther, err
	}
	return stateOf(doc, r), nil
}

// orphans are servers that a client starts through us and that our config has not.
func orphans(cfg *config.Config, installed []install.Record) (all []serverStatus) {
	for _, r := range installed {
		if _, ours := cfg.Servers[r.Server]; ours {
			continue
		}
		notes := clientNote(r)
		if !r.Out {
			notes = append(notes, "our config has it no more: mcp-valet reapply "+r.Server+", or uninstall "+r.Server)
		}
		if len(notes) > 0 {
			all = append(all, serverStatus{Name: r.Server, Trust: "not in our config", Notes: notes})
		}
	}
	return all
}

// storeEmpty tells whether the sealed store holds nothing.
func storeEmpty(state string) bool { return !holdsFiles(filepath.Join(state, "store")) }

// holdsFiles tells whether there is any file in a folder; a folder that cannot be read may hold some.
func holdsFiles(dir string) bool {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	return err != nil || len(entries) > 0
}

func storedCredential(ctx context.Context, store *keyring.Store, account string) (*keyring.Credential, error) {
	if store == nil {
		return nil, keyring.ErrNotFound
	}
	return store.Credential(ctx, account)
}

func storedTrust(ctx context.Context, store *keyring.Store, server string) (*keyring.Trust, error) {
	if store == nil {
		return nil, keyring.ErrNotFound
	}
	return store.Trust(ctx, server)
}
