package cli

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"time"

	"mcp-valet/install"
	"mcp-valet/internal/config"
	"mcp-valet/keyring"
)

// show is what a dry run does.
func (u *removal) show(client install.Client) error {
	text, err := install.Read(u.r.File)
	if errors.Is(err, os.ErrNotExist) {
		text, err = nil, nil
	}
	if err == nil && text == nil && u.r.Original != "" {
		err = u.gone("is not there")
	}
	if err != nil {
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
	if there {
		before = member(u.r.Name, u.conceal(raw))
	}
	if u.back != nil {
		masked, err := u.masked()
		if err != nil {
			return err
		}
		after = member(u.r.Name, u.conceal(masked))
	}
	u.a.sayf("%s: %s", client.Title, u.r.File)
	u.a.showEntry(client.Title, doc.Line(u.r.Name), before, after)
	u.a.sayf("Nothing was changed: this was a dry run.")
	return nil
}

// masked is the entry that goes back, without the secrets in it.
func (u *removal) masked() ([]byte, error) {
	if u.o.restore {
		return install.Mask([]byte(u.r.Original), u.r.Secrets)
	}
	without, err := install.Without([]byte(u.r.Original), u.r.Secrets)
	if err != nil {
		return nil, err
	}
	return install.Mask(without, install.Staying(u.r.Secrets))
}

func (u *removal) conceal(entry []byte) []byte {
	return install.Conceal(entry, slices.Collect(maps.Values(u.known)))
}

// finish undoes what install did on our side. With another client that still has the server, that stays; so do secrets
// and record, for a client that writes back what it has in memory.
func (u *removal) finish(ctx context.Context, client install.Client) error {
	records, err := install.Records(u.state, u.r.Server)
	if err != nil {
		return err
	}
	switch {
	case u.missing:
		u.a.sayf("There is no %s, so nothing was put back there.", u.r.File)
	case u.r.Out && !u.changed:
		u.a.sayf("%s: %s was taken out already, and its entry is as uninstall left it. Nothing to do.", client.Title, printable(u.r.Name))
	default:
		u.a.sayf("%s starts %s without mcp-valet from now on.", client.Title, printable(u.r.Name))
	}
	in := slices.DeleteFunc(records, func(r install.Record) bool { return r.Out })
	if len(in) <= 1 && !u.r.Out {
		if err := u.forget(ctx); err != nil {
			return err
		}
	}
	if !u.r.Out {
		u.r.Out, u.r.OutAt = true, time.Now().UTC().Round(time.Second)
	}
	if err := install.SaveRecord(u.state, u.r); err != nil {
		return err
	}
	u.sayLeft()
	return nil
}

// forget removes our entry and what was agreed to.
func (u *removal) forget(ctx context.Context) error {
	if err := u.removeEntry(ctx); err != nil {
		return err
	}
	return u.delete(ctx, keyring.TrustKey(u.r.Server))
}

func (u *removal) delete(ctx context.Context, k keyring.Key) error {
	if u.store == nil {
		return nil
	}
	err := u.store.Delete(ctx, k)
	if errors.Is(err, keyring.ErrNotFound) || errors.Is(err, keyring.ErrUnavailable) {
		return nil
	}
	return err
}

// removeEntry takes the server out of our config, if install had made it and nobody has changed it since.
func (u *removal) removeEntry(ctx context.Context) error {
	now, there := u.cfg.Servers[u.r.Server]
	switch {
	case !there:
		return nil
	case !u.r.Made:
		u.a.sayf("Our config keeps %s: it was there before.", u.r.Server)
		return nil
	case !sameAsRecorded(ctx, u.store, u.r, now):
		u.a.sayf("Our config keeps %s: it was changed since it was installed. To take it out: mcp-valet config edit", u.r.Server)
		return nil
	}
	return config.Update(u.cfg.Path, func(text []byte) ([]byte, error) { return config.RemoveServer(text, u.r.Server) })
}

// sayLeft says what is not in the client's entry any more, and where it is.
func (u *removal) sayLeft() {
	vault := u.a.vault(u.cfg)
	kept := false
	for _, s := range u.left {
		if slices.Contains(u.lost, s) {
			u.a.sayf("%s is left out of the entry: its secret is no longer in %s.", s, vault)
			continue
		}
		kept = true
		u.a.sayf("%s is left out of the entry: its secret is in %s until mcp-valet purge, or mcp-valet secret rm %s %s", s, vault, u.r.Server, s.Variable)
	}
	if kept {
		u.a.sayf("To have what is left out in the client's config again, in plain text: mcp-valet uninstall %s --restore-secrets", u.r.Server)
	}
	moved := len(install.Moving(u.r.Secrets))
	if u.o.restore && !u.missing && moved > len(u.left) {
		u.a.sayf("The secrets are in plain text again, in %s.", u.r.File)
		u.a.sayf("They stay in %s as well, in case the client writes its old file back: to remove them there, mcp-valet purge, or for each", vault)
		for _, s := range install.Moving(u.r.Secrets) {
			if !slices.Contains(u.left, s) {
				u.a.sayf("    mcp-valet secret rm %s %s", u.r.Server, s.Variable)
			}
		}
	}
}
