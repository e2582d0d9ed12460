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
mcp-valet which has moved since.`,
	example: "mcp-valet reapply",
	flags: func(a *app, fs *pflag.FlagSet) action {
		o := &clientOptions{}
		o.declare(fs)
		return func(ctx context.Context, args []string) error { return a.reapply(ctx, args, o) }
	},
}

func (a *app) reapply(ctx context.Context, args []string, o *clientOptions) error {
	records, err := a.allRecords(o)
	if err == nil && len(args) > 0 {
		records, err = a.recordsOf(args[0], o)
	}
	if err != nil {
		return err
	}
	if len(records) == 0 {
		a.sayf("mcp-valet is installed in no client. Nothing to do.")
		return nil
	}
	cfg, err := a.loadConfig(true)
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range records {
		if err := a.reapplyOne(ctx, cfg, r, o); err != nil {
			errs = append(errs, &about{server: r.Server, err: err})
		}
	}
	return errors.Join(errs...)
}

// reapplication puts one entry back.
type reapplication struct {
	a      *app
	o      *clientOptions
	cfg    *config.Config
	client install.Client
	r      install.Record
	entry  install.Entry // what the client's config is to say
	state  string
	done   string // what was done, for the person
}

func (a *app) reapplyOne(ctx context.Context, cfg *config.Config, r install.Record, o *clientOptions) (err error) {
	p := &reapplication{a: a, o: o, cfg: cfg, r: r, done: "is in place"}
	var ok bool
	if p.client, ok = install.ClientNamed(r.Client); !ok {
		return &usageError{msg: fmt.Sprintf("there is no client %q: %s", r.Client, clientNames())}
	}
	if _, there := cfg.Servers[r.Server]; !there {
		return &config.Error{Path: cfg.Path, Key: "mcpServers", Msg: fmt.Sprintf("there is no server %q any more; to have the client's entry as it was: mcp-valet uninstall %s", r.Server, r.Server)}
	}
	if p.entry, err = a.clientEntry(cfg, r.Server); err != nil {
		return err
	}
	if p.state, err = a.stateDir(); err != nil {
		return err
	}
	if err := a.mayEdit(ctx, p.client, o); err != nil {
		return err
	}
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
		p.done += ", or would be: this was a dry run"
		return nil, nil
	}
	if err := p.backup(doc, state, text); err != nil {
		return nil, err
	}
	after := p.put(doc, state)
	return after, install.SaveRecord(p.state, p.r)
}

// may refuses to replace what may be somebody's only copy.
func (p *reapplication) may(ctx context.Context, doc *install.Document, state entryState) error {
	switch {
	case p.o.force:
		return nil
	case state == entryOriginal:
		return p.a.mayReplace(ctx, p.cfg, doc, p.r)
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
	return p.client.Backup(p.state, text, nil)
}

// put gives the text with our entry in its place, and has the record say so.
func (p *reapplication) put(doc *install.Document, state entryState) []byte {
	like := []byte(p.r.Original)
	if raw, _, there := doc.Entry(p.r.Name); there {
		if state == entryOurs || len(like) == 0 {
			like = raw
		}
		value := doc.Wrapped(p.entry, like)
		p.r.Written = string(value)
		return doc.Replace(p.r.Name, value)
	}
	value := doc.Wrapped(p.entry, like)
	after, in := doc.Insert(p.r.Name, value, p.r.At)
	if p.r.Written = string(value); p.r.Original == "" {
		p.r.Insertion = in
	}
	return after
}

// mayReplace refuses to replace an entry that holds another secret than the keychain: it may be a newer one, and the only
// copy.
func (a *app) mayReplace(ctx context.Context, cfg *config.Config, doc *install.Document, r install.Record) error {
	raw, _, _ := doc.Entry(r.Name)
	without, err := install.Without([]byte(r.Original), r.Secrets)
	if len(r.Secrets) == 0 || err == nil && install.Same(raw, without) {
		return nil
	}
	store, err := a.openStore(cfg, personLimit)
	if err != nil {
		return err
	}
	values := map[string]install.Kept{}
	for _, s := range r.Secrets {
		k, err := keptOf(ctx, store, r.Server, s)
		if errors.Is(err, keyring.ErrNotFound) {
			return otherSecret(r)
		}
		if err != nil {
			return err
		}
		values[s.Variable] = k
	}
	filled, err := install.Fill([]byte(r.Original), r.Secrets, values)
	if err != nil || !install.Same(filled, raw) {
		return otherSecret(r)
	}
	return nil
}

func otherSecret(r install.Record) error {
	return &refusal{
		fmt.Sprintf("%s: the entry %s holds another secret than the keychain, perhaps a newer one", r.File, printable(r.Name)),
		"to move it to the keychain: mcp-valet install " + r.Name + "; to have it thrown away: --force",
	}
}
