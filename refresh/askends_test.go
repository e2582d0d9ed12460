package refresh_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mcp-valet/keyring"
	"mcp-valet/refresh"
)

func remember(t *testing.T, stateDir string, s refresh.State) {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := keyring.WriteFile(filepath.Join(stateDir, "accounts", "work.json"), b); err != nil {
		t.Fatal(err)
	}
}

// A killed agent's note looks alive, but its lock is free: the next one starts afresh, and counts the window.
func TestAfterKilledAgent(t *testing.T) {
	i := newAskedIssuer(t, "authorization_pending")
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, i)
		killed := refresh.SignIn{Outcome: refresh.SignInWaiting, At: time.Now(), Expires: time.Now().Add(5 * time.Minute), Server: "kb", UserCode: "DEAD-CODE", URI: i.URL + "/go"}
		leave(t, d.dir, killed)
		wantError(t, d.ask(t, false), refresh.ErrCodeExpired)
		if s := d.note(t); s.Unanswered != 2 {
			t.Errorf("got %+v", s)
		}
		killed.Unanswered = 1
		leave(t, d.dir, killed)
		wantError(t, d.ask(t, false), refresh.ErrUnanswered)
		if s := d.note(t); s.Outcome != refresh.SignInExpired || s.UserCode != "" || s.Unanswered != 2 {
			t.Errorf("a dead code is still shown: %+v", s)
		}
	})
	if codes, _ := i.given(); codes != 1 {
		t.Errorf("%d codes, want 1", codes)
	}
}

// A person who signs in by hand, or wants no sign-in any more, does not wait for the agent, which leaves their note alone.
func TestTakenOverByHand(t *testing.T) {
	begins := func(stateDir string) error { return refresh.NoteLogin(stateDir, "work", time.Time{}) }
	forgets := func(stateDir string) error { return refresh.ForgetWindows(stateDir, "work") }
	for name, act := range map[string]func(string) error{"login": begins, "logout": forgets} {
		t.Run(name, func(t *testing.T) {
			i := newAskedIssuer(t, "authorization_pending")
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t, i)
				asked := make(chan error, 1)
				go func() { asked <- d.ask(t, false) }()
				time.Sleep(10 * time.Second)
				begun := time.Now()
				if err := act(d.dir); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				lock, err := d.store.Lock(ctx, keyring.SignInLock, "work")
				if err != nil {
					t.Fatal(err)
				}
				defer lock.Unlock()
				if took := time.Since(begun); took > time.Second {
					t.Errorf("the lock was free after %v", took)
				}
				wantError(t, <-asked, keyring.ErrBusy)
				if err := refresh.NoteLogin(d.dir, "work", time.Now().Add(time.Minute)); err != nil {
					t.Fatal(err)
				}
				wantError(t, d.ask(t, false), keyring.ErrBusy)
				if s := d.note(t); s.Outcome != refresh.SignInWaiting || s.Server != "" || s.Unanswered != 0 {
					t.Errorf("got %+v", s)
				}
			})
		})
	}
}

// Between the beginning of a login by hand and its taking the lock no agent comes in between; one that was killed there
// is forgotten soon.
func TestLoginIsBeginning(t *testing.T) {
	i := newAskedIssuer(t, "yes")
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, i)
		if err := refresh.NoteLogin(d.dir, "work", time.Time{}); err != nil {
			t.Fatal(err)
		}
		wantError(t, d.ask(t, false), keyring.ErrBusy)
		time.Sleep(time.Minute)
		wantError(t, d.ask(t, false), nil)
	})
}

// A sign-in that cannot be stored is no success, and no window that the person left unanswered.
func TestUnkeptSignIn(t *testing.T) {
	i := newAskedIssuer(t, "yes")
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, i)
		store := &flakyStore{Store: d.store, onSave: func(int, func() error) error { return keyring.ErrLocked }}
		err := refresh.AskSignIn(t.Context(), store, d.account, d.dir, "kb", d.window(), false)
		wantError(t, err, keyring.ErrLocked)
		noSecrets(t, err)
		if s := d.note(t); s.Outcome != refresh.SignInFailed || s.Unanswered != 0 {
			t.Errorf("got %+v", s)
		}
	})
}

// Where no window could be shown the note says so, and the launcher finds another way.
func TestNoWindowToShow(t *testing.T) {
	i := newAskedIssuer(t, "authorization_pending", "yes")
	for name, window := range map[string]func(*desk) refresh.Window{
		"they fail": func(d *desk) refresh.Window { d.broken = true; return d.window() },
		"none":      func(*desk) refresh.Window { return refresh.Window{} },
	} {
		t.Run(name, func(t *testing.T) {
			i.set(func() { i.polls = 0 })
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t, i)
				asked := make(chan error, 1)
				go func() { asked <- refresh.AskSignIn(t.Context(), d.store, d.account, d.dir, "kb", window(d), false) }()
				time.Sleep(time.Second)
				if s := d.note(t); s.Outcome != refresh.SignInWaiting || s.Opened || s.Notified || s.UserCode != "ABCD-EFGH" {
					t.Errorf("got %+v", s)
				}
				wantError(t, <-asked, nil)
			})
		})
	}
}

