package cli

import (
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
	"mcp-valet/refresh"
)

// purgeOptions are the options of purge.
type purgeOptions struct{ yes, force bool }

var purgeCommand = command{
	name: "purge", max: 0,
	short: "revoke and remove everything that mcp-valet keeps on this machine",
	long: `Accounts are revoked at their issuers; tokens, secrets, what you agreed to, snapshots, backups, keys and notes are
removed. API keys that were kept here go on working where they were issued: they are listed, to be revoked there. The
config stays, and so do the clients' configs: uninstall comes first.`,
	example: "mcp-valet purge",
	flags: func(a *app, fs *pflag.FlagSet) action {
		o := &purgeOptions{}
		fs.BoolVar(&o.yes, "yes", false, "do not ask")
		fs.BoolVar(&o.force, "force", false, "do it while clients still start servers through mcp-valet")
		return func(ctx context.Context, _ []string) error { return a.purge(ctx, o) }
	},
}

func (a *app) purge(ctx context.Context, o *purgeOptions) error {
	cfg, err := a.loadConfig(false)
	if err != nil {
		return err
	}
	state, err := a.stateDir()
	if err != nil {
		return err
	}
	kept, err := a.noInstalls(state, o.force)
	if err != nil {
		return err
	}
	files, err := purgeFiles(cfg, state, a.storeKind(cfg))
	if err != nil {
		return err
	}
	store, err := a.openStore(cfg, personLimit)
	if errors.Is(err, os.ErrNotExist) && storeEmpty(state) {
		store, err = nil, nil // no key, since there is nothing that it would open
	}
	if err != nil {
		return err
	}
	p, err := purgeable(ctx, store, cfg)
	if err != nil {
		return err
	}
	p.files = files
	p.secrets = slices.DeleteFunc(p.secrets, func(ref config.Reference) bool { return staysIn(kept, ref) })
	if p.records, err = removableRecords(state, kept); err != nil {
		return err
	}
	if p.nothing() {
		a.sayf("Nothing is kept here (any more), but the config: %s", cfg.Path)
		return nil
	}
	a.sayPurge(p, cfg, state)
	if !o.yes {
		if err := a.confirmOrYes(ctx, "Remove all of this?"); err != nil {
			return err
		}
	}
	return a.doPurge(ctx, &session{cfg: cfg, store: store, state: state}, p)
}

// purgeKeys are the records to remove, by kind, and what else there is.
type purgeKeys struct {
	accounts []string
	secrets  []config.Reference
	others   []keyring.Key
	files    []string         // files and folders
	records  []install.Record // of what was taken out
}

func (p *purgeKeys) nothing() bool {
	return len(p.accounts)+len(p.secrets)+len(p.others)+len(p.files)+len(p.records) == 0
}

// staysIn tells whether a secret is one that stays in plain text anyway, and is needed to put an entry back that a client
// goes on starting.
func staysIn(kept []install.Record, ref config.Reference) bool {
	return slices.ContainsFunc(kept, func(r install.Record) bool {
		return r.Server == ref.Owner && slices.ContainsFunc(r.Secrets, func(s install.Adopted) bool {
			return s.Stays && (ref.Key == s.Variable || ref.Key == install.LiteralKey(s.Variable))
		})
	})
}

// purgeable lists what the keychain has. What the index does not list is asked for: it is a help and no truth.
func purgeable(ctx context.Context, store *keyring.Store, cfg *config.Config) (*purgeKeys, error) {
	if store == nil {
		return &purgeKeys{}, nil
	}
	keys, err := store.Index()
	if err != nil {
		return nil, err
	}
	listed := slices.Clone(keys)
	keys = slices.DeleteFunc(withConfig(keys, cfg), func(k keyring.Key) bool {
		if slices.Contains(listed, k) {
			return false
		}
		_, err := store.Get(ctx, k)
		return errors.Is(err, keyring.ErrNotFound)
	})
	p := sortKeys(keys)
	return &p, nil
}

// withConfig adds to the keys of the index those that the config names: the index is a help and no truth.
func withConfig(keys []keyring.Key, cfg *config.Config) []keyring.Key {
	for name, account := range cfg.Accounts {
		keys = append(keys, keyring.AccountKey(name))
		if owner, key, err := config.ParseReference(account.ClientSecret); err == nil {
			keys = append(keys, keyring.SecretKey(owner, key))
		}
	}
	for name, server := range cfg.Servers {
		keys = append(keys, keyring.TrustKey(name))
		for _, ref := range server.Secrets() {
			keys = append(keys, keyring.SecretKey(ref.Owner, ref.Key))
		}
		for _, ref := range server.Auth.References() {
			keys = append(keys, keyring.SecretKey(ref.Owner, ref.Key))
		}
		if server.Auth != nil && server.Auth.Kind == "secret" {
			keys = append(keys, keyring.SecretKey(name, server.Auth.TokenEnv))
		}
	}
	keys = append(keys, issuerKey, issuerPublic, keyring.AuditKey(), keyring.AuditCountKey())
	slices.Sort(keys)
	return slices.Compact(keys)
}

