package wrapper_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"mcp-valet/keyring"
	"mcp-valet/refresh"
	"mcp-valet/wrapper"
)

// helm is what the command line has its launchers do: package cli's Starter and SignIns, less what they ask of the
// configuration.
type helm struct {
	*fire
	p       *process
	store   *keyring.Store
	account refresh.Account
	origin  atomic.Pointer[string]

	noting sync.Mutex // of what was read of the sign-in
	noted  time.Time
	read   refresh.SignIn
	live   bool
}

func newHelm(f *fire, p *process) *helm {
	h := &helm{fire: f, p: p, store: f.open(p), account: f.account}
	h.account.Transport = &wire{f.idp, p}
	return h
}

func (h *helm) ladder() *refresh.Ladder {
	return &refresh.Ladder{Store: h.store, Account: h.account, StateDir: h.dir, Agent: func(ctx context.Context, _ string) error {
		return h.askAgent(ctx, func(store refresh.Store, a refresh.Account) error {
			return refresh.Renew(h.t.Context(), store, a, h.dir)
		})
	}}
}

// Start is the Starter's.
func (h *helm) Start(ctx context.Context, effort wrapper.Effort) (start wrapper.Start, err error) {
	start.Server = wrapper.Server{TokenEnv: "TOKEN"}
	if _, err := h.store.Trust(ctx, fireServer); err != nil {
		return start, err
	}
	if effort == wrapper.Bare {
		return start, nil
	}
	c, err := h.credential(ctx, effort)
	if c != nil {
		start.Subject = c.Subject
	}
	if err != nil {
		return start, err
	}
	start.Token = c.AccessToken
	start.Due, start.Ends = refresh.Validity(c)
	return start, nil
}

func (h *helm) credential(ctx context.Context, effort wrapper.Effort) (*keyring.Credential, error) {
	ladder := h.ladder()
	switch effort {
	case wrapper.Stored:
		c, good, err := ladder.Stored(ctx)
		if err == nil && !good {
			err = wrapper.ErrDue
		}
		return c, err
	case wrapper.Refused:
		if err := h.renewRefused(ctx); err != nil {
			return nil, err
		}
	}
	return ladder.Credential(ctx)
}

