package wrapper_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"mcp-valet/keyring"
	"mcp-valet/refresh"
)

// The laws. Each is a function that says so when it is broken, and counts how often it was put to the test.

// lawOneFlight: never are two requests with one refresh token under way.
func (i *idp) lawOneFlight(g *grant) {
	i.fire.keeps("one refresh in flight")
	if g.flying > 0 {
		i.fire.breaks("one refresh in flight", "grant %d of sign-in %d is spent twice at a time", g.n, g.family.number)
	}
}

// lawRetry: a refresh token that has failed is not sent again before its time, and one of which the issuer has said that
// it is dead not within an hour, unless the agent that was told so was killed.
func (i *idp) lawRetry(g *grant) {
	if g.told.IsZero() || g.toldTo.dead.Load() || g.to != nil && !g.to.lost && !g.dead {
		return
	}
	i.fire.keeps("patience with the issuer")
	least := max(4*time.Second, g.after)
	if g.dead {
		least = time.Hour
		i.fire.keeps("a dead refresh token is let be")
	}
	if gap := time.Since(g.told); gap < least-time.Second {
		i.fire.breaks("patience with the issuer", "grant %d of sign-in %d is sent again after %v, not %v", g.n, g.family.number, gap, least)
	}
}

// excused tells whether there was something in the way of keeping a grant.
func (i *idp) excused(g *grant) bool {
	return g.lost || g.by.dead.Load() || i.fire.chain.failed(g.at, g.at.Add(90*time.Second))
}

// lawKept: what the issuer has given comes to the keychain, unless its answer was lost, or the agent killed, or the
// keychain would not take it. It is called for a grant when the one before it is used again, and at the end for all.
func (i *idp) lawKept(g *grant) {
	if i.excused(g) {
		i.fire.keeps("a loss is excused")
		return
	}
	i.fire.keeps("no credential lost")
	if !i.fire.large && g.refresh != "" && !i.fire.chain.holds(g.refresh) {
		i.fire.breaks("no credential lost", "grant %d of sign-in %d was given to %s and not kept", g.n, g.family.number, g.by.name)
	}
	if g.from != nil && g.from.dead && g.from.refresh != "" && i.fire.rotates && !i.fire.chain.damaged && !g.family.byHand {
		i.fire.breaks("no credential lost", "grant %d of sign-in %d was used again though %s had its successor", g.from.n, g.family.number, g.by.name)
	}
}

// lawSignIns: no more sign-ins than there were reasons for one: none before, somebody at the issuer who ends it, damage,
// and losses that are excused, one for one.
func (i *idp) lawSignIns() {
	for _, w := range i.fire.issuer {
		if w.kind == "bare 400" { // three of them in a row are taken for a dead sign-in
			return
		}
	}
	reasons := len(i.fire.revoked)
	if i.fire.begins == "none" || i.fire.begins == "dead" {
		reasons++
	}
	if i.fire.chain.damaged {
		reasons++
	}
	families := len(i.families)
	if i.fire.begins != "none" {
		families--
	}
	for _, g := range i.access {
		if i.excused(g) {
			reasons++
		}
	}
	reasons += i.fire.prompts.byHand
	i.fire.keeps("no more sign-ins than reasons")
	if families > reasons {
		i.fire.breaks("no more sign-ins than reasons", "%d sign-ins for %d reasons", families, reasons)
	}
}

// lawNoStorm: no refresh token is asked with again and again.
func (i *idp) lawNoStorm() {
	most := 15 + 15*int(i.fire.elapsed()/time.Hour)
	for _, g := range i.grants {
		i.fire.keeps("no storm at the issuer")
		if g.asked > most && i.fire.rotates {
			i.fire.breaks("no storm at the issuer", "grant %d of sign-in %d was sent %d times", g.n, g.family.number, g.asked)
		}
	}
}

// prompts is what the person has seen.
type prompts struct {
	mu         sync.Mutex
	unanswered int // windows in a row that brought nothing
	opened     int
	byHand     int
}

