package refresh_test

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	"mcp-valet/keyring"
	"mcp-valet/refresh"
)

// shown is what a person saw of a sign-in.
type shown struct {
	codes   []refresh.DeviceCode
	waiting []error
}

func (s *shown) prompt() refresh.Prompt {
	return refresh.Prompt{
		Code:    func(_ context.Context, d refresh.DeviceCode) { s.codes = append(s.codes, d) },
		Waiting: func(_ context.Context, err error) { s.waiting = append(s.waiting, err) },
	}
}

// polled runs a device sign-in in fake time. It returns when each token request
// came, in seconds after the code was given, and how long all of it took.
func polled(t *testing.T, a refresh.Account, network *scripted, person *shown) (cred *keyring.Credential, times []float64, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, a, network)
		cred, err = c.SignIn(t.Context(), refresh.WayDevice, person.prompt())
		codes := network.at("/device")
		for _, v := range network.at("/token") {
			times = append(times, v.at.Sub(codes[0].at).Seconds())
		}
	})
	noSecrets(t, err)
	for _, err := range person.waiting {
		noSecrets(t, err)
	}
	return cred, times, err
}

func TestDeviceSignIn(t *testing.T) {
	network := forms(document(), []canned{codeReply}, []canned{pending("authorization_pending"), pending("authorization_pending"), tokenReply})
	a := account()
	a.Audience, a.Resource = "https://api.test", "https://mcp.test/mcp"
	person := &shown{}
	cred, times, err := polled(t, a, network, person)
	if err != nil {
		t.Fatal(err)
	}
	if want := []float64{5.5, 11, 16.5}; !slices.Equal(times, want) {
		t.Errorf("polled at %v, want %v", times, want)
	}
	device := network.at("/device")[0].form
	wantDevice := url.Values{"client_id": {"valet"}, "scope": {"openid offline_access"}, "audience": {a.Audience}, "resource": {a.Resource}}
	if device.Encode() != wantDevice.Encode() {
		t.Errorf("asked for a code with %v, want %v", device, wantDevice)
	}
	poll := network.at("/token")[2].form
	wantPoll := url.Values{"client_id": {"valet"}, "grant_type": {"urn:ietf:params:oauth:grant-type:device_code"},
		"device_code": {"DEVICE-CODE-SECRET"}, "resource": {a.Resource}}
	if poll.Encode() != wantPoll.Encode() {
		t.Errorf("polled with %v, want %v", poll, wantPoll)
	}
	if len(person.codes) != 1 || len(person.waiting) != 0 {
		t.Fatalf("shown %+v", person)
	}
	code := person.codes[0]
	if code.UserCode != "ABCD-EFGH" || code.VerificationURI != "https://idp.test/device" || code.Renewed ||
		code.VerificationURIComplete != "https://idp.test/device?user_code=ABCD-EFGH" {
		t.Errorf("shown %+v", code)
	}
	if life := code.Expires.Sub(network.at("/device")[0].at); life != 15*time.Minute {
		t.Errorf("the code lives %v", life)
	}
	if cred.AccessToken.Reveal() != "ACCESS-TOKEN-SECRET" || cred.RefreshToken.Reveal() != "REFRESH-TOKEN-SECRET" ||
		cred.Audience != a.Audience || cred.Resource != a.Resource {
		t.Errorf("got %+v", cred)
	}
}

