package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"mcp-valet/install"
	"mcp-valet/internal/config"
	"mcp-valet/internal/person"
	"mcp-valet/keyring"
	"mcp-valet/wrapper/proc"
)

// clientOptions are the options of the commands that edit a client's config.
type clientOptions struct {
	client     string
	file       string
	dryRun     bool
	force      bool
	whenClosed bool
}

const defaultClient = "claude-desktop"

func (o *clientOptions) declare(fs *pflag.FlagSet) {
	fs.StringVar(&o.client, "client", "", "MCP `client` (default: "+defaultClient+")")
	fs.StringVar(&o.file, "client-config", "", "the client's config `file` (default: the usual place)")
	fs.BoolVar(&o.dryRun, "dry-run", false, "show what would change, and change nothing")
	fs.BoolVar(&o.force, "force", false, "edit the file even while the client runs, or where somebody else has changed the entry")
	fs.BoolVar(&o.whenClosed, "when-closed", false, "wait until the client is closed")
}

// clientFile finds the client and its config.
func (o *clientOptions) clientFile() (install.Client, string, error) {
	client, ok := install.ClientNamed(cmpOr(o.client, defaultClient))
	if !ok {
		return client, "", unknownClient(o.client)
	}
	if o.file != "" {
		file, err := filepath.Abs(o.file)
		return client, file, err
	}
	file, err := client.File(install.ThisSystem())
	return client, file, err
}

func unknownClient(name string) error {
	var names []string
	for _, c := range install.Clients() {
		names = append(names, c.Name)
	}
	return &hinted{
		&usageError{msg: fmt.Sprintf("there is no client %q; known clients: %s", name, strings.Join(names, ", "))},
		"for another one, make the server's entry in our config (mcp-valet config edit), and have the client start: mcp-valet run NAME",
	}
}

// clientRuns tells whether a client runs. Tests of this package replace it: what runs on the machine is not theirs.
var clientRuns = install.Client.Running

// closedPause is how often the wait for a client to be closed looks again.
var closedPause = time.Second

// mayEdit makes sure that the client does not run: it would write its file back as it has it in memory.
func (a *app) mayEdit(ctx context.Context, client install.Client, o *clientOptions) error {
	if !client.Rewrites || o.force || o.dryRun {
		return nil
	}
	for told := false; ; told = true {
		runs, err := clientRuns(client)
		switch {
		case err != nil:
			return &hinted{fmt.Errorf("finding out whether %s runs: %w", client.Title, err), "if it does not, say --force"}
		case !runs:
			return nil
		case !o.whenClosed:
			return &refusal{
				client.Title + " is running: it would overwrite the change with what it has in memory",
				"quit it (from its menu or tray icon: closing the window is not enough) and try again, or say --when-closed to wait for that",
			}
		case !told:
			a.sayf("Waiting for %s to be closed (quit it from its menu or tray icon; ^C to give up) …", client.Title)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(closedPause):
		}
	}
}

// thisProgram is the path of this program that a client's config gets. Where PATH leads to this program, too, that path
// is taken: package managers put a link there that stays when a new version lands elsewhere.
func thisProgram() (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding this program: %w", err)
	}
	found, err := proc.Resolve(filepath.Base(exe), "", os.Environ())
	if err != nil || install.StableExe(found) != nil {
		return exe, nil
	}
	here, errHere := os.Stat(exe)
	there, errThere := os.Stat(found)
	if errors.Join(errHere, errThere) == nil && os.SameFile(here, there) {
		return found, nil
	}
	return exe, nil
}

// clientEntry is what a client's config is to say of a server of ours.
func (a *app) clientEntry(cfg *config.Config, server string) (install.Entry, error) {
	exe, err := thisProgram()
	if err != nil {
		return install.Entry{}, err
	}
	if err := install.StableExe(exe); err != nil {
		return install.Entry{}, &hinted{err, "put mcp-valet into a place that stays, such as ~/.local/bin, and run it from there"}
	}
	places, err := a.places(cfg)
	return install.EntryFor(exe, server, places), err
}

