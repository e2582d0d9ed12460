package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"
	"sync"

	"mcp-valet/internal/config"
)

// tryOut has the server run once, so that its lists are known, and says what comes next.
func (a *app) tryOut(ctx context.Context, cfg *config.Config, p *installPlan) error {
	now, err := describeEntry(cfg, p.server)
	if err != nil {
		return err
	}
	gated := now.TokenEnv != "" || len(cfg.Servers[p.server].Secrets()) > 0
	if gated {
		a.sayf("Running the server once, to know its tools (up to a minute). What it writes meanwhile, each line once:")
	}
	err = a.takeSnapshot(ctx, p.server)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		_, hint := classify(err)
		a.sayf("The server was run once, to know its tools beforehand. That did not go well: %v", err)
		if hint != "" {
			a.sayf("%s: hint: %s", program, a.here(hint))
		}
		return nil
	case gated:
		a.sayAnswer(p.server, snapshotPath(p.state, now))
	}
	a.sayf("Now start %s.", p.client.Title)
	return nil
}

// sayAnswer says how many tools a server has, if its snapshot tells.
func (a *app) sayAnswer(server, path string) {
	if n, ok := countTools(path); ok {
		a.sayf("%s answers: %s.", server, count(n, "tool"))
		return
	}
	a.sayf("%s answers.", server)
}

// countTools reads from a snapshot how many tools a server has; of the protocol versions, the one with the most counts.
func countTools(path string) (most int, ok bool) {
	var snapshot struct {
		Talks map[string]*struct {
			Lists map[string]struct {
				Tools []json.RawMessage `json:"tools"`
			} `json:"lists"`
		} `json:"talks"`
	}
	b, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(b, &snapshot) != nil {
		return 0, false
	}
	for _, talk := range snapshot.Talks {
		if talk == nil {
			continue
		}
		n := 0
		for key, page := range talk.Lists {
			if method, _, _ := strings.Cut(key, " "); method == "tools/list" {
				n, ok = n+len(page.Tools), true
			}
		}
		most = max(most, n)
	}
	return most, ok
}

// eachOnce passes on each line once: a server that is tried out is started once for each way of talking to it, and says
// the same each time. It is safe for concurrent use.
type eachOnce struct {
	to   io.Writer
	mu   sync.Mutex
	seen map[string]bool
	rest []byte // of a line that has not ended
}

// mostLines bounds the lines that are remembered; further ones are passed on.
const mostLines = 1000

// flush passes on what has not ended with a line.
func (e *eachOnce) flush() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.rest) > 0 {
		_, _ = e.to.Write(append(e.rest, '\n')) // it is a message for a person
		e.rest = nil
	}
}

// Write is for pieces of text as they come.
func (e *eachOnce) Write(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rest = append(e.rest, b...)
	for {
		i := bytes.IndexByte(e.rest, '\n')
		if i < 0 {
			return len(b), nil
		}
		line := string(e.rest[:i+1])
		e.rest = e.rest[i+1:]
		if e.seen[line] {
			continue
		}
		if e.seen == nil {
			e.seen = map[string]bool{}
		}
		if len(e.seen) < mostLines {
			e.seen[line] = true
		}
		if _, err := io.WriteString(e.to, line); err != nil {
			return len(b), err
		}
	}
}
