package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"mcp-valet/install"
	"mcp-valet/internal/config"
	"mcp-valet/keyring"
)

// uninstallOptions are the options of uninstall.
type uninstallOptions struct {
	clientOptions
	restore bool
}

var uninstallCommand = command{
	name: "uninstall", args: "NAME", min: 1, max: 1,
	short: "have the client start its server NAME as it did before",
	long: `The client's entry is put back as it was. The variables whose secrets moved to the keychain are left out of it;
--restore-secrets writes them into the client's config again, in plain text. In the keychain they stay either way, until
mcp-valet secret rm or mcp-valet purge: should the client write its old file back, uninstall (and reapply NAME) work again.`,
	example: `mcp-valet uninstall security-kb
mcp-valet uninstall github --restore-secrets`,
	flags: func(a *app, fs *pflag.FlagSet) action {
		o := &uninstallOptions{}
		fs.BoolVar(&o.restore, "restore-secrets", false, "write the secrets back into the client's config, in plain text")
		o.declare(fs)
		return func(ctx context.Context, args []string) error { return a.uninstall(ctx, args[0], o) }
	},
}

func (a *app) uninstall(ctx context.Context, name string, o *uninstallOptions) error {
	records, err := a.recordsOf(name, &o.clientOptions)
	if err != nil {
		return err
	}
	cfg, err := a.loadConfig(false)
	if err != nil {
		return err
	}
	for _, r := range records {
		u := &removal{a: a, o: o, r: r, cfg: cfg}
		if err := u.run(ctx); err != nil {
			return &about{server: r.Server, err: err}
		}
	}
	return nil
}

// recordsOf finds what is remembered of a server, be it named as in our config or as in the client's.
func (a *app) recordsOf(name string, o *clientOptions) ([]install.Record, error) {
	all, err := a.allRecords(o)
	if err != nil {
		return nil, err
	}
	for _, is := range []func(install.Record) bool{
		func(r install.Record) bool { return !r.Out && r.Server == name },
		func(r install.Record) bool { return !r.Out && r.Name == name },
		func(r install.Record) bool { return r.Server == name },
		func(r install.Record) bool { return r.Name == name },
	} {
		if some := slices.DeleteFunc(slices.Clone(all), func(r install.Record) bool { return !is(r) }); len(some) > 0 {
			return some, nil
		}
	}
	no := fmt.Sprintf("mcp-valet install has not put %s into a client's config, so there is nothing that it could put back", printable(name))
	if names := serversIn(all); len(names) > 0 {
		return nil, &refusal{no, "it has put there: " + printable(strings.Join(names, ", "))}
	}
	return nil, &refusal{no, "an entry that was written by hand is taken out by hand"}
}

// serversIn lists the servers of records.
func serversIn(records []install.Record) (names []string) {
	for _, r := range records {
		names = append(names, r.Server)
	}
	return slices.Compact(sorted(names))
}

// allRecords gives what is remembered of the clients that the options name; without any, of all.
func (a *app) allRecords(o *clientOptions) ([]install.Record, error) {
	state, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	all, err := install.AllRecords(state)
	if err != nil {
		return nil, err
	}
	file := absolute(o.file)
	return slices.DeleteFunc(all, func(r install.Record) bool {
		return o.client != "" && r.Client != o.client || file != "" && r.File != file
	}), nil
}

// removal is one uninstall under way.
type removal struct {
	a     *app
	o     *uninstallOptions
	r     install.Record
	cfg   *config.Config
	store *keyring.Store
	state string

	back    []byte            // the client's entry as it will be; nil: it had none
	left    []install.Adopted // secrets that are not in it
	lost    []install.Adopted // those of them that the keychain has not
	known   map[string]keyring.Secret
	changed bool // the client's config was changed
	missing bool // there is none, and the person knows
}

