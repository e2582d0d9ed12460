package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"mcp-valet/internal/config"
	"mcp-valet/internal/person"
	"mcp-valet/keyring"
	"mcp-valet/refresh"
)

// loginOptions are the options of login: what the account is, and how to sign in.
type loginOptions struct {
	account     config.Account // only what was given
	secretStdin bool
	browser     bool
	device      bool
	noOpen      bool
	scopes      []string
	again       string // the command as it was given, with the sealed file store chosen
}

var loginCommand = command{
	name: "login", args: "ACCOUNT", min: 0, max: 1,
	short: "sign in once; from then on tokens renew by themselves",
	long: `The first login describes the account; it is written to the config. A later one needs only its name.
The servers in the config that use the account are listed, and trusted as listed.
Presets: ` + presetNames() + `.`,
	example: `mcp-valet login work --issuer https://login.example.com --client-id mcp-valet --scope openid --scope offline_access
mcp-valet login gh --preset github --client-id Iv1.0123456789abcdef
mcp-valet login work`,
	flags: func(a *app, fs *pflag.FlagSet) action {
		o := &loginOptions{}
		o.declare(fs)
		return func(ctx context.Context, args []string) error {
			if len(args) == 0 {
				return a.whichAccount()
			}
			o.again = a.withFileStore("login", fs, args)
			return a.login(ctx, args[0], o)
		}
	},
}

// loginTo tells its story from top to bottom: account, keychain, sign-in, save, trust, what next.
func (a *app) loginTo(ctx context.Context, name string, o *loginOptions) error {
	if !keyring.ValidName(name) {
		return &usageError{msg: "an account's name has letters, digits, dot, dash and underscore, 128 at most", command: "login"}
	}
	if o.browser && o.device {
		return &usageError{msg: "--browser and --device exclude each other", command: "login"}
	}
	cfg, err := a.loadConfig(false)
	if err != nil {
		return err
	}
	conf, changed := o.merge(name, cfg.Accounts[name])
	if err := checkAccount(cfg, name, conf); err != nil {
		return err
	}
	store, err := a.openStoreForLogin(cfg)
	if err != nil {
		return &about{account: name, err: err}
	}
	account, err := resolveAccount(name, conf)
	if err != nil {
		return &usageError{msg: err.Error(), command: "login"}
	}
	note, err := a.beginNote(name)
	if err != nil {
		return err
	}
	defer note.end()
	last, err := a.lastSignIn(ctx, store, account, conf.ClientSecret != "" && !o.secretStdin)
	if err != nil {
		return &about{account: name, err: err}
	}
	if err := settleTrust(ctx, store, cfg, name); err != nil {
		return &about{account: name, err: err}
	}
	if proxy := a.proxyToRecord(account); proxy != "" {
		account.Proxy, conf.Proxy, changed = proxy, proxy, true
	}
	account.ClientSecret, err = a.loginSecret(ctx, store, name, &conf, o)
	if err != nil {
		return &about{account: name, err: err}
	}
	cred, err := a.signIn(ctx, store, account, o, note)
	if err != nil {
		a.sayIssuerWords(err)
		return aboutAccount(account, err)
	}
	cred.Export = conf.Export && a.agreesToExport(ctx, name, last, o.account.Export)
	if err := a.keepLogin(ctx, store, cfg, name, conf, changed, account.ClientSecret, cred); err != nil {
		return &about{account: name, err: err}
	}
	note.done()
	a.saySignedIn(cred)
	return a.trustServers(ctx, store, name, last.first)
}

// agreesToExport tells whether scripts may have the token: as said at the first sign-in, or on the command line; a
// config that says so only now may have been edited, and a person is asked.
func (a *app) agreesToExport(ctx context.Context, name string, last before, given bool) bool {
	known := last.first || given || last.cred != nil && last.cred.Export
	if !known && a.mustConfirm(ctx, "The config lets scripts have the token of "+name+" now. Allow it?") != nil {
		a.sayf("Scripts do not get the token of %s until you agree: run mcp-valet token %s in a terminal.", name, name)
		return false
	}
	a.sayf("Scripts may have this account's token (mcp-valet token %s).", name)
	return true
}

