package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

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
	long: `The client's entry is put back as it was. Secrets that moved to the keychain stay there, and the variables that
held them are left out of the entry; --restore-secrets writes them into the client's config again, in plain text.`,
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
		func(r install.Record) bool { return r.Server == name },
		func(r install.Record) bool { return r.Name == name },
	} {
		if some := slices.DeleteFunc(slices.Clone(all), func(r install.Record) bool { return !is(r) }); len(some) > 0 {
			return some, nil
		}
	}
	return nil, &refusal{
		fmt.Sprintf("mcp-valet install has not put %s into a client's config, so there is nothing that it could put back", printable(name)),
		"an entry that was written by hand is taken out by hand",
	}
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

	back []byte // the client's entry as it will be; nil: it had none
	left []install.Adopted
}

// run undoes install in reverse: the client's config first, the record last, so that after an end between any two steps
// it can be done again.
func (u *removal) run(ctx context.Context) (err error) {
	client, ok := install.ClientNamed(u.r.Client)
	if !ok {
		return &usageError{msg: fmt.Sprintf("there is no client %q: %s", u.r.Client, clientNames())}
	}
	if u.state, err = u.a.stateDir(); err != nil {
		return err
	}
	if err := u.a.mayEdit(ctx, client, &u.o.clientOptions); err != nil {
		return err
	}
	if u.store, err = u.a.openStore(u.cfg, personLimit); err != nil {
		return err
	}
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
		k, err := u.kept(ctx, s)
		if u.o.restore && err != nil {
			if !errors.Is(err, keyring.ErrNotFound) {
				return err
			}
			u.a.sayf("%s is no longer in the keychain.", s.Variable)
		}
		if !u.o.restore || err != nil {
			u.left = append(u.left, s)
			continue
		}
		kept[s.Variable] = k
	}
	var err error
	u.back, err = install.Fill([]byte(u.r.Original), u.r.Secrets, kept)
	return err
}

// kept gets what the keychain has of an adopted secret.
func (u *removal) kept(ctx context.Context, s install.Adopted) (install.Kept, error) {
	return keptOf(ctx, u.store, u.r.Server, s)
}

func keptOf(ctx context.Context, store *keyring.Store, server string, s install.Adopted) (k install.Kept, err error) {
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
	if text == nil && !isFolder(filepath.Dir(u.r.File)) {
		u.a.sayf("%s is gone, folder and all: nothing to put back there.", u.r.File)
		return nil, nil
	}
	doc, err := parseClient(client, u.r.File, text)
	if err != nil {
		return nil, err
	}
	after, err := u.editDocument(doc)
	if err != nil || after == nil || text == nil || bytes.Equal(after, text) {
		return after, err
	}
	return after, client.Backup(u.state, text, nil)
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
	case u.back == nil && state == entryGone, state == entryOriginal:
		return nil, nil
	case u.back == nil:
		return doc.Remove(u.r.Name, u.r.Insertion), nil
	case state == entryGone:
		after, _ := doc.Insert(u.r.Name, u.back, u.r.At)
		return after, nil
	}
	return doc.Replace(u.r.Name, u.back), nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// show is what a dry run does.
func (u *removal) show(client install.Client) error {
	text, err := install.Read(u.r.File)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	doc, err := parseClient(client, u.r.File, text)
	if err != nil {
		return err
	}
	if after, err := u.editDocument(doc); err != nil || after == nil {
		if err == nil {
			u.a.sayf("%s: nothing to change.", u.r.File)
		}
		return err
	}
	raw, _, there := doc.Entry(u.r.Name)
	before, after := "", ""
	if there && stateOf(doc, u.r) == entryOurs {
		before = member(u.r.Name, raw)
	} else if there {
		before = member(u.r.Name, []byte(notShown))
	}
	if u.back != nil {
		masked, err := install.Mask([]byte(u.r.Original), u.r.Secrets)
		if err != nil {
			return err
		}
		if !u.o.restore {
			masked, err = install.Without([]byte(u.r.Original), u.r.Secrets)
		}
		if err != nil {
			return err
		}
		after = member(u.r.Name, masked)
	}
	u.a.sayf("%s: %s", client.Title, u.r.File)
	u.a.showEntry(client.Title, doc.Line(u.r.Name), before, after)
	u.a.sayf("Nothing was changed: this was a dry run.")
	return nil
}

// finish undoes what install did on our side. With another client that still has the server, that stays.
func (u *removal) finish(ctx context.Context, client install.Client) error {
	records, err := install.Records(u.state, u.r.Server)
	if err != nil {
		return err
	}
	u.a.sayf("%s starts %s without mcp-valet from now on.", client.Title, printable(u.r.Name))
	if len(records) <= 1 {
		if err := u.forget(ctx); err != nil {
			return err
		}
	}
	if err := install.ForgetRecord(u.state, u.r); err != nil {
		return err
	}
	u.sayLeft()
	return nil
}

// forget removes our entry, what was agreed to, and secrets that are in plain text again.
func (u *removal) forget(ctx context.Context) error {
	removed, err := u.removeEntry()
	if err != nil {
		return err
	}
	if err := u.delete(ctx, keyring.TrustKey(u.r.Server)); err != nil {
		return err
	}
	if !removed || !u.o.restore {
		return nil
	}
	cfg, err := u.a.loadConfig(true)
	if err != nil {
		return err
	}
	for _, s := range u.r.Secrets {
		if slices.Contains(u.left, s) || len(serversWithSecret(cfg, u.r.Server, s.Variable)) > 0 {
			continue
		}
		if err := errors.Join(u.delete(ctx, keyring.SecretKey(u.r.Server, install.LiteralKey(s.Variable))), u.delete(ctx, keyring.SecretKey(u.r.Server, s.Variable))); err != nil {
			return err
		}
	}
	return nil
}

func (u *removal) delete(ctx context.Context, k keyring.Key) error {
	err := u.store.Delete(ctx, k)
	if errors.Is(err, keyring.ErrNotFound) || errors.Is(err, keyring.ErrUnavailable) {
		return nil
	}
	return err
}

// removeEntry takes the server out of our config, if install had made it and nobody has changed it since.
func (u *removal) removeEntry() (removed bool, err error) {
	now, there := u.cfg.Servers[u.r.Server]
	switch {
	case !there:
		return true, nil
	case !u.r.Made:
		u.a.sayf("Our config keeps %s: it was there before.", u.r.Server)
		return false, nil
	case !install.Same(asWords(now), u.r.Ours):
		u.a.sayf("Our config keeps %s: it was changed since it was installed. To take it out: mcp-valet config edit", u.r.Server)
		return false, nil
	}
	return true, config.Update(u.cfg.Path, func(text []byte) ([]byte, error) { return config.RemoveServer(text, u.r.Server) })
}

// sayLeft says what is not in the client's entry any more, and where it is.
func (u *removal) sayLeft() {
	for _, s := range u.left {
		u.a.sayf("%s is left out of the entry: its secret is in the keychain. To remove it there: mcp-valet secret rm %s %s (to have it used by a later install: --secret %s)", s, u.r.Server, s.Variable, s.Variable)
	}
	if u.o.restore && len(u.left) < len(u.r.Secrets) {
		u.a.sayf("The secrets are in plain text again, in %s.", u.r.File)
	}
}
