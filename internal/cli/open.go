package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"mcp-valet/internal/config"
	"mcp-valet/keyring"
	"mcp-valet/refresh"
)

const (
	// startLimit bounds one keychain call where a client waits for us.
	startLimit = 3 * time.Second
	// plainLimit bounds it where the server needs nothing from the keychain.
	plainLimit = time.Second
	// personLimit bounds one keychain call where a person may be typing the keychain's password.
	personLimit = 120 * time.Second
)

// configPath is the config file of this run.
func (a *app) configPath() (string, error) {
	if a.configFlag == "" {
		return config.Path()
	}
	return filepath.Abs(a.configFlag)
}

// stateDir is the folder of this run for locks, sealed records and notes.
func (a *app) stateDir() (string, error) {
	if a.stateFlag == "" {
		return config.StateDir()
	}
	return filepath.Abs(a.stateFlag)
}

// loadConfig reads the config file. One that is not there counts as empty where mustExist is false.
func (a *app) loadConfig(mustExist bool) (*config.Config, error) {
	path, err := a.configPath()
	if err != nil {
		return nil, err
	}
	cfg, err := config.Load(path)
	if errors.Is(err, os.ErrNotExist) && !mustExist {
		return &config.Config{Path: path}, nil
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil, &config.Error{Path: path, Msg: "there is no config file yet"}
	}
	return cfg, err
}

// storeKind is where credentials are kept: what --store says, else the config.
func (a *app) storeKind(cfg *config.Config) string {
	return cmpOr(cmpOr(a.storeFlag, cfg.Store.Kind), "keychain")
}

// openStore opens the place where credentials are kept; limit bounds each keychain call.
func (a *app) openStore(cfg *config.Config, limit time.Duration) (*keyring.Store, error) {
	state, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	kind := a.storeKind(cfg)
	if kind != "keychain" && kind != "file" {
		return nil, &usageError{msg: fmt.Sprintf("there is no store %q: keychain or file", kind)}
	}
	if err := a.mayUseFiles(kind, state); err != nil {
		return nil, err
	}
	store, err := keyring.Open(keyring.Options{
		Kind:     kind,
		StateDir: state,
		KeyFile:  storeKeyFile(cfg),
		Key:      keyring.NewSecret(os.Getenv("MCP_VALET_STORE_KEY")),
		Timeout:  limit,
	})
	if errors.Is(err, os.ErrNotExist) {
		return nil, &hinted{
			fmt.Errorf("%w: %w", keyring.ErrUnavailable, err),
			"the key of the sealed store is missing: put it back, or set MCP_VALET_STORE_KEY, or sign in anew (mcp-valet login)",
		}
	}
	return store, err
}

// mayUseFiles keeps an edit of the config from turning a keychain's user to a store of somebody else's making, with
// agreements of its own: where a keychain answers, the sealed file store is used only when the command line says so.
func (a *app) mayUseFiles(kind, state string) error {
	if kind != "file" || a.storeFlag == "file" {
		return nil
	}
	switch there, err := keychainAnswers(state); {
	case err != nil:
		return err
	case !there:
		return nil
	}
	return &refusal{
		"the config chooses the sealed file store, but this machine has a keychain",
		"if you want the file store all the same, say so on the command line (and in the client's entry): --store file; if not, take \"store\" out: mcp-valet config edit",
	}
}

// keychainAnswers tells whether there is a keychain here, be it locked. Tests of this package replace it: they must
// neither use nor depend on the keychain of whoever runs them.
var keychainAnswers = func(state string) (bool, error) {
	keychain, err := keyring.Open(keyring.Options{StateDir: state, Timeout: plainLimit})
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	_, err = keychain.Get(ctx, keyring.TrustKey("probe"))
	return !errors.Is(err, keyring.ErrUnavailable), nil
}

// storeKeyFile is where the key of the sealed file store lies unless the environment holds it.
func storeKeyFile(cfg *config.Config) string {
	if cfg.Store.KeyFile != "" {
		return cfg.Store.KeyFile
	}
	return filepath.Join(filepath.Dir(cfg.Path), "store.key")
}

// accountIn looks up an account of the config.
func accountIn(cfg *config.Config, name string) (config.Account, error) {
	acc, ok := cfg.Accounts[name]
	if !ok {
		return acc, noAccount(cfg, name)
	}
	return acc, nil
}

// accountFor makes an account of the config ready for use: preset filled in, client secret fetched.
func accountFor(ctx context.Context, store *keyring.Store, name string, acc config.Account) (refresh.Account, error) {
	out, err := resolveAccount(name, acc)
	if err != nil || acc.ClientSecret == "" {
		return out, err
	}
	owner, key, err := config.ParseReference(acc.ClientSecret)
	if err != nil {
		return out, err
	}
	out.ClientSecret, err = store.Get(ctx, keyring.SecretKey(owner, key))
	if err != nil {
		return out, fmt.Errorf("client secret of account %s: %w", name, err)
	}
	return out, nil
}

// resolveAccount turns an account of the config into one of package refresh, less its client secret.
func resolveAccount(name string, acc config.Account) (refresh.Account, error) {
	out := refresh.Account{}
	if acc.Preset != "" {
		preset, err := refresh.FromPreset(acc.Preset, acc.Host)
		if err != nil {
			return out, fmt.Errorf("account %s: %w", name, err)
		}
		out = preset
	}
	out.Name = name
	setIf(&out.Issuer, acc.Issuer)
	setIf(&out.ClientID, acc.ClientID)
	setIf(&out.Audience, acc.Audience)
	setIf(&out.Resource, acc.Resource)
	setIf(&out.CAFile, acc.CAFile)
	setIf(&out.Proxy, acc.Proxy)
	setIf(&out.Endpoints.Authorization, acc.Endpoints.Authorization)
	setIf(&out.Endpoints.DeviceAuthorization, acc.Endpoints.DeviceAuthorization)
	setIf(&out.Endpoints.Token, acc.Endpoints.Token)
	setIf(&out.Endpoints.Revocation, acc.Endpoints.Revocation)
	setIf(&out.Endpoints.JWKS, acc.Endpoints.JWKS)
	if acc.Scopes != nil {
		out.Scopes = acc.Scopes
	}
	return out, nil
}

func setIf(dst *string, v string) {
	if v != "" {
		*dst = v
	}
}

// session is what the commands about one account need.
type session struct {
	cfg     *config.Config
	conf    config.Account
	store   *keyring.Store
	account refresh.Account
	state   string // state folder
}

// openAccount opens the config, the store and one account of them.
func (a *app) openAccount(ctx context.Context, name string, limit time.Duration) (*session, error) {
	cfg, err := a.loadConfig(false) // without one there is no account, which is what the person needs to hear
	if err != nil {
		return nil, err
	}
	conf, err := accountIn(cfg, name)
	if err != nil {
		return nil, err
	}
	s := &session{cfg: cfg, conf: conf}
	if s.state, err = a.stateDir(); err != nil {
		return nil, err
	}
	if s.store, err = a.openStore(cfg, limit); err != nil {
		return nil, &about{account: name, err: err}
	}
	if s.account, err = accountFor(ctx, s.store, name, conf); err != nil {
		return nil, &about{account: name, err: err}
	}
	return s, nil
}

// ladder is the way from a stored credential to a token that is good now.
func (a *app) ladder(s *session) *refresh.Ladder {
	agent := func(ctx context.Context, account string) error { return a.askAgent(ctx, account) }
	return &refresh.Ladder{Store: s.store, Account: s.account, StateDir: s.state, Agent: agent}
}