// openStoreForLogin opens the store and, for the sealed file store asked for by name, makes its key first.
func (a *app) openStoreForLogin(cfg *config.Config) (*keyring.Store, error) {
	if a.storeKind(cfg) == "file" && os.Getenv("MCP_VALET_STORE_KEY") == "" {
		path := storeKeyFile(cfg)
		if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
			if err := keyring.NewKeyFile(path); err != nil {
				return nil, err
			}
			a.sayf("Made the key of the sealed store: %s (whoever has it can open the store; keep it out of backups)", path)
		}
	}
	return a.openStore(cfg, personLimit)
}

// before is what is known of the last sign-in to an account.
type before struct {
	cred  *keyring.Credential // nil: there is none that can be read
	first bool                // there never was one, or it was ended by a logout
}

// lastSignIn finds out before the person signs in whether the keychain will take the result, and whether the config
// still describes the account that they signed in to the last time. If it does not, or if that cannot be told and a
// kept client secret would be sent, somebody may have edited the config to have it all sent elsewhere: a person must
// agree first.
func (a *app) lastSignIn(ctx context.Context, store *keyring.Store, account refresh.Account, keptSecret bool) (before, error) {
	cred, err := store.Credential(ctx, account.Name)
	missing, damaged := errors.Is(err, keyring.ErrNotFound), errors.Is(err, keyring.ErrCorrupt)
	if err != nil && !missing && !damaged {
		return before{}, err
	}
	if err := store.CheckSave(ctx, account.Name); err != nil {
		return before{}, err
	}
	last := before{cred, missing}
	why := ""
	switch {
	case damaged:
		why = "The record of the last sign-in is damaged, so what was agreed to then is not known."
	case missing && keptSecret:
		why = "The client secret that was kept earlier would be sent there."
	case missing:
		return last, nil
	default:
		if err := refresh.Bound(account, cred); err == nil {
			a.sayAlready(cred)
			return last, nil
		} else if !errors.Is(err, refresh.ErrForeign) {
			return last, err
		}
		why = fmt.Sprintf("The last sign-in was elsewhere: at %s, client %s, tokens from %s, or by another way to it.",
			printable(cred.Issuer), printable(cred.ClientID), printable(cred.TokenEndpoint))
	}
	a.sayf("Account %s in the config:", account.Name)
	a.sayAccount(account)
	a.sayf("%s", why)
	return last, a.mustConfirm(ctx, "Sign in there? Say no if you did not make this change.")
}

// settleTrust has what was agreed to for the account's servers written down before another credential comes: how old
// records are read depends on that.
func settleTrust(ctx context.Context, store *keyring.Store, cfg *config.Config, account string) error {
	for _, server := range serversOf(cfg, account) {
		// A damaged one is asked about later.
		if err := store.SettleTrust(ctx, server); err != nil && !errors.Is(err, keyring.ErrCorrupt) {
			return err
		}
	}
	return nil
}

// loginSecret is the client secret to sign in with: from stdin, or the one kept earlier.
func (a *app) loginSecret(ctx context.Context, store *keyring.Store, name string, conf *config.Account, o *loginOptions) (keyring.Secret, error) {
	if o.secretStdin {
		return readSecretLine(a.stdin)
	}
	if conf.ClientSecret == "" {
		return keyring.Secret{}, nil
	}
	owner, key, err := config.ParseReference(conf.ClientSecret)
	if err != nil {
		return keyring.Secret{}, err
	}
	return store.Get(ctx, keyring.SecretKey(owner, key))
}

// maxSecret bounds a secret that a person hands over, in bytes.
const maxSecret = 64 << 10

// readSecretLine reads one line, which is a secret.
func readSecretLine(r io.Reader) (keyring.Secret, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxSecret+1)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return keyring.Secret{}, fmt.Errorf("reading the secret: %w", err)
	}
	line = strings.TrimRight(line, "\r\n")
	switch {
	case line == "":
		return keyring.Secret{}, &usageError{msg: "the secret read from stdin is empty"}
	case len(line) > maxSecret:
		return keyring.Secret{}, &usageError{msg: fmt.Sprintf("the secret is longer than %d bytes", maxSecret)}
	}
	return keyring.NewSecret(line), nil
}

// signInLimit bounds a whole sign-in, fresh codes included.
const signInLimit = 30 * time.Minute

