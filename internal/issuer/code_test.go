package issuer_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mcp-valet/internal/issuer"
)

func TestAuthorizationCodeFlow(t *testing.T) {
	r := newRig(t)
	f := r.open("/authorize?" + authorizeQuery().Encode())
	w := r.do(f.request("approve"))
	to, err := url.Parse(w.Header().Get("Location"))
	if err != nil || w.Code != http.StatusSeeOther || !strings.HasPrefix(to.String(), redirect+"?") {
		t.Fatalf("approval: %d to %q", w.Code, w.Header().Get("Location"))
	}
	if q := to.Query(); q.Get("state") != "st&te" || q.Get("iss") != ownURL {
		t.Errorf("answer %v", q)
	}
	a := r.redeem(to.Query().Get("code"))
	if a.Status != http.StatusOK || a.ID == "" || a.Scope != "openid incidents.read" {
		t.Fatalf("token answer %+v", a)
	}
	if again := r.refresh(a.Refresh); again.Status != http.StatusOK {
		t.Errorf("refresh: %+v", again)
	}
}

func TestDeniedAuthorization(t *testing.T) {
	r := newRig(t)
	f := r.open("/authorize?" + authorizeQuery().Encode())
	to, _ := url.Parse(r.do(f.request("deny")).Header().Get("Location"))
	if q := to.Query(); q.Get("error") != "access_denied" || q.Get("state") != "st&te" || q.Has("code") {
		t.Errorf("answer %v", q)
	}
	if s := r.Stats(); s.Denials != 1 || s.Approvals != 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestCodeReplayEndsTheSignIn(t *testing.T) {
	r := newRig(t)
	code := r.code()
	a := r.redeem(code)
	want(t, r.redeem(code), 400, "invalid_grant")
	want(t, r.refresh(a.Refresh), 400, "invalid_grant")
}

func TestCodeIsSpentByAWrongTry(t *testing.T) {
	for name, pairs := range map[string][]string{
		"wrong verifier":     {"code_verifier", verifier + "x"},
		"no verifier":        {"code_verifier", ""},
		"another port":       {"redirect_uri", "http://127.0.0.1:5556/callback"},
		"no redirect URI":    {"redirect_uri", ""},
		"resource not asked": {"resource", "https://other.example"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			code := r.code()
			if a := r.redeem(code, pairs...); a.Status != http.StatusBadRequest {
				t.Errorf("first try: %+v", a)
			}
			want(t, r.redeem(code), 400, "invalid_grant")
		})
	}
	r := newRig(t)
	code := r.code()
	want(t, r.redeem(code, "client_id", "other"), 400, "invalid_grant")
	if a := r.redeem(code); a.Status != http.StatusOK { // another client's try spends nothing
		t.Errorf("the right client: %+v", a)
	}
}

func TestCodeExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		code := r.code()
		time.Sleep(time.Minute)
		want(t, r.redeem(code), 400, "invalid_grant")
	})
}