func sortKeys(keys []keyring.Key) (p purgeKeys) {
	for _, k := range keys {
		kind, rest, _ := strings.Cut(string(k), "/")
		owner, key, isSecret := strings.Cut(rest, "/")
		switch {
		case kind == "account":
			p.accounts = append(p.accounts, rest)
		case kind == "secret" && isSecret:
			p.secrets = append(p.secrets, config.Reference{Owner: owner, Key: key})
		default:
			p.others = append(p.others, k)
		}
	}
	return p
}

func (a *app) sayPurge(p *purgeKeys, cfg *config.Config, state string) {
	if len(p.accounts) > 0 {
		a.sayf("Accounts, to be revoked at their issuers and removed: %s", strings.Join(p.accounts, ", "))
	}
	if len(p.secrets) > 0 {
		a.sayf("Secrets to be removed from %s. They go on working where they were issued: revoke them there if need be.", a.vault(cfg))
	}
	for _, s := range p.secrets {
		if !strings.HasSuffix(s.Key, install.LiteralKey("")) {
			a.sayf("    %s of %s", s.Key, s.Owner)
		}
	}
	issues := func(k keyring.Key) bool { return k == issuerKey || k == issuerPublic }
	if slices.ContainsFunc(p.others, issues) {
		a.sayf("The local issuer's key. No token that it has made is good any more where it is checked by mcp-valet.")
	}
	audits := func(k keyring.Key) bool { return k == keyring.AuditKey() || k == keyring.AuditCountKey() }
	if slices.ContainsFunc(p.others, audits) {
		a.sayf("The key of the audit log, and how long the log is.")
	}
	if slices.ContainsFunc(p.others, func(k keyring.Key) bool { return !issues(k) && !audits(k) }) {
		a.sayf("What you agreed to for servers.")
	}
	if names := serversIn(p.records); len(names) > 0 {
		a.sayf("How to put back the clients' entries of %s, which were taken out.", strings.Join(names, ", "))
	}
	if len(p.files) > 0 {
		a.sayf("Files and folders:")
	}
	for _, f := range p.files {
		a.sayf("    %s", printable(f))
	}
	if cfg.Store.KeyFile != "" && a.storeKind(cfg) == keyring.KindFile {
		a.sayf("The key of the sealed store is where the config says, and stays there: %s", printable(cfg.Store.KeyFile))
	}
}

// doPurge goes on after what fails: what can be removed, is.
func (a *app) doPurge(ctx context.Context, s *session, p *purgeKeys) error {
	var errs []error
	for _, name := range p.accounts {
		errs = append(errs, a.purgeAccount(ctx, s, name))
	}
	for _, ref := range p.secrets {
		errs = append(errs, remove(ctx, s.store, keyring.SecretKey(ref.Owner, ref.Key)))
	}
	for _, k := range p.others {
		errs = append(errs, remove(ctx, s.store, k))
	}
	for _, r := range p.records {
		errs = append(errs, install.ForgetRecord(s.state, r))
	}
	if err := errors.Join(errs...); err != nil {
		return err // the rest is needed to try again
	}
	if err := removeFiles(s, p); err != nil {
		return err
	}
	a.sayf("Removed. The config is still there: %s", s.cfg.Path)
	return nil
}

func remove(ctx context.Context, store *keyring.Store, k keyring.Key) error {
	if err := store.Delete(ctx, k); err != nil && !errors.Is(err, keyring.ErrNotFound) {
		return err
	}
	return nil
}

// purgeAccount revokes and removes one account's tokens; they go even when the issuer cannot be told.
func (a *app) purgeAccount(ctx context.Context, s *session, name string) error {
	lock, err := lockFor(ctx, s.store, keyring.RefreshLock, name)
	if err != nil {
		return &about{account: name, err: err}
	}
	defer lock.Unlock()
	cred, err := s.store.Credential(ctx, name)
	if errors.Is(err, keyring.ErrNotFound) {
		return remove(ctx, s.store, keyring.AccountKey(name))
	}
	revoked := err
	if err == nil {
		revoked = revokePurged(ctx, s, cred)
	}
	if err := remove(ctx, s.store, keyring.AccountKey(name)); err != nil {
		return &about{account: name, err: err}
	}
	if err := a.sayLoggedOut(name, revoked); err != nil {
		return &about{account: name, err: err}
	}
	return nil
}

// revokePurged revokes by what the config says of the account; one that it no longer has cannot be.
func revokePurged(ctx context.Context, s *session, cred *keyring.Credential) error {
	conf, there := s.cfg.Accounts[cred.Account]
	if !there {
		return fmt.Errorf("the config has no account %s any more: %w", cred.Account, refresh.ErrForeign)
	}
	account, err := accountFor(ctx, s.store, cred.Account, conf)
	if err != nil {
		return err
	}
	return revoke(ctx, account, cred)
}
