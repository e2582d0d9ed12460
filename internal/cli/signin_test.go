package cli_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"mcp-valet/internal/cli"
	"mcp-valet/internal/issuer"
	"mcp-valet/keyring"
	"mcp-valet/refresh"
)

// askSignIn is the program ask-signin ACCOUNT SERVER [quiet]: a launcher that has a person sign in. It starts itself again
// as the agent.
func askSignIn() {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "agent" {
		os.Exit(cli.Main(args))
	}
	begun := time.Now()
	err := cli.AskSignIn(context.Background(), args[0], args[1], len(args) > 2)
	fmt.Printf("%.0f s: %v\n", time.Since(begun).Seconds(), err)
	if err != nil {
		os.Exit(1)
	}
}

func noteOf(ts *testscript.TestScript) refresh.SignIn {
	s, err := refresh.ReadSignIn(ts.Getenv("MCP_VALET_STATE_DIR"), "work")
	ts.Check(err)
	return s
}

// awaitNote is the script command note OUTCOME [unanswered=N] [opened|silent]: the sign-in to account "work" comes to
// that outcome, soon.
func awaitNote(ts *testscript.TestScript, neg bool, args []string) {
	s := noteOf(ts)
	for end := time.Now().Add(20 * time.Second); s.Outcome != args[0] && time.Now().Before(end); s = noteOf(ts) {
		time.Sleep(20 * time.Millisecond)
	}
	if s.Outcome != args[0] {
		ts.Fatalf("the sign-in is %q, want %q", s.Outcome, args[0])
	}
	for _, arg := range args[1:] {
		switch arg {
		case fmt.Sprintf("unanswered=%d", s.Unanswered):
		case "opened":
			if !s.Opened {
				ts.Fatalf("no window: %+v", s)
			}
		case "silent":
			if s.Opened || s.Notified {
				ts.Fatalf("something was shown: %+v", s)
			}
		case "quiet":
			if !s.Quiet {
				ts.Fatalf("it is not quiet: %+v", s)
			}
		default:
			ts.Fatalf("it is not %s: %+v", arg, s)
		}
	}
}

// approve is the script command approve: the person finishes the sign-in that waits.
func approve(ts *testscript.TestScript, neg bool, args []string) {
	s := noteOf(ts)
	if s.UserCode == "" || s.URI == "" {
		ts.Fatalf("there is nothing to approve: %+v", s)
	}
	ts.Check(issuerOf(ts).Approve(s.UserCode, "alice"))
}

// oldTrust is the script command old-trust SERVER: what was agreed to for it becomes a record without scopes, as older
// programs wrote it into the sealed file store.
func oldTrust(ts *testscript.TestScript, neg bool, args []string) {
	store, err := keyring.Open(keyring.Options{
		Kind: "file", StateDir: ts.Getenv("MCP_VALET_STATE_DIR"), KeyFile: ts.MkAbs("home/store.key"),
	})
	ts.Check(err)
	key := keyring.TrustKey(args[0])
	text, err := store.Get(context.Background(), key)
	ts.Check(err)
	var record map[string]any
	ts.Check(json.Unmarshal([]byte(text.Reveal()), &record))
	if record["scopes"] == nil {
		ts.Fatalf("it has no scopes: %v", record)
	}
	delete(record, "scopes")
	old, err := json.Marshal(record)
	ts.Check(err)
	ts.Check(store.Set(context.Background(), key, keyring.NewSecret(string(old))))
}

// startProxiedIssuer is the script command proxied-issuer: $ISSUER is https://example.com, with its certificates in
// ca.pem, and can be reached by the proxy $PROXY alone.
func startProxiedIssuer(ts *testscript.TestScript, neg bool, args []string) {
	s := &scriptIssuer{person: "yes", out: map[string]bool{}}
	const url = "https://example.com"
	var err error
	s.Issuer, err = issuer.New(issuer.Options{
		URL: url, Audience: testAudience, Interval: time.Second, Scopes: []string{"read"},
		Clients: []issuer.Client{{ID: "valet"}}, Users: []issuer.User{{Subject: "alice"}},
	})
	ts.Check(err)
	server := httptest.NewTLSServer(s)
	ts.Defer(server.Close)
	proxy := httptest.NewServer(tunnel(server.Listener.Addr().String()))
	ts.Defer(proxy.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	ts.Check(os.WriteFile(ts.MkAbs("ca.pem"), ca, 0o600))
	issuersMu.Lock()
	issuers[ts] = s
	issuersMu.Unlock()
	ts.Setenv("ISSUER", url)
	ts.Setenv("PROXY", strings.TrimPrefix(proxy.URL, "http://"))
}

// tunnel is a proxy whose every road leads to one place.
func tunnel(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			http.Error(w, "not here", http.StatusForbidden)
			return
		}
		there, err := net.Dial("tcp", to)
		if err != nil {
			http.Error(w, "nobody there", http.StatusBadGateway)
			return
		}
		defer there.Close()
		here, read, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer here.Close()
		io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")     // an error is a client that hung up, as below
		go func() { io.Copy(there, read); there.Close() }() // ends with either end; some may have been read already
		io.Copy(here, there)
	}
}

// Every exit code of a sign-in's agent is one that nothing else ends with.
func TestSignInCodes(t *testing.T) {
	seen := map[int]bool{}
	for _, code := range cli.SignInCodes() {
		if code < 64 || code > 125 || seen[code] {
			t.Errorf("code %d is taken", code)
		}
		seen[code] = true
	}
}
