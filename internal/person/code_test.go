package person_test

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"rsc.io/qr"

	"mcp-valet/internal/person"
)

// modules reads a drawn code back: true is black.
func modules(t *testing.T, drawn string) [][]bool {
	t.Helper()
	var rows [][]bool
	for line := range strings.Lines(drawn) {
		var upper, lower []bool
		for _, c := range strings.TrimSuffix(line, "\n") {
			upper = append(upper, c == '▄' || c == ' ')
			lower = append(lower, c == '▀' || c == ' ')
			if !strings.ContainsRune("█▀▄ ", c) {
				t.Fatalf("%q is no block", c)
			}
		}
		rows = append(rows, upper, lower)
	}
	return rows
}

func TestQR(t *testing.T) {
	for _, text := range []string{
		"https://login.example.com/device",
		"https://login.example.com/device?user_code=ABCD-EFGH",
		"https://login.example.com/realms/company/protocol/openid-connect/device?user_code=" + strings.Repeat("x", 200),
	} {
		want, err := qr.Encode(text, qr.L)
		if err != nil {
			t.Fatal(err)
		}
		rows := modules(t, person.QR(text))
		const quiet = 4
		if len(rows) < want.Size+2*quiet {
			t.Fatalf("%d rows for %d modules", len(rows), want.Size)
		}
		for y, row := range rows {
			if len(row) != want.Size+2*quiet || len(row) > 80 {
				t.Fatalf("row %d has %d columns for %d modules", y, len(row), want.Size)
			}
			for x, black := range row {
				if black != want.Black(x-quiet, y-quiet) {
					t.Fatalf("%d,%d is %v", x, y, black)
				}
			}
		}
	}
	for name, text := range map[string]string{"nothing": "", "too wide": strings.Repeat("x", 500), "too much": strings.Repeat("x", 5000)} {
		if got := person.QR(text); got != "" {
			t.Errorf("%s: %d characters", name, utf8.RuneCountInString(got))
		}
	}
}

func TestShowCode(t *testing.T) {
	now := time.Date(2026, 1, 2, 15, 4, 0, 0, time.Local)
	const uri, complete = "https://login.example.com/device", "https://login.example.com/device?user_code=ABCD-EFGH"
	show := func(code, uri, complete string, expires time.Time, columns, rows int) string {
		var b bytes.Buffer
		person.ShowCodeOn(&b, code, uri, complete, expires, now, columns, rows)
		return b.String()
	}
	const plain = `
To sign in, open in any browser:

    https://login.example.com/device

and enter the code:  ABCD-EFGH

Or open this, and check that it shows the same code:

    https://login.example.com/device?user_code=ABCD-EFGH

The code is good for 15 minutes, until 15:19. Only go on if you asked for this sign-in yourself.

`
	if got := show("ABCD-EFGH", uri, complete, now.Add(15*time.Minute), 0, 0); got != plain {
		t.Errorf("got\n%s\nwant\n%s", got, plain)
	}
	drawn := show("ABCD-EFGH", uri, complete, now.Add(15*time.Minute), 80, 40)
	if got := strings.Replace(drawn, "\n"+person.QR(complete), "", 1); got != plain || got == drawn {
		t.Errorf("got\n%s", drawn)
	}
	for name, got := range map[string]string{
		"too narrow": show("X", uri, complete, now, 30, 40), "too low": show("X", uri, complete, now, 80, 19),
	} {
		if strings.Contains(got, "█") {
			t.Errorf("%s, and a code is drawn\n%s", name, got)
		}
	}
	if got := show("X", uri, "", time.Time{}, 0, 0); strings.Contains(got, "Or open") || strings.Contains(got, "is good for") {
		t.Errorf("got\n%s", got)
	}
	if got := show("X", uri, "", now.Add(-time.Hour), 0, 0); !strings.Contains(got, "less than a minute") {
		t.Errorf("got\n%s", got)
	}
	got := show("A\x1b[31m\nB", "javascript:alert(1)", "https://a@evil.example.com/", now, 80, 40)
	if strings.Contains(got, "javascript") || strings.Contains(got, "evil") || strings.Contains(got, "\x1b") || !strings.Contains(got, "code:  A B\n") {
		t.Errorf("got\n%s", got)
	}
}

// What is no terminal gets no drawing.
func TestShowCodeElsewhere(t *testing.T) {
	var b bytes.Buffer
	person.ShowCode(&b, "ABCD", "https://login.example.com/", "", time.Now().Add(time.Hour))
	if got := b.String(); !strings.Contains(got, "ABCD") || strings.Contains(got, "█") {
		t.Errorf("got\n%s", got)
	}
}

func TestDrawsBlocks(t *testing.T) {
	for _, tt := range []struct {
		goos string
		env  map[string]string
		want bool
	}{
		{"linux", map[string]string{"LANG": "en_US.UTF-8"}, true},
		{"linux", map[string]string{"LANG": "C.utf8"}, true},
		{"linux", map[string]string{"LANG": "en_US.UTF-8", "LC_ALL": "C"}, false},
		{"linux", map[string]string{"LANG": "C", "LC_CTYPE": "de_DE.UTF-8"}, true},
		{"linux", map[string]string{"LANG": "de_DE@euro"}, false},
		{"linux", nil, false},
		{"linux", map[string]string{"LANG": "en_US.UTF-8", "TERM": "dumb"}, false},
		{"darwin", nil, true},
		{"darwin", map[string]string{"LC_ALL": "C"}, false},
		{"windows", nil, true},
	} {
		if got := person.DrawsBlocks(tt.goos, func(name string) string { return tt.env[name] }); got != tt.want {
			t.Errorf("%s %v: %v", tt.goos, tt.env, got)
		}
	}
}
