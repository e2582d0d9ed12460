package issuer_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"mcp-valet/internal/issuer"
)

const (
	ownURL      = "http://127.0.0.1:7777"
	audience    = "https://incidents.example"
	grantDevice = "urn:ietf:params:oauth:grant-type:device_code"
	verifier    = "a-verifier-of-more-than-forty-three-characters-in-all"
	redirect    = "http://127.0.0.1:5555/callback"
)

func challenge() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func hashOf(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// options are those of most tests: a public client, another, a confidential one,
// and one person.
func options() issuer.Options {
	return issuer.Options{
		URL:       ownURL,
		Audience:  audience,
		Resources: []string{"https://other.example"},
		Scopes:    []string{"incidents.read", "incidents.write"},
		Clients: []issuer.Client{
			{ID: "valet", Name: "The <b>valet</b>", RedirectURIs: []string{"http://127.0.0.1/callback", "http://[::1]/callback"}},
			{ID: "other"},
			{ID: "secretive", SecretHash: hashOf("s3cret/%+ :x")},
		},
		Users: []issuer.User{{Subject: "demo", Roles: []string{"admin", "viewer"}}},
	}
}

// A rig is an issuer reached without a network.
type rig struct {
	*issuer.Issuer
	t       *testing.T
	handler http.Handler
}

func newRig(t *testing.T, change ...func(*issuer.Options)) *rig {
	t.Helper()
	o := options()
	for _, c := range change {
		c(&o)
	}
	i, err := issuer.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{i, t, i.Handler()}
}

func (r *rig) do(req *http.Request) *httptest.ResponseRecorder {
	req.Host = strings.TrimPrefix(ownURL, "http://")
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, req)
	return w
}

func (r *rig) get(path string, cookies ...*http.Cookie) *httptest.ResponseRecorder {
	req := httptest.NewRequest("GET", path, nil)
	for _, c := range cookies {
		req.AddCookie(c)
	}
	return r.do(req)
}

// form makes url.Values of pairs.
func form(pairs ...string) url.Values {
	v := url.Values{}
	for n := 0; n < len(pairs); n += 2 {
		v.Add(pairs[n], pairs[n+1])
	}
	return v
}

func formRequest(path string, v url.Values) *http.Request {
	req := httptest.NewRequest("POST", path, strings.NewReader(v.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req
}

// answer is any JSON answer of the issuer.
type answer struct {
	Status           int    `json:"-"`
	Error            string `json:"error"`
	ErrorDescription string `json:"error_description"`

	DeviceCode string `json:"device_code"`
	UserCode   string `json:"user_code"`
	Complete   string `json:"verification_uri_complete"`
	URI        string `json:"verification_uri"`
	Interval   int    `json:"interval"`

	Access    string `json:"access_token"`
	Refresh   string `json:"refresh_token"`
	ID        string `json:"id_token"`
	Type      string `json:"token_type"`
	Scope     string `json:"scope"`
	ExpiresIn int    `json:"expires_in"`
}

func (r *rig) post(path string, pairs ...string) answer {
	r.t.Helper()
	return r.json(r.do(formRequest(path, form(pairs...))))
}

func (r *rig) json(w *httptest.ResponseRecorder) answer {
	r.t.Helper()
	var a answer
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
			r.t.Fatalf("answer %d is no JSON: %s", w.Code, w.Body)
		}
	}
	a.Status = w.Code
	return a
}

// device starts a device flow of the client "valet".
func (r *rig) device(pairs ...string) answer {
	r.t.Helper()
	a := r.post("/device_authorization", append([]string{"client_id", "valet"}, pairs...)...)
	if a.Status != http.StatusOK {
		r.t.Fatalf("device authorization: %+v", a)
	}
	return a
}

func (r *rig) poll(d answer, pairs ...string) answer {
	r.t.Helper()
	return r.post("/token", append([]string{"grant_type", grantDevice, "client_id", "valet", "device_code", d.DeviceCode}, pairs...)...)
}