// A code that runs out, by the issuer's word or by the clock, gives way to a
// fresh one; the third is the last.
func TestFreshCode(t *testing.T) {
	second := canned{status: 200, body: strings.NewReplacer("ABCD-EFGH", "SECO-NDCO", "DEVICE-CODE-SECRET", "SECOND-SECRET").Replace(codeReply.body)}
	offline := canned{err: errors.New("network is down")}
	for _, test := range []struct {
		name    string
		answers []canned
	}{
		{"RFC 8628", []canned{pending("expired_token"), tokenReply}},
		{"Microsoft", []canned{pending("bad_verification_code"), tokenReply}},
		{"GitHub's text", []canned{pending("token_expired"), tokenReply}},
		{"an answer was lost, and the code with it", []canned{offline, pending("invalid_grant"), tokenReply}},
		{"an answer broke, and the code with it", []canned{{status: 502}, pending("invalid_grant"), tokenReply}},
	} {
		t.Run(test.name, func(t *testing.T) {
			network := forms(document(), []canned{codeReply, second}, test.answers)
			person := &shown{}
			if _, _, err := polled(t, account(), network, person); err != nil {
				t.Fatal(err)
			}
			if len(person.codes) != 2 || person.codes[0].Renewed || !person.codes[1].Renewed || person.codes[1].UserCode != "SECO-NDCO" {
				t.Errorf("shown %+v", person.codes)
			}
			token := network.at("/token")
			if last := token[len(token)-1]; last.form.Get("device_code") != "SECOND-SECRET" {
				t.Errorf("polled with %v", last.form)
			}
		})
	}
}

func TestCodesRunOut(t *testing.T) {
	for _, test := range []struct {
		name, life string
		answer     canned
		polls      int // in all
	}{
		{"by the issuer", "900", pending("expired_token"), 3},
		{"by the clock", "20", pending("authorization_pending"), 3 * 4},
		{"by the clock, as a string", `"20"`, pending("authorization_pending"), 3 * 4},
		{"by the clock, before the first poll", "1", pending("authorization_pending"), 3},
		{"by the clock, offline", "20", canned{err: errors.New("network is down")}, 3 * 3},
		{"by our clock: no life", "null", pending("authorization_pending"), 3 * 110}, // 10 minutes
		{"by our clock: negative", "-5", pending("authorization_pending"), 3 * 110},  // 10 minutes
		{"by our clock: absurd", "1e300", pending("authorization_pending"), 3 * 655}, // an hour
	} {
		t.Run(test.name, func(t *testing.T) {
			code := codeReply
			code.body = strings.Replace(code.body, `"expires_in":900`, `"expires_in":`+test.life, 1)
			person := &shown{}
			_, times, err := polled(t, account(), forms(document(), []canned{code}, []canned{test.answer}), person)
			if !errors.Is(err, refresh.ErrCodeExpired) {
				t.Fatalf("got %v", err)
			}
			if len(person.codes) != 3 || len(times) != test.polls {
				t.Errorf("%d codes, %d polls, want 3 and %d", len(person.codes), len(times), test.polls)
			}
		})
	}
}

// The person acted in time, but our next poll comes after the code's end.
func TestLastPoll(t *testing.T) {
	code := codeReply
	code.body = strings.Replace(code.body, `"expires_in":900`, `"expires_in":12`, 1)
	person := &shown{}
	wait := pending("authorization_pending")
	_, times, err := polled(t, account(), forms(document(), []canned{code}, []canned{wait, wait, tokenReply}), person)
	if err != nil || len(person.codes) != 1 || times[len(times)-1] != 16.5 {
		t.Errorf("got %v, %d codes, polls at %v", err, len(person.codes), times)
	}
}

// A fresh code is asked for again where the network fails (a laptop wakes), but
// not for ever, and not where the issuer refuses.
func TestFreshCodeOffline(t *testing.T) {
	offline := canned{err: errors.New("network is down")}
	person := &shown{}
	network := forms(document(), []canned{codeReply, offline, {status: 503}, codeReply}, []canned{pending("expired_token"), tokenReply})
	if _, _, err := polled(t, account(), network, person); err != nil || len(person.codes) != 2 || len(person.waiting) != 2 {
		t.Errorf("got %v, the person saw %v", err, person)
	}

	person = &shown{}
	network = forms(document(), []canned{codeReply, offline}, []canned{pending("expired_token")})
	_, _, err := polled(t, account(), network, person)
	if !errors.Is(err, refresh.ErrUnreachable) || len(network.at("/device")) != 7 {
		t.Errorf("got %v after %d requests", err, len(network.at("/device")))
	}

	person = &shown{}
	network = forms(document(), []canned{codeReply, pending("unauthorized_client")}, []canned{pending("expired_token")})
	if _, _, err := polled(t, account(), network, person); !refusal(err) || len(network.at("/device")) != 2 {
		t.Errorf("got %v after %d requests", err, len(network.at("/device")))
	}
}

