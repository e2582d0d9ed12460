package cli

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"mcp-valet/internal/config"
	"mcp-valet/wrapper"
	"mcp-valet/wrapper/audit"
	"mcp-valet/wrapper/policy"
)

// guard holds a server's users to its policy, and keeps the record of that. The zero value holds nobody to anything.
type guard struct {
	app    *app
	server string
	kept   *keptPolicy // nil for none
	trail  *auditTrail // nil for none

	revoked func() bool // nil where no credential can be
}

// guardOf is the guard of a server of the config. A record is kept where the config speaks of one, or the server has a
// policy; without a store it is unsigned.
func (a *app) guardOf(l *launch) (*guard, error) {
	g := &guard{app: a, server: l.name, revoked: l.revoked}
	p, err := compilePolicy(l.cfg, l.name)
	if err != nil {
		return nil, err
	}
	if p != nil {
		g.kept = keepPolicy(l.cfg, l.name, p)
		g.kept.told = g.policyEvent
	}
	if p == nil && l.cfg.Audit == nil {
		return g, nil
	}
	if g.trail, err = a.openAudit(l.cfg, l.store); err != nil {
		return nil, err
	}
	if err := g.event("start", ""); err != nil {
		g.tell(g.trail.Close())
		return nil, err
	}
	return g, nil
}

// options are what the wrapper needs of it.
func (g *guard) options() (o wrapper.Guard) {
	if g == nil {
		return o
	}
	if g.kept != nil {
		o.Policy = g.kept.inForce
	}
	o.Revoked = g.revoked
	if g.trail != nil {
		o.Note, o.Answered = g.note, g.answered
	}
	return o
}

func (g *guard) close() {
	if g == nil || g.trail == nil {
		return
	}
	g.tell(g.event("end", ""))
	g.tell(g.trail.Close())
}

// tell puts what cannot be helped any more on stderr.
func (g *guard) tell(err error) {
	if err != nil {
		fmt.Fprintf(g.app.stderr, "%s: the audit log: %v\n", program, err)
	}
}

func (g *guard) event(event, detail string) error {
	return g.trail.Append(&audit.Record{Event: event, Server: g.server, Detail: detail})
}

// policyEvent records, and says, what has become of a policy that was edited.
func (g *guard) policyEvent(what string) {
	fmt.Fprintf(g.app.stderr, "%s: the policy of server %s: %s\n", program, g.server, what)
	if g.trail != nil {
		g.tell(g.event("policy", what))
	}
}

// note records a decision before it takes effect.
func (g *guard) note(d wrapper.Decision) error {
	r := g.record("decision", &d)
	r.Verdict, r.Rule, r.SizeIn = verdicts[d.Allowed], d.Rule, d.Size
	if d.Arguments != nil {
		r.Arguments = g.trail.shape(d.Arguments)
	}
	r.Detail = d.Err
	return g.trail.Append(r)
}

var verdicts = map[bool]string{true: "allow", false: "deny"}

// answered records what came of a call.
func (g *guard) answered(o wrapper.Outcome) {
	r := g.record("answer", o.Decision)
	r.Outcome, r.Duration, r.SizeOut = outcomes[o.Failed], o.Took, o.Size
	g.tell(g.trail.Append(r))
}

var outcomes = map[bool]string{true: "error", false: "ok"}

func (g *guard) record(event string, d *wrapper.Decision) *audit.Record {
	r := &audit.Record{Event: event, Server: g.server, Method: d.Method, Tool: d.Name}
	if u := d.User; u != nil {
		r.Account, r.Subject, r.Tenant, r.Roles = u.Account, u.Subject, u.Tenant, u.Roles
	}
	return r
}

// lookTime is how often it is looked whether a policy was edited, while calls are made.
const lookTime = time.Second

// keptPolicy is the policy in force, which follows its files. One that is broken, or gone, does not take the place of one
// that is good: that would open what was closed.
type keptPolicy struct {
	name string
	told func(what string) // what has become of an edit

	now    atomic.Pointer[policy.Policy]
	looked atomic.Int64 // when the files were last looked at, in ns

	mu    sync.Mutex
	files []string
	seen  string // how they looked
}

func keepPolicy(cfg *config.Config, name string, p *policy.Policy) *keptPolicy {
	k := &keptPolicy{name: name, files: policyFiles(cfg, name)}
	k.now.Store(p)
	k.looked.Store(time.Now().UnixNano())
	k.seen = k.look()
	return k
}

// policyFiles are those that a policy comes from.
func policyFiles(cfg *config.Config, name string) []string {
	files := []string{cfg.Path}
	if p := cfg.Servers[name].Policy; p != nil && p.File != "" {
		files = append(files, p.File)
	}
	return files
}

func (k *keptPolicy) look() (how string) {
	for _, file := range k.files {
		info, err := os.Stat(file)
		if err != nil {
			how += "none\n"
			continue
		}
		how += fmt.Sprintln(info.Size(), info.ModTime().UnixNano())
	}
	return how
}

// inForce is the policy as it is now.
func (k *keptPolicy) inForce() *policy.Policy {
	now, looked := time.Now().UnixNano(), k.looked.Load()
	if now-looked >= int64(lookTime) && k.looked.CompareAndSwap(looked, now) {
		k.follow()
	}
	return k.now.Load()
}

func (k *keptPolicy) follow() {
	k.mu.Lock()
	defer k.mu.Unlock()
	how := k.look()
	if how == k.seen {
		return
	}
	k.seen = how
	cfg, err := config.Load(k.files[0])
	var p *policy.Policy
	if err == nil {
		p, err = compilePolicy(cfg, k.name)
	}
	switch {
	case err != nil:
		k.told("it was edited and is not followed, the one before stays in force: " + err.Error())
	case p == nil:
		k.told("it was taken out of the config; it stays in force until the server is started anew")
	default:
		k.files = policyFiles(cfg, k.name)
		k.seen = k.look()
		k.now.Store(p)
		k.told("it was edited and is followed")
	}
}