// parseClient reads the text of a client's config; a file that is not there counts as empty.
func parseClient(client install.Client, file string, text []byte) (*install.Document, error) {
	if text == nil {
		text = []byte("{\n}\n")
	}
	return client.Parse(file, text)
}

// entryState is what a client's config has where an entry of ours was put.
type entryState int

const (
	entryGone     entryState = iota
	entryOurs                // it starts the server through us
	entryOriginal            // it is what it was before, secrets and all
	entryLess                // it is that less its secrets, as uninstall leaves it
	entryOther               // somebody has written another
)

// stateOf compares the client's entry with what is remembered of it.
func stateOf(doc *install.Document, r install.Record) entryState {
	raw, _, there := doc.Entry(r.Name)
	if !there {
		return entryGone
	}
	if install.Same(raw, []byte(r.Written)) {
		return entryOurs
	}
	if exe, err := thisProgram(); err == nil {
		if now, err := doc.Server(r.Name); err == nil {
			if server, ours := now.Starts(exe); ours && server == r.Server {
				return entryOurs
			}
		}
	}
	if r.Original == "" {
		return entryOther
	}
	hidden, err := install.Hide(raw, r.Server, r.Secrets)
	if err == nil && install.Same(hidden, []byte(r.Original)) {
		return entryOriginal
	}
	if less, err := lessSecrets(raw, r); err == nil && less {
		return entryLess
	}
	return entryOther
}

// lessSecrets tells whether an entry is what was there before install, less the secrets that left it.
func lessSecrets(raw []byte, r install.Record) (bool, error) {
	without, err := install.Without([]byte(r.Original), r.Secrets)
	if err != nil {
		return false, err
	}
	hidden, err := install.Hide(raw, r.Server, install.Staying(r.Secrets))
	return err == nil && install.Same(hidden, without), nil
}

// startsThis lists the entries of a client's config that start a server through mcp-valet.
func startsThis(doc *install.Document) (names []string) {
	for _, name := range doc.Names() {
		if _, ours := startsOurs(doc, name); ours {
			names = append(names, name)
		}
	}
	return names
}

// vault is what a person calls the place where secrets are kept.
func (a *app) vault(cfg *config.Config) string {
	if a.storeKind(cfg) == keyring.KindFile {
		return "the sealed store"
	}
	return "the keychain"
}

// knownSecrets are those that the keychain lists, by their references. It is a help for finding them in other texts: what
// cannot be read is left out.
func knownSecrets(ctx context.Context, store *keyring.Store) map[string]keyring.Secret {
	known := map[string]keyring.Secret{}
	if store == nil {
		return known
	}
	keys, err := store.Index()
	if err != nil {
		return known
	}
	for _, ref := range sortKeys(keys).secrets {
		if strings.HasSuffix(ref.Key, install.LiteralKey("")) {
			continue
		}
		v, err := store.Get(ctx, keyring.SecretKey(ref.Owner, ref.Key))
		switch {
		case err == nil:
			known[install.Reference(ref.Owner, ref.Key)] = v
		case !errors.Is(err, keyring.ErrNotFound):
			return known // locked: the next one would take as long to say so
		}
	}
	return known
}

// confirmOrYes is mustConfirm for a command that has --yes.
func (a *app) confirmOrYes(ctx context.Context, question string) error {
	if !person.Interactive() {
		return &refusal{"this needs a person's answer, and there is no terminal", "run it in a terminal, or say --yes to agree to all of the above"}
	}
	return a.mustConfirm(ctx, question)
}

// asWords writes a server of our config for a record, to be compared later.
func asWords(s config.Server) json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil {
		return nil // strings and numbers: it cannot fail
	}
	return b
}

// jsonText writes a name as a client's config has it.
func jsonText(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return strconv.Quote(s) // a string: it cannot fail
	}
	return string(b)
}
