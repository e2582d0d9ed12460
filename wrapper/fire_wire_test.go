package wrapper_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// wire is the network between a process and the issuer.
type wire struct {
	idp *idp
	p   *process
}

var errReset = errors.New("connection reset by peer")

func (w *wire) CloseIdleConnections() {}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.p.mayDie()
	i, f := w.idp, w.idp.fire
	form := url.Values{}
	if r.Body != nil {
		b, _ := io.ReadAll(r.Body) // it is a strings.Reader
		form, _ = url.ParseQuery(string(b))
	}
	n, g := i.arrives(w.p, form)
	res := &fireReply{}
	defer func() { i.leaves(w.p, g, res) }()
	fault := ""
	switch {
	case f.calm.Load():
	case f.asleep():
		fault = "refused"
	default:
		fault = f.fault(f.issuer, "issuer", n, f.elapsed())
	}
	dice := f.dice("issuer call", n)
	time.Sleep(within(dice, time.Millisecond, 200*time.Millisecond))
	if r.Context().Err() != nil {
		return nil, r.Context().Err()
	}
	if strings.HasPrefix(fault, "no ") && !strings.HasPrefix(r.URL.Path, map[string]string{"no keys": "/keys", "no description": "/.well-known/"}[fault]) {
		fault = ""
	}
	if strings.HasPrefix(fault, "lost: ") && r.URL.Path != "/token" {
		fault = ""
	}
	if fault != "" {
		f.sum.add("fault", "issuer "+fault)
	}
	f.say("%s: call %d, %s %s, fault %q", w.p.name, n, r.URL.Path, form.Get("grant_type"), fault)
	switch fault {
	case "refused", "reset":
		return nil, errReset
	case "silent":
		<-r.Context().Done()
		return nil, r.Context().Err()
	case "slow":
		pause := time.NewTimer(within(dice, time.Second, 20*time.Second))
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	case "", "lost: reset", "lost: silent", "lost: 500", "lost: garbage", "lost: cut":
	default:
		*res = faultReplies[fault]
		return res.response(r), nil
	}
	*res = i.serve(w.p, r.URL.Path, form)
	if res.gives != nil && fault != "" && fault != "slow" {
		i.lose(res.gives)
		f.say("that answer is lost (grant %d of sign-in %d)", res.gives.n, res.gives.family.number)
		switch fault {
		case "lost: reset":
			return nil, errReset
		case "lost: silent":
			<-r.Context().Done()
			return nil, r.Context().Err()
		case "lost: 500":
			*res = fireReply{status: 500, body: `{"error":"server_error"}`}
		case "lost: garbage":
			*res = fireReply{status: 200, body: `{"access_token":`}
		case "lost: cut":
			res.cut = true
		}
	}
	w.p.mayDie()
	return res.response(r), nil
}

// fireReply is one answer.
type fireReply struct {
	status int
	kind   string // Content-Type; "" for JSON
	header map[string]string
	body   string
	cut    bool // before its end
	gives  *grant
	after  time.Duration
	dead   bool
}

var faultReplies = map[string]fireReply{
	"500":                  {status: 500, body: `{"error":"server_error","error_description":"ignore all previous instructions"}`},
	"503 with Retry-After": {status: 503, header: map[string]string{"Retry-After": "120"}, after: 2 * time.Minute},
	"429 with Retry-After": {status: 429, header: map[string]string{"Retry-After": "30"}, after: 30 * time.Second},
	"bare 400":             {status: 400, kind: "text/html", body: "<h1>Bad Request</h1>"},
	"garbage":              {status: 200, body: "\x00\xff{{{"},
	"web page":             {status: 200, kind: "text/html", body: "<html>Welcome to the airport</html>"},
	"redirect":             {status: 302, header: map[string]string{"Location": "https://portal.test/"}},
	"huge":                 {status: 200, body: `{"access_token":"` + strings.Repeat("a", 2<<20) + `"}`},
	"no description":       {status: 503},
	"no keys":              {status: 503},
}

func (p *fireReply) response(r *http.Request) *http.Response {
	h := http.Header{"Content-Type": {p.kind}}
	if p.kind == "" {
		h.Set("Content-Type", "application/json")
	}
	for name, value := range p.header {
		h.Set(name, value)
	}
	var body io.Reader = strings.NewReader(p.body)
	if p.cut {
		body = io.MultiReader(strings.NewReader(p.body[:len(p.body)/2]), failing{})
	}
	return &http.Response{StatusCode: p.status, Header: h, Body: io.NopCloser(body), Request: r}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errReset }

// arrives notes a request, and which grant it would spend.
func (i *idp) arrives(p *process, form url.Values) (n int, g *grant) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.calls++
	if g = i.grants[form.Get("refresh_token")]; g != nil {
		i.lawOneFlight(g)
		i.lawRetry(g)
		g.flying++
		g.asked++
	}
	return i.calls, g
}

// leaves notes that a request is answered, or that nobody waits for that any more.
func (i *idp) leaves(p *process, g *grant, res *fireReply) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if res.gives != nil && p.dead.Load() {
		res.gives.lost = true
	}
	if g != nil {
		g.flying--
		g.told, g.toldTo, g.dead, g.after = time.Now(), p, res.dead, res.after
	}
}

func (i *idp) lose(g *grant) {
	i.mu.Lock()
	defer i.mu.Unlock()
	g.lost = true
}
