//go:build linux

package soak

import (
	"fmt"
	"syscall"
	"time"
)

// maxConnects bounds the launchers that a client starts, one after the other's unexpected end.
const maxConnects = 4

// play is a client's script, from its launcher's start to its end. A client whose launcher ends starts another one.
func (s *schedule) play(l launcherPlan, name string, number int) {
	time.Sleep(l.start)
	deadline := s.began.Add(s.length)
	steps := l.steps
	for try := range maxConnects {
		c := s.connect(l, name, fmt.Sprintf("launcher %d.%d", number, try))
		if c == nil {
			return
		}
		s.setCurrent(number, c)
		c.greet()
		for len(steps) > 0 && time.Now().Before(deadline) && c.runs() {
			time.Sleep(steps[0].after)
			c.take(steps[0])
			steps = steps[1:]
		}
		if c.runs() && c.patient {
			c.waitForAll()
		}
		unexpected := !c.runs()
		c.finish()
		if !unexpected || len(steps) == 0 || !time.Now().Before(deadline) {
			return
		}
		met("launchers that ended before their clients")
	}
}

// take does one step.
func (c *client) take(st step) {
	met("client: %s", st.does)
	key := fmt.Sprintf("%s/%d", c.label, c.sent)
	switch st.does {
	case "ping":
		c.ask("ping", "", "", map[string]any{})
	case "list":
		c.ask("tools/list", "", "", map[string]any{})
	case "pause": // reads slowly for a while
		if c.slowReader {
			c.slowed.Store(true)
			time.AfterFunc(time.Duration(st.number)*time.Millisecond, func() { c.slowed.Store(false) })
		}
	case "cancel":
		id := c.call("wait", key, 900)
		time.Sleep(time.Duration(st.number/10) * time.Millisecond)
		c.mu.Lock()
		if q := c.asked[id]; q != nil {
			q.cancelled = true
		}
		c.mu.Unlock()
		c.write(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%s}}`, id))
	default:
		c.call(st.does, key, st.number)
	}
}

func (c *client) call(does, key string, n int) string {
	return c.ask("tools/call", does, key, map[string]any{"name": does, "arguments": map[string]any{"key": key, "number": n}})
}

// waitForAll waits until everything is answered that can be.
func (c *client) waitForAll() {
	for deadline := time.Now().Add(answerTime); time.Now().Before(deadline) && c.runs(); time.Sleep(20 * time.Millisecond) {
		if len(c.unanswered(time.Now())) == 0 {
			return
		}
	}
}

// unanswered are the requests sent before a time that have no answer, and ought to have one sooner or later.
func (c *client) unanswered(before time.Time) (ids []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, q := range c.asked {
		if q.answers == 0 && !q.cancelled && q.does != "hang" && q.sent.Before(before) {
			ids = append(ids, fmt.Sprintf("%s (%s %s, sent %s before the end)", id, q.method, q.does, c.ended.Sub(q.sent).Round(time.Millisecond)))
		}
	}
	return ids
}

// finish ends the client as its plan says, and holds the launcher to what it owes then.
func (c *client) finish() {
	defer c.out.Close()
	c.checkDeadlines()
	alone := !c.runs() // it ended before its client
	if !alone {
		met("client ends: %s", c.end)
		c.s.note("%s: client ends: %s", c.label, c.end)
	}
	var direct []process
	switch {
	case alone:
	case c.end == "term":
		syscall.Kill(c.cmd.Process.Pid, syscall.SIGTERM)
	case c.end == "vanish":
		c.gone.Store(true)
		c.out.Close()
	case c.end == "kill":
		direct = c.s.killLauncher(c)
	}
	if c.end != "kill" || alone {
		c.in.Close()
	}
	if !c.endsWithin(endTime) {
		c.s.breach(nothingLeft, "%s: runs on, %s after its client's end (%s)", c.label, endTime, c.end)
		c.kill()
		<-c.exited
	}
	c.in.Close()
	c.s.mustDie(c, direct)
	c.checkAnswered(alone)
}

// checkDeadlines is for what should have been answered while both lived.
func (c *client) checkDeadlines() {
	if !c.runs() || c.slowReader {
		return
	}
	late := c.unanswered(time.Now().Add(-answerTime))
	if len(late) > 0 {
		c.s.breach(onceEach, "%s: no answer within %s: %v", c.label, answerTime, late)
	}
}

// checkAnswered: at its end a launcher has answered everything, but what it cannot have read.
func (c *client) checkAnswered(alone bool) {
	switch {
	case c.killed.Load(), c.gone.Load(), c.slowReader:
		return
	case c.files > 0 && c.files < 32: // it may not have come to read at all
		return
	}
	before := c.ended
	if alone || c.end == "term" {
		before = before.Add(-lateSend)
	}
	c.mu.Lock()
	hangs := 0
	for _, q := range c.asked {
		if q.does == "hang" && q.answers == 0 && q.sent.Before(before) {
			hangs++
		}
	}
	c.mu.Unlock()
	met("invariant 4: launchers that had to have answered all")
	if missing := c.unanswered(before); len(missing) > 0 || hangs > 0 {
		c.s.breach(onceEach, "%s: ended (%s, by itself %t) without an answer to %v, and to %d calls that the server does not answer",
			c.label, c.cmd.ProcessState, alone, missing, hangs)
	}
}
