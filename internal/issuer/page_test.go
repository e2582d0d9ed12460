package issuer_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mcp-valet/internal/issuer"
)

func TestApprovalOnThePage(t *testing.T) {
	for decision, status := range map[string]int{"approve": 200, "deny": 400} {
		r := newRig(t)
		d := r.device("scope", "openid incidents.read")
		w := r.get("/device?user_code=" + strings.ToLower(d.UserCode))
		for _, text := range []string{d.UserCode, "demo", audience, "incidents.read", "The &lt;b&gt;valet&lt;/b&gt;"} {
			if !strings.Contains(w.Body.String(), text) {
				t.Errorf("the page does not say %q", text)
			}
		}
		f := r.open("/device?user_code=" + d.UserCode)
		if w := r.do(f.request(decision)); w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", decision, w.Code, w.Body)
		}
		if a := r.poll(d); a.Status != status {
			t.Errorf("%s: poll %+v", decision, a)
		}
		if w := r.do(f.request("approve")); w.Code != http.StatusNotFound { // a second answer changes nothing
			t.Errorf("answering again: %d", w.Code)
		}
		if w := r.get("/device?user_code=" + d.UserCode); w.Code != http.StatusNotFound {
			t.Errorf("an answered code is shown: %d", w.Code)
		}
	}
}

func TestPageHeaders(t *testing.T) {
	r := newRig(t)
	d := r.device()
	nonces := map[string]bool{}
	for _, path := range []string{"/device", "/device?user_code=" + d.UserCode, "/device?user_code=BBBBBBBB", "/authorize?" + authorizeQuery().Encode(), "/authorize"} {
		w := r.get(path)
		h := w.Header()
		policy := h.Get("Content-Security-Policy")
		m := regexp.MustCompile(`^default-src 'none'; style-src 'nonce-([\w-]{22})'; form-action [^;]+; base-uri 'none'; frame-ancestors 'none'$`).FindStringSubmatch(policy)
		if m == nil {
			t.Fatalf("%s: policy %q", path, policy)
		}
		if nonces[m[1]] || !strings.Contains(w.Body.String(), `<style nonce="`+m[1]+`">`) {
			t.Errorf("%s: nonce used before, or not on the style sheet", path)
		}
		nonces[m[1]] = true
		for name, value := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "same-origin",
			"X-Frame-Options": "DENY", "Content-Type": "text/html; charset=utf-8",
		} {
			if h.Get(name) != value {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
		for _, c := range w.Result().Cookies() {
			if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode {
				t.Errorf("%s: cookie %v", path, c)
			}
		}
	}
}

func TestForgedApprovals(t *testing.T) {
	other := func(r *rig) browserForm { // a form for another code, of the same page
		return r.open("/device?user_code=" + r.device().UserCode)
	}
	for name, forge := range map[string]func(*rig, browserForm, *http.Request) *http.Request{
		"no cookie": func(_ *rig, f browserForm, req *http.Request) *http.Request {
			req.Header.Del("Cookie")
			return req
		},
		"another cookie": func(r *rig, f browserForm, req *http.Request) *http.Request {
			req.Header.Set("Cookie", other(r).cookie.String())
			return req
		},
		"empty cookie": func(r *rig, f browserForm, req *http.Request) *http.Request {
			req.Header.Set("Cookie", f.cookie.Name+"=")
			return req
		},
		"no token": change("token", ""),
		"altered token": func(_ *rig, f browserForm, _ *http.Request) *http.Request {
			return set(f, "token", f.fields.Get("token")+"A")
		},
		"later token": func(_ *rig, f browserForm, _ *http.Request) *http.Request {
			return set(f, "token", "9"+f.fields.Get("token"))
		},
		"token of other": func(r *rig, f browserForm, _ *http.Request) *http.Request {
			return set(f, "token", other(r).fields.Get("token"))
		},
		"token of another code, same browser": func(r *rig, f browserForm, _ *http.Request) *http.Request {
			w := r.get("/device?user_code="+r.device().UserCode, f.cookie)
			return set(f, "token", hiddenRE.FindAllStringSubmatch(w.Body.String(), -1)[1][2])
		},
		"another path": func(r *rig, f browserForm, _ *http.Request) *http.Request {
			f.path = "/authorize"
			return f.request("approve")
		},
		"foreign origin": header("Origin", "https://evil.example"),
		"other port":     header("Origin", "http://127.0.0.1:8888"),
		"null origin":    header("Origin", "null"),
		"two origins": func(_ *rig, _ browserForm, req *http.Request) *http.Request {
			req.Header.Add("Origin", "https://evil.example")
			return req
		},
		"cross-site": header("Sec-Fetch-Site", "cross-site"),
		"same-site":  header("Sec-Fetch-Site", "same-site"),
		"as JSON":    header("Content-Type", "application/json"),
		"as text":    header("Content-Type", "text/plain"),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			d := r.device()
			f := r.open("/device?user_code=" + d.UserCode)
			w := r.do(forge(r, f, f.request("approve")))
			if w.Code != http.StatusForbidden && w.Code != http.StatusBadRequest {
				t.Errorf("status %d", w.Code)
			}
			want(t, r.poll(d), 400, "authorization_pending")
			if w := r.do(f.request("approve")); w.Code != http.StatusOK { // the real one still works
				t.Errorf("the genuine form: %d", w.Code)
			}
		})
	}
}

