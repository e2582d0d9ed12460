package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"mcp-valet/internal/issuer"
)

const testAudience = "https://server.example/mcp"

// scriptIssuer is the local issuer of one script, with a person who approves and a network that can fail.
type scriptIssuer struct {
	*issuer.Issuer

	mu     sync.Mutex
	person string        // "yes", "no" or "never": what the person does with a code
	down   bool          // answers 503 to everything
	slow   time.Duration // an answer of the token endpoint lies so long on the way
	out    map[string]bool
}

var (
	issuersMu sync.Mutex
	issuers   = map[*testscript.TestScript]*scriptIssuer{}
)

func issuerOf(ts *testscript.TestScript) *scriptIssuer {
	issuersMu.Lock()
	defer issuersMu.Unlock()
	i := issuers[ts]
	if i == nil {
		ts.Fatalf("there is no issuer yet: start one with issuer")
	}
	return i
}

// startIssuer is the script command issuer [ttl=DURATION] [devicettl=DURATION].
func startIssuer(ts *testscript.TestScript, neg bool, args []string) {
	s := &scriptIssuer{person: "yes", out: map[string]bool{}}
	server := httptest.NewUnstartedServer(s)
	options := issuer.Options{
		URL: "http://" + server.Listener.Addr().String(), Audience: testAudience, Interval: time.Second, Scopes: []string{"read"},
		Clients: []issuer.Client{{ID: "valet", RedirectURIs: []string{"http://127.0.0.1/callback"}}},
		Users:   []issuer.User{{Subject: "alice", Roles: []string{"viewer"}}},
	}
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		d, err := time.ParseDuration(value)
		ts.Check(err)
		switch name {
		case "ttl":
			options.AccessTTL = d
		case "devicettl":
			options.DeviceTTL = d
		default:
			ts.Fatalf("issuer: no option %s", name)
		}
	}
	var err error
	s.Issuer, err = issuer.New(options)
	ts.Check(err)
	server.Start()
	ts.Defer(server.Close)
	issuersMu.Lock()
	issuers[ts] = s
	issuersMu.Unlock()
	ts.Setenv("ISSUER", options.URL)
}

// setIssuer is the script command issuer-set person=yes|no|never, down=true|false, slow=DURATION, keys=rotate, revoke=all, ttl=DURATION.
func setIssuer(ts *testscript.TestScript, neg bool, args []string) {
	s := issuerOf(ts)
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "person":
			s.set(func() { s.person = value })
		case "down":
			s.set(func() { s.down = value == "true" })
		case "slow":
			d, err := time.ParseDuration(value)
			ts.Check(err)
			s.set(func() { s.slow = d })
		case "keys":
			_, err := s.RotateKeys()
			ts.Check(err)
		case "revoke":
			s.RevokeAll()
		case "ttl":
			d, err := time.ParseDuration(value)
			ts.Check(err)
			s.SetAccessTTL(d)
		default:
			ts.Fatalf("issuer-set: no setting %s", name)
		}
	}
}

func (s *scriptIssuer) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// issuerSaw is the script command issuer-saw NAME=COUNT..., with the names of issuer.Stats.
func issuerSaw(ts *testscript.TestScript, neg bool, args []string) {
	text, err := json.Marshal(issuerOf(ts).Stats())
	ts.Check(err)
	counts := map[string]int{}
	ts.Check(json.Unmarshal(text, &counts))
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		want, err := strconv.Atoi(value)
		ts.Check(err)
		if got, ok := counts[name]; !ok || got != want {
			ts.Fatalf("the issuer saw %s=%d, want %d (all: %s)", name, got, want, text)
		}
	}
}

func (s *scriptIssuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	down, slow := s.down, s.slow
	s.mu.Unlock()
	if down {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	answer := httptest.NewRecorder()
	s.Handler().ServeHTTP(answer, r)
	s.note(answer.Body.Bytes())
	if strings.Contains(answer.Body.String(), `"access_token"`) {
		time.Sleep(slow)
	}
	for k, v := range answer.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(answer.Code)
	w.Write(answer.Body.Bytes())
}

// note remembers the secrets in an answer, and has the person act on a user code.
func (s *scriptIssuer) note(body []byte) {
	var a struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		ID      string `json:"id_token"`
		Device  string `json:"device_code"`
		User    string `json:"user_code"`
	}
	if !bytes.HasPrefix(body, []byte("{")) || json.Unmarshal(body, &a) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range []string{a.Access, a.Refresh, a.ID, a.Device} {
		if secret != "" {
			s.out[secret] = true
		}
	}
	switch {
	case a.User == "":
	case s.person == "yes":
		s.Approve(a.User, "alice")
	case s.person == "no":
		s.Deny(a.User)
	}
}

func (s *scriptIssuer) secrets() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for secret := range s.out {
		all = append(all, secret)
	}
	return all
}

// badIssuers answer discovery as no issuer should.
var badIssuers = map[string]http.HandlerFunc{
	"500": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "oops", http.StatusInternalServerError) },
	"html": func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "<html><body>Log in to the hotel</body></html>")
	},
	"huge": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"issuer":"`+strings.Repeat("x", 10<<20)+`"}`)
	},
	"other": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"issuer":"https://other.example","token_endpoint":"https://other.example/token","device_authorization_endpoint":"https://other.example/device"}`)
	},
	"page": func(w http.ResponseWriter, r *http.Request) { // where the person is to sign in
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/device" {
			io.WriteString(w, `{"device_code":"d","user_code":"ABCD-EFGH","verification_uri":"javascript:alert(1)","expires_in":60}`)
			return
		}
		fmt.Fprintf(w, `{"issuer":"http://%[1]s","token_endpoint":"http://%[1]s/token","device_authorization_endpoint":"http://%[1]s/device"}`, r.Host)
	},
	"redirect": func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://issuer.example/.well-known/openid-configuration", http.StatusFound)
	},
}

// startBadIssuer is the script command badissuer KIND.
func startBadIssuer(ts *testscript.TestScript, neg bool, args []string) {
	handler, ok := badIssuers[args[0]]
	if !ok {
		ts.Fatalf("badissuer: no kind %s", args[0])
	}
	server := httptest.NewServer(handler)
	ts.Defer(server.Close)
	ts.Setenv("ISSUER", server.URL)
}
