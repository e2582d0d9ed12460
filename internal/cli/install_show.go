package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"mcp-valet/install"
	"mcp-valet/internal/config"
	"mcp-valet/keyring"
)

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
	if n := install.Links(p.file); n > 1 && p.original != nil {
		a.sayf("WARNING: the file has %d names (hard links). This one will lead to a new file; the others go on leading to the old one, with all that it holds now in plain text.", n)
	}
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
	p.a.showTrust(p.shownTrust(then, install.ConcealArguments), p.shownTrust(p.trust, func(args []string, _ []keyring.Secret) []string { return p.shownArgs() }))
	return nil
}

// shownTrust is a description less its secrets, and with a short word for a PATH that is this terminal's.
func (p *installPlan) shownTrust(t *keyring.Trust, args func([]string, []keyring.Secret) []string) *keyring.Trust {
	if t == nil {
		return nil
	}
	shown := *t
	shown.Args = args(t.Args, p.known())
	shown.Env = nil
	for _, e := range t.Env {
		name, value, _ := strings.Cut(e, "=")
		if sameVariable(name, "PATH") && value == terminalPath() {
			value = fmt.Sprintf("(this terminal's, %s)", count(len(filepath.SplitList(value)), "folder"))
		}
		shown.Env = append(shown.Env, name+"="+install.ConcealText(value, p.known()))
	}
	return &shown
}

// shownArgs are the server's arguments less the secrets that stay among them.
func (p *installPlan) shownArgs() []string {
	args := slices.Clone(p.entry.Args)
	for _, s := range install.Staying(p.hidden()) {
		if s.Argument > 0 {
			args[s.Argument-1] = s.Prefix + install.NotShown
		}
	}
	return install.ConcealArguments(args, p.known())
}

// known are the values of the secrets.
func (p *installPlan) known() (all []keyring.Secret) {
	for _, s := range p.secrets() {
		all = append(all, s.kept.Value)
	}
	return all
}

// knownNames says which names there are, and which one was likely meant.
func knownNames(name string, known []string) string {
	if len(known) == 0 {
		return "there is none so far"
	}
	if near := config.Nearest(name, known); near != "" {
		return fmt.Sprintf("did you mean %q? there is %s", near, strings.Join(known, ", "))
	}
	return "there is " + strings.Join(known, ", ")
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func (p *installPlan) showSecrets() {
	a := p.a
	vault := a.vault(p.cfg)
	if len(p.found) > 0 {
		a.sayf("Secrets that move to %s:", vault)
	}
	for _, s := range p.found {
		where := printable(s.at.Variable)
		note := ""
		if s.other {
			note = "; replaces another value that is kept under this name"
		}
		a.sayf("    %-28s %s%s", where, s.kind, note)
	}
	p.showTakenUp(vault)
	for _, s := range p.open {
		p.showOpen(s)
	}
}

// showTakenUp says what the keychain has already, and what it has not.
func (p *installPlan) showTakenUp(vault string) {
	a := p.a
	already := slices.Concat(p.takenUp, p.again)
	if len(already) > 0 {
		a.sayf("Secrets of an install before, which the server gets from %s: %s", vault, printable(strings.Join(already, ", ")))
	}
	if len(already) > 0 && !p.resumed {
		a.sayf("WARNING: the client's entry does not hold them, and is not what the install before knew: uninstall --restore-secrets will not write them there.")
	}
	for _, name := range p.lost {
		a.sayf("WARNING: %s, which an install before moved to %s, is there no more. If the server needs it: mcp-valet secret set %s %s, and install with --secret %s", name, vault, p.server, name, name)
	}
}

// showOpen points at a secret that stays in plain text.
func (p *installPlan) showOpen(s openSecret) {
	switch {
	case s.at.Argument > 0:
		what := "looks like a secret (" + s.kind + ")"
		if s.copied {
			what = s.kind
		}
		p.a.sayf("%s %s and stays in plain text. If the server can read it from a variable instead, say --secret-arg %s=VARIABLE.", capitalize(s.at.String()), what, s.which)
	case strings.HasPrefix(s.at.Member, install.VariableMember("")):
		p.a.sayf("WARNING: %s %s and stays in plain text in our config, since you said --not-secret.", s.at, s.kind)
	default:
		p.a.sayf("WARNING: %s in the client's entry %s and stays in plain text there: take it out if the server does without.", s.at, s.kind)
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
	entry.Args, entry.Env = p.shownArgs(), maps.Clone(entry.Env)
	for name, value := range entry.Env {
		entry.Env[name] = install.ConcealText(value, p.known())
	}
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
	masked, err := install.Mask(p.original, p.hidden())
	after = member(p.name, install.ConcealKnown(p.doc.Wrapped(p.ours, p.original), p.known()))
	return member(p.name, install.ConcealKnown(masked, p.known())), after, err
}

// hidden are the places of the entry's secrets, be it that they move or stay.
func (p *installPlan) hidden() []install.Adopted {
	var all []install.Adopted
	for _, s := range p.secrets() {
		all = append(all, s.at)
	}
	return all
}

// secrets are those that move, and those that stay.
func (p *installPlan) secrets() []foundSecret {
	all := slices.Clone(p.found)
	for _, s := range p.open {
		all = append(all, s.foundSecret)
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
