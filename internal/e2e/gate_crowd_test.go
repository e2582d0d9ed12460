//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestGateCrowd has eight launchers of one account with one dead refresh token, and a call at each at the same moment: one
// prompt, and one yes has all calls carried out.
func TestGateCrowd(t *testing.T) {
	t.Parallel()
	p := panva(t, "AT_TTL=5")
	v := lastWeek(t, p, "-without-token=end", "-legacy")
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
	v := lastWeek(t, p, "-without-token=end", "-legacy")
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

// TestGateLateNote has another launcher's agent take its time between taking the sign-in's lock and its first note, as a
// slow keychain makes it: what is noted of last week's sign-in is not how this one stands.
func TestGateLateNote(t *testing.T) {
	t.Parallel()
	p := panva(t, "AT_TTL=5")
	v := lastWeek(t, p, "-without-token=end", "-legacy")
	v.use(t, claudeDesktop)
	weekend(p)
	lock, err := os.OpenFile(filepath.Join(v.state(), "locks", "work.signin.lock"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	c := v.start(t, claudeDesktop)
	c.begin()
	held := c.note("held")
	select {
	case m := <-held:
		t.Errorf("told at once: %s", c.toldWhy(m))
	case <-time.After(2 * time.Second):
	}
	c.stop()
}

// TestGateAgentKilled kills the process that runs a sign-in, as the system does when memory is short: the code is good for
// nothing then, and the next call has another one shown.
func TestGateAgentKilled(t *testing.T) {
	t.Parallel()
	p := panva(t, "AT_TTL=5")
	v := lastWeek(t, p, "-without-token=end", "-legacy")
	v.use(t, claudeDesktop)
	weekend(p)
	before := p.stats()
	c := v.start(t, claudeDesktop)
	c.begin()
	first := c.note("first")
	asked := v.asked(t)
	for _, pid := range v.agents(t) {
		syscall.Kill(pid, syscall.SIGKILL)
		await(t, "the agent's end", func() bool { return gone(pid) })
	}
	second := c.note("second")
	await(t, "another sign-in", func() bool { s := v.signIn(t); return s.Outcome == "waiting" && s.UserCode != asked.UserCode })
	approve(t, v.asked(t).URIComplete)
	c.carriedOut(c.answered("the first call", first, holdLimit))
	c.stop(c.carriedOut(c.answered("the second call", second, holdLimit)))
	p.mustHaveAsked(t, before, 2)
}

// agents are the processes of v that run a sign-in.
func (v *valet) agents(t *testing.T) (pids []int) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range lines {
		text, _ := os.ReadFile(path) // it may have ended
		var pid int
		if strings.Contains(string(text), "\x00agent\x00signin\x00") && strings.Contains(string(text), v.dir) {
			fmt.Sscanf(path, "/proc/%d/", &pid)
			pids = append(pids, pid)
		}
	}
	if len(pids) == 0 {
		t.Fatal("no process runs a sign-in")
	}
	return pids
}
