package wrapper_test

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"mcp-valet/wrapper"
)

// plan is one schedule. It is drawn from its seed before anything happens, so that a replay meets the same faults at the
// same times, however the goroutines take turns; what depends on how often something is done has dice of its own.
type plan struct {
	seed   int
	length time.Duration // of the fire; what comes after is calm
	sleep  window        // the machine sleeps: its network is gone, and nobody asks for anything

	life     time.Duration // of access tokens
	skew     time.Duration // how much the issuer's clock is fast
	jwt      bool          // access tokens are JWTs, and checked
	rotates  bool          // a refresh token is good for one use
	explicit bool          // the endpoints are in the configuration
	large    bool          // tokens that no keychain item has room for
	begins   string        // how the account stands: good, due, ended, none, dead

	issuer, keychain []window
	revoked, corrupt []time.Duration // when the issuer ends the sign-in; when the keychain's item is damaged
	mortality        int             // one agent of so many is killed; 0 for none
	people           []act           // what becomes of each sign-in in turn, the last one again and again
	blind            int             // one window of so many cannot be shown; 0 for none
	launchers        []launcherPlan
}

// window is a fault that one call of odds meets between from and to, counted from the beginning.
type window struct {
	from, to time.Duration
	kind     string
	odds     int
}

// act is what a person does about a sign-in.
type act struct {
	what  string // yes, no, nothing
	after time.Duration
}

type launcherPlan struct {
	how                                                 wrapper.Renewal
	from, to                                            time.Duration
	pace                                                time.Duration // between two things that the client does, at most
	end                                                 string        // eof, signal, vanish, killed, parent
	elicits                                             bool          // the client shows addresses
	accepts                                             string        // what its person says to that; "" for nothing
	modern                                              bool          // it speaks MCP 2026-07-28
	stalls                                              int           // one line of so many is read late; 0 for none
	snapshot                                            bool
	crash, hang, flood, garbage, refuse, slow, stubborn int // one message, or start, of so many; 0 for none
	strait                                              int // bytes of the pipe to its servers
}

// The faults of an issuer, and of what is between it and us. Those of the second row come once a grant has taken effect.
var issuerFaults = []string{
	"refused", "reset", "silent", "500", "503 with Retry-After", "429 with Retry-After", "bare 400", "garbage", "web page", "redirect", "huge", "slow", "no description", "no keys",
	"lost: reset", "lost: silent", "lost: 500", "lost: garbage", "lost: cut",
}

// The faults of a keychain. A stopped one takes up what it was asked when it goes on, in the order of asking.
var keychainFaults = []string{"locked", "unavailable", "full", "stopped", "slow", "done and mute", "deaf and mute", "liar", "cut off"}

func newPlan(seed int) *plan {
	p := &plan{seed: seed}
	d := p.dice("plan")
	p.length = within(d, 5*time.Minute, 40*time.Minute)
	p.life = []time.Duration{2 * time.Minute, 3 * time.Minute, 5 * time.Minute, 10 * time.Minute, time.Hour}[d.IntN(5)]
	p.jwt, p.rotates, p.explicit, p.large = d.IntN(3) == 0, d.IntN(5) > 0, d.IntN(5) == 0, d.IntN(8) == 0
	switch {
	case d.IntN(3) > 0:
	case p.jwt: // what is checked must not be from another hour
		p.skew = within(d, -50*time.Second, 50*time.Second)
	default:
		p.skew = within(d, -time.Hour, time.Hour)
	}
	p.begins = []string{"good", "good", "due", "ended", "none", "dead"}[d.IntN(6)]
	if p.explicit && p.begins == "none" { // such a first sign-in is made by hand
		p.begins = "ended"
	}
	if d.IntN(20) == 0 {
		p.sleep.from = within(d, 0, p.length)
		p.sleep.to = p.sleep.from + 8*time.Hour
		p.length += 8 * time.Hour
	}
	p.issuer = p.faults(d, issuerFaults, d.IntN(7))
	p.keychain = p.faults(d, keychainFaults, max(0, d.IntN(6)-2))
	p.revoked = p.moments(d, 6)
	p.corrupt = p.moments(d, 15)
	p.mortality = []int{0, 0, 8, 3}[d.IntN(4)]
	p.blind = []int{0, 0, 3}[d.IntN(3)]
	for range 1 + d.IntN(4) {
		p.people = append(p.people, act{[]string{"yes", "yes", "no", "nothing"}[d.IntN(4)], within(d, time.Second, 4*time.Minute)})
	}
	for range []int{1, 1, 2, 2, 3, 4, 8}[d.IntN(7)] {
		p.launchers = append(p.launchers, p.launcher(d))
	}
	return p
}

// faults are n windows of faults, most of them short.
func (p *plan) faults(d *rand.Rand, kinds []string, n int) (all []window) {
	for range n {
		from := within(d, 0, p.length)
		long := []time.Duration{20 * time.Second, 2 * time.Minute, 20 * time.Minute}[d.IntN(3)]
		all = append(all, window{from, from + within(d, time.Second, long), kinds[d.IntN(len(kinds))], 1 + d.IntN(3)})
	}
	return all
}

// moments is at times one moment.
func (p *plan) moments(d *rand.Rand, odds int) []time.Duration {
	if d.IntN(odds) > 0 {
		return nil
	}
	return []time.Duration{within(d, 0, p.length)}
}

func (p *plan) launcher(d *rand.Rand) launcherPlan {
	l := launcherPlan{
		how:  []wrapper.Renewal{wrapper.RenewRestart, wrapper.RenewRestart, wrapper.RenewExclusive, wrapper.RenewFile, wrapper.RenewMeta, wrapper.RenewOff}[d.IntN(6)],
		pace: time.Duration(10+d.IntN(300)) * time.Second,
		end:  []string{"eof", "signal", "vanish", "killed", "parent"}[d.IntN(5)],
		from: within(d, 0, p.length/3), to: p.length + time.Hour,
		elicits: d.IntN(3) == 0, accepts: []string{"accept", "decline", ""}[d.IntN(3)],
		modern: d.IntN(5) == 0, snapshot: d.IntN(3) > 0,
	}
	if d.IntN(4) == 0 {
		l.from = 0 // all at once
	}
	if d.IntN(2) == 0 {
		l.to = l.from + within(d, time.Second, p.length)
	}
	at := func(odds, one int) int {
		if d.IntN(odds) > 0 {
			return 0
		}
		return one
	}
	l.stalls, l.strait = at(5, 12), 64<<10
	l.crash, l.hang, l.flood, l.garbage = at(4, 40), at(8, 60), at(6, 20), at(6, 20)
	l.refuse, l.slow, l.stubborn = at(5, 4), at(3, 3), at(5, 2)
	if d.IntN(10) == 0 {
		l.strait = 100
	}
	return l
}

// dice are for one purpose, be it however often others are thrown.
func (p *plan) dice(purpose string, numbers ...int) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprint(h, purpose, numbers)
	return rand.New(rand.NewPCG(uint64(p.seed), h.Sum64()))
}

// fault is the kind of fault that the call with a number meets; "" for none.
func (p *plan) fault(all []window, purpose string, number int, at time.Duration) string {
	for i, w := range all {
		if at >= w.from && at < w.to && p.dice(purpose, number, i).IntN(w.odds) == 0 {
			return w.kind
		}
	}
	return ""
}

func within(d *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(d.Int64N(int64(to-from)))
}

// oneOf tells whether that one of n comes up; never for 0.
func oneOf(d *rand.Rand, n int) bool { return n > 0 && d.IntN(n) == 0 }
