package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/spf13/pflag"

	"mcp-valet/internal/config"
	"mcp-valet/internal/person"
	"mcp-valet/keyring"
	"mcp-valet/wrapper"
)

var secretSetCommand = command{
	name: "secret set", args: "NAME KEY", min: 2, max: 2,
	short: "keep a server's secret in the keychain",
	long: `The value is typed without echo, or read from stdin when that is no terminal; it is never an argument.
In the config, "keyring://NAME/KEY" as the value of an environment variable stands for it.`,
	example: `mcp-valet secret set security-kb DB_PASSWORD
pass show db | mcp-valet secret set security-kb DB_PASSWORD`,
	flags: func(a *app, _ *pflag.FlagSet) action {
		return func(ctx context.Context, args []string) error { return a.secretSet(ctx, args[0], args[1]) }
	},
}

var secretRmCommand = command{
	name: "secret rm", args: "NAME KEY", min: 2, max: 2,
	short:   "remove a server's secret from the keychain",
	example: "mcp-valet secret rm security-kb DB_PASSWORD",
	flags: func(a *app, _ *pflag.FlagSet) action {
		return func(ctx context.Context, args []string) error { return a.secretRm(ctx, args[0], args[1]) }
	},
}

// secretStore checks the names of a secret and opens the store for it.
func (a *app) secretStore(name, key string) (*config.Config, *keyring.Store, error) {
	if !keyring.ValidName(name) || !keyring.ValidName(key) {
		return nil, nil, &usageError{msg: "NAME and KEY have letters, digits, dot, dash and underscore, 128 at most"}
	}
	cfg, err := a.loadConfig(false)
	if err != nil {
		return nil, nil, err
	}
	store, err := a.openStoreForLogin(cfg)
	return cfg, store, err
}

func (a *app) secretSet(ctx context.Context, name, key string) error {
	cfg, store, err := a.secretStore(name, key)
	if err != nil {
		return err
	}
	value, err := a.readSecret(ctx, fmt.Sprintf("%s of %s: ", key, name))
	if err != nil {
		return err
	}
	_, err = store.Get(ctx, keyring.SecretKey(name, key))
	first := errors.Is(err, keyring.ErrNotFound)
	if err := store.Set(ctx, keyring.SecretKey(name, key), value); err != nil {
		return err
	}
	if len(value.Reveal()) < wrapper.MaskedFrom {
		a.sayf("It has fewer than %d characters: too few to be masked in what a server sends to the client.", wrapper.MaskedFrom)
	}
	a.sayf("Kept. In the config it is \"keyring://%s/%s\".", name, key)
	users := serversWithSecret(cfg, name, key)
	a.sayUnused(cfg, name, key, users)
	if len(users) > 0 {
		a.sayf("\nServers that get it, started exactly like this:")
	}
	for _, server := range users {
		if err := a.trustAsShown(ctx, store, cfg, server, first); err != nil {
			return err
		}
	}
	return nil
}

// sayUnused says of a secret that nothing in the config refers to it.
func (a *app) sayUnused(cfg *config.Config, name, key string, users []string) {
	if len(users)+len(accountsWithSecret(cfg, config.Reference{Owner: name, Key: key})) > 0 {
		return
	}
	if _, there := cfg.Servers[name]; there {
		a.sayf("Nothing uses it yet: no variable in the config refers to it.")
		return
	}
	a.sayf("Nothing uses it yet: the config has no server %s (%s).", name, knownNames(name, sortedKeys(cfg.Servers)))
}

// readSecret has a person type a secret, or reads it from stdin when that is no terminal.
func (a *app) readSecret(ctx context.Context, prompt string) (keyring.Secret, error) {
	if !person.IsTerminal(a.stdin) {
		return readSecretLine(a.stdin)
	}
	tty, err := person.OpenTerminal()
	if err != nil {
		return keyring.Secret{}, err
	}
	defer tty.Close()
	typed, err := tty.ReadSecret(ctx, prompt)
	if err == nil && typed == "" {
		err = errors.New("nothing was typed; nothing was changed")
	}
	return keyring.NewSecret(typed), err
}

// serversWithSecret lists the servers of the config whose environment refers to a secret.
func serversWithSecret(cfg *config.Config, name, key string) []string {
	var servers []string
	for server, entry := range cfg.Servers {
		if entry.Auth != nil && entry.Auth.Kind == "secret" && server == name && entry.Auth.TokenEnv == key {
			servers = append(servers, server)
			continue
		}
		refs := slices.AppendSeq(entry.Auth.References(), maps.Values(entry.Secrets()))
		if slices.Contains(refs, config.Reference{Owner: name, Key: key}) {
			servers = append(servers, server)
		}
	}
	return sorted(servers)
}

func (a *app) secretRm(ctx context.Context, name, key string) error {
	cfg, store, err := a.secretStore(name, key)
	if err != nil {
		return err
	}
	err = store.Delete(ctx, keyring.SecretKey(name, key))
	if errors.Is(err, keyring.ErrNotFound) {
		return &hinted{fmt.Errorf("secret %s of %s is not in %s", key, name, a.vault(cfg)), "mcp-valet status lists the secrets that are kept"}
	}
	if err == nil {
		a.sayf("Removed from this machine. It still works wherever it was issued: revoke it there if need be.")
	}
	return err
}

// editor is the program that a person edits text with.
func editor() string { return cmpOr(cmpOr(os.Getenv("VISUAL"), os.Getenv("EDITOR")), defaultEditor) }
