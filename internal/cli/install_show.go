package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"mcp-valet/install"
	"mcp-valet/keyring"
)

// notShown stands for a secret on the screen.
const notShown = "(not shown)"

// show puts everything that install is going to do on the screen, and no secret.
func (p *installPlan) show(ctx context.Context) error {
	a := p.a
	a.sayf("%s: %s", p.client.Title, p.file)
	if p.server != p.name {
		a.sayf("  %s is called %s in our config, which takes no such name.", printable(p.name), p.server)
	}
	if err := p.showServer(ctx); err != nil {
		return err
	}
	p.showSecrets()
	for _, name := range sortedKeys(p.desktop) {
		if p.cfg.Desktop[name] != p.desktop[name] {
			a.sayf("So that a window can be opened for you, our config keeps %s=%s.", name, printable(p.desktop[name]))
		}
	}
	return p.showChanges()
}

// showServer shows what is going to be trusted.
func (p *installPlan) showServer(ctx context.Context) error {
	var then *keyring.Trust
	if p.store != nil {
		var err error
		then, err = p.store.Trust(ctx, p.server)
		if err != nil && !errors.Is(err, keyring.ErrNotFound) && !errors.Is(err, keyring.ErrCorrupt) {
			return &about{server: p.server, err: err}
		}
	}
	if _, known := p.cfg.Servers[p.server]; known && p.original != nil {
		p.a.sayf("Our config has %s already; it becomes:", p.server)
	} else {
		p.a.sayf("The server, started exactly like this from now on:")
	}
	now := *p.trust
	now.Args = shownArgs(now.Args)
	if then != nil {
		was := *then
		was.Args = shownArgs(was.Args)
		then = &was
	}
	p.a.showTrust(then, &now)
	return nil
}

// shownArgs are arguments less what looks like a secret among them.
func shownArgs(args []string) []string {
	shown := slices.Clone(args)
	for i := range args {
		if _, secret := argumentSecret(args, i); !secret {
			continue
		}
		shown[i] = notShown
		if name, _, cut := strings.Cut(args[i], "="); cut && strings.HasPrefix(name, "-") {
			shown[i] = name + "=" + notShown
		}
	}
	return shown
}

func (p *installPlan) showSecrets() {
	a := p.a
	if len(p.found) > 0 {
		a.sayf("Secrets that move to the keychain:")
	}
	for _, s := range p.found {
		where := printable(s.at.Variable)
		if s.at.Argument > 0 {
			where = fmt.Sprintf("%s, now in %s", s.at, s.at.Variable)
		}
		note := ""
		if s.other {
			note = "; replaces another value that is kept under this name"
		}
		a.sayf("    %-28s %s%s", where, s.kind, note)
	}
	for _, s := range p.open {
		a.sayf("Argument %d looks like a secret (%s) and stays in plain text. If the server can read it from a variable instead, say --secret-arg %d=VARIABLE.", s.number, s.kind, s.number)
	}
}

// showChanges shows what changes in the client's config; a dry run shows our config, too.
func (p *installPlan) showChanges() error {
	before, after, err := p.shownEntries()
	if err != nil {
		return err
	}
	p.a.showEntry(p.client.Title, p.doc.Line(p.name), before, after)
	if !p.o.dryRun {
		return nil
	}
	entry := p.entry
	entry.Args = shownArgs(entry.Args)
	was, becomes, err := p.ourText(entry)
	if err != nil {
		return err
	}
	p.a.sayf("In %s:", p.cfg.Path)
	p.a.sayLines(diffLines(string(was), string(becomes)))
	p.a.sayf("Nothing was changed: this was a dry run.")
	return nil
}

// shownEntries gives the client's entry as it is and as it will be, without secrets.
func (p *installPlan) shownEntries() (before, after string, err error) {
	if p.original == nil {
		return "", member(p.name, p.doc.Wrapped(p.ours, nil)), nil
	}
	masked, err := install.Mask(p.original, p.hidden(true))
	return member(p.name, masked), member(p.name, p.doc.Wrapped(p.ours, p.original)), err
}

// hidden are the places of the entry's secrets; with open ones those as well that stay in plain text.
func (p *installPlan) hidden(open bool) []install.Adopted {
	var all []install.Adopted
	for _, s := range p.found {
		all = append(all, s.at)
	}
	for _, s := range p.open {
		if open {
			all = append(all, install.Adopted{Argument: s.number})
		}
	}
	return all
}

func member(name string, value []byte) string { return fmt.Sprintf("%s: %s", jsonText(name), value) }

// showEntry shows how one entry of a client's config changes.
func (a *app) showEntry(title string, line int, before, after string) {
	where := ""
	if line > 0 {
		where = fmt.Sprintf(", from line %d", line)
	}
	a.sayf("In the config of %s%s:", title, where)
	a.sayLines(diffLines(before, after))
}

func (a *app) sayLines(lines []string) {
	for _, l := range lines {
		a.sayf("    %s", printableText(l))
	}
}

// printableText is a line of a file as it can be shown: what would move the cursor is written out.
func printableText(line string) string {
	var b strings.Builder
	for _, r := range line {
		switch {
		case r == '\t':
			b.WriteString("  ")
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}