// signIn goes through a whole device flow.
func (r *rig) signIn(pairs ...string) answer {
	r.t.Helper()
	d := r.device(pairs...)
	if err := r.Approve(d.UserCode, "demo"); err != nil {
		r.t.Fatal(err)
	}
	a := r.poll(d)
	if a.Status != http.StatusOK || a.Access == "" || a.Refresh == "" {
		r.t.Fatalf("sign-in: %+v", a)
	}
	return a
}

func (r *rig) refresh(token string, pairs ...string) answer {
	r.t.Helper()
	return r.post("/token", append([]string{"grant_type", "refresh_token", "client_id", "valet", "refresh_token", token}, pairs...)...)
}

// authorizeQuery is a good authorization request, but for what pairs change.
func authorizeQuery(pairs ...string) url.Values {
	v := form("response_type", "code", "client_id", "valet", "redirect_uri", redirect, "scope", "openid incidents.read",
		"state", "st&te", "nonce", "n0nce", "code_challenge", challenge(), "code_challenge_method", "S256")
	for n := 0; n < len(pairs); n += 2 {
		if v.Del(pairs[n]); pairs[n+1] != "" {
			v.Set(pairs[n], pairs[n+1])
		}
	}
	return v
}

// A browserForm is a form of a page, with the cookie that came along.
type browserForm struct {
	path   string
	fields url.Values
	cookie *http.Cookie
}

var (
	actionRE = regexp.MustCompile(`<form method="post" action="([^"]*)"`)
	hiddenRE = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)
)

// open gets a page and reads its form.
func (r *rig) open(path string) browserForm {
	r.t.Helper()
	w := r.get(path)
	f := browserForm{fields: url.Values{}}
	body := w.Body.String()
	action := actionRE.FindStringSubmatch(body)
	cookies := w.Result().Cookies()
	if w.Code != http.StatusOK || action == nil || len(cookies) != 1 {
		r.t.Fatalf("GET %s: status %d, no form or cookie:\n%s", path, w.Code, body)
	}
	f.path, f.cookie = html.UnescapeString(action[1]), cookies[0]
	for _, m := range hiddenRE.FindAllStringSubmatch(body, -1) {
		f.fields.Set(m[1], html.UnescapeString(m[2]))
	}
	return f
}

// request is what a browser sends when a button is pressed.
func (f browserForm) request(decision string) *http.Request {
	v := url.Values{}
	for name, values := range f.fields {
		v[name] = values
	}
	v.Set("decision", decision)
	req := formRequest(f.path, v)
	req.AddCookie(f.cookie)
	req.Header.Set("Origin", ownURL)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return req
}

// code goes through the authorization page and returns the code in the redirect.
func (r *rig) code(pairs ...string) string {
	r.t.Helper()
	f := r.open("/authorize?" + authorizeQuery(pairs...).Encode())
	w := r.do(f.request("approve"))
	to, err := url.Parse(w.Header().Get("Location"))
	if err != nil || w.Code != http.StatusSeeOther || !to.Query().Has("code") {
		r.t.Fatalf("approval: %d, to %q", w.Code, w.Header().Get("Location"))
	}
	return to.Query().Get("code")
}

func (r *rig) redeem(code string, pairs ...string) answer {
	r.t.Helper()
	v := form("grant_type", "authorization_code", "client_id", "valet", "code", code, "redirect_uri", redirect, "code_verifier", verifier)
	for n := 0; n < len(pairs); n += 2 {
		if v.Del(pairs[n]); pairs[n+1] != "" {
			v.Set(pairs[n], pairs[n+1])
		}
	}
	return r.json(r.do(formRequest("/token", v)))
}

func want(t *testing.T, a answer, status int, code string) {
	t.Helper()
	if a.Status != status || a.Error != code {
		t.Errorf("got %d %q (%s), want %d %q", a.Status, a.Error, a.ErrorDescription, status, code)
	}
}
