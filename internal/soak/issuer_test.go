//go:build linux

package soak

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// What secrets of the issuer look like, wherever they turn up: they begin like this.
const (
	secretMark = "SOAK-SECRET-"
	jwtMark    = "eyJhbGciOiJFZERTQSIsImtpZCI6InNvYWsiLCJ0eXAiOiJhdCtqd3QifQ" // {"alg":"EdDSA","kid":"soak","typ":"at+jwt"}
)

// issuer is an identity provider with faults, as the plan has them. Refresh tokens rotate, and one that comes back when it
// is spent ends its whole family.
type issuer struct {
	*httptest.Server
	s    *schedule
	keys ed25519.PrivateKey

	mu     sync.Mutex
	faulty bool
	shift  time.Duration // its clock is wrong by that
	asked  map[string]int
	grants map[string]*grant  // by refresh token
	access map[string]*access // by access token
	codes  []*code
	calm   chan struct{} // closed when the faults are over
}

// grant is a refresh token and what was done with it.
type grant struct {
	n        int
	family   *family
	spent    bool
	inFlight int
	requests int
	unknown  int       // answers that the client did not get
	lost     time.Time // the last of them
	refused  int       // answers that say it is dead, after which nobody asks again
}

type family struct{ revoked bool }

type access struct {
	n       int
	expires time.Time
}

// code is a device code.
type code struct {
	n        int
	device   string
	expires  time.Time
	issued   time.Time
	verdict  verdict
	replaced time.Time // when another one was given out; zero for never
	used     bool
	closed   bool // at the end of the schedule nobody waits any more
}

func startIssuer(s *schedule) *issuer {
	_, key, _ := ed25519.GenerateKey(nil)
	is := &issuer{s: s, keys: key, asked: map[string]int{}, grants: map[string]*grant{}, access: map[string]*access{}, calm: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", is.faults("discovery", s.discovery, is.describe))
	mux.HandleFunc("/jwks", is.faults("keys", s.keys, is.showKeys))
	mux.HandleFunc("/device", is.faults("device", s.device, is.giveCode))
	mux.HandleFunc("/token", is.token)
	is.Server = httptest.NewServer(mux)
	return is
}

// setFaults has the faults begin or end; at their end nobody is kept waiting any more.
func (is *issuer) setFaults(on bool) {
	is.mu.Lock()
	defer is.mu.Unlock()
	if is.faulty && !on {
		close(is.calm)
		is.shift = 0
		for _, c := range is.codes {
			c.closed = true
		}
	}
	is.faulty = on
}

// next is the fault for the next request of a kind.
func (is *issuer) next(kind string, faults []string) string {
	is.mu.Lock()
	defer is.mu.Unlock()
	n := is.asked[kind]
	is.asked[kind]++
	if !is.faulty {
		return "ok"
	}
	fault := faults[n%len(faults)]
	met("issuer, %s: %s", kind, fault)
	if fault != "ok" {
		is.s.note("issuer: %s %d: %s", kind, n, fault)
	}
	return fault
}

// faults is a handler before whose work something may go wrong.
func (is *issuer) faults(kind string, faults []string, work http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		fault := is.next(kind, faults)
		switch {
		case is.before(w, r, fault):
		case fault == "reset-after":
			work(httptest.NewRecorder(), r)
			reset(w)
		default:
			work(w, r)
		}
	}
}

// before does what goes wrong before anything has taken effect, and tells whether that is all.
func (is *issuer) before(w http.ResponseWriter, r *http.Request, fault string) (done bool) {
	r.ParseForm() // read now: a client that goes away is noticed only then
	switch fault {
	case "500":
		http.Error(w, "trouble", http.StatusInternalServerError)
	case "503":
		w.WriteHeader(http.StatusServiceUnavailable)
	case "429":
		w.WriteHeader(http.StatusTooManyRequests)
	case "429-wait":
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	case "bare-400":
		w.WriteHeader(http.StatusBadRequest)
	case "garbage":
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, "<html>{\"sign in to the wifi\": ")
	case "hang":
		is.pause(r.Context(), 4*time.Second)
		reset(w)
	case "reset-before":
		reset(w)
	default:
		return false
	}
	return true
}

