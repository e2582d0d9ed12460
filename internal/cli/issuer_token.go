package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"

	"mcp-valet/internal/config"
	"mcp-valet/internal/issuer"
	"mcp-valet/internal/person"
	"mcp-valet/keyring"
)

const (
	defaultHours = 24
	maxHours     = 24 * 366
)

// issueOptions are the options of issuer token issue.
type issueOptions struct {
	user, tenant, audience string
	roles                  []string
	hours                  int
	show                   bool
}

var issuerIssueCommand = command{
	name: "issuer token issue", args: "--user U --roles R[,R]", max: 0,
	short: "issue a token: a JWT that says who its bearer is, and in which roles",
	long: `It is signed with the local issuer's key, or, where MCP_JWT_SECRET is set, with that (HS256). On a terminal the token is
shown only with --show. Without it, it serves nonetheless: a server whose entry has "kind": "issuer" and this user in
"auth" gets short-lived tokens with these roles, until this one ends or is revoked. Of several, the last one counts.
MCP_TOKEN_EXPIRY_HOURS is the default of --hours (24), MCP_ALLOWED_ROLES the roles that may be given.`,
	example: `mcp-valet issuer token issue --user ada@example.com --roles security_analyst
mcp-valet issuer token issue --user ci --roles viewer --hours 1 --show`,
	flags: func(a *app, fs *pflag.FlagSet) action {
		o := &issueOptions{}
		fs.StringVar(&o.user, "user", "", "`person` whose token it is")
		fs.StringSliceVar(&o.roles, "roles", nil, "the person's `roles`, with commas between them")
		fs.StringVar(&o.tenant, "tenant", "", "`tenant` that the person belongs to")
		fs.StringVar(&o.audience, "audience", "", "the one `server` that the token is for (default: any)")
		fs.IntVar(&o.hours, "hours", 0, "`hours` until it ends")
		fs.BoolVar(&o.show, "show", false, "print the token on a terminal, too")
		return func(ctx context.Context, _ []string) error { return a.issue(ctx, o) }
	},
}

var issuerListCommand = command{
	name: "issuer token list", max: 0,
	short:   "list the tokens that were issued, and which are revoked",
	example: "mcp-valet issuer token list --json",
	flags: func(a *app, fs *pflag.FlagSet) action {
		asJSON := fs.Bool("json", false, "print JSON")
		return func(ctx context.Context, _ []string) error { return a.listIssued(ctx, *asJSON) }
	},
}

var issuerRevokeCommand = command{
	name: "issuer token revoke", args: "JTI | --user U", max: 1,
	short:   "revoke a token, or all that a person has: running launchers refuse them within seconds",
	long:    "Servers that check tokens themselves do not hear of it: for them a token is good until it ends.",
	example: "mcp-valet issuer token revoke --user ada@example.com",
	flags: func(a *app, fs *pflag.FlagSet) action {
		user := fs.String("user", "", "the `person` all of whose tokens are revoked")
		return func(ctx context.Context, args []string) error { return a.revokeIssued(ctx, *user, args) }
	},
}

// issuing is what the commands about issued tokens need.
type issuing struct {
	store  *keyring.Store
	state  string
	signer *issuer.Signer
}

func (a *app) openIssuer(ctx context.Context) (*issuing, error) {
	cfg, err := a.loadConfig(false)
	if err != nil {
		return nil, err
	}
	i := &issuing{}
	if i.state, err = a.stateDir(); err != nil {
		return nil, err
	}
	if i.store, err = a.openStoreForLogin(cfg); err != nil {
		return nil, err
	}
	secret, err := secretSetting(ctx, i.store)
	if err != nil {
		return nil, err
	}
	i.signer, err = signerOf(ctx, i.store, secret)
	return i, err
}

// secretSetting is MCP_JWT_SECRET, which may be a reference.
func secretSetting(ctx context.Context, store *keyring.Store) (keyring.Secret, error) {
	v := os.Getenv(envSecret)
	if !strings.HasPrefix(strings.ToLower(v), "keyring:") {
		return keyring.NewSecret(v), nil
	}
	owner, key, err := config.ParseReference(v)
	if err != nil {
		return keyring.Secret{}, &refusal{msg: envSecret + ": " + err.Error()}
	}
	return storedSecret(ctx, store, owner, key)
}

func (o *issueOptions) check() error {
	fail := func(format string, args ...any) error {
		return &usageError{msg: fmt.Sprintf(format, args...), command: "issuer token issue"}
	}
	if o.user == "" || len(o.roles) == 0 {
		return fail("it needs --user and --roles")
	}
	if err := checkUser(o.user); err != nil {
		return fail("--user %v", err)
	}
	for n, role := range o.roles {
		o.roles[n] = strings.TrimSpace(role)
		if err := checkRole(o.roles[n]); err != nil {
			return fail("--roles %v", err)
		}
	}
	slices.Sort(o.roles)
	o.roles = slices.Compact(o.roles)
	for _, s := range []string{o.tenant, o.audience} {
		if s != "" && checkUser(s) != nil {
			return fail("--tenant and --audience are 1 to %d printable characters", maxNameOf)
		}
	}
	if allowed := splitList(os.Getenv(envAllowed)); len(allowed) > 0 {
		for _, role := range o.roles {
			if !slices.Contains(allowed, role) {
				return &refusal{fmt.Sprintf("the role %s is not among those of MCP_ALLOWED_ROLES", role), "give another one, or correct MCP_ALLOWED_ROLES"}
			}
		}
	}
	return o.checkHours()
}