func TestFirstCodeRefused(t *testing.T) {
	with := func(change ...string) canned {
		return canned{status: 200, body: strings.NewReplacer(change...).Replace(codeReply.body)}
	}
	const uri, complete = `"verification_uri":"https://idp.test/device"`, `"verification_uri_complete":"https://idp.test/device?user_code=ABCD-EFGH"`
	for _, test := range []struct {
		name   string
		answer canned
		want   error
		says   string
	}{
		{"offline", canned{err: errors.New("network is down")}, refresh.ErrUnreachable, "the connection broke"},
		{"500", canned{status: 500}, refresh.ErrUnreachable, "status 500"},
		{"429", canned{status: 429}, refresh.ErrUnreachable, "status 429"},
		{"HTML", canned{status: 200, kind: "text/html", body: "<p>SECRET"}, refresh.ErrUnreachable, "answered text/html, not JSON"},
		{"10 MB", canned{status: 200, body: `{"a":"` + strings.Repeat("SECRET", 2<<20) + `"}`}, refresh.ErrUnreachable, "larger than 1 MiB"},
		{"refused", pending("unauthorized_client"), nil, "unauthorized_client"},
		{"refused with 200, GitHub", canned{status: 200, body: `{"error":"device_flow_disabled"}`}, nil, "device_flow_disabled"},
		{"denied by a policy", pending("access_denied"), refresh.ErrDenied, "access_denied"},
		{"bare 404", canned{status: 404}, nil, "status 404"},

		{"no device code", with("DEVICE-CODE-SECRET", ""), nil, "no device code"},
		{"no user code", with(`"user_code":"ABCD-EFGH"`, `"user_code":7`), nil, "no user code"},
		{"user code with an escape", with(`"user_code":"ABCD-EFGH"`, `"user_code":"\u001b[2JABCD"`), nil, "user code"},
		{"user code of two lines", with(`"user_code":"ABCD-EFGH"`, `"user_code":"ABCD\nrun this"`), nil, "user code"},
		{"user code, not ASCII", with(`"user_code":"ABCD-EFGH"`, `"user_code":"АBCD"`), nil, "user code"},
		{"user code, long", with(`"user_code":"ABCD-EFGH"`, `"user_code":"`+strings.Repeat("A", 65)+`"`), nil, "user code"},

		{"no URI", with(uri, `"x":1`), refresh.ErrIssuerAddress, "verification URI"},
		{"javascript", with(uri, `"verification_uri":"javascript:alert(1)"`), refresh.ErrIssuerAddress, "verification URI"},
		{"file", with(uri, `"verification_uri":"file:///c:/windows/system32/calc.exe"`), refresh.ErrIssuerAddress, "verification URI"},
		{"http", with(uri, `"verification_uri":"http://idp.test/device"`), refresh.ErrIssuerAddress, "verification URI"},
		{"this machine", with(uri, `"verification_uri":"http://127.0.0.1:8080/"`), refresh.ErrIssuerAddress, "verification URI"},
		{"userinfo", with(uri, `"verification_uri":"https://idp.test@evil.test/"`), refresh.ErrIssuerAddress, "verification URI"},
		{"a shell's characters", with(uri, `"verification_uri":"https://idp.test/$(calc)\"&calc"`), refresh.ErrIssuerAddress, "verification URI"},
		{"control characters", with(uri, `"verification_uri":"https://idp.test/\r\n"`), refresh.ErrIssuerAddress, "verification URI"},
		{"javascript, complete", with(complete, `"verification_uri_complete":"javascript:alert(1)"`), refresh.ErrIssuerAddress, "complete verification URI"},
		{"control characters, complete", with(complete, `"verification_uri_complete":"https://idp.test/\u0007"`), refresh.ErrIssuerAddress, "complete verification URI"},
	} {
		t.Run(test.name, func(t *testing.T) {
			person := &shown{}
			_, _, err := polled(t, account(), forms(document(), []canned{test.answer}, nil), person)
			if err == nil || !strings.Contains(err.Error(), test.says) || test.want != nil && !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v saying %q", err, test.want, test.says)
			}
			if len(person.codes) > 0 {
				t.Errorf("shown %+v", person.codes)
			}
		})
	}
}