func (h *helm) renewRefused(ctx context.Context) error {
	c, err := h.store.Credential(ctx, "work")
	if err != nil {
		return err
	}
	if age := time.Since(c.ObtainedAt); c.RefreshToken.IsZero() || age >= 0 && age < time.Minute {
		return wrapper.ErrNoRemedy
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	h.sum.add("met", "a silent server's token renewed")
	return h.askAgent(ctx, func(store refresh.Store, a refresh.Account) error {
		return refresh.RenewRefused(h.t.Context(), store, a, h.dir, c.Serial)
	})
}

var errAgent = errors.New("the renewal did not succeed")

// askAgent has an agent renew, of which no more comes back than an exit code.
func (h *helm) askAgent(ctx context.Context, renew func(refresh.Store, refresh.Account) error) error {
	g := h.detach("refresh", func(_ *process, store refresh.Store, a refresh.Account) error { return renew(store, a) })
	if err := g.wait(ctx); err != nil {
		return err
	}
	if g.err == nil {
		return nil
	}
	for _, verdict := range []error{refresh.ErrForeign, refresh.ErrUnreachable, refresh.ErrSignedOut} {
		if errors.Is(g.err, verdict) {
			return verdict
		}
	}
	return errAgent
}

// Begin is the SignIns'.
func (h *helm) Begin(ctx context.Context, quiet bool) error {
	switch c, err := h.store.Credential(ctx, "work"); {
	case err == nil:
		h.origin.Store(&c.VerificationOrigin)
	case errors.Is(err, keyring.ErrNotFound):
		h.origin.Store(new(string))
	}
	err := h.askSignIn(ctx, quiet)
	if errors.Is(err, errKilled) {
		err = h.askSignIn(ctx, quiet)
	}
	if errors.Is(err, keyring.ErrBusy) {
		return nil
	}
	return err
}

func (h *helm) askSignIn(ctx context.Context, quiet bool) error {
	before, _ := refresh.ReadSignIn(h.dir, "work")
	g := h.detach("sign-in", func(p *process, store refresh.Store, a refresh.Account) error {
		err := refresh.AskSignIn(h.t.Context(), store, a, h.dir, fireServer, h.window(p), quiet)
		h.prompts.end(err)
		return err
	})
	limited, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for {
		look, next := context.WithTimeout(limited, 25*time.Millisecond)
		err := g.wait(look)
		next()
		s, readErr := refresh.ReadSignIn(h.dir, "work")
		switch {
		case err == nil:
			return g.err
		case ctx.Err() != nil:
			return ctx.Err()
		case limited.Err() != nil, readErr == nil && s.Outcome == refresh.SignInWaiting && !s.At.Equal(before.At):
			return nil
		}
	}
}

// State is the SignIns'.
func (h *helm) State() (refresh.SignIn, error) {
	st, err := h.note()
	if origin := h.origin.Load(); origin != nil {
		return st.Plausible(h.account, *origin), err
	}
	st.URI, st.URIComplete, st.UserCode = "", "", ""
	return st, err
}

// note is the sign-in's note, which is read again when it has changed: a gate looks once a second.
func (h *helm) note() (refresh.SignIn, error) {
	info, err := os.Stat(filepath.Join(h.dir, "accounts", "work.signin"))
	if err != nil {
		return refresh.ReadSignIn(h.dir, "work")
	}
	h.noting.Lock()
	defer h.noting.Unlock()
	if h.noted != info.ModTime() || h.read.Live(time.Now()) != h.live {
		h.read, err = refresh.ReadSignIn(h.dir, "work")
		h.noted, h.live = info.ModTime(), h.read.Live(time.Now())
	}
	return h.read, err
}

// window is what the person sees of an agent.
func (f *fire) window(p *process) refresh.Window {
	d := f.dice("window", p.number)
	blind := oneOf(d, f.blind)
	return refresh.Window{
		Open: func(context.Context, string) error {
			p.mayDie()
			f.prompts.open(f)
			f.say("%s opens a window", p.name)
			p.mayDie()
			if blind {
				return errors.New("no browser")
			}
			return nil
		},
		Notify: func(context.Context, string, string) error {
			p.mayDie()
			if blind {
				return errors.New("no notifications")
			}
			return nil
		},
	}
}

// byHand is `mcp-valet login`.
func (f *fire) byHand() error {
	f.say("the person signs in by hand")
	f.sum.add("met", "a person signs in by hand")
	f.prompts.acts()
	h := newHelm(f, f.process("login", 0))
	ctx, cancel := context.WithTimeout(f.t.Context(), 10*time.Minute)
	defer cancel()
	if err := errors.Join(refresh.ForgetWindows(h.dir, "work"), refresh.NoteLogin(h.dir, "work", time.Time{})); err != nil {
		return err
	}
	lock, err := h.store.Lock(ctx, keyring.SignInLock, "work")
	if err != nil {
		return err
	}
	defer lock.Unlock()
	client, err := refresh.New(h.account)
	if err != nil {
		return err
	}
	c, err := client.SignIn(ctx, refresh.WayDevice, refresh.Prompt{Code: func(_ context.Context, c refresh.DeviceCode) {
		refresh.NoteLogin(h.dir, "work", c.Expires)
	}})
	if err != nil {
		return err
	}
	renewing, err := h.store.Lock(ctx, keyring.RefreshLock, "work")
	if err != nil {
		return err
	}
	defer renewing.Unlock()
	if err := h.store.SaveCredential(ctx, c); err != nil {
		return err
	}
	return refresh.NoteSignedIn(h.dir, "work")
}
