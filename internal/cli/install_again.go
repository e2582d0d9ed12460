package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"mcp-valet/install"
	"mcp-valet/keyring"
)

// findTomb looks for what is remembered of the same entry, if it was taken out: by the name that is given, or the last.
func (p *installPlan) findTomb() error {
	all, err := install.AllRecords(p.state)
	for _, r := range all {
		if !r.Out || r.File != p.file || r.Name != p.name {
			continue
		}
		if p.tomb == nil || r.Server == p.o.as || p.tomb.Server != p.o.as && r.OutAt.After(p.tomb.OutAt) {
			p.tomb = &r
		}
	}
	return err
}

// forgetOther has a record under another name than the one given now be no business of this install, and says so.
func (p *installPlan) forgetOther() {
	if p.tomb == nil || p.tomb.Server == p.server {
		return
	}
	if moving := install.Moving(p.tomb.Secrets); len(moving) > 0 {
		p.a.sayf("WARNING: the secrets of an install before are kept under the name %s, and not used: without --as they would be.", p.tomb.Server)
	}
	p.tomb = nil
}

// resume takes up what an install before this one has left: uninstall keeps its record, and the secrets in the keychain.
func (p *installPlan) resume() error {
	p.forgetOther()
	if p.tomb == nil || p.tomb.Original == "" {
		return nil
	}
	less, err := lessSecrets(p.original, *p.tomb)
	if err != nil {
		return fmt.Errorf("reading what was installed: %w", err)
	}
	p.resumed = less && len(install.Moving(p.tomb.Secrets)) > 0
	return nil
}

// former is the number that an argument of the client's entry has in the record of it.
func (p *installPlan) former(number int) int {
	if !p.resumed {
		return number
	}
	return install.Former(p.tomb.Secrets, number)
}

// prior tells whether a variable was moved to the keychain by an install before, and is no more in the client's entry.
func (p *installPlan) prior(name string) bool {
	return p.resumed && slices.ContainsFunc(install.Moving(p.tomb.Secrets), func(s install.Adopted) bool { return s.Variable == name })
}

// movedBefore tells whether a variable of the client's entry was moved by an install before.
func (p *installPlan) movedBefore(name string) bool {
	return p.tomb != nil && slices.ContainsFunc(install.Moving(p.tomb.Secrets), func(s install.Adopted) bool {
		return s.Variable == name && s.Argument == 0
	})
}

func (p *installPlan) byWhom(name string) string {
	if slices.Contains(p.o.secrets, name) {
		return "named by you"
	}
	return "moved by an install before"
}

// takeUp has the server get the secrets of an install before, which the keychain has and the client's entry has not.
func (p *installPlan) takeUp(was *install.Server) error {
	if p.tomb == nil {
		return nil
	}
	if p.resumed {
		p.leaveAgain(was)
	}
	full, err := install.Hide(p.original, p.tomb.Server, p.tomb.Secrets)
	if err == nil && install.Same(full, []byte(p.tomb.Original)) {
		return nil // all of them are in the entry
	}
	for _, s := range install.Moving(p.tomb.Secrets) {
		_, set := p.entry.Env[s.Variable]
		auth := p.entry.Auth
		if set || slices.Contains(p.again, s.Variable) || auth != nil && auth.Kind == "account" && sameVariable(auth.TokenEnv, s.Variable) {
			continue
		}
		p.takenUp = append(p.takenUp, s.Variable)
		if auth == nil || !sameVariable(auth.TokenEnv, s.Variable) { // else it is handed over by its name
			p.entry.Env[s.Variable] = install.Reference(p.server, s.Variable)
		}
	}
	return nil
}

// leaveAgain knows the secrets that stayed in plain text before, although what they are copies of is gone.
func (p *installPlan) leaveAgain(was *install.Server) {
	for _, at := range install.Staying(p.tomb.Secrets) {
		switch {
		case p.placed(at):
		case at.Argument > 0:
			p.leaveArgument(was.Args, at.Argument-1, "it was taken for one before")
		default:
			p.leave(install.Adopted{Variable: at.Variable, Member: at.Member, Stays: true}, "is secret as before", install.TextAt(p.original, at.Member), "")
		}
	}
}