func TestUsedByNoServer(t *testing.T) {
	d := newDesk(t, newAskedIssuer(t, "yes"))
	for _, server := range []string{"", "two words"} {
		if err := refresh.AskSignIn(t.Context(), d.store, d.account, d.dir, server, d.window(), false); err == nil {
			t.Errorf("%q was taken for a server", server)
		}
	}
	if codes, _ := d.issuer.given(); codes != 0 {
		t.Error("a code was asked for")
	}
}

// Whoever signed in in a browser is asked that way again, although the issuer has codes, too: its policy may forbid them.
func TestAskTheSameWay(t *testing.T) {
	i := newAskedIssuer(t, "yes")
	i.document["authorization_endpoint"] = i.URL + "/authorize"
	d := newDesk(t, i)
	d.ended.Browser = true
	d.save(t, d.ended)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := refresh.AskSignIn(ctx, d.store, d.account, d.dir, "kb", refresh.Window{
		Open: func(_ context.Context, page string) error {
			if !strings.HasPrefix(page, i.URL+"/authorize?") {
				t.Errorf("opened %s", page)
			}
			cancel()
			return nil
		},
	}, false)
	wantError(t, err, context.Canceled)
	if codes, _ := i.given(); codes != 0 {
		t.Errorf("%d codes were asked for", codes)
	}
}

// The browser way: the whole address is in the note, and a notification without a window does not do.
func TestAskByBrowser(t *testing.T) {
	i := newAskedIssuer(t, "yes")
	i.document["authorization_endpoint"] = i.URL + "/authorize"
	delete(i.document, "device_authorization_endpoint")
	d := newDesk(t, i)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := refresh.AskSignIn(ctx, d.store, d.account, d.dir, "kb", refresh.Window{
		Open: func(_ context.Context, page string) error {
			if s := d.note(t); s.Outcome != refresh.SignInWaiting || s.UserCode != "" || s.URI != page || !strings.HasPrefix(page, i.URL+"/authorize?") {
				t.Errorf("got %+v for %s", s, page)
			}
			return errNoWindow
		},
		Notify: func(_ context.Context, _, text string) error {
			if !strings.Contains(text, "mcp-valet login work") {
				t.Errorf("told %q", text)
			}
			cancel()
			return nil
		},
	}, false)
	wantError(t, err, context.Canceled)
	if s := d.note(t); s.Outcome != refresh.SignInFailed || s.Opened || s.Notified || s.Unanswered != 1 {
		t.Errorf("got %+v", s)
	}
}

func TestNotice(t *testing.T) {
	const uri = "https://idp.test/device"
	for _, tt := range []struct {
		name  string
		s     refresh.SignIn
		says  []string
		never []string
		whole bool
	}{
		{"a window and a code", refresh.SignIn{UserCode: "ABCD-EFGH", URI: uri, Opened: true}, []string{"kb", "ABCD-EFGH", "idp.test"}, nil, false},
		{"no window", refresh.SignIn{UserCode: "ABCD-EFGH", URI: uri}, []string{"kb", "Open " + uri, "ABCD-EFGH"}, nil, true},
		{"a code that is a sentence", refresh.SignIn{UserCode: "call 555 now", URI: uri, Opened: true}, []string{"idp.test"}, []string{"call", "555"}, false},
		{"the same, and no window", refresh.SignIn{UserCode: "call 555 now", URI: uri}, []string{"mcp-valet login work"}, []string{"call", "555"}, false},
		{"an address that is a sentence", refresh.SignIn{UserCode: "ABCD", URI: "https://idp.test/" + strings.Repeat("do-this", 20)},
			[]string{"mcp-valet login work"}, []string{"do-this"}, false},
		{"a browser", refresh.SignIn{URI: uri + "?state=x", Opened: true}, []string{"idp.test"}, []string{"state"}, false},
	} {
		text, whole := refresh.Notice("kb", "work", tt.s)
		if whole != tt.whole {
			t.Errorf("%s: %q, whole %v", tt.name, text, whole)
		}
		for _, s := range tt.says {
			if !strings.Contains(text, s) {
				t.Errorf("%s: %q does not say %q", tt.name, text, s)
			}
		}
		for _, s := range tt.never {
			if strings.Contains(text, s) {
				t.Errorf("%s: %q says %q", tt.name, text, s)
			}
		}
	}
}
