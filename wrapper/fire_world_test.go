package wrapper_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mcp-valet/keyring"
	"mcp-valet/refresh"
)

// fire is one machine and what goes wrong there: an account, its issuer, a keychain, a person, and launchers.
type fire struct {
	*plan
	t       *testing.T
	sum     *tally
	dir     string // the state folder
	began   time.Time
	account refresh.Account
	idp     *idp
	chain   *chain
	crew    []*post
	calm    atomic.Bool // no faults any more
	agents  sync.WaitGroup

	mu      sync.Mutex
	started int      // agents
	prompts prompts  // what the person has seen
	story   []string // for whoever looks into a failure
}

const (
	fireIssuer = "https://login.test"
	fireServer = "kb"
)

func newFire(t *testing.T, p *plan, dir string, sum *tally) *fire {
	f := &fire{plan: p, t: t, sum: sum, dir: dir + "/state", began: time.Now()}
	f.account = refresh.Account{Name: "work", Issuer: fireIssuer, ClientID: "valet", Scopes: []string{"openid", "offline_access"}}
	if p.jwt {
		f.account.Audience = "kb"
	}
	if p.explicit {
		f.account.Endpoints = refresh.Endpoints{Token: fireIssuer + "/token", DeviceAuthorization: fireIssuer + "/device", JWKS: fireIssuer + "/keys"}
	}
	f.idp = newIdp(f)
	f.chain = newChain(f)
	return f
}

// run is the whole schedule: the account as it begins, the fire, the calm after it, and the end.
func (f *fire) run() {
	f.settle()
	for n := range f.launchers {
		l := newPost(f, n, f.launchers[n])
		f.crew = append(f.crew, l)
		go l.work()
	}
	for _, e := range f.disasters() {
		time.Sleep(time.Until(f.began.Add(e.at)))
		e.strikes()
	}
	time.Sleep(time.Until(f.began.Add(f.length)))
	f.calm.Store(true)
	f.say("it is calm")
	for _, l := range f.crew {
		<-l.idle
	}
	time.Sleep(2 * time.Minute) // what has begun under fire comes to its end
	f.recovers()
	for _, l := range f.crew {
		s := l.sittings[len(l.sittings)-1]
		s.leave("eof")
		s.mustEnd(5 * time.Second)
	}
	f.agents.Wait()
	time.Sleep(time.Hour) // keychain calls that nobody waits for
	f.obey()
}

// disaster is something that happens once.
type disaster struct {
	at      time.Duration
	strikes func()
}

func (f *fire) disasters() (all []disaster) {
	for _, at := range f.revoked {
		all = append(all, disaster{at, f.idp.revokeAll})
	}
	for _, at := range f.corrupt {
		all = append(all, disaster{at, f.chain.damage})
	}
	slices.SortFunc(all, func(a, b disaster) int { return int(a.at - b.at) })
	return all
}

// settle has the account begin as the plan says.
func (f *fire) settle() {
	f.calm.Store(true)
	defer f.calm.Store(false)
	store := f.open(f.process("setup", 0))
	if err := store.SaveTrust(f.t.Context(), &keyring.Trust{Server: fireServer, Command: "kb", Path: "/bin/kb", Account: "work"}); err != nil {
		f.t.Fatal(err)
	}
	if f.begins == "none" {
		return
	}
	account := f.account
	account.Transport = &wire{f.idp, f.process("setup", 0)}
	client, err := refresh.New(account)
	if err != nil {
		f.t.Fatal(err)
	}
	c, err := client.SignIn(f.t.Context(), refresh.WayDevice, refresh.Prompt{})
	if err != nil {
		f.t.Fatal(err)
	}
	f.began = time.Now()
	ago := map[string]time.Duration{"due": f.life * 9 / 10, "ended": 9 * time.Hour, "dead": 9 * time.Hour}[f.begins]
	c.ObtainedAt, c.Expiry = c.ObtainedAt.Add(-ago), c.Expiry.Add(-ago)
	if f.begins == "dead" {
		f.idp.revokeAll()
	}
	if err := store.SaveCredential(f.t.Context(), c); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fire) elapsed() time.Duration { return time.Since(f.began) }

// asleep tells whether the machine is.
func (f *fire) asleep() bool {
	at := f.elapsed()
	return at >= f.sleep.from && at < f.sleep.to
}

// say notes what happens.
func (f *fire) say(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.story = append(f.story, fmt.Sprintf("%v ", f.elapsed())+fmt.Sprintf(format, args...)); len(f.story) > 4000 {
		f.story = f.story[1000:]
	}
}

