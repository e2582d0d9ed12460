// Package demo shows mcp-valet at work on this machine alone: a real issuer, a real MCP server, this very program between them.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"mcp-valet/internal/issuer"
)

// Options say how the demo runs.
type Options struct {
	Out         io.Writer // where the transcript goes
	Keep        bool      // keep the folder
	Interactive bool      // a person approves the sign-in in the browser
	Keychain    bool      // the real keychain instead of the sealed file store
}

const (
	clientID  = "mcp-valet"
	audience  = "https://incidents.example/mcp"
	subject   = "ada"
	accessTTL = 6 * time.Second // short, so that the demo can wait for a token to expire
	stepLimit = 30 * time.Second
)

// stage is what the steps of the demo share.
type stage struct {
	options Options
	account string // its name, and the server's
	server  string
	out     io.Writer
	exe     string // this program
	folder  string
	issuer  *issuer.Issuer
	url     string
	seen    *recorder
	session *session // the running server, between two steps
	expires time.Time
	client  []byte // the client's config as it was
}

// step is one part of the transcript. It returns an error when what it tells did not really happen.
type step struct {
	title string
	do    func(*stage, context.Context) error
}

var steps = []step{
	{"Secrets lie in plain text in the client's config", (*stage).look},
	{"mcp-valet takes the entry over", (*stage).install},
	{"Sign in once", (*stage).login},
	{"The client starts the server through mcp-valet", (*stage).launch},
	{"Tools are called; the server checks the token itself", (*stage).call},
	{"The token expires while the server runs: another one takes over", (*stage).expire},
	{"The client starts the server again: renewed in silence", (*stage).renew},
	{"Somebody edits the command in the config", (*stage).tamper},
	{"Monday morning: the sign-in has ended, and the client starts all the same", (*stage).monday},
	{"A call asks for a sign-in, and goes on after it", (*stage).signInAgain},
	{"What lies on the disk", (*stage).searchDisk},
	{"Log out", (*stage).logout},
	{"Uninstall: the client's config is what it was, byte for byte", (*stage).uninstall},
}

// Run plays the demo. Its error says which step did not happen as it should.
func Run(ctx context.Context, o Options) (err error) {
	s := &stage{options: o, account: "demo", server: "incidents", out: &transcript{w: o.Out}}
	if o.Keychain { // which may hold a person's own account of that name
		suffix := fmt.Sprintf("-%d", time.Now().Unix())
		s.account, s.server = s.account+suffix, s.server+suffix
	}
	if err := s.open(ctx); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer func() { err = errors.Join(err, s.close()) }()
	for i, step := range steps {
		fmt.Fprintf(s.out, "\n%d. %s\n", i+1, step.title)
		if err := s.play(ctx, step); err != nil {
			return fmt.Errorf("demo step %d, %q: %w", i+1, step.title, err)
		}
	}
	fmt.Fprintf(s.out, "\nAll %d steps happened as told.\n", len(steps))
	return nil
}

