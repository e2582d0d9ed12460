package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/pflag"

	"mcp-valet/internal/config"
	"mcp-valet/internal/person"
	"mcp-valet/keyring"
	"mcp-valet/refresh"
	"mcp-valet/wrapper/proc"
)

var trustCommand = command{
	name: "trust", args: "NAME", min: 1, max: 1,
	short: "look at what the config says of a server, and let it have its token",
	long: `A server gets a token or secret only while the config says of it what a person has agreed to: command, arguments,
environment, account. When that has changed, this command shows the difference and asks. It needs a terminal.`,
	example: "mcp-valet trust security-kb",
	flags: func(a *app, _ *pflag.FlagSet) action {
		return func(ctx context.Context, args []string) error { return a.trust(ctx, args[0]) }
	},
}

func (a *app) trust(ctx context.Context, name string) error {
	cfg, err := a.loadConfig(true)
	if err != nil {
		return err
	}
	now, err := describe(cfg, name)
	if err != nil {
		return &about{server: name, err: err}
	}
	store, err := a.openStore(cfg, personLimit)
	if err != nil {
		return err
	}
	then, err := store.Trust(ctx, name)
	if err != nil && !errors.Is(err, keyring.ErrNotFound) {
		return &about{server: name, err: err}
	}
	if then != nil && len(differences(then, now)) == 0 {
		a.sayf("%s is trusted as the config has it. Nothing to do.", name)
		return nil
	}
	a.showTrust(then, now)
	if err := a.mustConfirm(ctx, "Start it like this, with its token and secrets?"); err != nil {
		return err
	}
	if err := store.SaveTrust(ctx, now); err != nil {
		return err
	}
	a.sayf("%s is trusted.", name)
	return nil
}

// mustConfirm asks a question in the terminal; without a terminal, or with any answer but yes, it is a refusal.
func (a *app) mustConfirm(ctx context.Context, question string) error {
	tty, err := person.OpenTerminal()
	if err != nil {
		return &refusal{"this needs a person's answer, and there is no terminal", "run it in a terminal"}
	}
	defer tty.Close()
	yes, err := tty.Confirm(ctx, question)
	if err != nil {
		return err
	}
	if !yes {
		return &refusal{msg: "not agreed to; nothing was changed"}
	}
	return nil
}

// trustAsShown shows a server's entry and trusts it: for the commands whose very purpose is that. That goes without a
// question only the first time, when the person is setting things up. Later an entry that differs from what was agreed
// to, or that nobody has agreed to, may have been put there behind their back: they are shown it, and asked.
func (a *app) trustAsShown(ctx context.Context, store *keyring.Store, cfg *config.Config, name string, first bool) error {
	now, err := describe(cfg, name)
	if err != nil {
		a.sayf("  %s: left out, it cannot be started: %v", name, err)
		return nil
	}
	then, err := store.Trust(ctx, name)
	damaged := errors.Is(err, keyring.ErrCorrupt)
	if err != nil && !damaged && !errors.Is(err, keyring.ErrNotFound) {
		return &about{server: name, account: now.Account, err: err}
	}
	a.showTrust(then, now)
	known := then != nil && len(differences(then, now)) == 0
	if !known && (!first || damaged || then != nil) {
		if err := a.mustConfirm(ctx, "You have not agreed to "+name+" like this yet. Start it so from now on?"); err != nil {
			a.sayf("  %s gets nothing until you agree to it: mcp-valet trust %s", name, name)
			return ctx.Err()
		}
	}
	if err := store.SaveTrust(ctx, now); err != nil {
		return &about{server: name, account: now.Account, err: err}
	}
	return nil
}

// showTrust prints what a person is asked to agree to, whole; what has changed is marked.
func (a *app) showTrust(then, now *keyring.Trust) {
	a.sayf("  %s", now.Server)
	was := map[string]string{}
	if then != nil {
		for _, l := range trustLines(then) {
			was[l.label] = l.value
		}
	}
	for _, l := range trustLines(now) {
		old, known := was[l.label]
		delete(was, l.label)
		switch {
		case then == nil || old == l.value:
			a.sayf("    %-12s %s", l.label, printable(l.value))
		case !known:
			a.sayf("  + %-12s %s", l.label, printable(l.value))
		default:
			a.sayf("  - %-12s %s", l.label, printable(old))
			a.sayf("  + %-12s %s", l.label, printable(l.value))
		}
	}
	for _, label := range slices.Sorted(maps.Keys(was)) {
		a.sayf("  - %-12s %s", label, printable(was[label]))
	}
}

// printable shows a value on one line, whatever it holds; nothing is cut off, since what is agreed to must be seen whole.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) || strings.TrimSpace(s) != s {
		return strconv.QuoteToASCII(s)
	}
	return s
}

