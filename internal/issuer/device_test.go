package issuer_test

import (
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mcp-valet/internal/issuer"
)

func TestDeviceFlow(t *testing.T) {
	r := newRig(t)
	d := r.device()
	if !regexp.MustCompile(`^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$`).MatchString(d.UserCode) {
		t.Errorf("user code %q", d.UserCode)
	}
	if len(d.DeviceCode) < 43 || d.Interval != 5 || d.ExpiresIn != 600 || d.URI != ownURL+"/device" || d.Complete != ownURL+"/device?user_code="+d.UserCode {
		t.Errorf("device authorization %+v", d)
	}
	want(t, r.poll(d), 400, "authorization_pending")
	if err := r.Approve(" "+strings.ToLower(strings.ReplaceAll(d.UserCode, "-", " ")), "demo"); err != nil {
		t.Fatal(err)
	}
	if a := r.poll(d); a.Status != http.StatusOK || a.Scope != "incidents.read incidents.write" {
		t.Errorf("poll after approval: %+v", a)
	}
	want(t, r.poll(d), 400, "invalid_grant") // used up
	got := r.Stats()
	if got != (issuer.Stats{DeviceAuthorizations: 1, Polls: 3, Approvals: 1, SignIns: 1}) {
		t.Errorf("stats %+v", got)
	}
}

func TestDeviceFlowRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		denied, expired, foreign := r.device(), r.device(), r.device()
		if err := r.Deny(denied.UserCode); err != nil {
			t.Fatal(err)
		}
		want(t, r.poll(denied), 400, "access_denied")
		if err := r.Approve(foreign.UserCode, "demo"); err != nil {
			t.Fatal(err)
		}
		want(t, r.post("/token", "grant_type", grantDevice, "client_id", "other", "device_code", foreign.DeviceCode), 400, "invalid_grant")
		want(t, r.poll(answer{DeviceCode: "made-up"}), 400, "invalid_grant")
		want(t, r.poll(answer{}), 400, "invalid_request")

		time.Sleep(10 * time.Minute)
		want(t, r.poll(expired), 400, "expired_token")
		want(t, r.poll(foreign), 400, "expired_token") // approved, but fetched too late
		if err := r.Approve(expired.UserCode, "demo"); !errors.Is(err, issuer.ErrUnknownCode) {
			t.Errorf("approving an expired code: %v", err)
		}
		time.Sleep(10 * time.Minute)
		want(t, r.poll(expired), 400, "invalid_grant") // forgotten
	})
}

func TestSlowDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		d := r.device()
		for _, step := range []struct {
			wait time.Duration
			want string
		}{
			{0, "authorization_pending"}, // the first poll may come at once
			{5 * time.Second, "authorization_pending"},
			{4600 * time.Millisecond, "authorization_pending"}, // within the tolerance
			{4400 * time.Millisecond, "slow_down"},             // from here on 10 s
			{9 * time.Second, "slow_down"},                     // 15 s
			{10 * time.Second, "slow_down"},                    // 20 s
			{20 * time.Second, "authorization_pending"},
			{20 * time.Second, "authorization_pending"},
			{time.Second, "slow_down"},
		} {
			time.Sleep(step.wait)
			want(t, r.poll(d), 400, step.want)
		}
		if n := r.Stats().SlowDowns; n != 4 {
			t.Errorf("%d slow-downs counted", n)
		}
		r.Approve(d.UserCode, "demo")
		if a := r.poll(d); a.Status != http.StatusOK { // slow_down is for pending requests only
			t.Errorf("approved and polled early: %+v", a)
		}
	})
}

func TestDevicePKCE(t *testing.T) {
	r := newRig(t)
	with := r.device("code_challenge", challenge(), "code_challenge_method", "S256")
	r.Approve(with.UserCode, "demo")
	want(t, r.poll(with), 400, "invalid_grant")
	want(t, r.poll(with, "code_verifier", verifier+"x"), 400, "invalid_grant")
	if a := r.poll(with, "code_verifier", verifier); a.Status != http.StatusOK {
		t.Errorf("right verifier: %+v", a)
	}
	without := r.device()
	r.Approve(without.UserCode, "demo")
	want(t, r.poll(without, "code_verifier", verifier), 400, "invalid_grant") // downgrade
	for _, pairs := range [][]string{
		{"code_challenge", challenge()},
		{"code_challenge", challenge(), "code_challenge_method", "plain"},
		{"code_challenge", "short", "code_challenge_method", "S256"},
		{"code_challenge_method", "S256"},
	} {
		want(t, r.post("/device_authorization", append(pairs, "client_id", "valet")...), 400, "invalid_request")
	}
}

func TestInProcessAnswers(t *testing.T) {
	r := newRig(t)
	d := r.device()
	if err := r.Approve(d.UserCode, "stranger"); !errors.Is(err, issuer.ErrUnknownUser) {
		t.Errorf("unknown user: %v", err)
	}
	for _, code := range []string{"", "BBBB-BBBB", "AEIO-UAEI", d.UserCode + "B", "<" + d.UserCode, strings.Repeat("B", 100)} {
		if err := r.Approve(code, "demo"); !errors.Is(err, issuer.ErrUnknownCode) {
			t.Errorf("code %q: %v", code, err)
		}
	}
	if err := r.Deny(d.UserCode); err != nil {
		t.Fatal(err)
	}
	if err := r.Approve(d.UserCode, "demo"); !errors.Is(err, issuer.ErrUnknownCode) {
		t.Errorf("approving what was denied: %v", err)
	}
}

func TestGrantsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *issuer.Options) { o.MaxGrants = 3; o.RefreshTTL = time.Hour })
		for range 3 {
			r.device()
		}
		full := r.do(formRequest("/device_authorization", form("client_id", "valet")))
		want(t, r.json(full), 503, "temporarily_unavailable")
		if full.Header().Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		time.Sleep(21 * time.Minute) // expired, then forgotten
		for range 3 {
			r.signIn()
		}
		d := r.device()
		r.Approve(d.UserCode, "demo")
		want(t, r.poll(d), 503, "temporarily_unavailable")
		if n := r.RevokeAll(); n != 3 {
			t.Errorf("%d sign-ins ended, want 3", n)
		}
		if a := r.poll(d); a.Status != http.StatusOK {
			t.Errorf("once there was room: %+v", a)
		}
	})
}