// breaks says that a law is broken.
func (f *fire) breaks(law, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	f.say("BROKEN %s: %s", law, text)
	f.t.Errorf("%s, after %v: %s", law, f.elapsed(), text)
}

// stacks has the story tell what everybody is at.
func (f *fire) stacks() {
	if *fireSeed >= 0 {
		b := make([]byte, 4<<20)
		f.say("%s", b[:runtime.Stack(b, true)])
	}
}

// keeps notes that a law was put to the test.
func (f *fire) keeps(law string) { f.sum.add("law", law) }

// told shows the story of a schedule that has failed.
func (f *fire) told() {
	if f.t.Failed() {
		f.t.Logf("this was schedule %d: replay it with -run TestSoakUnderFire -fire.seed %d", f.seed, f.seed)
		f.t.Logf("%+v", *f.plan)
		if *fireSeed >= 0 {
			for _, line := range f.story {
				f.t.Log(line)
			}
		}
	}
}

// process is one of ours: a launcher, or an agent, which can be killed at any of its steps towards the outside.
type process struct {
	fire   *fire
	name   string
	number int // of an agent
	agent  bool
	dies   int // the step at which it is killed; 0 for never

	mu    sync.Mutex
	steps int
	dead  atomic.Bool
	over  atomic.Bool // it has ended, in whatever way
	err   error       // of an agent that has ended
}

func (f *fire) process(name string, dies int) *process {
	return &process{fire: f, name: name, dies: dies}
}

// step is a moment at which a process may be killed; it tells whether it is dead.
func (p *process) step() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.steps++
	if p.steps == p.dies && !p.fire.calm.Load() {
		p.dead.Store(true)
		p.fire.sum.add("fault", "agent killed")
		p.fire.say("%s is killed at its step %d", p.name, p.steps)
	}
	return p.dead.Load()
}

// mayDie ends an agent here if it is dead: all that the operating system does is to free its locks.
func (p *process) mayDie() {
	if p.agent && p.step() {
		runtime.Goexit()
	}
}

// open gives a process its own store over the one keychain.
func (f *fire) open(p *process) *keyring.Store {
	store, err := keyring.Open(keyring.Options{StateDir: f.dir, Keychain: &desk{f.chain, p}})
	if err != nil {
		f.t.Error(err)
		runtime.Goexit()
	}
	return store
}

// mortal is a store of a process that may be killed at each call.
type mortal struct {
	*keyring.Store
	p *process
}

func (m *mortal) Credential(ctx context.Context, account string) (*keyring.Credential, error) {
	m.p.mayDie()
	c, err := m.Store.Credential(ctx, account)
	m.p.mayDie()
	return c, err
}

func (m *mortal) SaveCredential(ctx context.Context, c *keyring.Credential) error {
	m.p.mayDie()
	err := m.Store.SaveCredential(ctx, c)
	m.p.mayDie()
	return err
}

func (m *mortal) CheckSave(ctx context.Context, account string) error {
	m.p.mayDie()
	err := m.Store.CheckSave(ctx, account)
	m.p.mayDie()
	return err
}

func (m *mortal) Lock(ctx context.Context, kind keyring.LockKind, account string) (*keyring.Lock, error) {
	m.p.mayDie()
	l, err := m.Store.Lock(ctx, kind, account)
	if m.p.agent && m.p.step() {
		if l != nil {
			l.Unlock()
		}
		runtime.Goexit()
	}
	return l, err
}

var errKilled = errors.New("killed")

// agent is a process that outlives the launcher that has started it.
type agent struct {
	*process
	done chan struct{}
}

// detach starts an agent.
func (f *fire) detach(work string, does func(p *process, store refresh.Store, a refresh.Account) error) *agent {
	f.mu.Lock()
	f.started++
	n := f.started
	f.mu.Unlock()
	d := f.dice("agent", n)
	p := f.process(fmt.Sprintf("agent %d (%s)", n, work), 0)
	p.agent, p.number = true, n
	if oneOf(d, f.mortality) {
		p.dies = 1 + d.IntN(30)
	}
	p.err = errKilled
	g := &agent{p, make(chan struct{})}
	f.sum.add("agents", work)
	f.agents.Go(func() {
		defer close(g.done)
		defer p.over.Store(true)
		account := f.account
		account.Transport = &wire{f.idp, p}
		p.err = does(p, &mortal{f.open(p), p}, account)
		f.say("%s ends: %v", p.name, p.err)
		if p.dead.Load() {
			p.err = errKilled
		}
	})
	return g
}

// wait waits for an agent's end, while ctx lasts.
func (g *agent) wait(ctx context.Context) error {
	select {
	case <-g.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
