package issuer_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"mcp-valet/internal/issuer"
)

func TestErrorTable(t *testing.T) {
	const formType = "application/x-www-form-urlencoded"
	basic := func(id, secret string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret)) }
	}
	raw := func(value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", value) }
	}
	for _, c := range []struct {
		name, path, kind, body string
		auth                   func(*http.Request)
		status                 int
		code                   string
	}{
		{"no grant type", "/token", formType, "client_id=valet", nil, 400, "invalid_request"},
		{"empty grant type", "/token", formType, "client_id=valet&grant_type=", nil, 400, "invalid_request"},
		{"unknown grant type", "/token", formType, "client_id=valet&grant_type=password", nil, 400, "unsupported_grant_type"},
		{"no client", "/token", formType, "grant_type=refresh_token&refresh_token=x", nil, 401, "invalid_client"},
		{"unknown client", "/token", formType, "client_id=nobody&grant_type=refresh_token", nil, 401, "invalid_client"},
		{"client id of another case", "/token", formType, "client_id=VALET&grant_type=refresh_token", nil, 401, "invalid_client"},
		{"public client with a secret", "/token", formType, "client_id=valet&client_secret=x&grant_type=refresh_token", nil, 401, "invalid_client"},
		{"no secret", "/token", formType, "client_id=secretive&grant_type=refresh_token", nil, 401, "invalid_client"},
		{"wrong secret in the body", "/token", formType, "client_id=secretive&client_secret=x&grant_type=refresh_token", nil, 401, "invalid_client"},
		{"wrong secret in the header", "/token", formType, "grant_type=refresh_token&refresh_token=x", basic("secretive", "x"), 401, "invalid_client"},
		{"right secret in the header", "/token", formType, "grant_type=refresh_token&refresh_token=x", basic("secretive", "s3cret/%+ :x"), 400, "invalid_grant"},
		{"right secret in the body", "/token", formType, form("client_id", "secretive", "client_secret", "s3cret/%+ :x", "grant_type", "refresh_token", "refresh_token", "x").Encode(), nil, 400, "invalid_grant"},
		{"public client by Basic", "/token", formType, "grant_type=refresh_token&refresh_token=x", basic("valet", ""), 400, "invalid_grant"},
		{"two ways", "/token", formType, "client_secret=x&grant_type=refresh_token&refresh_token=x", basic("secretive", "s3cret/%+ :x"), 400, "invalid_request"},
		{"two clients", "/token", formType, "client_id=valet&grant_type=refresh_token&refresh_token=x", basic("secretive", "s3cret/%+ :x"), 400, "invalid_request"},
		{"Bearer", "/token", formType, "client_id=valet&grant_type=refresh_token&refresh_token=x", raw("Bearer x"), 401, "invalid_client"},
		{"broken Basic", "/token", formType, "grant_type=refresh_token&refresh_token=x", raw("Basic !!!"), 401, "invalid_client"},
		{"badly escaped Basic", "/token", formType, "grant_type=refresh_token&refresh_token=x", func(r *http.Request) { r.SetBasicAuth("%zz", "x") }, 401, "invalid_client"},
		{"repeated parameter", "/token", formType, "client_id=valet&grant_type=refresh_token&grant_type=refresh_token", nil, 400, "invalid_request"},
		{"repeated unknown parameter", "/token", formType, "client_id=valet&grant_type=refresh_token&refresh_token=x&y=1&y=2", nil, 400, "invalid_request"},
		{"unknown parameter", "/token", formType, "client_id=valet&grant_type=refresh_token&refresh_token=x&y=1", nil, 400, "invalid_grant"},
		{"parameters in the query", "/token?client_id=valet&grant_type=refresh_token&refresh_token=x", formType, "", nil, 401, "invalid_client"},
		{"JSON", "/token", "application/json", `{"client_id":"valet"}`, nil, 400, "invalid_request"},
		{"no content type", "/token", "", "client_id=valet", nil, 400, "invalid_request"},
		{"multipart", "/token", "multipart/form-data; boundary=x", "", nil, 400, "invalid_request"},
		{"charset is fine", "/token", formType + "; charset=utf-8", "client_id=valet", nil, 400, "invalid_request"},
		{"bad escape", "/token", formType, "client_id=valet&grant_type=%zz", nil, 400, "invalid_request"},
		{"semicolon", "/token", formType, "client_id=valet;grant_type=x", nil, 400, "invalid_request"},
		{"too large", "/token", formType, "client_id=valet&x=" + strings.Repeat("x", 64<<10), nil, 413, "invalid_request"},
		{"device: unknown scope", "/device_authorization", formType, "client_id=valet&scope=root", nil, 400, "invalid_scope"},
		{"device: no client", "/device_authorization", formType, "scope=openid", nil, 401, "invalid_client"},
		{"device: no secret", "/device_authorization", formType, "client_id=secretive", nil, 401, "invalid_client"},
		{"code: missing", "/token", formType, "client_id=valet&grant_type=authorization_code", nil, 400, "invalid_request"},
		{"code: made up", "/token", formType, "client_id=valet&grant_type=authorization_code&code=x", nil, 400, "invalid_grant"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			req := httptest.NewRequest("POST", c.path, strings.NewReader(c.body))
			if c.kind != "" {
				req.Header.Set("Content-Type", c.kind)
			}
			if c.auth != nil {
				c.auth(req)
			}
			w := r.do(req)
			want(t, r.json(w), c.status, c.code)
			checkErrorAnswer(t, w)
		})
	}
}

