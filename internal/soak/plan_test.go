//go:build linux

package soak

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// plan is a schedule: all that is left to chance, decided before it begins.
type plan struct {
	seed     uint64
	life     time.Duration // of an access token
	codeLife time.Duration // of a device code
	jwt      bool          // access tokens are JWTs, and not opaque
	audience bool          // and are verified
	keyInEnv bool          // the store's key comes in the environment, and not in a file
	length   time.Duration // of the clients' scripts
	used     bool          // the servers have been used before, and left what the gate can answer with
	monday   bool          // the sign-in is dead when the clients start

	refresh, device, poll, discovery, keys []string // faults of the issuer, by the number of the request
	person                                 []verdict
	shift                                  span // when the issuer's clock is wrong
	shiftBy                                time.Duration

	launchers []launcherPlan
	machine   []machineFault
}

// verdict is what the person does with a code.
type verdict struct {
	says  string // approve, deny, ignore
	after time.Duration
}

type span struct{ at, length time.Duration }

// launcherPlan is a client with its launcher and server.
type launcherPlan struct {
	renew      string
	modern     bool
	elicits    bool   // the client shows addresses
	files      int    // limit of open files; 0 for none
	server     string // its bad habits, separated by commas
	start      time.Duration
	steps      []step
	end        string // eof, term, vanish, kill
	patient    bool   // waits for its answers before the end
	slowReader bool
}

// step is something that a client does.
type step struct {
	after  time.Duration
	does   string
	number int
}

// machineFault is something that happens to processes or files.
type machineFault struct {
	span
	kind   string
	target int
}

// choice draws one of the words, each with its weight: "ok*10 500 reset-after*2".
func choice(r *rand.Rand, words string) string {
	var bag []string
	for _, w := range strings.Fields(words) {
		name, times, _ := strings.Cut(w, "*")
		n := 1
		fmt.Sscan(times, &n)
		for range n {
			bag = append(bag, name)
		}
	}
	return bag[r.IntN(len(bag))]
}

func chance(r *rand.Rand, percent int) bool { return r.IntN(100) < percent }

// between draws a time.
func between(r *rand.Rand, a, b time.Duration) time.Duration {
	return a + time.Duration(r.Int64N(int64(b-a)+1)).Round(time.Millisecond)
}

// several draws n words.
func several(r *rand.Rand, n int, words string) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = choice(r, words)
	}
	return all
}

// refreshFaults are what may become of a refresh grant, from a calm issuer to one in flames.
var refreshFaults = []string{
	"ok",
	"ok*12 slow-ok*2 500 429 429-wait bare-400 hang reset-before keeps-token garbage",
	"ok*8 slow-ok reset-after truncated late-reset reset-before",
	"ok*4 slow-ok 500 503 429 429-wait bare-400*2 hang*2 reset-before*2 reset-after truncated late-reset garbage keeps-token dead",
	"ok dead bare-400*3 500",
	"dead",
	"reset-after*2 truncated late-reset ok",
}

const (
	steps         = 60
	issuerAnswers = 64
)

func planOf(seed uint64) plan {
	r := rand.New(rand.NewPCG(seed, 0x50a4))
	p := plan{
		seed:     seed,
		life:     time.Duration(2+r.IntN(3)) * time.Second,
		codeLife: time.Duration(3+r.IntN(8)) * time.Second,
		jwt:      chance(r, 50),
		keyInEnv: chance(r, 50),
		length:   between(r, 3*time.Second, 6*time.Second),
	}
	p.used, p.monday = chance(r, 40), chance(r, 30)
	p.audience = p.jwt && chance(r, 40)
	p.refresh = several(r, issuerAnswers, refreshFaults[r.IntN(len(refreshFaults))])
	p.device = several(r, issuerAnswers, []string{"ok", "ok*4 500 reset-before hang garbage"}[r.IntN(2)])
	p.poll = several(r, issuerAnswers, []string{"ok", "ok*6 500 reset-before reset-after bare-400 garbage"}[r.IntN(2)])
	p.discovery = several(r, issuerAnswers, []string{"ok", "ok", "ok*4 500 reset-before garbage hang"}[r.IntN(3)])
	p.keys = several(r, issuerAnswers, []string{"ok", "ok*2 500*2 hang reset-before garbage"}[r.IntN(2)])
	for range 16 {
		p.person = append(p.person, verdict{choice(r, "approve*5 deny ignore*2"), between(r, 0, 2*time.Second)})
	}
	if !p.audience && chance(r, 25) {
		p.shift = span{between(r, 0, p.length), between(r, 500*time.Millisecond, 3*time.Second)}
		p.shiftBy = []time.Duration{time.Hour, -time.Hour}[r.IntN(2)]
	}
	n := 1 + r.IntN(8)
	for i := range n {
		p.launchers = append(p.launchers, launcherOf(r, i, p.length))
	}
	if chance(r, 40) { // all at once
		for i := range p.launchers {
			p.launchers[i].start, p.launchers[i].steps[0] = 0, step{0, "count", 0}
		}
	}
	if chance(r, 4) {
		p.launchers[0].patient = true
	}
	for range r.IntN(4) {
		p.machine = append(p.machine, machineFault{
			span:   span{between(r, 100*time.Millisecond, p.length), between(r, 200*time.Millisecond, 2500*time.Millisecond)},
			kind:   choice(r, "kill-launcher*4 kill-agent*6 stop-agent*3 corrupt-record corrupt-state*2 corrupt-signin corrupt-snapshot corrupt-index disk-full*3"),
			target: r.IntN(n),
		})
	}
	return p
}

func launcherOf(r *rand.Rand, i int, length time.Duration) launcherPlan {
	l := launcherPlan{
		renew:   choice(r, "restart*3 restart-exclusive*2 file*2 meta*2 off"),
		modern:  chance(r, 25),
		elicits: chance(r, 25),
		start:   between(r, 0, length/3),
		end:     choice(r, "eof*4 term*2 vanish kill"),
		server:  choice(r, "good*6 slow-start stubborn leaky noisy"),
	}
	l.slowReader = chance(r, 10)
	if chance(r, 10) {
		l.files = 20 + r.IntN(45)
	}
	does := "count*8 echo*3 list*2 ping*2 wait*2 leak"
	if chance(r, 60) {
		does += " crash garbage twice flood big hang cancel ask grandchild deaf pause*2"
	}
	for range steps {
		l.steps = append(l.steps, step{between(r, 0, 400*time.Millisecond), choice(r, does), r.IntN(1000)})
	}
	return l
}

func (p plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "tokens %s, codes %s, jwt %t, audience %t, key in environment %t, scripts %s, used before %t, monday %t, clock wrong by %s at %s for %s\n",
		p.life, p.codeLife, p.jwt, p.audience, p.keyInEnv, p.length, p.used, p.monday, p.shiftBy, p.shift.at, p.shift.length)
	fmt.Fprintf(&b, "refresh %v…\ndevice %v…\nperson %v…\n", p.refresh[:12], p.device[:6], p.person[:6])
	for i, l := range p.launchers {
		fmt.Fprintf(&b, "launcher %d: renew %s, modern %t, elicits %t, files %d, server %s, starts %s, ends %s, patient %t, slow %t\n",
			i, l.renew, l.modern, l.elicits, l.files, l.server, l.start, l.end, l.patient, l.slowReader)
	}
	for _, f := range p.machine {
		fmt.Fprintf(&b, "machine: %+v\n", f)
	}
	return b.String()
}
