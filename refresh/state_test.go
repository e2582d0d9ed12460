package refresh_test

import (
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mcp-valet/keyring"
	"mcp-valet/refresh"
)

func TestReadState(t *testing.T) {
	dir := t.TempDir()
	if s, err := refresh.ReadState(dir, "work"); err != nil || s != (refresh.State{}) {
		t.Errorf("nothing remembered: %+v, %v", s, err)
	}
	file := filepath.Join(dir, "accounts", "work.json")
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, content string }{
		{"damaged", `{"outcome":`},
		{"of another form", `[]`},
		{"too large", `{"outcome":"ok"}` + strings.Repeat(" ", 1<<20)},
	} {
		if err := os.WriteFile(file, []byte(tt.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := refresh.ReadState(dir, "work"); err == nil || s != (refresh.State{}) {
			t.Errorf("%s: %+v, %v", tt.name, s, err)
		}
	}
	for _, name := range []string{"", "../work", "a/b", `a\b`, "a b", strings.Repeat("a", 129)} {
		if _, err := refresh.ReadState(dir, name); err == nil {
			t.Errorf("account %q was accepted", name)
		}
	}
}

func TestStateErr(t *testing.T) {
	for outcome, want := range map[string]error{
		"":                           nil,
		refresh.OutcomeOK:            nil,
		refresh.OutcomeUnreachable:   refresh.ErrUnreachable,
		refresh.OutcomeSignedOut:     refresh.ErrSignedOut,
		refresh.OutcomeMisconfigured: refresh.ErrMisconfigured,
		refresh.OutcomeUnsaved:       keyring.ErrUnavailable,
	} {
		wantError(t, refresh.State{Outcome: outcome, Code: "some_code"}.Err(), want)
		wantError(t, refresh.State{Outcome: outcome}.Err(), want)
	}
}

// The state is private, survives being read back, and damage to it costs no sign-in.
func TestStateOnDisk(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	v.save(t, i.longExpired("ada"))
	i.set(answerWith(503, "", ""))
	wantError(t, v.renew(t.Context()), refresh.ErrUnreachable)
	s := v.state(t)
	if s.Outcome != refresh.OutcomeUnreachable || s.Failures != 1 || s.At.IsZero() || !s.NotBefore.After(s.At) {
		t.Errorf("remembered %+v", s)
	}
	file := filepath.Join(v.dir, "accounts", "work.json")
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v", info.Mode())
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(b); strings.Contains(text, "access-") || strings.Contains(text, "ada") {
		t.Errorf("it holds a token: %s", text)
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	i.set(answerNormally)
	wantError(t, v.renew(t.Context()), nil)
	if s := v.state(t); s.Outcome != refresh.OutcomeOK || s.Failures != 0 || !s.NotBefore.IsZero() {
		t.Errorf("remembered %+v", s)
	}
}

func TestBackOff(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	i.set(answerWith(503, "", ""))
	synctest.Test(t, func(t *testing.T) {
		v.save(t, i.longExpired("ada"))
		want := 5 * time.Second
		for n := 1; n <= 10; n++ {
			asked := i.asked("/token")
			wantError(t, v.renew(t.Context()), refresh.ErrUnreachable)
			if i.asked("/token") != asked+1 {
				t.Fatalf("failure %d: the issuer was not asked", n)
			}
			s := v.state(t)
			wait := s.NotBefore.Sub(s.At)
			if wait > want || wait < want*4/5 {
				t.Errorf("failure %d: a wait of %v, want about %v", n, wait, want)
			}
			time.Sleep(wait - time.Second)
			wantError(t, v.renew(t.Context()), refresh.ErrUnreachable)
			if i.asked("/token") != asked+1 {
				t.Fatalf("failure %d: the issuer was asked before its time", n)
			}
			time.Sleep(time.Second)
			want = min(2*want, 5*time.Minute)
		}
		asked := i.asked("/token")
		wantError(t, v.renew(t.Context()), refresh.ErrUnreachable)
		wantError(t, v.renew(t.Context()), refresh.ErrUnreachable)
		wantError(t, v.renewNow(t.Context()), refresh.ErrUnreachable)
		if n := i.asked("/token") - asked; n != 2 {
			t.Errorf("asked %d times, want once by itself and once because a person wished it", n)
		}
		i.set(answerNormally)
		wantError(t, v.renewNow(t.Context()), nil)
	})
}

func TestRetryAfterIsFollowed(t *testing.T) {
	for _, tt := range []struct {
		header string
		want   time.Duration
	}{{"120", 2 * time.Minute}, {"1", 4 * time.Second}, {"86400", 5 * time.Minute}, {"soon", 4 * time.Second}} {
		i := newRotatingIssuer(t)
		v := newValet(t, i)
		v.save(t, i.longExpired("ada"))
		i.set(func(i *rotatingIssuer) {
			i.answer = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", tt.header)
				w.WriteHeader(http.StatusTooManyRequests)
			}
		})
		wantError(t, v.renew(t.Context()), refresh.ErrUnreachable)
		s := v.state(t)
		if wait := s.NotBefore.Sub(s.At); wait < tt.want || wait > tt.want+time.Second {
			t.Errorf("Retry-After: %s makes a wait of %v, want %v", tt.header, wait, tt.want)
		}
	}
}

// A back-off that a wrong clock wrote far into the future ends when the clock is put right.
func TestBackOffFromTheFuture(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	i.set(answerWith(503, "", ""))
	c := i.signedIn("ada", time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1999, 1, 1, 1, 0, 0, 0, time.UTC))
	v.save(t, c)
	wantError(t, v.renew(t.Context()), refresh.ErrUnreachable)
	i.set(answerNormally)
	synctest.Test(t, func(t *testing.T) { // in the year 2000
		wantError(t, v.renew(t.Context()), nil)
	})
}