// checkErrorAnswer holds an answer against RFC 6749 section 5.2.
func checkErrorAnswer(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	h := w.Header()
	if h.Get("Cache-Control") != "no-store" || h.Get("Pragma") != "no-cache" || h.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", h)
	}
	if (w.Code == http.StatusUnauthorized) != (h.Get("WWW-Authenticate") != "") {
		t.Errorf("status %d with WWW-Authenticate %q", w.Code, h.Get("WWW-Authenticate"))
	}
	var fields map[string]string
	if err := json.Unmarshal(w.Body.Bytes(), &fields); err != nil || len(fields) != 2 {
		t.Errorf("fields %v, %v", fields, err)
	}
	allowed := regexp.MustCompile(`^[\x20-\x21\x23-\x5B\x5D-\x7E]+$`)
	if !allowed.MatchString(fields["error"]) || !allowed.MatchString(fields["error_description"]) {
		t.Errorf("characters outside the grammar: %q", fields)
	}
}

func TestTokenAnswersAreNotCached(t *testing.T) {
	r := newRig(t)
	d := r.device()
	r.Approve(d.UserCode, "demo")
	w := r.do(formRequest("/token", form("grant_type", grantDevice, "client_id", "valet", "device_code", d.DeviceCode)))
	if h := w.Header(); w.Code != 200 || h.Get("Cache-Control") != "no-store" || h.Get("Pragma") != "no-cache" || h.Get("Content-Type") != "application/json" {
		t.Errorf("%d %v", w.Code, h)
	}
}

func TestBadOptions(t *testing.T) {
	for name, spoil := range map[string]func(*issuer.Options){
		"no audience":              func(o *issuer.Options) { o.Audience = "" },
		"listens to the world":     func(o *issuer.Options) { o.Addr = "0.0.0.0:0" },
		"listens everywhere":       func(o *issuer.Options) { o.Addr = ":0" },
		"address without port":     func(o *issuer.Options) { o.Addr = "127.0.0.1" },
		"URL with a path":          func(o *issuer.Options) { o.URL = ownURL + "/" },
		"plain http elsewhere":     func(o *issuer.Options) { o.URL = "http://issuer.example" },
		"URL with userinfo":        func(o *issuer.Options) { o.URL = "http://x@127.0.0.1" },
		"very short life":          func(o *issuer.Options) { o.AccessTTL = 1 },
		"negative":                 func(o *issuer.Options) { o.Interval = -1 },
		"scope with a space":       func(o *issuer.Options) { o.Scopes = []string{"a b"} },
		"user without subject":     func(o *issuer.Options) { o.Users = []issuer.User{{}} },
		"client id with markup":    func(o *issuer.Options) { o.Clients[0].ID = "<b>" },
		"client twice":             func(o *issuer.Options) { o.Clients[1].ID = "valet" },
		"secret, not its hash":     func(o *issuer.Options) { o.Clients[2].SecretHash = []byte("s3cret") },
		"redirect to the world":    func(o *issuer.Options) { o.Clients[0].RedirectURIs = []string{"http://evil.example/"} },
		"redirect by https":        func(o *issuer.Options) { o.Clients[0].RedirectURIs = []string{"https://127.0.0.1/"} },
		"redirect with fragment":   func(o *issuer.Options) { o.Clients[0].RedirectURIs = []string{"http://127.0.0.1/#x"} },
		"redirect to a private IP": func(o *issuer.Options) { o.Clients[0].RedirectURIs = []string{"http://10.0.0.1/"} },
	} {
		o := options()
		spoil(&o)
		if _, err := issuer.New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Whatever the body, the answer is JSON, no 5xx, and holds nothing of the body.
func FuzzTokenForm(f *testing.F) {
	i, err := issuer.New(options())
	if err != nil {
		f.Fatal(err)
	}
	handler := i.Handler()
	for _, seed := range []string{
		"", "client_id=valet&grant_type=refresh_token&refresh_token=CANARY", "grant_type=" + grantDevice + "&client_id=valet&device_code=CANARY",
		"client_id=valet&grant_type=authorization_code&code=CANARY&redirect_uri=http://127.0.0.1/&code_verifier=x",
		"client_id=valet&client_id=valet", "%zz", "a;b", "client_id=%00", "resource=a&resource=b&client_id=valet&grant_type=refresh_token", "=&=&&",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, path := range []string{"/token", "/device_authorization", "/revoke"} {
			req := httptest.NewRequest("POST", path, strings.NewReader(body))
			req.Host = strings.TrimPrefix(ownURL, "http://")
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, req)
			answer, _ := io.ReadAll(w.Body)
			full := w.Code == http.StatusServiceUnavailable // the fuzzer fills the store
			if w.Code >= 500 && !full || len(answer) > 0 && !json.Valid(answer) || strings.Contains(string(answer), "CANARY") {
				t.Errorf("%s %q: %d %s", path, body, w.Code, answer)
			}
			if w.Code == http.StatusOK && path == "/token" {
				t.Errorf("%q got tokens", body)
			}
		}
	})
}
