//go:build linux

package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"mcp-valet/keyring"
)

// What must hold, whatever happened.
const (
	nothingLost  = "no credential lost that the issuer honours, and one sign-in at most"
	onePerToken  = "one refresh request with a refresh token at a time, none after it was refused"
	onePrompt    = "one prompt at a time"
	onceEach     = "one answer to each request"
	carriedOnce  = "no call twice, none after its answer"
	noSecret     = "no secret in any log, answer or file"
	nothingLeft  = "nothing left over"
	tokenInForce = "no call with a token that has ended"
)

// agentTime is how long agents may go on after everybody else has ended: all attempts to save, and the last poll.
const agentTime = 25 * time.Second

// verify checks the invariants when all clients have ended, and the faults are over.
func (s *schedule) verify() {
	s.checkProcesses()
	s.checkLeftovers(s.excused(killedAgent, killLauncher, diskFull))
	s.checkCarriedOut()
	s.checkCredential()
	s.checkUse()
	s.checkProcesses()
	s.checkLeftovers(s.excused(killedAgent, killLauncher, diskFull))
	s.checkFiles()
	for _, c := range s.clients {
		s.search("stderr of "+c.label, c.stderr.String())
	}
}

// checkProcesses: nothing runs, but grandchildren of killed launchers.
func (s *schedule) checkProcesses() {
	met("invariant 6: processes looked for")
	deadline := time.Now().Add(agentTime)
	for {
		var left []string
		for _, p := range s.processes() {
			if p.isGrandchild() && s.excused(killLauncher) {
				syscall.Kill(p.pid, syscall.SIGKILL)
				continue
			}
			left = append(left, fmt.Sprint(p.pid, " ", p.command))
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			s.breach(nothingLeft, "processes: %v", left)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// checkLeftovers: no lock is held, and no draft or token file is there that no kill excuses.
func (s *schedule) checkLeftovers(excused bool) {
	locks, _ := filepath.Glob(filepath.Join(s.state(), "locks", "*.lock"))
	for _, path := range locks {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		met("invariant 6: locks tried")
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			s.breach(nothingLeft, "lock %s is held", filepath.Base(path))
		}
		f.Close()
	}
	s.eachFile(func(path string) {
		name := filepath.Base(path)
		draft := strings.HasSuffix(name, ".tmp") || strings.HasPrefix(name, "room.")
		inTokens := filepath.Base(filepath.Dir(path)) == "tokens"
		if (draft || inTokens) && !excused {
			s.breach(nothingLeft, "file %s", path)
		}
	})
}

func (s *schedule) eachFile(f func(path string)) {
	filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && path != s.notes() && path != s.keyFile() {
			f(path)
		}
		return nil
	})
}

// checkFiles: no file holds a secret but the sealed store, in which none can be read, and what a killed launcher has left
// for its server.
func (s *schedule) checkFiles() {
	s.eachFile(func(path string) {
		b, err := os.ReadFile(path)
		if err != nil || filepath.Base(filepath.Dir(path)) == "tokens" && s.excused(killLauncher) {
			return
		}
		s.search(path, string(b))
	})
}

func (s *schedule) search(where, text string) {
	met("invariant 5: texts searched for secrets")
	if at := strings.Index(s.redact(text), "["); hasSecret(text) {
		shown := s.redact(text)
		s.breach(noSecret, "%s: %.300q", where, shown[max(0, at-100):])
	}
}

// checkCarriedOut: no call twice, none after its answer, and each with a token of the issuer's that is in force.
func (s *schedule) checkCarriedOut() {
	text, err := os.ReadFile(s.notes())
	if err != nil {
		s.t.Error(err)
		return
	}
	answers := s.questions()
	renew := map[string]string{}
	for _, c := range s.clients {
		renew[c.label] = c.renew
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) != 4 {
			s.t.Errorf("note: %q", s.redact(line))
			continue
		}
		what, key, token := fields[0], fields[1], fields[3]
		nano, _ := strconv.ParseInt(fields[2], 10, 64)
		at := time.Unix(0, nano)
		if what == "LEAK" {
			s.breach(noSecret, "the server has %s", key)
			continue
		}
		met("invariant 4: carried out calls looked at")
		if seen[key] {
			s.breach(carriedOnce, "%s is carried out twice", key)
		}
		seen[key] = true
		q := answers[key]
		if q != nil && !q.answered.IsZero() && at.After(q.answered.Add(5*time.Millisecond)) {
			s.breach(carriedOnce, "%s is carried out %s after its answer %s", key, at.Sub(q.answered), q.text)
		}
		if what == "COUNT" {
			label, _, _ := strings.Cut(key, "/")
			if q != nil {
				s.checkToken(key, token, q.sent, renew[label])
			}
		}
	}
	for key, q := range answers {
		if q.does == "count" && strings.Contains(q.text, "done "+key) && !seen[key] {
			s.breach(carriedOnce, "%s is answered, and was not carried out", key)
		}
	}
}