// checkTakenUp leaves out what the keychain has no more.
func (p *installPlan) checkTakenUp(ctx context.Context) error {
	var there []string
	for _, name := range p.takenUp {
		_, err := p.store.Get(ctx, keyring.SecretKey(p.server, name))
		switch {
		case errors.Is(err, keyring.ErrNotFound):
			p.lost = append(p.lost, name)
			delete(p.entry.Env, name)
		case err != nil:
			return &about{server: p.server, err: err}
		default:
			there = append(there, name)
		}
	}
	p.takenUp = there
	return nil
}

// moveCopies looks for the secrets that move in the rest of the entry: in another variable they move, too; anywhere else
// they stay, and that is said.
func (p *installPlan) moveCopies(was *install.Server) error {
	for i := 0; i < len(p.found); i++ { // a variable that moves may hold more than the copy
		s := p.found[i]
		for _, at := range install.Standing(p.original, s.kept.Value) {
			if p.placed(at) {
				continue
			}
			kind := "holds the secret of " + s.at.Variable
			value, variable := was.Env[at.Variable]
			switch {
			case at.Argument > 0:
				p.leaveArgument(was.Args, at.Argument-1, kind)
				p.open[len(p.open)-1].copied = true
			case variable && !slices.Contains(p.o.notSecrets, at.Variable) && p.adoptVariable(at.Variable, kind, value) == nil:
			case variable:
				p.leave(install.Adopted{Variable: p.memberKey(), Member: install.VariableMember(at.Variable), Stays: true}, kind, value, "")
			default:
				at.Variable, at.Stays = p.memberKey(), true
				p.leave(at, kind, install.TextAt(p.original, at.Member), "")
			}
		}
	}
	return nil
}

func (p *installPlan) memberKey() string { return fmt.Sprintf("member-%d", len(p.open)+1) }

// placed tells whether a place in the entry is known already to hold a secret.
func (p *installPlan) placed(at install.Adopted) bool {
	if at.Argument > 0 && p.taken[at.Argument] {
		return true
	}
	return slices.ContainsFunc(p.hidden(), func(known install.Adopted) bool {
		if at.Argument == 0 && at.Member == "" && known.Member == install.VariableMember(at.Variable) {
			return true
		}
		return known.Argument == at.Argument && known.Member == at.Member && (at.Argument > 0 || at.Member != "" || known.Variable == at.Variable)
	})
}

// record is what is remembered of the client's entry: text and secrets as they were before any install.
func (p *installPlan) recordOriginal() (original []byte, secrets []install.Adopted, err error) {
	original = p.original
	if p.resumed {
		original, secrets = []byte(p.tomb.Original), install.Moving(p.tomb.Secrets)
	}
	for _, s := range p.hidden() {
		if s.Argument > 0 {
			s.Argument = p.former(s.Argument)
		}
		secrets = append(secrets, s)
	}
	original, err = install.Hide(original, p.server, secrets)
	return original, secrets, err
}

// recordWords is our entry for a record, which holds no secret: not those either that stay among the arguments.
func (p *installPlan) recordWords() []byte {
	entry := p.entry
	entry.Args = slices.Clone(entry.Args)
	for _, s := range install.Staying(p.hidden()) {
		if s.Argument > 0 {
			entry.Args[s.Argument-1] = s.Prefix + install.Reference(p.server, s.Variable)
		}
	}
	for _, s := range p.open {
		for name := range entry.Env {
			if s.at.Member == install.VariableMember(name) {
				entry.Env = mapsWith(entry.Env, name, install.Reference(p.server, s.at.Variable))
			}
		}
	}
	return asWords(entry)
}

func mapsWith(m map[string]string, key, value string) map[string]string {
	with := map[string]string{key: value}
	for k, v := range m {
		if k != key {
			with[k] = v
		}
	}
	return with
}
