package refresh_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mcp-valet/keyring"
	"mcp-valet/refresh"
)

func TestAskSignIn(t *testing.T) {
	i := newAskedIssuer(t, "authorization_pending", "authorization_pending", "yes")
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, i)
		asked := make(chan error, 1)
		go func() { asked <- d.ask(t, false) }()
		time.Sleep(time.Second)
		s := d.note(t)
		if !s.Live(time.Now()) || s.Outcome != refresh.SignInWaiting || s.Server != "kb" || s.UserCode != "ABCD-EFGH" ||
			s.URI != i.URL+"/go" || s.URIComplete != i.URL+"/go?code=ABCD-EFGH" || !s.Opened || !s.Notified || s.Unanswered != 0 {
			t.Errorf("while waiting: %+v", s)
		}
		if left := time.Until(s.Expires); left <= 4*time.Minute || left > 5*time.Minute {
			t.Errorf("the code is good for %v", left)
		}
		b, err := os.ReadFile(noteFile(d.dir))
		if err != nil || strings.Contains(string(b), "DEVICE-CODE-SECRET") {
			t.Errorf("the note: %s, %v", b, err)
		}
		wantError(t, <-asked, nil)
		if s := d.note(t); s.Outcome != refresh.SignInDone || s.UserCode != "" || s.URI != "" || s.Live(time.Now()) {
			t.Errorf("afterwards: %+v", s)
		}
		got := d.stored(t)
		if !got.RefreshToken.Equal(keyring.NewSecret("REFRESH-TOKEN-SECRET")) || got.Serial != d.ended.Serial+1 || !got.Export {
			t.Errorf("stored serial %d, export %v", got.Serial, got.Export)
		}
		if len(d.opened) != 1 || d.opened[0] != i.URL+"/go?code=ABCD-EFGH" || len(d.notices) != 1 {
			t.Errorf("opened %v, told %v", d.opened, d.notices)
		}
		// Whoever comes next finds the work done.
		wantError(t, d.ask(t, false), nil)
	})
	if codes, _ := i.given(); codes != 1 {
		t.Errorf("%d codes, want 1", codes)
	}
}

// The credential is there when the note says done, and a window is counted when it is shown.
func TestAskSignInOrder(t *testing.T) {
	i := newAskedIssuer(t, "yes")
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, i)
		store := &flakyStore{Store: d.store, onSave: func(_ int, save func() error) error {
			if s := d.note(t); s.Outcome != refresh.SignInWaiting {
				t.Errorf("saving, the note says %q", s.Outcome)
			}
			return save()
		}}
		w := d.window()
		w.Open = func(context.Context, string) error {
			if s := d.note(t); s.Outcome != refresh.SignInWaiting || s.UserCode == "" {
				t.Errorf("a window opens, the note says %+v", s)
			}
			return nil
		}
		wantError(t, refresh.AskSignIn(t.Context(), store, d.account, d.dir, "kb", w, false), nil)
	})
}

// Eight launchers want it at once: one code, one window, and the seven others are told that it is under way.
func TestOneSignInForAll(t *testing.T) {
	i := newAskedIssuer(t, "authorization_pending", "authorization_pending", "yes")
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, i)
		errs := make([]error, 8)
		var all sync.WaitGroup
		for n := range errs {
			all.Go(func() {
				errs[n] = refresh.AskSignIn(t.Context(), openFileStore(t, d.dir), d.account, d.dir, fmt.Sprint("server", n), d.window(), false)
			})
		}
		all.Wait()
		busy := 0
		for _, err := range errs {
			if errors.Is(err, keyring.ErrBusy) {
				busy++
			} else if err != nil {
				t.Error(err)
			}
		}
		if codes, _ := i.given(); busy != 7 || codes != 1 || len(d.opened) != 1 {
			t.Errorf("%d busy, %d codes, %d windows", busy, codes, len(d.opened))
		}
	})
}

