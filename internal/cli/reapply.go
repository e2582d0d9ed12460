package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/pflag"

	"mcp-valet/install"
	"mcp-valet/internal/config"
	"mcp-valet/keyring"
)

var reapplyCommand = command{
	name: "reapply", args: "[NAME]", max: 1,
	short: "put our entries back after the client has lost them",
	long: `A client that could not read its config for a moment may write it anew without its servers, or as it had it in
memory. Entries that are gone, or that are as they were before mcp-valet, become ours again; so do those that start a
mcp-valet which has moved since. With NAME, that goes for a server that was uninstalled, too, and for one that our config
has lost: you are shown it, and asked.`,
	example: "mcp-valet reapply",
	flags: func(a *app, fs *pflag.FlagSet) action {
		o := &reapplyOptions{}
		fs.BoolVar(&o.yes, "yes", false, "do not ask")
		o.declare(fs)
		return func(ctx context.Context, args []string) error { return a.reapply(ctx, args, o) }
	},
}

// reapplyOptions are the options of reapply.
type reapplyOptions struct {
	clientOptions
	yes bool
}

func (a *app) reapply(ctx context.Context, args []string, o *reapplyOptions) error {
	records, err := a.allRecords(&o.clientOptions)
	records = slices.DeleteFunc(records, func(r install.Record) bool { return r.Out })
	named := len(args) > 0
	if err == nil && named {
		records, err = a.recordsOf(args[0], &o.clientOptions)
	}
	if err != nil {
		return err
	}
	if len(records) == 0 {
		a.sayf("mcp-valet is installed in no client. Nothing to do.")
		return nil
	}
	cfg, err := a.loadConfig(!named)
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range records {
		if err := a.reapplyOne(ctx, cfg, r, o, named); err != nil {
			errs = append(errs, &about{server: r.Server, err: err})
		}
	}
	return errors.Join(errs...)
}

// reapplication puts one entry back.
type reapplication struct {
	a      *app
	o      *reapplyOptions
	cfg    *config.Config
	client install.Client
	r      install.Record
	entry  install.Entry // what the client's config is to say
	state  string
	done   string // what was done, for the person
	store  *keyring.Store
	known  map[string]keyring.Secret
}

func (a *app) reapplyOne(ctx context.Context, cfg *config.Config, r install.Record, o *reapplyOptions, named bool) (err error) {
	p := &reapplication{a: a, o: o, cfg: cfg, r: r, done: "is in place"}
	var ok bool
	if p.client, ok = install.ClientNamed(r.Client); !ok {
		return unknownClient(r.Client)
	}
	_, there := cfg.Servers[r.Server]
	if !there && !named {
		return &hinted{
			&config.Error{Path: cfg.Path, Key: "mcpServers", Msg: fmt.Sprintf("there is no server %q any more", r.Server)},
			fmt.Sprintf("to have it again: mcp-valet reapply %s; to have the client's entry as it was: mcp-valet uninstall %s", r.Server, r.Server),
		}
	}
	if p.entry, err = a.clientEntry(cfg, r.Server); err != nil {
		return err
	}
	if p.state, err = a.stateDir(); err != nil {
		return err
	}
	if err := a.mayEdit(ctx, p.client, &o.clientOptions); err != nil {
		return err
	}
	if !there || r.Out {
		if err := a.revive(ctx, cfg, r, o.yes, o.dryRun); err != nil {
			return err
		}
		p.r.Out = o.dryRun && r.Out
	}
	if p.store, err = a.openStore(cfg, personLimit); err != nil {
		return err
	}
	p.known = knownSecrets(ctx, p.store)
	if err := install.Update(r.File, func(text []byte) ([]byte, error) { return p.edit(ctx, text) }); err != nil {
		return err
	}
	a.sayf("%s: %s %s.", p.client.Title, printable(r.Name), p.done)
	return nil
}

// edit puts the entry into the text of the client's config; nil: there is nothing to change.
func (p *reapplication) edit(ctx context.Context, text []byte) ([]byte, error) {
	doc, err := parseClient(p.client, p.r.File, text)
	if err != nil {
		return nil, err
	}
	state := stateOf(doc, p.r)
	if err := p.may(ctx, doc, state); err != nil {
		return nil, err
	}
	if state == entryOurs && p.upToDate(doc) {
		return nil, nil
	}
	p.done = map[entryState]string{entryOurs: "starts this mcp-valet now", entryGone: "is put back"}[state]
	p.done = cmpOr(p.done, "is ours again")
	if p.o.dryRun {
		p.done = map[entryState]string{entryOurs: "would start this mcp-valet", entryGone: "would be put back"}[state]
		p.done = cmpOr(p.done, "would be ours again") + "; nothing was changed: this was a dry run"
		return nil, nil
	}
	if err := p.backup(doc, state, text); err != nil {
		return nil, err
	}
	after, err := p.put(ctx, doc, state)
	if err != nil {
		return nil, err
	}
	return after, install.SaveRecord(p.state, p.r)
}

