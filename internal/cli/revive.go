package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"mcp-valet/install"
	"mcp-valet/internal/config"
	"mcp-valet/keyring"
)

// recorded gives our entry as a record has it, with the secrets that stayed among its arguments.
func recorded(ctx context.Context, store *keyring.Store, r install.Record) (entry config.Server, whole bool, err error) {
	if err := json.Unmarshal(r.Ours, &entry); err != nil || entry.Command == "" {
		return entry, false, &refusal{"what install remembers of " + r.Server + " does not say how our config starts it", "write its entry: mcp-valet config edit"}
	}
	whole = true
	for _, s := range r.Secrets {
		ref := s.Prefix + install.Reference(r.Server, s.Variable)
		i, member := slices.Index(entry.Args, ref), variableOf(entry.Env, s)
		if !s.Stays || i < 0 && member == "" {
			continue
		}
		k, err := keptOf(ctx, store, r.Server, s)
		switch {
		case errors.Is(err, keyring.ErrNotFound):
			whole = false
		case err != nil:
			return entry, false, err
		case i >= 0:
			entry.Args[i] = s.Prefix + revealTo(k.Value)
		default:
			entry.Env[member] = revealTo(k.Value)
		}
	}
	return entry, whole, nil
}

// revealTo gives a secret to our config, where the person has agreed that it stands in plain text.
func revealTo(s keyring.Secret) string { return s.Reveal() }

// variableOf is the variable that a secret stays in.
func variableOf(env map[string]string, s install.Adopted) string {
	for name := range env {
		if s.Member == install.VariableMember(name) {
			return name
		}
	}
	return ""
}

// sameAsRecorded tells whether our entry is what install wrote. It is not, where the keychain has a secret no more that
// stayed among its arguments: the entry is then the only copy.
func sameAsRecorded(ctx context.Context, store *keyring.Store, r install.Record, now config.Server) bool {
	then, whole, err := recorded(ctx, store, r)
	return err == nil && whole && install.Same(asWords(now), asWords(then))
}

// revival puts our side of an install back, from what is remembered of it: our config's entry, and what is agreed to.
type revival struct {
	a     *app
	cfg   *config.Config
	store *keyring.Store
	state string
	r     install.Record
	entry config.Server
	now   *keyring.Trust
}

// revive shows the entry and asks, unless told not to; then our config has it again. With dry it only shows.
func (a *app) revive(ctx context.Context, cfg *config.Config, r install.Record, yes, dry bool) (err error) {
	v := &revival{a: a, cfg: cfg, r: r}
	if v.state, err = a.stateDir(); err != nil {
		return err
	}
	if v.store, err = a.openStoreForLogin(cfg); err != nil {
		return err
	}
	if err := v.look(ctx); err != nil {
		return err
	}
	if dry {
		a.sayf("Nothing was changed: this was a dry run.")
		return nil
	}
	if !yes {
		if err := a.confirmOrYes(ctx, "Put this back into our config, and start the server like this from now on?"); err != nil {
			return err
		}
	}
	return v.write(ctx)
}

// look works out what goes back, and shows it.
func (v *revival) look(ctx context.Context) (err error) {
	known, there := v.cfg.Servers[v.r.Server]
	if v.entry = known; !there {
		var whole bool
		if v.entry, whole, err = recorded(ctx, v.store, v.r); err != nil {
			return err
		}
		if !whole {
			return &refusal{fmt.Sprintf("%s has no longer the secret that stood among the arguments of %s", v.a.vault(v.cfg), v.r.Server), "to have the client's entry as it was: mcp-valet uninstall " + v.r.Server}
		}
	}
	after := *v.cfg
	after.Servers = maps.Clone(v.cfg.Servers)
	if after.Servers == nil {
		after.Servers = map[string]config.Server{}
	}
	after.Servers[v.r.Server] = v.entry
	if v.now, err = describe(&after, v.r.Server); err != nil {
		return err
	}
	if !there {
		v.a.sayf("Our config has no %s (any more). From what install remembers, it becomes:", v.r.Server)
	}
	shown := *v.now
	shown.Args = install.ConcealArguments(shown.Args, nil)
	v.a.showTrust(nil, &shown)
	for _, ref := range v.entry.Secrets() {
		if _, err := v.store.Get(ctx, keyring.SecretKey(ref.Owner, ref.Key)); errors.Is(err, keyring.ErrNotFound) {
			v.a.sayf("WARNING: the secret %s is not in %s: mcp-valet secret set %s %s", ref.Key, v.a.vault(v.cfg), ref.Owner, ref.Key)
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (v *revival) write(ctx context.Context) error {
	if _, there := v.cfg.Servers[v.r.Server]; !there {
		err := config.Update(v.cfg.Path, func(text []byte) ([]byte, error) {
			now, err := config.Parse(v.cfg.Path, orEmpty(text))
			if err != nil {
				return nil, err
			}
			if _, there := now.Servers[v.r.Server]; there {
				return nil, &config.Error{Path: v.cfg.Path, Msg: fmt.Sprintf("the server %s was added by another program meanwhile; nothing was written", v.r.Server)}
			}
			return config.SetServer(text, v.r.Server, v.entry)
		})
		if err != nil {
			return err
		}
	}
	if err := v.store.SaveTrust(ctx, v.now); err != nil {
		return &about{server: v.r.Server, err: err}
	}
	v.r.Out = false
	if err := install.SaveRecord(v.state, v.r); err != nil {
		return err
	}
	v.a.sayf("Our config has %s again: %s", v.r.Server, v.cfg.Path)
	return nil
}

// orEmpty is the text of a config; one that is not there says nothing.
func orEmpty(text []byte) []byte {
	if len(text) == 0 {
		return []byte("{}")
	}
	return text
}

// already is for an entry that starts mcp-valet as it is: our side is looked at, and mended.
func (a *app) already(ctx context.Context, p *installPlan, server string) error {
	if p.o.changes() {
		return &refusal{
			fmt.Sprintf("%s starts %s through mcp-valet already: what you ask for would not be done", p.client.Title, printable(p.name)),
			fmt.Sprintf("mcp-valet uninstall %s --restore-secrets, then install it as you want it; or change our entry: mcp-valet config edit, then mcp-valet trust %s", server, server),
		}
	}
	state, err := a.stateDir()
	if err != nil {
		return err
	}
	records, err := install.AllRecords(state)
	if err != nil {
		return err
	}
	records = slices.DeleteFunc(records, func(r install.Record) bool { return r.Server != server || r.File != p.file || r.Name != p.name })
	_, ours := p.cfg.Servers[server]
	switch {
	case ours && (len(records) == 0 || !records[0].Out):
		a.sayf("%s starts %s through mcp-valet already (server %s). Nothing to do.", p.client.Title, printable(p.name), server)
		return nil
	case len(records) == 0:
		return &refusal{
			fmt.Sprintf("%s starts %s through mcp-valet, but our config has no server %s, and nothing is remembered of it", p.client.Title, printable(p.name), server),
			"write the server's entry in our config: mcp-valet config edit",
		}
	}
	if err := a.revive(ctx, p.cfg, records[0], p.o.yes, p.o.dryRun); err != nil || p.o.dryRun {
		return err
	}
	p.server, p.state = server, state
	return a.afterInstall(ctx, p)
}

// changes tells whether the options ask for more than that the server is installed.
func (o *installOptions) changes() bool {
	return o.account != "" || o.tokenEnv != "" || o.as != "" || len(o.secrets)+len(o.notSecrets)+len(o.secretArgs) > 0
}