func (s *stage) play(ctx context.Context, p step) error {
	limit := stepLimit
	if s.options.Interactive {
		limit = 10 * time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return p.do(s, ctx)
}

// open makes the folder, the issuer and the config.
func (s *stage) open(ctx context.Context) (err error) {
	if s.folder, err = os.MkdirTemp("", "mcp-valet-demo-"); err != nil {
		return err
	}
	if err := s.copyProgram(); err != nil {
		return err
	}
	if err := s.startIssuer(ctx); err != nil {
		return err
	}
	return s.writeConfigs()
}

// copyProgram puts this program into the demo's folder: where go run has built it, it will not stay, and install refuses it.
func (s *stage) copyProgram() (err error) {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	from, err := os.Open(exe)
	if err != nil {
		return err
	}
	defer from.Close() // only read from
	s.exe = filepath.Join(s.folder, "bin", "mcp-valet"+filepath.Ext(exe))
	if runtime.GOOS != "windows" {
		s.exe = filepath.Join(s.folder, "bin", "mcp-valet")
	}
	if err := os.Mkdir(filepath.Dir(s.exe), 0o700); err != nil {
		return err
	}
	to, err := os.OpenFile(s.exe, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Close())
}

// startIssuer listens on a free port of this machine; a recorder notes each token that leaves the issuer,
// so that the disk can be searched for it later.
func (s *stage) startIssuer(ctx context.Context) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.url = "http://" + listener.Addr().String()
	s.issuer, err = issuer.New(issuer.Options{
		URL: s.url, Audience: audience, Scopes: []string{"incidents"}, AccessTTL: accessTTL, Interval: time.Second,
		Clients: []issuer.Client{{ID: clientID, Name: "mcp-valet demo"}},
		Users:   []issuer.User{{Subject: subject, Roles: []string{"security_analyst"}}},
	})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	s.seen = record(s.issuer.Handler())
	s.seen.server = &http.Server{Handler: s.seen, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	go s.seen.serve(listener) // ended and joined by close
	return nil
}

func (s *stage) configFile() string { return filepath.Join(s.folder, "config", "config.json") }

// configTemplate is our config before the installation: an account, and no server.
const configTemplate = `{
  // The demo's account. Its tokens are not here: they are in the store.
  "store": { "kind": %q },
  "accounts": {
    %q: { "issuer": %q, "clientId": "mcp-valet", "scopes": ["openid", "offline_access", "incidents"] }
  }
}
`

// clientTemplate is the client's config before it: a server like many others, with its secrets in plain text.
const clientTemplate = `{
  "globalShortcut": "Ctrl+Space",
  "mcpServers": {
    %q: {
      "command": %q,
      "args": ["demo-server"],
      "env": {
        "INCIDENTS_ISSUER": %q, "INCIDENTS_AUDIENCE": %q, "INCIDENTS_FILE": %q,
        "MCP_AUTH_TOKEN": %q,
        "INCIDENTS_DB_PASSWORD": %q
      }
    }
  }
}
`

// The secrets of the client's config: a token of last year, and a password.
const (
	oldToken = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEiLCJleHAiOjE3MzU2ODk2MDB9.c2lnbmVk"
	password = "correct-horse-battery-staple"
)

func (s *stage) storeKind() string {
	if s.options.Keychain {
		return "keychain"
	}
	return "file"
}

func (s *stage) clientFile() string { return filepath.Join(s.folder, "client", "config.json") }

func (s *stage) writeConfigs() error {
	ours := fmt.Sprintf(configTemplate, s.storeKind(), s.account, s.url)
	s.client = fmt.Appendf(nil, clientTemplate, s.server, s.exe, s.url, audience, filepath.Join(s.folder, "incidents.json"), oldToken, password)
	return errors.Join(writeNew(s.configFile(), []byte(ours)), writeNew(s.clientFile(), s.client))
}

func writeNew(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// close ends what is left of the demo and removes its folder.
func (s *stage) close() error {
	err := s.session.end()
	if s.issuer != nil {
		err = errors.Join(err, s.issuer.Close(context.Background()))
	}
	if s.seen != nil {
		err = errors.Join(err, s.seen.close())
	}
	if s.options.Keep {
		fmt.Fprintf(s.out, "Kept: %s\n", s.folder)
		return err
	}
	return errors.Join(err, os.RemoveAll(s.folder))
}

// transcript is what the demo prints: several programs write to it, each whole lines.
type transcript struct {
	mu sync.Mutex
	w  io.Writer
}

func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.w.Write(p)
}

// quoted shows what a program prints in the transcript, each line after a mark.
type quoted struct {
	out  io.Writer
	mark string
}

func (q quoted) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		if _, err := io.WriteString(q.out, "   "+q.mark+" "+strings.TrimRight(line, "\r\n")+"\n"); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// say prints one line of the transcript.
func (s *stage) say(format string, args ...any) { fmt.Fprintf(s.out, "   "+format+"\n", args...) }
