package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"mcp-valet/install"
	"mcp-valet/internal/config"
	"mcp-valet/keyring"
)

// installPlan is all that install is going to do: it is made, shown, and then done, and nothing else is.
type installPlan struct {
	a      *app
	o      *installOptions
	client install.Client
	file   string            // the client's config
	name   string            // the entry's name there
	doc    *install.Document // its text as it was looked at
	cfg    *config.Config    // our config as it was looked at
	store  *keyring.Store    // nil: there is none, and none is needed
	state  string

	server       string          // its name in our config
	original     []byte          // the client's entry; nil: it has none
	found        []foundSecret   // secrets that move to the keychain
	again        []string        // variables whose secrets the keychain must have already
	open         []openSecret    // secrets that stay in plain text
	taken        map[int]bool    // numbers of the arguments that move
	tomb         *install.Record // what is remembered of the same entry, which was taken out
	resumed      bool            // the client's entry is what uninstall has left: it goes on from there
	takenUp      []string        // variables whose secrets the keychain has from an install before
	lost         []string        // those that it has no more
	entry        config.Server   // the entry of our config
	made         bool            // install makes it
	desktop      map[string]string
	trust        *keyring.Trust            // what the person agrees to
	ours         install.Entry             // what the client's config will say
	knownSecrets map[string]keyring.Secret // by their references
}

// foundSecret is a secret of the client's entry that moves to the keychain.
type foundSecret struct {
	at    install.Adopted
	kind  string
	kept  install.Kept
	other bool // the keychain holds another value under its name
}

// openSecret is a secret that stays in plain text: an argument, or a copy in a place that is not ours.
type openSecret struct {
	foundSecret
	copied bool   // it is one because a secret that moves stands in it
	which  string // how --secret-arg is told of it; "" where it is no argument
}

func (p *installPlan) make(ctx context.Context) (err error) {
	if p.state, err = p.a.stateDir(); err != nil {
		return err
	}
	raw, _, there := p.doc.Entry(p.name)
	switch known, mine := p.cfg.Servers[p.name]; {
	case there:
		p.original = raw
		if err = p.chooseName(); err == nil {
			err = p.takeOver()
		}
	case mine:
		p.server, p.entry = p.name, known
		if p.entry.Auth, err = p.auth(known.Auth); err == nil {
			err = p.notLost()
		}
	default:
		if err = p.notLost(); err == nil {
			err = p.unknown()
		}
	}
	if err != nil {
		return err
	}
	if err := p.openStore(ctx); err != nil {
		return err
	}
	if p.ours, err = p.a.clientEntry(p.cfg, p.server); err != nil {
		return err
	}
	p.desktop = desktopHere(p.cfg.Desktop)
	return p.describe()
}

// notLost refuses to install anew what is installed: what is remembered of the client's own entry would be lost.
func (p *installPlan) notLost() error {
	records, err := install.AllRecords(p.state)
	for _, r := range records {
		if r.File != p.file || r.Name != p.name {
			continue
		}
		if r.Out && r.Original != "" {
			return &refusal{
				fmt.Sprintf("%s has no entry %s any more, which mcp-valet had taken out", p.client.Title, printable(p.name)),
				fmt.Sprintf("to have the client's own entry again: mcp-valet uninstall %s --force; to have ours: mcp-valet reapply %s", r.Server, r.Server),
			}
		}
		if !r.Out {
			return &refusal{p.client.Title + " has lost the entry of " + r.Server + ", which mcp-valet had put there", "to put it back: mcp-valet reapply " + r.Server}
		}
	}
	return err
}

// unknown says which entries there are.
func (p *installPlan) unknown() error {
	names := p.doc.Names()
	if len(names) == 0 {
		return &install.Error{Path: p.file, Msg: "has no servers"}
	}
	for i, n := range names {
		names[i] = printable(n)
	}
	return &hinted{
		&install.Error{Path: p.file, Msg: fmt.Sprintf("has no server %s; it has: %s%s", printable(p.name), strings.Join(names, ", "), meant(p.name, p.doc.Names()))},
		"NAME is a server's name in the client's config, or in ours: mcp-valet config edit",
	}
}

// meant asks about the name that was likely meant.
func meant(name string, known []string) string {
	if near := config.Nearest(name, known); near != "" {
		return fmt.Sprintf(" (did you mean %s?)", printable(near))
	}
	return ""
}