// run undoes install in reverse: the client's config first, the record last, so that after an end between any two steps
// it can be done again.
func (u *removal) run(ctx context.Context) (err error) {
	client, ok := install.ClientNamed(u.r.Client)
	if !ok {
		return unknownClient(u.r.Client)
	}
	if u.state, err = u.a.stateDir(); err != nil {
		return err
	}
	if err := u.a.mayEdit(ctx, client, &u.o.clientOptions); err != nil {
		return err
	}
	if u.store, err = u.a.openStore(u.cfg, personLimit); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err // without its key, the sealed store opens for nobody: it is as if it were empty
	}
	u.known = knownSecrets(ctx, u.store)
	if err := u.restore(ctx); err != nil {
		return err
	}
	if u.o.dryRun {
		return u.show(client)
	}
	if err := install.Update(u.r.File, func(text []byte) ([]byte, error) { return u.edit(client, text) }); err != nil {
		return err
	}
	return u.finish(ctx, client)
}

// restore makes the entry that goes back, with its secrets or without.
func (u *removal) restore(ctx context.Context) error {
	if u.r.Original == "" {
		return nil
	}
	kept := map[string]install.Kept{}
	for _, s := range u.r.Secrets {
		k, err := keptOf(ctx, u.store, u.r.Server, s)
		if err != nil && !errors.Is(err, keyring.ErrNotFound) && (u.o.restore || s.Stays) {
			return err
		}
		if errors.Is(err, keyring.ErrNotFound) {
			u.lost = append(u.lost, s)
		}
		if err != nil || !u.o.restore && !s.Stays {
			u.left = append(u.left, s)
			continue
		}
		kept[s.Variable] = k
	}
	var err error
	u.back, err = install.Fill([]byte(u.r.Original), u.r.Secrets, kept)
	return err
}

func keptOf(ctx context.Context, store *keyring.Store, server string, s install.Adopted) (k install.Kept, err error) {
	if store == nil {
		return k, keyring.ErrNotFound
	}
	k.Value, err = store.Get(ctx, keyring.SecretKey(server, s.Variable))
	if err == nil && s.AsWritten {
		k.AsWritten, err = store.Get(ctx, keyring.SecretKey(server, install.LiteralKey(s.Variable)))
		if errors.Is(err, keyring.ErrNotFound) {
			err = nil // it is written as we write it then
		}
	}
	return k, err
}

// edit puts the entry back in the text of the client's config.
func (u *removal) edit(client install.Client, text []byte) ([]byte, error) {
	u.changed = false
	if text == nil && u.r.Original != "" {
		u.missing = true
		return nil, u.gone("is not there")
	}
	doc, err := parseClient(client, u.r.File, text)
	if err != nil {
		return nil, err
	}
	after, err := u.editDocument(doc)
	if err != nil || after == nil || text == nil || bytes.Equal(after, text) {
		return nil, err
	}
	u.changed = true
	return after, client.Backup(u.state, text, u.known)
}

// gone refuses to forget how to put an entry back when there is nothing to put it back to, unless the person knows.
func (u *removal) gone(what string) error {
	if u.o.force {
		return nil
	}
	return &hinted{
		fmt.Errorf("%s %s: nothing was put back, and everything on our side is kept", u.r.File, what),
		fmt.Sprintf("if the client has lost it for a moment: mcp-valet reapply %s; to uninstall all the same: mcp-valet uninstall %s --force", u.r.Server, u.r.Server),
	}
}

// editDocument gives the changed text, or nil where there is nothing to change.
func (u *removal) editDocument(doc *install.Document) ([]byte, error) {
	state := stateOf(doc, u.r)
	switch {
	case state == entryOther && !u.o.force:
		return nil, &refusal{
			fmt.Sprintf("%s: the entry %s is neither ours nor what it was: somebody has changed it", u.r.File, printable(u.r.Name)),
			"to have what was there before mcp-valet all the same: --force",
		}
	case u.back == nil && state == entryGone, state == entryOriginal, state == entryLess && !u.o.restore:
		return nil, nil
	case u.back == nil:
		return doc.Remove(u.r.Name, u.r.Insertion), nil
	case state == entryGone:
		if err := u.gone("has no entry " + printable(u.r.Name) + " any more"); err != nil {
			return nil, err
		}
		after, _ := doc.Insert(u.r.Name, u.back, u.r.At)
		return after, nil
	}
	return doc.Replace(u.r.Name, u.back), nil
}
