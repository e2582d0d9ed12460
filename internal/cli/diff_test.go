package cli_test

import (
	"slices"
	"strings"
	"testing"

	"mcp-valet/internal/cli"
)

func TestDiffLines(t *testing.T) {
	for _, tt := range []struct {
		name, before, after string
		want                []string
	}{
		{"nothing", "a\nb\n", "a\nb\n", nil},
		{"from nothing", "", "a\nb\n", []string{"+ a", "+ b"}},
		{"to nothing", "a\n", "", []string{"- a"}},
		{"in the middle", "a\nb\nc\n", "a\nx\ny\nc\n", []string{"- b", "+ x", "+ y"}},
		{"in two places", "a\nb\nc\nd\ne\n", "a\nc\nx\nd\n", []string{"- b", "+ x", "- e"}},
		{"other line ends", "a\r\nb\r\n", "a\nb", nil},
		{"repeated lines", "}\n}\n", "}\n}\n}\n", []string{"+ }"}},
		{"very long", strings.Repeat("a\n", 3000) + "b", "b\n" + strings.Repeat("a\n", 3000), nil},
	} {
		got := cli.DiffLines(tt.before, tt.after)
		if tt.name == "very long" { // not compared line by line, and yet complete
			if len(got) != 6002 {
				t.Errorf("%s: %d lines", tt.name, len(got))
			}
			continue
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