// Google: another name for the URI, the secret in the body, 428 while pending.
func TestGoogle(t *testing.T) {
	network := forms(document(),
		[]canned{{status: 200, body: `{"device_code":"DEVICE-CODE-SECRET","user_code":"GQVQ-JKEC","verification_url":"https://www.google.com/device",` +
			`"expires_in":1800,"interval":5}`}},
		[]canned{{status: 428, body: `{"error":"authorization_pending","error_description":"Precondition Required"}`},
			{status: 200, body: `{"access_token":"ya29.SECRET","expires_in":3599,"refresh_token":"1//SECRET","scope":"openid","token_type":"Bearer"}`}})
	person := &shown{}
	cred, _, err := polled(t, confidential(), network, person)
	if err != nil {
		t.Fatal(err)
	}
	if person.codes[0].VerificationURI != "https://www.google.com/device" || person.codes[0].VerificationURIComplete != "" {
		t.Errorf("shown %+v", person.codes)
	}
	if got := network.at("/token")[0].form.Get("client_secret"); got != secretText {
		t.Errorf("secret %q", got)
	}
	if !slices.Equal(cred.Scopes, []string{"openid"}) {
		t.Errorf("scopes %v", cred.Scopes)
	}
}

// GitHub: no discovery, forms instead of JSON, errors with 200, no expiry.
func TestGitHub(t *testing.T) {
	network := &scripted{replies: map[string][]canned{
		"/login/device/code": {{status: 200, kind: asForm, body: "device_code=DEVICE-CODE-SECRET&user_code=WDJB-MJHT" +
			"&verification_uri=https%3A%2F%2Fgithub.com%2Flogin%2Fdevice&expires_in=900&interval=5"}},
		"/login/oauth/access_token": {
			{status: 200, kind: asForm, body: "error=authorization_pending"},
			{status: 200, kind: asForm, body: "error=slow_down&interval=10"},
			{status: 200, kind: asForm, body: "access_token=gho_SECRET&scope=repo%2Cgist&token_type=bearer"},
		},
	}}
	a, err := refresh.FromPreset("github", "")
	if err != nil {
		t.Fatal(err)
	}
	a.Name, a.ClientID = "work", "valet"
	cred, err := signIn(t, a, network)
	if err != nil {
		t.Fatal(err)
	}
	polls := network.at("/login/oauth/access_token")
	if gap := polls[2].at.Sub(polls[1].at); gap != 10500*time.Millisecond {
		t.Errorf("after slow_down it waited %v", gap)
	}
	if cred.AccessToken.Reveal() != "gho_SECRET" || !cred.Expiry.IsZero() || !cred.RefreshToken.IsZero() ||
		!slices.Equal(cred.Scopes, []string{"repo", "gist"}) || cred.Issuer != "https://github.com/login/oauth" {
		t.Errorf("got %+v", cred)
	}
}

// PKCE goes with the device flow where it is advertised, with a verifier of its
// own for each code.
func TestDevicePKCE(t *testing.T) {
	network := forms(document(`"code_challenge_methods_supported":["plain","S256"]`),
		[]canned{codeReply}, []canned{pending("expired_token"), tokenReply})
	if _, err := signIn(t, account(), network); err != nil {
		t.Fatal(err)
	}
	device, token := network.at("/device"), network.at("/token")
	verifiers := map[string]bool{}
	for n := range device {
		verifier := token[n].form.Get("code_verifier")
		verifiers[verifier] = true
		if len(verifier) < 43 || device[n].form.Get("code_challenge_method") != "S256" ||
			device[n].form.Get("code_challenge") != oauth2.S256ChallengeFromVerifier(verifier) {
			t.Errorf("device %v, token %v", device[n].form, token[n].form)
		}
	}
	if len(verifiers) != 2 {
		t.Errorf("%d verifiers for 2 codes", len(verifiers))
	}

	network = forms(document(`"code_challenge_methods_supported":["plain"]`), []canned{codeReply}, []canned{tokenReply})
	if _, err := signIn(t, account(), network); err != nil {
		t.Fatal(err)
	}
	if network.at("/device")[0].form.Has("code_challenge") || network.at("/token")[0].form.Has("code_verifier") {
		t.Error("PKCE where it is not advertised")
	}
}