// pause waits, until the faults are over or the client is gone; it tells whether the client is still there.
func (is *issuer) pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
	case <-is.calm:
	case <-ctx.Done():
		return false
	}
	return true
}

// reset breaks the connection, as a machine does that has lost its memory of it.
func reset(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}

func (is *issuer) describe(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{
		"issuer": is.URL, "token_endpoint": is.URL + "/token", "jwks_uri": is.URL + "/jwks",
		"device_authorization_endpoint": is.URL + "/device", "token_endpoint_auth_methods_supported": []string{"none"},
	})
}

func (is *issuer) showKeys(w http.ResponseWriter, _ *http.Request) {
	x := base64.RawURLEncoding.EncodeToString(is.keys.Public().(ed25519.PublicKey))
	answer(w, http.StatusOK, map[string]any{"keys": []any{
		map[string]string{"kty": "OKP", "crv": "Ed25519", "kid": "soak", "alg": "EdDSA", "use": "sig", "x": x},
	}})
}

func answer(w http.ResponseWriter, status int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, code string) {
	answer(w, http.StatusBadRequest, map[string]any{"error": code})
}

func fresh(kind string, n int) string {
	b := make([]byte, 12)
	rand.Read(b)
	return fmt.Sprintf("%s%s-%d-%s", secretMark, kind, n, hex.EncodeToString(b))
}

// tokens makes a pair of a family; mu is held.
func (is *issuer) tokens(f *family, keep string) map[string]any {
	n := len(is.access)
	token := fresh("at", n)
	if is.s.jwt {
		token = is.sign(n)
	}
	is.access[token] = &access{n, time.Now().Add(is.s.life)}
	pair := map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": int(is.s.life.Seconds())}
	if keep == "" {
		next := fresh("rt", len(is.grants))
		is.grants[next] = &grant{n: len(is.grants), family: f}
		pair["refresh_token"] = next
	}
	return pair
}

func (is *issuer) sign(n int) string {
	now := time.Now().Add(is.shift)
	claims, _ := json.Marshal(map[string]any{
		"iss": is.URL, "aud": "api", "sub": "alice", "jti": fmt.Sprint(n), "iat": now.Unix(), "exp": now.Add(is.s.life).Unix(),
	})
	text := jwtMark + "." + base64.RawURLEncoding.EncodeToString(claims)
	return text + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(is.keys, []byte(text)))
}

// honours tells whether a refresh token would be taken.
func (is *issuer) honours(token string) bool {
	is.mu.Lock()
	defer is.mu.Unlock()
	g := is.grants[token]
	return g != nil && !g.spent && !g.family.revoked
}

// endAll ends all sign-ins.
func (is *issuer) endAll() {
	is.mu.Lock()
	defer is.mu.Unlock()
	for _, g := range is.grants {
		g.family.revoked = true
	}
}

// known is a token as it may be written down.
func (is *issuer) known(token string) string {
	is.mu.Lock()
	defer is.mu.Unlock()
	if a := is.access[token]; a != nil {
		return fmt.Sprint("access token ", a.n)
	}
	if g := is.grants[token]; g != nil {
		return fmt.Sprintf("refresh token %d (spent %t, revoked %t)", g.n, g.spent, g.family.revoked)
	}
	return fmt.Sprintf("no token of the issuer's (%d bytes)", len(token))
}

// counts are the requests so far, by kind.
func (is *issuer) counts() map[string]int {
	is.mu.Lock()
	defer is.mu.Unlock()
	return maps.Clone(is.asked)
}

func hasSecret(text string) bool {
	return strings.Contains(text, secretMark) || strings.Contains(text, jwtMark) || strings.Contains(text, "AGE-SECRET-KEY-1")
}