// may refuses to replace what may be somebody's only copy.
func (p *reapplication) may(ctx context.Context, doc *install.Document, state entryState) error {
	switch {
	case p.o.force:
		return nil
	case state == entryOriginal, state == entryLess:
		return mayReplace(ctx, p.store, doc, p.r, state, p.a.vault(p.cfg))
	case state == entryOther:
		return &refusal{
			fmt.Sprintf("%s: the entry %s is neither ours nor what it was: somebody has changed it", p.r.File, printable(p.r.Name)),
			"to take the new one over: mcp-valet install " + p.r.Name + "; to have ours in its place all the same: --force",
		}
	}
	return nil
}

func (p *reapplication) upToDate(doc *install.Document) bool {
	now, err := doc.Server(p.r.Name)
	return err == nil && now.Command == p.entry.Command && slices.Equal(now.Args, p.entry.Args)
}

// backup keeps what is replaced by force.
func (p *reapplication) backup(doc *install.Document, state entryState, text []byte) error {
	if state == entryOriginal {
		raw, _, _ := doc.Entry(p.r.Name)
		if hidden, err := install.Hide(raw, p.r.Server, p.r.Secrets); err == nil {
			text = doc.Replace(p.r.Name, hidden)
		}
	}
	if text == nil {
		return nil
	}
	return p.client.Backup(p.state, text, p.known)
}

// put gives the text with our entry in its place, and has the record say so.
func (p *reapplication) put(ctx context.Context, doc *install.Document, state entryState) ([]byte, error) {
	like, err := p.like(ctx)
	if err != nil {
		return nil, err
	}
	if raw, _, there := doc.Entry(p.r.Name); there {
		if state == entryOurs || len(like) == 0 {
			like = raw
		}
		value := doc.Wrapped(p.entry, like)
		p.r.Written = string(install.HideMembers(value, p.r.Server, p.r.Secrets))
		return doc.Replace(p.r.Name, value), nil
	}
	value := doc.Wrapped(p.entry, like)
	after, in := doc.Insert(p.r.Name, value, p.r.At)
	if p.r.Written = string(install.HideMembers(value, p.r.Server, p.r.Secrets)); p.r.Original == "" {
		p.r.Insertion = in
	}
	return after, nil
}

// like is the client's own entry, in whose shape ours is written, with what stays there in plain text.
func (p *reapplication) like(ctx context.Context) ([]byte, error) {
	like := []byte(p.r.Original)
	for _, s := range p.r.Secrets {
		if s.Member == "" {
			continue
		}
		k, err := keptOf(ctx, p.store, p.r.Server, s)
		if err != nil {
			return nil, err
		}
		if like, err = install.Fill(like, []install.Adopted{s}, map[string]install.Kept{s.Variable: k}); err != nil {
			return nil, err
		}
	}
	return like, nil
}

// mayReplace refuses to replace an entry that holds another secret than the keychain: it may be a newer one, and the only
// copy.
func mayReplace(ctx context.Context, store *keyring.Store, doc *install.Document, r install.Record, state entryState, vault string) error {
	raw, _, _ := doc.Entry(r.Name)
	if len(r.Secrets) == 0 {
		return nil
	}
	values := map[string]install.Kept{}
	for _, s := range r.Secrets {
		if state == entryLess && !s.Stays {
			continue
		}
		k, err := keptOf(ctx, store, r.Server, s)
		if errors.Is(err, keyring.ErrNotFound) {
			return otherSecret(r, vault)
		}
		if err != nil {
			return err
		}
		values[s.Variable] = k
	}
	filled, err := install.Fill([]byte(r.Original), r.Secrets, values)
	if err != nil || !install.Same(filled, raw) {
		return otherSecret(r, vault)
	}
	return nil
}

func otherSecret(r install.Record, vault string) error {
	return &refusal{
		fmt.Sprintf("%s: the entry %s holds another secret than %s, perhaps a newer one", r.File, printable(r.Name), vault),
		"to move it there: mcp-valet install " + r.Name + "; to have it thrown away: --force",
	}
}