// open: after two windows that brought nothing none opens until the person acts.
func (p *prompts) open(f *fire) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f.keeps("two windows in vain at most")
	p.opened++
	if p.unanswered >= refresh.MaxUnanswered {
		f.breaks("two windows in vain at most", "window %d after %d in vain", p.opened, p.unanswered)
	}
	p.unanswered++
}

// end is what came of a sign-in by an agent that was not killed.
func (p *prompts) end(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var kept *keyring.Error
	switch {
	case err == nil:
		p.unanswered = 0
	case errors.Is(err, refresh.ErrUnreachable), errors.As(err, &kept) && !errors.Is(err, keyring.ErrBusy):
		p.unanswered = max(0, p.unanswered-1)
	}
}

func (p *prompts) acts() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unanswered = 0
	p.byHand++
}

// recovers: with the fire out, and a person who signs in when asked to, every client is served again.
func (f *fire) recovers() {
	const patience = 24 * time.Minute
	var all sync.WaitGroup
	for _, l := range f.crew {
		all.Go(func() { l.recover(patience) })
	}
	all.Go(func() {
		time.Sleep(2 * time.Minute)
		note, err := refresh.ReadSignIn(f.dir, "work")
		if err != nil || !note.HeldBack() && !f.chain.damaged {
			return
		}
		if err := f.byHand(); err != nil {
			f.breaks("recovers", "a login by hand ends with %v", err)
		}
	})
	all.Wait()
}

// obey is the look at what is left in the end.
func (f *fire) obey() {
	f.idp.mu.Lock()
	for _, g := range f.idp.access {
		f.idp.lawKept(g)
	}
	f.idp.lawSignIns()
	f.idp.lawNoStorm()
	f.idp.mu.Unlock()
	f.lawStored()
	f.lawLocks()
	f.lawFiles()
}

// lawStored: what is stored in the end is what the issuer honours.
func (f *fire) lawStored() {
	c, err := f.open(f.process("inspector", 0)).Credential(f.t.Context(), "work")
	if err != nil {
		f.breaks("a good credential in the end", "%v", err)
		return
	}
	f.idp.mu.Lock()
	defer f.idp.mu.Unlock()
	f.keeps("a good credential in the end")
	g := f.idp.grants[c.RefreshToken.Reveal()]
	if g != nil && g.family.byHand {
		return // nobody has had a reason to find out
	}
	if g != nil && g.to != nil && f.idp.excused(g.to) {
		return // the same
	}
	if g == nil || g.family.revoked || g.to != nil && f.rotates {
		f.breaks("a good credential in the end", "the issuer does not honour what is stored (serial %d)", c.Serial)
	}
}

// lawLocks: no lock is held.
func (f *fire) lawLocks() {
	store := f.open(f.process("inspector", 0))
	for _, kind := range []keyring.LockKind{keyring.RefreshLock, keyring.SignInLock} {
		f.keeps("no lock left")
		ctx, cancel := context.WithTimeout(f.t.Context(), time.Millisecond)
		l, err := store.Lock(ctx, kind, "work")
		cancel()
		if err != nil {
			f.breaks("no lock left", "%v", err)
			continue
		}
		l.Unlock()
	}
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Millisecond)
	defer cancel()
	if err := store.CheckSave(ctx, "work"); err != nil {
		f.breaks("no lock left", "%v", err)
	}
}

// lawFiles: nothing is left in the state folder but what belongs there, and no token in it.
func (f *fire) lawFiles() {
	err := filepath.WalkDir(f.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f.keeps("no file left")
		name, _ := filepath.Rel(f.dir, path)
		folder, file := filepath.Split(name)
		switch folder {
		case "locks/", "accounts/", "keys/", "snapshots/", "records/":
		case "":
			if file != "index.json" {
				f.breaks("no file left", "%s", name)
			}
		default:
			f.breaks("no file left", "%s", name)
		}
		if strings.HasSuffix(file, ".tmp") {
			f.breaks("no file left", "%s", name)
		}
		text, err := os.ReadFile(path)
		f.lawSecret("files", string(text))
		return err
	})
	if err != nil {
		f.t.Error(err)
	}
}