func set(f browserForm, name, value string) *http.Request {
	fields := url.Values{}
	for k, v := range f.fields {
		fields[k] = v
	}
	fields.Set(name, value)
	f.fields = fields
	return f.request("approve")
}

func change(name, value string) func(*rig, browserForm, *http.Request) *http.Request {
	return func(_ *rig, f browserForm, _ *http.Request) *http.Request { return set(f, name, value) }
}

func header(name, value string) func(*rig, browserForm, *http.Request) *http.Request {
	return func(_ *rig, _ browserForm, req *http.Request) *http.Request {
		req.Header.Set(name, value)
		return req
	}
}

func TestOldFormIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *issuer.Options) { o.DeviceTTL = time.Hour })
		d := r.device()
		f := r.open("/device?user_code=" + d.UserCode)
		time.Sleep(10 * time.Minute)
		if w := r.do(f.request("approve")); w.Code != http.StatusForbidden {
			t.Errorf("status %d", w.Code)
		}
		want(t, r.poll(d), 400, "authorization_pending")
	})
}

// The cookie is shared by all ports of a host: two issuers must not fight over it.
func TestFormCookieIsKept(t *testing.T) {
	r := newRig(t)
	f := r.open("/device?user_code=" + r.device().UserCode)
	w := r.get("/device?user_code="+r.device().UserCode, f.cookie)
	if w.Code != http.StatusOK || len(w.Result().Cookies()) != 0 {
		t.Errorf("status %d, new cookies %v", w.Code, w.Result().Cookies())
	}
}

func TestMarkupIsEscaped(t *testing.T) {
	const evil = `"><script>alert(1)</script>`
	r := newRig(t, func(o *issuer.Options) {
		o.Audience = "x" + evil
		o.Clients[0].Name = evil
		o.Users[0].Subject = "demo" + evil
	})
	d := r.device()
	for name, path := range map[string]string{
		"client, user, audience": "/device?user_code=" + d.UserCode,
		"user code":              "/device?user_code=" + url.QueryEscape(evil),
		"client id":              "/authorize?" + authorizeQuery("client_id", evil).Encode(),
		"redirect URI":           "/authorize?" + authorizeQuery("redirect_uri", evil).Encode(),
		"state, nonce":           "/authorize?" + authorizeQuery("state", evil, "nonce", evil, "x"+evil, evil).Encode(),
	} {
		body := r.get(path).Body.String()
		if strings.Contains(body, "<script") || strings.Contains(body, `"">`) {
			t.Errorf("%s: markup in the page:\n%s", name, body)
		}
	}
}

func TestGuessingUserCodesIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		for range issuer.MaxGuesses {
			if w := r.get("/device?user_code=BBBB-BBBB"); w.Code != http.StatusNotFound {
				t.Fatalf("wrong code: %d", w.Code)
			}
		}
		d := r.device()
		w := r.get("/device?user_code=" + d.UserCode)
		if w.Code != http.StatusTooManyRequests || strings.Contains(w.Body.String(), d.UserCode) || w.Header().Get("Retry-After") != "600" {
			t.Errorf("after too many guesses: %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
		}
		if err := r.Approve(d.UserCode, "demo"); err != nil { // in process nobody guesses
			t.Error(err)
		}
		time.Sleep(10 * time.Minute)
		r.open("/device?user_code=" + r.device().UserCode)
	})
}

func TestApprover(t *testing.T) {
	who, err := "", errors.New("a detail that is nobody's business")
	r := newRig(t, func(o *issuer.Options) {
		o.Approver = func(*http.Request) (string, error) { return who, err }
	})
	d := r.device()
	refused := func() {
		t.Helper()
		w := r.get("/device?user_code=" + d.UserCode)
		if w.Code != http.StatusForbidden || strings.Contains(w.Body.String(), "detail") || strings.Contains(w.Body.String(), "<form") {
			t.Errorf("%d\n%s", w.Code, w.Body)
		}
	}
	refused()
	err, who = nil, "stranger"
	refused()
	who = "demo"
	f := r.open("/device?user_code=" + d.UserCode)
	who = "stranger" // logged out, or somebody else, in between
	if w := r.do(f.request("approve")); w.Code != http.StatusForbidden {
		t.Errorf("approval of a stranger: %d", w.Code)
	}
	want(t, r.poll(d), 400, "authorization_pending")
}

func TestNobodyIsGuessedAmongSeveralUsers(t *testing.T) {
	r := newRig(t, func(o *issuer.Options) { o.Users = append(o.Users, issuer.User{Subject: "eve"}) })
	if w := r.get("/device?user_code=" + r.device().UserCode); w.Code != http.StatusForbidden {
		t.Errorf("status %d", w.Code)
	}
}

func TestHostAndOriginGuard(t *testing.T) {
	r := newRig(t)
	send := func(method, path, host string, headers ...string) *httptest.ResponseRecorder {
		req := httptest.NewRequest(method, path, nil)
		req.Host = host
		for n := 0; n < len(headers); n += 2 {
			req.Header.Set(headers[n], headers[n+1])
		}
		w := httptest.NewRecorder()
		r.handler.ServeHTTP(w, req)
		return w
	}
	own := strings.TrimPrefix(ownURL, "http://")
	for _, host := range []string{"", "evil.example", "evil.example:7777", "127.0.0.1", "127.0.0.1:7778", "localhost:7777", own + ".evil.example", "127.0.0.1:7777@evil.example"} {
		for _, path := range []string{"/device", "/jwks", "/token", "/.well-known/openid-configuration"} {
			if w := send("GET", path, host); w.Code != http.StatusMisdirectedRequest {
				t.Errorf("host %q, %s: %d", host, path, w.Code)
			}
		}
	}
	link := []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}
	for _, c := range []struct {
		what, method, path string
		headers            []string
		status             int
	}{
		{"address bar", "GET", "/device", []string{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, 200},
		{"link elsewhere", "GET", "/device", link, 200},
		{"frame elsewhere", "GET", "/device", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, 403},
		{"picture elsewhere", "GET", "/device?user_code=BBBBBBBB", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}, 403},
		{"fetch from another port", "GET", "/jwks", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "cors", "Origin", "http://127.0.0.1:1"}, 403},
		{"form elsewhere, no Origin", "POST", "/token", link, 403},
		{"preflight", "OPTIONS", "/token", []string{"Origin", "https://evil.example"}, 403},
		{"program", "GET", "/jwks", nil, 200},
		{"wrong method", "GET", "/token", nil, 405},
		{"nowhere", "GET", "/admin", nil, 404},
	} {
		w := send(c.method, c.path, own, c.headers...)
		if w.Code != c.status || w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d, want %d", c.what, w.Code, c.status)
		}
	}
}
