package cli_test

import (
	"runtime"
	"strings"
	"testing"

	"mcp-valet/internal/cli"
)

// quoted is a word with spaces or quotes as the shell of this system takes it.
func quoted(word string) string {
	if runtime.GOOS == "windows" {
		return `"` + word + `"`
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// A hint that a person types must mean the config, state and store that it was given for.
func TestHintsSayWhere(t *testing.T) {
	for _, tt := range []struct{ config, state, store, hint, want string }{
		{hint: "to sign in: mcp-valet login work", want: "to sign in: mcp-valet login work"},
		{config: "/a/c.json", hint: "to sign in: mcp-valet login work", want: "to sign in: mcp-valet --config /a/c.json login work"},
		{config: "/a b/$c.json", state: "/s", store: "file", hint: "mcp-valet secret set a b, then mcp-valet trust a",
			want: "mcp-valet --config " + quoted("/a b/$c.json") + " --state /s --store file secret set a b, then mcp-valet --config " + quoted("/a b/$c.json") + " --state /s --store file trust a"},
		{config: "a'b", hint: "mcp-valet trust a", want: "mcp-valet --config " + quoted("a'b") + " trust a"},
		{store: "file", hint: "another mcp-valet is at work; update mcp-valet", want: "another mcp-valet is at work; update mcp-valet"},
	} {
		if got := cli.Here(tt.config, tt.state, tt.store, tt.hint); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}