// chooseName finds the server's name in our config.
func (p *installPlan) chooseName() error {
	if err := p.findTomb(); err != nil {
		return err
	}
	p.server = cmpOr(p.o.as, p.name)
	if p.tomb != nil && p.o.as == "" {
		p.server = p.tomb.Server // its secrets are kept under this name
	}
	if !validServer(p.server) && p.o.as != "" {
		return &usageError{msg: "a name has letters, digits, dot, dash and underscore, 128 at most, and does not begin with a dash", command: "install"}
	}
	if !validServer(p.server) {
		p.server = plainName(p.name)
		if _, taken := p.cfg.Servers[p.server]; taken || !validServer(p.server) {
			return &usageError{msg: "our config does not take this name: give it another one there, with --as NAME", command: "install"}
		}
	}
	records, err := install.Records(p.state, p.server)
	if err != nil {
		return err
	}
	for _, r := range records {
		if !r.Out && (r.File != p.file || r.Name != p.name) {
			return &usageError{msg: fmt.Sprintf("the name %s is that of a server of %s already: give this one another, with --as NAME", p.server, r.File), command: "install"}
		}
		p.made = p.made || !r.Out && r.Made
	}
	return nil
}

func validServer(name string) bool {
	return keyring.ValidName(name) && name[0] != '-' && name != "." && name != ".."
}

// openStore opens the keychain and looks at what it has by the names of the secrets that are to move there. A server that
// needs nothing from a keychain does without one.
func (p *installPlan) openStore(ctx context.Context) (err error) {
	needed := p.entry.Auth != nil || len(p.entry.Secrets()) > 0 || len(p.open) > 0
	if p.o.dryRun {
		return nil
	}
	if p.store, err = p.a.openStoreForLogin(p.cfg); err != nil && needed {
		return &about{account: p.o.account, server: p.server, err: err}
	}
	if err == nil {
		_, err = p.store.Trust(ctx, p.server)
	}
	switch {
	case err == nil || errors.Is(err, keyring.ErrNotFound) || errors.Is(err, keyring.ErrCorrupt):
	case needed:
		return &about{account: p.o.account, server: p.server, err: err}
	default:
		p.store = nil
		return nil
	}
	for i, s := range p.found {
		now, err := p.store.Get(ctx, keyring.SecretKey(p.server, s.at.Variable))
		if err != nil && !errors.Is(err, keyring.ErrNotFound) {
			return &about{server: p.server, err: err}
		}
		p.found[i].other = err == nil && !now.Equal(s.kept.Value)
	}
	if err := p.checkTakenUp(ctx); err != nil {
		return err
	}
	for _, name := range p.again {
		_, err := p.store.Get(ctx, keyring.SecretKey(p.server, name))
		if errors.Is(err, keyring.ErrNotFound) {
			return &usageError{msg: fmt.Sprintf("neither the entry nor %s has %s", p.a.vault(p.cfg), printable(name)), command: "install"}
		}
		if err != nil {
			return &about{server: p.server, err: err}
		}
	}
	return nil
}

// desktopHere is how the person's screen is reached from here, if it is: known unless this terminal says otherwise.
func desktopHere(known map[string]string) map[string]string {
	if runtime.GOOS != "linux" || os.Getenv("SSH_CONNECTION") != "" || os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
		return known // not to be seen from here, or a window of another machine
	}
	now := map[string]string{}
	for _, name := range config.DesktopVariables() {
		value := os.Getenv(name)
		path := name == "XAUTHORITY" || name == "XDG_RUNTIME_DIR"
		if value != "" && (!path || filepath.IsAbs(value)) {
			now[name] = value
		}
	}
	return now
}

// describe works out our config as it will be, and what the person is to agree to.
func (p *installPlan) describe() (err error) {
	after := *p.cfg
	after.Servers = maps.Clone(p.cfg.Servers)
	if after.Servers == nil {
		after.Servers = map[string]config.Server{}
	}
	after.Servers[p.server] = p.entry
	after.Desktop = p.desktop
	if p.trust, err = describe(&after, p.server); err != nil {
		return err
	}
	_, _, err = p.ourText(p.entry)
	return err
}

// ourText gives the text of our config as it is, and as it will be with entry as the server's.
func (p *installPlan) ourText(entry config.Server) (before, after []byte, err error) {
	before, err = os.ReadFile(p.cfg.Path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("reading the config: %w", err)
	}
	after, err = p.edit(before, entry)
	return before, after, err
}

// edit is what install does to the text of our config.
func (p *installPlan) edit(text []byte, entry config.Server) ([]byte, error) {
	text, err := config.SetServer(text, p.server, entry)
	if err == nil && !maps.Equal(p.desktop, p.cfg.Desktop) {
		text, err = config.SetDesktop(text, p.desktop)
	}
	if kind := p.a.storeKind(p.cfg); err == nil && kind != cmpOr(p.cfg.Store.Kind, "keychain") {
		text, err = config.SetStore(text, config.Store{Kind: kind, KeyFile: p.cfg.Store.KeyFile})
	}
	return text, err
}
