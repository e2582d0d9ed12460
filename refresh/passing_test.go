package refresh_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"mcp-valet/refresh"
)

// An issuer that refuses without saying why is believed the third time in a row, if it is there at all.
func TestBareRefusals(t *testing.T) {
	unreachable, signedOut := refresh.ErrUnreachable, refresh.ErrSignedOut
	bare := answerWith(400, "", "")
	for _, tt := range []struct {
		name    string
		prepare func(*rotatingIssuer, *valet)
		answers []func(*rotatingIssuer)
		want    []error
	}{
		{"three in a row", nil,
			[]func(*rotatingIssuer){bare, bare, bare}, []error{unreachable, unreachable, signedOut}},
		{"interrupted by a 503", nil,
			[]func(*rotatingIssuer){bare, bare, answerWith(503, "", ""), bare, bare, bare},
			[]error{unreachable, unreachable, unreachable, unreachable, unreachable, signedOut}},
		{"no description to be had", func(i *rotatingIssuer, _ *valet) {
			i.set(func(i *rotatingIssuer) { i.noDocument = true })
		}, []func(*rotatingIssuer){bare, bare, bare, bare, bare}, []error{unreachable, unreachable, unreachable, unreachable, unreachable}},
		{"no keys to be had", func(i *rotatingIssuer, v *valet) {
			v.account.Endpoints = refresh.Endpoints{Token: i.URL + "/token", JWKS: i.URL + "/jwks"}
			i.set(func(i *rotatingIssuer) { i.keysDown = true })
		}, []func(*rotatingIssuer){bare, bare, bare, bare}, []error{unreachable, unreachable, unreachable, unreachable}},
		{"keys to be had", func(i *rotatingIssuer, v *valet) {
			v.account.Endpoints = refresh.Endpoints{Token: i.URL + "/token", JWKS: i.URL + "/jwks"}
		}, []func(*rotatingIssuer){bare, bare, bare}, []error{unreachable, unreachable, signedOut}},
		{"nothing else to ask for", func(i *rotatingIssuer, v *valet) {
			v.account.Endpoints = refresh.Endpoints{Token: i.URL + "/token"}
		}, []func(*rotatingIssuer){bare, bare, bare}, []error{unreachable, unreachable, signedOut}},
		{"other bare answers never count", nil,
			[]func(*rotatingIssuer){answerWith(403, "", ""), answerWith(401, "", ""), answerWith(404, "", ""), answerWith(403, "", "")},
			[]error{unreachable, unreachable, unreachable, unreachable}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := newRotatingIssuer(t)
			v := newValet(t, i)
			if tt.prepare != nil {
				tt.prepare(i, v)
			}
			c := i.longExpired("ada")
			c.Route = refresh.RouteOf(v.account)
			v.save(t, c)
			for n, answer := range tt.answers {
				i.set(answer)
				if err := v.renewNow(t.Context()); !errors.Is(err, tt.want[n]) {
					t.Fatalf("attempt %d: %v, want %v", n+1, err, tt.want[n])
				}
			}
		})
	}
}

// The sign-out that bare refusals come to was a guess: it is tried again, slowly, and ends by itself if it was wrong.
func TestBareRefusalsHeal(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	i.set(answerWith(400, "", ""))
	synctest.Test(t, func(t *testing.T) {
		v.save(t, i.longExpired("ada"))
		for _, want := range []error{refresh.ErrUnreachable, refresh.ErrUnreachable, refresh.ErrSignedOut} {
			wantError(t, v.renew(t.Context()), want)
			time.Sleep(10 * time.Second)
		}
		asked := i.asked("/token")
		i.set(answerNormally)
		wantError(t, v.renew(t.Context()), refresh.ErrSignedOut)
		if i.asked("/token") != asked {
			t.Error("asked at once again")
		}
		time.Sleep(5 * time.Minute)
		wantError(t, v.renew(t.Context()), nil)
	})
}

// A day without the issuer, in every way it can be missing, while launchers ask every few minutes: nobody is signed out.
func TestDayOfPassingFailures(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	troubles := []func(*rotatingIssuer){
		answerWith(503, "", ""), answerWith(500, "text/html", "<h1>oops</h1>"), answerWith(429, "application/json", `{"error":"slow_down"}`),
		answerWith(200, "text/html", "<html>hotel</html>"), answerWith(403, "text/html", "<html>firewall</html>"),
		answerWith(400, "text/html", "<html>firewall</html>"), hangUp, answerWith(302, "", ""), answerWith(400, "application/json", `{"error":"server_error"}`),
	}
	synctest.Test(t, func(t *testing.T) {
		v.save(t, i.longExpired("ada"))
		for n, end := 0, time.Now().Add(24*time.Hour); time.Now().Before(end); n++ {
			i.set(troubles[n%len(troubles)])
			l := v.ladder()
			_, err := l.Token(t.Context())
			wantError(t, err, refresh.ErrUnreachable)
			if errors.Is(err, refresh.ErrSignedOut) {
				t.Fatalf("signed out: %v", err)
			}
			time.Sleep(3 * time.Minute)
		}
		if n := i.asked("/token"); n < 24*60/6 || n > 24*60/3+1 {
			t.Errorf("the issuer was asked %d times in a day", n)
		}
		i.set(answerNormally)
		time.Sleep(5 * time.Minute)
		wantToken(t, v.ladder(), "access-1")
	})
}

// hangUp makes the token endpoint break the connection.
func hangUp(i *rotatingIssuer) {
	i.answer = func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }
}

// The machine is offline for a day: not even a connection comes about.
func TestDayOffline(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	c := i.longExpired("ada")
	i.Close()
	synctest.Test(t, func(t *testing.T) {
		c.ObtainedAt, c.Expiry = time.Now().Add(-time.Hour), time.Now()
		v.save(t, c)
		for end := time.Now().Add(24 * time.Hour); time.Now().Before(end); time.Sleep(7 * time.Minute) {
			wantError(t, v.renew(t.Context()), refresh.ErrUnreachable)
		}
		if s := v.state(t); s.Outcome != refresh.OutcomeUnreachable || s.Failures < 100 {
			t.Errorf("remembered %+v", s)
		}
		if got := v.stored(t); got.Serial != c.Serial {
			t.Error("the failures changed the stored credential")
		}
	})
}
