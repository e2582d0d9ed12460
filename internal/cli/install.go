package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"mcp-valet/install"
	"mcp-valet/internal/config"
	"mcp-valet/internal/person"
	"mcp-valet/keyring"
)

// installOptions are the options of install.
type installOptions struct {
	clientOptions
	account    string
	tokenEnv   string
	as         string
	secrets    []string
	notSecrets []string
	secretArgs []string
	yes        bool
	noLogin    bool
}

var installCommand = command{
	name: "install", args: "NAME", min: 1, max: 1,
	short: "have the client start its server NAME through mcp-valet",
	long: `NAME's entry is taken from the client's config into ours; the client's then starts mcp-valet. Secrets among its
variables move to the keychain. All of it is shown first, and a person asked. mcp-valet uninstall NAME puts it back.
A secret among the arguments moves only when you say which variable the server reads instead: --secret-arg 2=API_KEY
(the second argument), or --secret-arg --api-key=API_KEY (what stands behind that option).`,
	example: `mcp-valet install security-kb --account work
mcp-valet install github --dry-run
mcp-valet install notes --secret NOTES_PIN --not-secret CACHE_KEY`,
	flags: func(a *app, fs *pflag.FlagSet) action {
		o := &installOptions{}
		fs.StringVar(&o.account, "account", "", "`account` whose token the server gets")
		fs.StringVar(&o.tokenEnv, "token-env", "", "environment `variable` that the server reads its token from (default "+config.DefaultTokenEnv+")")
		fs.StringVar(&o.as, "as", "", "`name` in our config, where NAME is not one that it takes")
		fs.StringArrayVar(&o.secrets, "secret", nil, "`variable` that is a secret, in the entry or in the keychain already (may be repeated)")
		fs.StringArrayVar(&o.notSecrets, "not-secret", nil, "`variable` that is none (may be repeated)")
		fs.StringArrayVar(&o.secretArgs, "secret-arg", nil, "`N=VARIABLE`: argument N is a secret; from now on it is in VARIABLE (may be repeated)")
		fs.BoolVar(&o.yes, "yes", false, "do not ask")
		fs.BoolVar(&o.noLogin, "no-login", false, "do not offer to sign in")
		o.declare(fs)
		return func(ctx context.Context, args []string) error { return a.install(ctx, args[0], o) }
	},
}

// install tells its story from top to bottom: look, show, ask, write, sign in.
func (a *app) install(ctx context.Context, name string, o *installOptions) error {
	if o.tokenEnv != "" && o.account == "" {
		return &usageError{msg: "--token-env belongs to --account", command: "install"}
	}
	client, file, err := o.clientFile()
	if err != nil {
		return err
	}
	cfg, err := a.loadConfig(false)
	if err != nil {
		return err
	}
	if err := a.mayEdit(ctx, client, &o.clientOptions); err != nil {
		return err
	}
	text, err := install.Read(file)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s: %w: %s", client.Title, install.ErrNoFile, file)
	}
	if err != nil {
		return err
	}
	doc, err := client.Parse(file, text)
	if err != nil {
		return err
	}
	p := &installPlan{a: a, o: o, client: client, file: file, name: name, doc: doc, cfg: cfg}
	if server, ours := startsOurs(doc, name); ours {
		return a.already(ctx, p, server)
	}
	if err := p.make(ctx); err != nil {
		return err
	}
	if err := p.show(ctx); err != nil || o.dryRun {
		return err
	}
	if err := install.CheckWritable(file); err != nil {
		return err
	}
	if !o.yes {
		if err := a.confirmOrYes(ctx, "Do this, and start the server like this from now on?"); err != nil {
			return err
		}
	}
	if err := p.apply(ctx); err != nil {
		return err
	}
	a.sayInstalled(p)
	return a.afterInstall(ctx, p)
}

// startsOurs tells whether an entry of a client starts a server through mcp-valet.
func startsOurs(doc *install.Document, name string) (server string, ours bool) {
	now, err := doc.Server(name)
	exe, errExe := thisProgram()
	if errors.Join(err, errExe) != nil {
		return "", false
	}
	return now.Starts(exe)
}

func (a *app) sayInstalled(p *installPlan) {
	a.sayf("\n%s starts %s through mcp-valet from now on. To undo it: mcp-valet uninstall %s", p.client.Title, printable(p.name), p.server)
	for _, s := range p.open {
		p.sayOpen(s)
	}
	if len(p.found) == 0 {
		return
	}
	a.sayf("What lay in plain text until now may have been read or backed up: have new ones made where they were issued, then")
	for _, s := range p.found {
		if _, used := p.entry.Env[s.at.Variable]; used || p.entry.Auth != nil && p.entry.Auth.Kind == "secret" && p.entry.Auth.TokenEnv == s.at.Variable {
			a.sayf("    mcp-valet secret set %s %s", p.server, s.at.Variable)
		} else {
			a.sayf("    (%s: have it revoked; it is kept for uninstall --restore-secrets alone)", s.at.Variable)
		}
	}
}

// sayOpen says of a secret that stays in plain text where that is now, and what mends it.
func (p *installPlan) sayOpen(s openSecret) {
	where := p.cfg.Path
	switch {
	case s.at.Argument > 0:
		p.a.sayf("NOT PROTECTED: the secret in %s (%s) is in plain text in our config now, and on the server's command line: %s", s.at, s.kind, where)
		p.a.sayf("    If the server can read it from a variable: mcp-valet uninstall %s --restore-secrets, then install it with --secret-arg %s=VARIABLE", p.server, s.which)
	case strings.HasPrefix(s.at.Member, install.VariableMember("")):
		p.a.sayf("NOT PROTECTED: the secret in %s is in plain text in our config now: %s", s.at, where)
	default:
		p.a.sayf("NOT PROTECTED: the secret in %s is in plain text in the client's config still: %s", s.at, p.file)
	}
}

// afterInstall offers the sign-in that the server needs, and has the server run once so that its lists are known.
func (a *app) afterInstall(ctx context.Context, p *installPlan) error {
	cfg, err := a.loadConfig(true)
	if err != nil {
		return err
	}
	if auth := cfg.Servers[p.server].Auth; auth != nil && auth.Account != "" {
		signedIn, err := a.offerLogin(ctx, cfg, auth.Account, p.o.noLogin)
		if err != nil || !signedIn {
			return err
		}
	}
	return a.tryOut(ctx, cfg, p)
}

// offerLogin has the person sign in, if they are not and want to.
func (a *app) offerLogin(ctx context.Context, cfg *config.Config, account string, not bool) (signedIn bool, err error) {
	store, err := a.openStore(cfg, personLimit)
	if err != nil {
		return false, &about{account: account, err: err}
	}
	_, err = store.Credential(ctx, account)
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, keyring.ErrNotFound) {
		return false, &about{account: account, err: err}
	}
	if not || !person.Interactive() || a.mustConfirm(ctx, "You are not signed in to "+account+" yet. Sign in now?") != nil {
		a.sayf("You are not signed in to %s yet. To sign in: mcp-valet login %s", account, account)
		return false, ctx.Err()
	}
	return true, a.login(ctx, account, &loginOptions{})
}

// plainName makes a name that our config takes out of one that it does not.
func plainName(name string) string {
	var b strings.Builder
	for _, r := range name {
		if r < 0x80 && keyring.ValidName(string(r)) {
			b.WriteRune(r)
		} else if !strings.HasSuffix(b.String(), "-") {
			b.WriteByte('-')
		}
	}
	plain := strings.Trim(b.String(), "-.")
	return plain[:min(len(plain), 128)]
}