func (o *issueOptions) checkHours() error {
	hours, from := o.hours, "--hours"
	if v := os.Getenv("MCP_TOKEN_EXPIRY_HOURS"); hours == 0 && v != "" {
		from = "MCP_TOKEN_EXPIRY_HOURS"
		n, err := strconv.Atoi(strings.TrimSpace(v))
		if err != nil || n == 0 {
			n = -1
		}
		hours = n
	}
	if hours == 0 {
		hours = defaultHours
	}
	if hours < 1 || hours > maxHours {
		return &usageError{msg: fmt.Sprintf("%s is a whole number from 1 to %d", from, maxHours), command: "issuer token issue"}
	}
	o.hours = hours
	return nil
}

func (a *app) issue(ctx context.Context, o *issueOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	i, err := a.openIssuer(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	t := issuer.Issued{
		ID: issuer.NewID(), User: o.user, Roles: o.roles, Tenant: o.tenant, Audience: o.audience,
		Issued: now, Expiry: now.Add(time.Duration(o.hours) * time.Hour).Truncate(time.Second),
	}
	token, err := i.signer.Mint(issuer.Token{
		ID: t.ID, User: t.User, Roles: t.Roles, Tenant: t.Tenant, Audience: t.Audience, Issued: t.Issued, Expiry: t.Expiry,
	})
	if err != nil {
		return err
	}
	// Listed before it is handed out: a token that nobody can revoke by name must not exist.
	err = changeLedger(ctx, i.store, i.state, i.signer, func(l *issuer.Ledger) error { return l.Add(t) })
	if err != nil {
		return err
	}
	a.sayf("Issued %s to %s: roles %s, until %s (%s).", t.ID, t.User, strings.Join(t.Roles, ", "), t.Expiry.Local().Format(time.DateTime), i.signer.Alg())
	if !o.show && a.stdoutIsTerminal() {
		a.sayf("It is not shown; --show does. A server whose \"auth\" has \"kind\": \"issuer\", \"user\": %q is started with these roles.", t.User)
		return nil
	}
	_, err = fmt.Fprintln(a.stdout, token.Reveal())
	return err
}

func (a *app) stdoutIsTerminal() bool {
	f, ok := a.stdout.(*os.File)
	return ok && person.IsTerminal(f)
}

func (i *issuing) ledger(ctx context.Context) (*issuer.Ledger, error) {
	public, err := readPublic(ctx, i.store)
	if err != nil {
		return nil, err
	}
	return readLedger(i.state, i.signer.Checker(), public.Serials[i.signer.ID()])
}

func (a *app) listIssued(ctx context.Context, asJSON bool) error {
	i, err := a.openIssuer(ctx)
	if err != nil {
		return err
	}
	l, err := i.ledger(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		e := json.NewEncoder(a.stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(slices.Concat([]issuer.Issued{}, l.Tokens))
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tUSER\tROLES\tTENANT\tFOR\tUNTIL\tSTATE")
	for n := range l.Tokens {
		t := &l.Tokens[n]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, person.Sanitize(t.User, 40), person.Sanitize(strings.Join(t.Roles, ","), 60),
			cmpOr(person.Sanitize(t.Tenant, 40), "-"), cmpOr(person.Sanitize(t.Audience, 40), "any"), t.Expiry.Local().Format(time.DateTime), stateOfIssued(t))
	}
	return w.Flush()
}

func stateOfIssued(t *issuer.Issued) string {
	switch {
	case !t.Revoked.IsZero():
		return "revoked"
	case !t.Live(time.Now()):
		return "ended"
	}
	return "good"
}

func (a *app) revokeIssued(ctx context.Context, user string, args []string) error {
	if (user == "") == (len(args) == 0) {
		return &usageError{msg: "give the id of a token (mcp-valet issuer token list), or --user", command: "issuer token revoke"}
	}
	i, err := a.openIssuer(ctx)
	if err != nil {
		return err
	}
	if user != "" {
		return a.revokeUser(ctx, i, user)
	}
	id := args[0]
	if len(id) > maxNameOf || !plainLine(id) {
		return &usageError{msg: "this is not the id of a token", command: "issuer token revoke"}
	}
	if strings.Count(id, ".") == 2 {
		return &usageError{msg: "this looks like a token; its id (jti) is wanted: mcp-valet issuer token list", command: "issuer token revoke"}
	}
	listed := false
	err = changeLedger(ctx, i.store, i.state, i.signer, func(l *issuer.Ledger) (err error) {
		listed, err = l.RevokeToken(id, time.Now())
		return err
	})
	switch {
	case err != nil:
		return err
	case !listed:
		a.sayf("Revoked %s, which was not issued here: it is refused all the same.", id)
	default:
		a.sayf("Revoked %s.", id)
	}
	return nil
}

func (a *app) revokeUser(ctx context.Context, i *issuing, user string) error {
	n := 0
	err := changeLedger(ctx, i.store, i.state, i.signer, func(l *issuer.Ledger) (err error) {
		n, err = l.RevokeUser(user, time.Now())
		return err
	})
	if err != nil {
		return err
	}
	a.sayf("Revoked all that %s has: %d of the tokens listed, and any other until now.", user, n)
	return nil
}