// After two windows that nobody answered none opens, until the person acts. A quiet sign-in is not held back.
func TestUnansweredWindows(t *testing.T) {
	for _, tt := range []struct {
		name    string
		act     string
		want    error
		outcome string
	}{
		{"expired", "authorization_pending", refresh.ErrCodeExpired, refresh.SignInExpired},
		{"denied", "access_denied", refresh.ErrDenied, refresh.SignInDenied},
		{"refused at once", "invalid_client", refresh.ErrMisconfigured, refresh.SignInFailed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := newAskedIssuer(t, tt.act)
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t, i)
				for n := 1; n <= refresh.MaxUnanswered; n++ {
					begun := time.Now()
					wantError(t, d.ask(t, false), tt.want)
					if s := d.note(t); s.Outcome != tt.outcome || s.Unanswered != n || s.UserCode != "" {
						t.Errorf("after window %d: %+v", n, s)
					}
					if took := time.Since(begun); took > 6*time.Minute {
						t.Errorf("one code took %v", took)
					}
				}
				wantError(t, d.ask(t, false), refresh.ErrUnanswered)
				if codes, _ := i.given(); codes != refresh.MaxUnanswered || len(d.opened) != refresh.MaxUnanswered {
					t.Errorf("%d codes, %d windows", codes, len(d.opened))
				}
				wantError(t, d.ask(t, true), tt.want)
				if s := d.note(t); s.Unanswered != refresh.MaxUnanswered || !s.Quiet || len(d.opened) != refresh.MaxUnanswered || len(d.notices) != refresh.MaxUnanswered {
					t.Errorf("after a quiet one: %+v, %d windows", s, len(d.opened))
				}
				if err := refresh.ForgetWindows(d.dir, "work"); err != nil {
					t.Fatal(err)
				}
				i.set(func() { i.acts = []string{"yes"} })
				wantError(t, d.ask(t, false), nil)
				if s := d.note(t); s.Unanswered != 0 {
					t.Errorf("after a success: %+v", s)
				}
			})
		})
	}
}

// What comes in the way of a code counts nothing, and no window opens.
func TestNoWindowNoCount(t *testing.T) {
	for _, tt := range []struct {
		name    string
		set     func(*askedIssuer, *desk)
		want    error
		outcome string
	}{
		{"the issuer is down", func(i *askedIssuer, _ *desk) { i.down = true }, refresh.ErrUnreachable, refresh.SignInUnreachable},
		{"no device flow for this client", func(i *askedIssuer, _ *desk) { i.device = map[string]any{"error": "unauthorized_client"} },
			refresh.ErrMisconfigured, refresh.SignInFailed},
		{"no way", func(i *askedIssuer, _ *desk) { delete(i.document, "device_authorization_endpoint") }, refresh.ErrNoWay, refresh.SignInFailed},
		{"another client in the config", func(_ *askedIssuer, d *desk) { d.account.ClientID = "evil" }, refresh.ErrForeign, refresh.SignInFailed},
		{"another token endpoint in the config", func(_ *askedIssuer, d *desk) { d.account.Endpoints.Token = "https://evil.test/token" },
			refresh.ErrForeign, refresh.SignInFailed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := newAskedIssuer(t, "yes")
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t, i)
				leave(t, d.dir, refresh.SignIn{Outcome: refresh.SignInExpired, Server: "kb", Unanswered: 1, Opened: true})
				i.set(func() { tt.set(i, d) })
				wantError(t, d.ask(t, false), tt.want)
				if s := d.note(t); s.Outcome != tt.outcome || s.Unanswered != 1 || s.Opened || s.Server != "kb" {
					t.Errorf("got %+v", s)
				}
				if len(d.opened)+len(d.notices) != 0 || d.stored(t).Serial != d.ended.Serial {
					t.Errorf("opened %v, told %v", d.opened, d.notices)
				}
			})
		})
	}
}

// A first sign-in by the agent only where the issuer says everything about itself.
func TestAskFirstSignIn(t *testing.T) {
	i := newAskedIssuer(t, "yes")
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, i)
		if err := d.store.Delete(t.Context(), keyring.AccountKey("work")); err != nil {
			t.Fatal(err)
		}
		plain := d.account
		d.account.Endpoints.Revocation = "https://evil.test/revoke"
		wantError(t, d.ask(t, false), refresh.ErrSignedOut)
		d.account = plain
		wantError(t, d.ask(t, false), nil)
		if d.stored(t).Export {
			t.Error("nobody agreed to its export")
		}
	})
}

// A credential that is good by its times, of which the issuer has said that it takes it no more, is no reason to stay.
func TestAskAfterRefusal(t *testing.T) {
	i := newAskedIssuer(t, "yes")
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, i)
		good := *d.ended
		good.ObtainedAt, good.Expiry = time.Now(), time.Now().Add(time.Hour)
		d.save(t, &good)
		wantError(t, d.ask(t, false), nil)
		if codes, _ := i.given(); codes != 0 {
			t.Fatal("a code for nothing")
		}
		remember(t, d.dir, refresh.State{Outcome: refresh.OutcomeSignedOut, At: time.Now(), Serial: good.Serial, ObtainedAt: d.stored(t).ObtainedAt})
		wantError(t, d.ask(t, false), nil)
		if codes, _ := i.given(); codes != 1 {
			t.Error("the refused credential was taken for a good one")
		}
	})
}
