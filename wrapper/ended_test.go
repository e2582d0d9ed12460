package wrapper_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mcp-valet/wrapper"
)

// TestFileNotWritten: a token that cannot be put into its file does not leave a server with one that has ended.
func TestFileNotWritten(t *testing.T) {
	c := &crew{how: wrapper.RenewFile}
	c.work(t, func() {
		folder := filepath.Dir(c.tokenFile)
		away := folder + ".away"
		if err := os.Rename(folder, away); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(folder, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Minute) // a new token is due
		if got := c.ask("tools/call"); !strings.Contains(got, `"by":1`) {
			t.Errorf("while the old token is good: %s", got)
		}
		time.Sleep(20 * time.Minute)
		if got := c.ask("tools/call"); !strings.Contains(got, `"isError":true`) {
			t.Errorf("after its end: %s", got)
		}
		os.Remove(folder)
		if err := os.Rename(away, folder); err != nil {
			t.Fatal(err)
		}
		if got := c.ask("tools/call"); !strings.Contains(got, `"result":{"protocolVersion"`) {
			t.Errorf("with a file again: %s", got)
		}
	})
}

// TestExclusiveTakesLong: the server that follows one whose call outlived the next token, too, gets a good one.
func TestExclusiveTakesLong(t *testing.T) {
	c := &crew{how: wrapper.RenewExclusive, issuer: &issuer{life: 10 * time.Minute}}
	var ages []time.Duration
	c.begins = func(*hand) error {
		ages = append(ages, c.age())
		return nil
	}
	c.does = func(h *hand, m *message) {
		if m.Method == "tools/call" && h.number == 1 {
			time.AfterFunc(time.Hour, func() { h.answer(m) })
			return
		}
		h.answer(m)
	}
	c.work(t, func() {
		c.request("tools/call")
		time.Sleep(11 * time.Minute)
		c.request("tools/list") // waits in vain, and has the change begin
		time.Sleep(50 * time.Minute)
		if got := c.ask("tools/list"); !strings.Contains(got, `"by":2`) {
			t.Fatalf("%s", got)
		}
		if ages[1] > 8*time.Minute {
			t.Errorf("the second server is given a token %v old, of a life of 10m", ages[1])
		}
	})
}