// What is wrong with the client or the address is told to the person and goes nowhere.
func TestRedirectAttacks(t *testing.T) {
	r := newRig(t)
	for name, uri := range map[string]string{
		"missing":          "",
		"another host":     "http://evil.example/callback",
		"suffix":           "http://127.0.0.1.evil.example/callback",
		"userinfo":         "http://127.0.0.1@evil.example/callback",
		"userinfo inside":  "http://evil@127.0.0.1/callback",
		"fragment":         redirect + "#x",
		"empty fragment":   redirect + "#",
		"https":            "https://127.0.0.1/callback",
		"another scheme":   "javascript://127.0.0.1/callback",
		"localhost":        "http://localhost:5555/callback", // not registered
		"private address":  "http://127.0.0.2:5555/callback",
		"decimal address":  "http://2130706433/callback",
		"another path":     "http://127.0.0.1:5555/other",
		"longer path":      "http://127.0.0.1:5555/callback/../x",
		"encoded path":     "http://127.0.0.1:5555/%63allback",
		"query":            redirect + "?x=1",
		"backslash":        `http://127.0.0.1\@evil.example/callback`,
		"newline":          "http://127.0.0.1:5555/callback\r\nX: y",
		"no scheme":        "//127.0.0.1/callback",
		"bad port":         "http://127.0.0.1:evil/callback",
		"zone":             "http://[::1%25lo]/callback",
		"semicolon header": "http://127.0.0.1:1;script-src *//callback",
	} {
		w := r.get("/authorize?" + authorizeQuery("redirect_uri", uri).Encode())
		if w.Code != http.StatusBadRequest || w.Header().Get("Location") != "" || strings.Contains(w.Body.String(), "<form") {
			t.Errorf("%s: %d, to %q", name, w.Code, w.Header().Get("Location"))
		}
	}
	for name, query := range map[string]string{
		"unknown client":       authorizeQuery("client_id", "nobody").Encode(),
		"no redirects at all":  authorizeQuery("client_id", "other").Encode(),
		"two redirect URIs":    authorizeQuery().Encode() + "&redirect_uri=" + url.QueryEscape(redirect),
		"two clients":          authorizeQuery().Encode() + "&client_id=valet",
		"not a form":           authorizeQuery().Encode() + "&a=%zz",
		"semicolons for amps":  strings.ReplaceAll(authorizeQuery().Encode(), "&", ";"),
		"nothing in the query": "",
	} {
		w := r.get("/authorize?" + query)
		if w.Code != http.StatusBadRequest || w.Header().Get("Location") != "" {
			t.Errorf("%s: %d, to %q", name, w.Code, w.Header().Get("Location"))
		}
	}
}

func TestLoopbackRedirectsOfAnyPort(t *testing.T) {
	r := newRig(t)
	for uri, action := range map[string]string{
		"http://127.0.0.1/callback":     "form-action 'self' http://127.0.0.1;",
		"http://127.0.0.1:1/callback":   "form-action 'self' http://127.0.0.1:1;",
		"http://[::1]:65535/callback":   "form-action 'self' http:;",
		"http://127.0.0.1:443/callback": "form-action 'self' http://127.0.0.1:443;",
	} {
		w := r.get("/authorize?" + authorizeQuery("redirect_uri", uri).Encode())
		if w.Code != http.StatusOK || !strings.Contains(w.Header().Get("Content-Security-Policy"), action) {
			t.Errorf("%s: %d, policy %q", uri, w.Code, w.Header().Get("Content-Security-Policy"))
		}
	}
}

func TestAuthorizationErrorsGoToTheClient(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct{ name, value, want string }{
		{"response_type", "", "invalid_request"},
		{"response_type", "token", "unsupported_response_type"},
		{"response_type", "code id_token", "unsupported_response_type"},
		{"response_mode", "fragment", "invalid_request"},
		{"code_challenge", "", "invalid_request"},
		{"code_challenge", "short", "invalid_request"},
		{"code_challenge_method", "plain", "invalid_request"},
		{"code_challenge_method", "", "invalid_request"},
		{"scope", "root", "invalid_scope"},
		{"resource", "https://evil.example", "invalid_target"},
		{"request", "eyJ", "request_not_supported"},
		{"request_uri", "https://evil.example", "request_uri_not_supported"},
		{"prompt", "none", "interaction_required"},
	} {
		w := r.get("/authorize?" + authorizeQuery(c.name, c.value).Encode())
		to, _ := url.Parse(w.Header().Get("Location"))
		if q := to.Query(); w.Code != http.StatusSeeOther || q.Get("error") != c.want || q.Get("state") != "st&te" || q.Get("iss") != ownURL {
			t.Errorf("%s=%q: %d to %v, want %s", c.name, c.value, w.Code, to, c.want)
		}
	}
	w := r.get("/authorize?" + authorizeQuery().Encode() + "&scope=openid")
	if to, _ := url.Parse(w.Header().Get("Location")); to.Query().Get("error") != "invalid_request" {
		t.Errorf("a repeated parameter: %d to %v", w.Code, to)
	}
}

func TestCodesAreBounded(t *testing.T) {
	r := newRig(t, func(o *issuer.Options) { o.MaxGrants = 1 })
	r.code()
	f := r.open("/authorize?" + authorizeQuery().Encode())
	to, _ := url.Parse(r.do(f.request("approve")).Header().Get("Location"))
	if got := to.Query().Get("error"); got != "temporarily_unavailable" {
		t.Errorf("answer %v", to)
	}
}
