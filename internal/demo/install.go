package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// look shows what the client's config is before mcp-valet: whoever reads the file has the secrets.
func (s *stage) look(context.Context) error {
	text, err := os.ReadFile(s.clientFile())
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		line = strings.NewReplacer(oldToken, "(a token of last year)", s.exe, "mcp-valet", s.folder+string(os.PathSeparator), "").Replace(line)
		s.say("| %s", strings.TrimRight(line, "\n"))
	}
	return nil
}

// install moves the entry and its secrets.
func (s *stage) install(ctx context.Context) error {
	s.say("$ mcp-valet install %s --account %s", s.server, s.account)
	args := []string{"install", s.server, "--account", s.account, "--client-config", s.clientFile(), "--yes", "--no-login", "--force"}
	if err := s.valet(ctx, nil, quoted{s.out, "|"}, args...); err != nil {
		return err
	}
	text, err := os.ReadFile(s.clientFile())
	if err != nil {
		return err
	}
	if bytes.Contains(text, []byte(oldToken)) || bytes.Contains(text, []byte(password)) {
		return errors.New("the client's config still holds a secret")
	}
	s.say("the client's config holds no secret any more")
	return nil
}

// uninstall gives the client its entry back.
func (s *stage) uninstall(ctx context.Context) error {
	s.say("$ mcp-valet uninstall %s --restore-secrets", s.server)
	if err := s.valet(ctx, nil, quoted{s.out, "|"}, "uninstall", s.server, "--restore-secrets", "--force"); err != nil {
		return err
	}
	text, err := os.ReadFile(s.clientFile())
	if err != nil {
		return err
	}
	if !bytes.Equal(text, s.client) {
		return fmt.Errorf("the client's config is not what it was: %q", text)
	}
	s.say("%d bytes, none of them different", len(text))
	return nil
}

// monday is a start with a refresh token that is dead: nothing of that is in the way of the client.
func (s *stage) monday(ctx context.Context) error {
	s.issuer.RevokeAll()
	wait := max(0, time.Until(s.expires)+time.Second)
	s.say("(the issuer ends all sign-ins; waiting %d s for the last token to expire)", int(wait.Seconds()+1))
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := s.start(ctx); err != nil {
		return err
	}
	return s.list(ctx)
}

// outcome is how a call ended.
type outcome struct {
	text   string
	failed bool
	err    error
}

// signInAgain calls a tool while nobody is signed in, signs in, and gets the answer of the server.
func (s *stage) signInAgain(ctx context.Context) error {
	before := s.issuer.Stats()
	answer := make(chan outcome, 1)
	go func() { // ends with the answer, for which it waits no longer than ctx
		text, failed, err := s.session.call(ctx, "whoami", nil)
		answer <- outcome{text, failed, err}
	}()
	s.say("tools/call whoami -> waits for a person")
	code, err := s.promptedCode(ctx)
	if err != nil {
		return errors.Join(err, (<-answer).err)
	}
	if s.options.Interactive {
		s.say("(approve code %s in your browser)", code)
	} else if err := s.approve(code); err != nil {
		return err
	}
	got := <-answer
	s.say("tools/call whoami -> %s", firstLine(got.text))
	if got.err != nil || got.failed || !strings.Contains(got.text, subject) {
		return fmt.Errorf("the call that was held: %q, %w", got.text, got.err)
	}
	if after := s.issuer.Stats(); after.SignIns-before.SignIns != 1 {
		return fmt.Errorf("the issuer saw %d sign-ins, want 1", after.SignIns-before.SignIns)
	}
	return s.session.end()
}

// promptedCode waits for the code that a window or notification would show.
func (s *stage) promptedCode(ctx context.Context) (string, error) {
	for {
		var note struct{ UserCode string }
		text, err := os.ReadFile(filepath.Join(s.folder, "state", "accounts", s.account+".signin"))
		if err == nil && json.Unmarshal(text, &note) == nil && note.UserCode != "" {
			return note.UserCode, nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return "", fmt.Errorf("no sign-in was asked for: %w", ctx.Err())
		}
	}
}