// signIn has the person sign in; one sign-in an account on this machine.
func (a *app) signIn(ctx context.Context, store *keyring.Store, account refresh.Account, o *loginOptions, note *loginNote) (*keyring.Credential, error) {
	client, err := refresh.New(account)
	if err != nil {
		return nil, err
	}
	a.sayf("Signing in to %s:", account.Name)
	a.sayAccount(account)
	_ = note.begin() // again, as well as can be: while questions were asked, an agent may have begun
	lock, err := lockFor(ctx, store, keyring.SignInLock, account.Name)
	if err != nil {
		return nil, fmt.Errorf("another sign-in to %s is under way: %w", account.Name, err)
	}
	defer lock.Unlock()
	ctx, cancel := context.WithTimeout(ctx, signInLimit)
	defer cancel()
	way := refresh.WayAuto
	switch {
	case o.browser:
		way = refresh.WayBrowser
	case o.device:
		way = refresh.WayDevice
	}
	return client.SignIn(ctx, way, note.taken(a.prompt(o.noOpen)))
}

// lockLimit bounds the wait for a lock that another mcp-valet holds.
const lockLimit = 10 * time.Second

func lockFor(ctx context.Context, store *keyring.Store, kind keyring.LockKind, account string) (*keyring.Lock, error) {
	ctx, cancel := context.WithTimeout(ctx, lockLimit)
	defer cancel()
	return store.Lock(ctx, kind, account)
}

// prompt is how a sign-in speaks to the person in the terminal.
func (a *app) prompt(noOpen bool) refresh.Prompt {
	open := func(ctx context.Context, url string) {
		if noOpen {
			return
		}
		if err := person.OpenBrowser(ctx, url); err != nil {
			a.sayf("(No browser could be opened here: open the address yourself.)")
		}
	}
	return refresh.Prompt{
		Code: func(ctx context.Context, c refresh.DeviceCode) {
			if c.Renewed {
				a.sayf("The code has expired; here is a new one.")
			}
			person.ShowCode(a.stderr, c.UserCode, c.VerificationURI, c.VerificationURIComplete, c.Expires)
			if !c.Renewed {
				open(ctx, cmp.Or(c.VerificationURIComplete, c.VerificationURI))
			}
		},
		Browser: func(ctx context.Context, url string) {
			a.sayf("To sign in, open this address in a browser on this machine:\n\n  %s\n", url)
			open(ctx, url)
		},
		Waiting: func(_ context.Context, err error) {
			a.sayf("(Still trying: %v)", err)
		},
	}
}

// keepLimit bounds the wait for a renewal under way: its grant and all attempts to save, and some.
const keepLimit = 2 * time.Minute

// keepLogin saves what a sign-in brought: the credential first, then the config that names it.
func (a *app) keepLogin(ctx context.Context, store *keyring.Store, cfg *config.Config, name string, conf config.Account, changed bool, secret keyring.Secret, cred *keyring.Credential) error {
	// A renewal that hangs must not cost a finished sign-in: this waits longer than one can take.
	waiting, cancel := context.WithTimeout(ctx, keepLimit)
	defer cancel()
	lock, err := store.Lock(waiting, keyring.RefreshLock, name)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	if !secret.IsZero() && conf.ClientSecret == "keyring://"+name+"/"+clientSecretKey {
		if err := store.Set(ctx, keyring.SecretKey(name, clientSecretKey), secret); err != nil {
			return err
		}
	}
	if err := store.SaveCredential(ctx, cred); err != nil {
		return err
	}
	kind := a.storeKind(cfg)
	if !changed && kind == cmpOr(cfg.Store.Kind, "keychain") {
		return nil
	}
	return config.Update(cfg.Path, func(b []byte) ([]byte, error) {
		b, err := config.SetAccount(b, name, conf)
		if err != nil || kind == cmpOr(cfg.Store.Kind, "keychain") {
			return b, err
		}
		return config.SetStore(b, config.Store{Kind: kind, KeyFile: cfg.Store.KeyFile})
	})
}

// trustServers trusts the servers that use the account, as it lists them, and says what to put into the client.
func (a *app) trustServers(ctx context.Context, store *keyring.Store, account string, first bool) error {
	cfg, err := a.loadConfig(true)
	if err != nil {
		return err
	}
	names := serversOf(cfg, account)
	if len(names) == 0 {
		a.sayf("\nNo server uses this account yet. To have a server of Claude Desktop use it: mcp-valet install NAME --account %s", account)
		a.sayf("For another client: mcp-valet config edit, then mcp-valet trust NAME")
		return nil
	}
	a.sayf("\nServers that get this account's token, started exactly like this:")
	for _, name := range names {
		if err := a.trustAsShown(ctx, store, cfg, name, first); err != nil {
			return err
		}
	}
	return a.sayEntries(cfg, names)
}
