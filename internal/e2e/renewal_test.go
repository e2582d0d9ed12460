//go:build linux

package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestRenewalInMidSession has three clients of one account work through several lives of its token: every call is
// carried out, once; a call that lasts longer than a token is not cut off; and each token is renewed once, whoever asks.
func TestRenewalInMidSession(t *testing.T) {
	t.Parallel()
	const life, shift = 8 * time.Second, 28 * time.Second
	p := panva(t, fmt.Sprintf("AT_TTL=%d", int(life.Seconds())))
	v := lastWeek(t, p)
	v.t = t
	before := p.stats()
	peers := []*peer{v.start(t, claudeDesktop), v.start(t, claudeCode), v.start(t, codex)}
	for _, c := range peers {
		c.begin()
	}
	long := peers[0].ask("tools/call", `{"name":"wait","arguments":{"seconds":14}}`)
	var lines []string
	servers := make([][]int, len(peers))
	for began := time.Now(); time.Since(began) < shift; time.Sleep(200 * time.Millisecond) {
		for i, c := range peers {
			line := fmt.Sprintf("%d of %s", len(lines), c.name)
			lines = append(lines, line)
			pid := c.carriedOut(c.answered("a call", c.note(line), holdLimit))
			if n := len(servers[i]); n == 0 || servers[i][n-1] != pid {
				servers[i] = append(servers[i], pid)
			}
		}
	}
	if pid := peers[0].carriedOut(peers[0].answered("the long call", long, time.Second)); pid != servers[0][0] {
		t.Errorf("the long call was answered by %d of %v", pid, servers[0])
	}
	v.mustHaveNoted(t, lines...)
	renewals := p.stats()["token:refresh_token"] - before["token:refresh_token"]
	// A token is renewed when half of its life is over, at the earliest.
	if least, most := int(shift/life)-1, int(2*shift/life)+1; renewals < least || renewals > most {
		t.Errorf("%d renewals in %s with tokens of %s", renewals, shift, life)
	}
	for i, c := range peers {
		if n := len(servers[i]); n < 3 || n > renewals+1 {
			t.Errorf("%s had the servers %v with %d renewals", c.name, servers[i], renewals)
		}
		last := len(servers[i]) - 1
		await(t, "the end of the servers before the last", func() bool {
			return !slices.ContainsFunc(servers[i][:last], func(pid int) bool { return !gone(pid) })
		})
		c.stop(servers[i][last])
	}
	t.Logf("%d calls, %d renewals, servers %v", len(lines), renewals, servers)
}
