//go:build linux

package e2e

import (
	"fmt"
	"syscall"
	"testing"
)

// TestGateCrowd has eight launchers of one account with one dead refresh token, and a call at each at the same moment: one
// prompt, and one yes has all calls carried out.
func TestGateCrowd(t *testing.T) {
	t.Parallel()
	p := panva(t, "AT_TTL=5")
	v := lastWeek(t, p, "-needs-token", "-legacy")
	v.use(t, claudeDesktop)
	weekend(p)
	before := p.stats()
	var peers []*peer
	var held []<-chan message
	var want []string
	for range 8 {
		peers = append(peers, v.start(t, claudeDesktop))
	}
	for _, c := range peers {
		c.begin()
	}
	for i, c := range peers {
		want = append(want, fmt.Sprint("call ", i))
		held = append(held, c.note(want[i]))
	}
	asked := v.asked(t)
	for i, c := range peers {
		c.pending(held[i])
	}
	approve(t, asked.URIComplete)
	for i, c := range peers {
		c.carriedOut(c.answered(want[i], held[i], holdLimit))
	}
	v.mustHaveNoted(t, want...)
	p.mustHaveAsked(t, before, 1)
	for _, c := range peers {
		c.stop()
	}
}

// TestGateKilled kills the launcher that has begun a sign-in, and all of its process group: the sign-in goes on, and what
// waits for it at other launchers is carried out.
func TestGateKilled(t *testing.T) {
	t.Parallel()
	p := panva(t, "AT_TTL=5")
	v := lastWeek(t, p, "-needs-token", "-legacy")
	v.use(t, claudeDesktop)
	weekend(p)
	before := p.stats()
	begins, waits := v.start(t, codexWithoutURLs()), v.start(t, claudeDesktop)
	begins.begin()
	waits.begin()
	lost := begins.note("of the killed one")
	asked := v.asked(t)
	held := waits.note("of the other one")
	begins.pending(lost)
	begins.kill(syscall.SIGKILL)
	<-begins.exited
	late := v.start(t, claudeCode)
	late.begin()
	heldToo := late.note("of the late one")
	if now := v.asked(t); now != asked {
		t.Errorf("another sign-in waits: %+v, first it was %+v", now, asked)
	}
	approve(t, asked.URIComplete)
	waits.carriedOut(waits.answered("the call at the other launcher", held, holdLimit))
	late.stop(late.carriedOut(late.answered("the call at the late launcher", heldToo, holdLimit)))
	waits.stop()
	v.mustHaveNoted(t, "of the other one", "of the late one")
	p.mustHaveAsked(t, before, 1)
}

// codexWithoutURLs has its server in a group of its own.
func codexWithoutURLs() habits {
	h := codex
	h.capabilities, h.elicitsURLs = `{"elicitation":{"form":{}}}`, false
	return h
}