// checkToken: a call to a server that is given new tokens is not carried out with one that had ended before it was sent.
func (s *schedule) checkToken(key, token string, sent time.Time, renew string) {
	s.issuer.mu.Lock()
	a := s.issuer.access[token]
	s.issuer.mu.Unlock()
	switch {
	case a == nil:
		s.breach(tokenInForce, "%s is carried out with %s", key, s.issuer.known(token))
	case renew != "off":
		met("invariant 7: tokens in force")
		if late := sent.Sub(a.expires); late > 0 {
			s.breach(tokenInForce, "%s (renew %s) was sent %s after the end of the token that it is carried out with", key, renew, late)
		}
	}
}

func (s *schedule) questions() map[string]*question {
	all := map[string]*question{}
	for _, c := range s.clients {
		c.mu.Lock()
		for _, q := range c.asked {
			if q.key != "" {
				all[q.key] = q
			}
		}
		c.mu.Unlock()
	}
	return all
}

// stored is the stored credential.
func (s *schedule) stored() (*keyring.Credential, error) {
	o := keyring.Options{Kind: keyring.KindFile, StateDir: s.state(), KeyFile: s.keyFile(), Key: keyring.NewSecret(s.key)}
	store, err := keyring.Open(o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return store.Credential(ctx, account)
}

// renewalNote is what is remembered of the last renewal.
type renewalNote struct {
	Outcome      string
	BareRefusals int
}

// forgetPatience removes the note of the last renewal, unless it says that a person is needed, and the issuer's keys: that
// saves waiting, and nothing else.
func (s *schedule) forgetPatience() (n renewalNote) {
	path := filepath.Join(s.state(), "accounts", account+".json")
	b, _ := os.ReadFile(path)
	json.Unmarshal(b, &n)
	if n.Outcome != "signed_out" || n.BareRefusals >= 3 {
		os.Remove(path)
	}
	os.RemoveAll(filepath.Join(s.state(), "keys")) // the next fetch need not wait
	return n
}

// checkCredential: what the issuer honours is of use without a person; where it honours nothing any more, something must
// have happened that excuses a sign-in, and one is enough.
func (s *schedule) checkCredential() {
	cred, err := s.stored()
	honoured := err == nil && s.issuer.honours(cred.RefreshToken.Reveal())
	note := s.forgetPatience()
	s.note("stored: %v, honoured %t, noted %+v", err, honoured, note)
	if code := s.token(); code == 0 {
		met("invariant 1: credential of use without a sign-in")
		return
	} else if honoured {
		s.breach(nothingLost, "exit %d, though the issuer honours what is stored; noted %+v", code, note)
	}
	met("invariant 1: credential lost")
	if !s.excused(deadByPlan, lostAnswer, killedAgent, corrupted, diskFull) {
		s.breach(nothingLost, "a sign-in is needed (%v), and nothing excuses it", err)
	}
	s.excuse(byHand)
	if code, screen := s.signInByHand(); code != 0 {
		s.breach(nothingLost, "login: exit %d: %s", code, screen)
	}
	if code := s.token(); code != 0 {
		s.breach(nothingLost, "exit %d after a sign-in", code)
	}
}

// token is what `mcp-valet token` ends with; a token that another clock has made unfit passes by itself.
func (s *schedule) token() (code int) {
	for deadline := time.Now().Add(2*s.life + 2*time.Second); ; time.Sleep(500 * time.Millisecond) {
		var stderr string
		if code, stderr = s.run("token", account); code != 5 || time.Now().After(deadline) {
			if code != 0 {
				s.note("stderr: %s", stderr)
			}
			return code
		}
	}
}

// checkUse has a server do something once more, with no fault and no person.
func (s *schedule) checkUse() {
	before := s.issuer.counts()["device"]
	if text, ok := s.useOnce(launcherPlan{renew: s.launchers[0].renew, end: "eof"}, s.lastServer(), "in the end"); !ok {
		s.breach(nothingLost, "in the end a call is answered: %s", s.redact(text))
	}
	if s.issuer.counts()["device"] != before {
		s.breach(nothingLost, "one sign-in was not enough")
	}
	met("invariant 1: used in the end")
}

// useOnce runs a launcher for one call, and tells what that was answered and whether it was carried out.
func (s *schedule) useOnce(l launcherPlan, server, label string) (text string, ok bool) {
	c := s.connect(l, server, label)
	if c == nil {
		return "", false
	}
	c.greet()
	c.ask("tools/list", "", "", map[string]any{})
	text = c.await(c.call("count", label+"/1", 0), answerTime)
	c.finish()
	return text, strings.Contains(text, "done "+label+"/1")
}

// lastServer is the server for the last use: one with a token file, if there is one, which removes what others left.
func (s *schedule) lastServer() string {
	for i, l := range s.launchers {
		if l.renew == "file" {
			return serverName(i)
		}
	}
	return serverName(0)
}