type trustLine struct{ label, value string }

// trustLines are the parts of a server's entry that a person agrees to.
func trustLines(t *keyring.Trust) []trustLine {
	lines := []trustLine{{"command", t.Command}, {"program", t.Path}, {"arguments", quoteAll(t.Args)}}
	if t.Dir != "" {
		lines = append(lines, trustLine{"folder", t.Dir})
	}
	for _, e := range t.Env {
		name, value, _ := strings.Cut(e, "=")
		lines = append(lines, trustLine{"env " + name, value})
	}
	if t.Account != "" {
		lines = append(lines, trustLine{"account", fmt.Sprintf("%s at %s, client %s", t.Account, t.Issuer, t.ClientID)})
	}
	for _, l := range []trustLine{{scopesLabel, strings.Join(t.Scopes, " ")}, {"audience", t.Audience}, {"resource", t.Resource}} {
		if l.value != "" {
			lines = append(lines, l)
		}
	}
	if t.TokenEnv != "" {
		lines = append(lines, trustLine{"token in", t.TokenEnv})
	}
	if t.Caller != "" {
		lines = append(lines, trustLine{"caller", t.Caller})
	}
	return lines
}

func quoteAll(args []string) string {
	quoted := make([]string, len(args))
	for i, s := range args {
		quoted[i] = strconv.Quote(s) // marks where each argument ends
	}
	return strings.Join(quoted, " ")
}

const scopesLabel = "scopes"

// differences lists the labels of what a description of a server has that the one agreed to has not. Fewer scopes are
// no difference; none at all are one: the issuer chooses then (RFC 6749 section 3.3).
func differences(then, now *keyring.Trust) []string {
	was := map[string]string{}
	for _, l := range trustLines(then) {
		was[l.label] = l.value
	}
	var diff []string
	for _, l := range trustLines(now) {
		old, ok := was[l.label]
		if same := ok && old == l.value; !same && !(l.label == scopesLabel && within(now.Scopes, then.Scopes)) {
			diff = append(diff, l.label)
		}
		delete(was, l.label)
	}
	return append(diff, slices.Sorted(maps.Keys(was))...)
}

// within tells whether the scopes asked for are among those agreed to.
func within(asked, agreed []string) bool {
	return !slices.ContainsFunc(asked, func(s string) bool { return !slices.Contains(agreed, s) })
}

// serversOf lists the servers that use an account, by name.
func serversOf(cfg *config.Config, account string) []string {
	var names []string
	for name, s := range cfg.Servers {
		if s.Auth != nil && s.Auth.Account == account {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// describe says of a server what a person agrees to, with its command resolved in this process's PATH.
func describe(cfg *config.Config, name string) (*keyring.Trust, error) {
	t, err := describeEntry(cfg, name)
	if err != nil {
		return nil, err
	}
	t.Path, err = proc.Resolve(t.Command, t.Dir, os.Environ())
	if err != nil {
		return nil, &about{server: name, account: t.Account, err: err}
	}
	return t, nil
}

// describeEntry is describe without looking for the program.
func describeEntry(cfg *config.Config, name string) (*keyring.Trust, error) {
	entry, ok := cfg.Servers[name]
	if !ok {
		return nil, &config.Error{Path: cfg.Path, Key: "mcpServers", Msg: fmt.Sprintf("there is no server %q (%s)", name, knownNames(name, sortedKeys(cfg.Servers)))}
	}
	t := &keyring.Trust{Server: name, Command: entry.Command, Args: entry.Args, Dir: entry.Cwd}
	for k, v := range entry.Env {
		t.Env = append(t.Env, k+"="+v)
	}
	slices.Sort(t.Env)
	if entry.Auth == nil {
		return t, nil
	}
	t.TokenEnv, t.Caller = entry.Auth.TokenEnv, describeCaller(cfg, entry.Auth)
	if entry.Auth.Account == "" {
		return t, nil
	}
	conf, err := accountIn(cfg, entry.Auth.Account)
	if err != nil {
		return nil, err
	}
	account, err := resolveAccount(entry.Auth.Account, conf)
	if err != nil {
		return nil, err
	}
	return t, nameAccount(t, account)
}

// nameAccount records which account's token a server gets.
func nameAccount(t *keyring.Trust, account refresh.Account) error {
	t.Account, t.Issuer, t.ClientID = account.Name, cmpOr(account.Issuer, account.Endpoints.Token), account.ClientID
	t.Audience, t.Resource = account.Audience, account.Resource
	t.Scopes = append([]string{}, account.Scopes...) // not nil, which is not known
	slices.Sort(t.Scopes)
	t.Scopes = slices.Compact(t.Scopes)
	return nil
}