// The code's end is kept on the wall's clock: the other one stands still while a
// laptop sleeps. (In a synctest bubble there is no other.)
func TestCodeEndClock(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var end time.Time
	_, err := newClient(t, account(), forms(document(), []canned{codeReply}, nil)).SignIn(ctx, refresh.WayDevice, refresh.Prompt{
		Code: func(_ context.Context, d refresh.DeviceCode) {
			end = d.Expires
			cancel()
		},
	})
	if !errors.Is(err, context.Canceled) || end.IsZero() || strings.Contains(end.String(), " m=") {
		t.Errorf("%v, ends %v", err, end)
	}
}

// After a failure no connection is used again (a laptop that slept has dead
// ones), and at the end none is kept.
func TestConnectionsDropped(t *testing.T) {
	network := forms(document(), []canned{codeReply}, []canned{pending("authorization_pending"), {err: errors.New("reset")}, tokenReply})
	if _, err := signIn(t, account(), network); err != nil {
		t.Fatal(err)
	}
	var dropped []int
	for _, v := range network.at("/token") {
		dropped = append(dropped, v.dropped)
	}
	if !slices.Equal(append(dropped, network.dropped), []int{0, 0, 1, 2}) {
		t.Errorf("dropped %v before the polls, %d in all", dropped, network.dropped)
	}
}

func TestDeviceCancelled(t *testing.T) {
	for _, answer := range []canned{pending("authorization_pending"), {hang: true}, {err: errors.New("network is down")}} {
		network := forms(document(), []canned{codeReply}, []canned{answer})
		synctest.Test(t, func(t *testing.T) {
			c := newClient(t, account(), network)
			for cut, want := range map[time.Duration]error{3 * time.Second: context.Canceled, 6 * time.Second: context.Canceled} {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(cut, cancel)
				began := time.Now()
				_, err := c.SignIn(ctx, refresh.WayDevice, refresh.Prompt{})
				if !errors.Is(err, want) || errors.Is(err, refresh.ErrUnreachable) || time.Since(began) != cut {
					t.Errorf("got %v after %v", err, time.Since(began))
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
			defer cancel()
			_, err := c.SignIn(ctx, refresh.WayDevice, refresh.Prompt{})
			if !errors.Is(err, refresh.ErrCodeExpired) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("at the deadline: %v", err)
			}
			noSecrets(t, err)
		})
	}
}

// FuzzDeviceAnswer holds the law: a code that can be shown and polled for, or an
// error.
func FuzzDeviceAnswer(f *testing.F) {
	for _, body := range append(answerSeeds, codeReply.body) {
		f.Add(200, asJSON, body)
		f.Add(200, asForm, body)
	}
	c, err := refresh.New(account())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status int, kind, body string) {
		d, interval, err := c.ParseDeviceCode(status, kind, body, asked)
		if (d == nil) == (err == nil) {
			t.Fatalf("code %v, error %v", d, err)
		}
		if err != nil {
			return
		}
		if status < 200 || status > 299 || d.DeviceCode == "" || d.UserCode == "" || strings.ContainsFunc(d.UserCode, control) {
			t.Fatalf("status %d gave %+v", status, d)
		}
		if refresh.CheckEndpoint(issuer, d.VerificationURI) != nil ||
			d.VerificationURIComplete != "" && refresh.CheckEndpoint(issuer, d.VerificationURIComplete) != nil {
			t.Fatalf("URLs of %+v", d)
		}
		if interval < time.Second || interval > time.Minute || !d.Expiry.After(asked) || d.Expiry.After(asked.Add(time.Hour)) {
			t.Fatalf("interval %v, expires %v", interval, d.Expiry)
		}
	})
}
