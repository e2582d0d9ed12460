package person

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/term"
	"rsc.io/qr"
)

const (
	quiet    = 4  // white modules around a code, ISO/IEC 18004 section 5.3.8
	maxWidth = 80 // columns
	maxCode  = 64 // characters of a user code that are shown
)

// ShowCode tells a person how to sign in: where, with which code, until when, and, where w is a terminal that can draw
// it, the address as a code to scan. uri is the page to open; complete, if not empty, is the page with the user code
// already filled in; expires may be zero. What is no URL for a browser is not shown.
func ShowCode(w io.Writer, userCode, uri, complete string, expires time.Time) {
	showCode(w, userCode, uri, complete, expires, time.Now(), room(w))
}

func showCode(w io.Writer, userCode, uri, complete string, expires, now time.Time, r size) {
	uri, complete = shownURL(uri), shownURL(complete)
	var b strings.Builder
	fmt.Fprintf(&b, "\nTo sign in, open in any browser:\n\n    %s\n\nand enter the code:  %s\n",
		cmp.Or(uri, complete, "(the issuer named no address that a browser should open)"), Sanitize(userCode, maxCode))
	if complete != "" && complete != uri {
		fmt.Fprintf(&b, "\nOr open this, and check that it shows the same code:\n\n    %s\n", complete)
	}
	if drawn := QR(cmp.Or(complete, uri)); drawn != "" && r.holds(drawn) {
		fmt.Fprintf(&b, "\n%s", drawn)
	}
	fmt.Fprintf(&b, "\n%sOnly go on if you asked for this sign-in yourself.\n\n", validFor(expires, now))
	_, _ = io.WriteString(w, b.String()) // nobody is left to be told
}

func shownURL(raw string) string {
	address, err := checkURL(raw)
	if err != nil {
		return ""
	}
	return address
}

func validFor(expires, now time.Time) string {
	left := expires.Sub(now).Round(time.Minute)
	switch {
	case expires.IsZero():
		return ""
	case left <= time.Minute:
		return "The code is good for less than a minute. "
	}
	return fmt.Sprintf("The code is good for %d minutes, until %s. ", int(left.Minutes()), expires.Local().Format("15:04"))
}

// QR draws text as a code to scan, two rows of modules to a line, for light text on a dark ground; cameras take the
// reverse as well. It is empty for text that needs more than 80 columns.
func QR(text string) string {
	if text == "" {
		return ""
	}
	code, err := qr.Encode(text, qr.L) // a screen has no dirt to correct
	if err != nil || code.Size+2*quiet > maxWidth {
		return ""
	}
	var b strings.Builder
	for y := -quiet; y < code.Size+quiet; y += 2 {
		for x := -quiet; x < code.Size+quiet; x++ {
			b.WriteString(blocks[code.Black(x, y)][code.Black(x, y+1)])
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// blocks has the character for two modules, the upper one first; a black module is left dark.
var blocks = map[bool]map[bool]string{
	false: {false: "█", true: "▀"},
	true:  {false: "▄", true: " "},
}

// size is how much a terminal can show; the zero size is none that draws.
type size struct{ columns, rows int }

func (s size) holds(drawn string) bool {
	lines := strings.Split(strings.TrimSuffix(drawn, "\n"), "\n")
	return len(lines) < s.rows && len([]rune(lines[0])) <= s.columns
}

// room is the size of the terminal that w is, as far as it can draw blocks.
func room(w io.Writer) size {
	f, ok := w.(*os.File)
	if !ok || !IsTerminal(f) || !drawsBlocks(runtime.GOOS, os.Getenv) {
		return size{}
	}
	columns, rows, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return size{}
	}
	return size{columns, rows}
}

// drawsBlocks tells whether a terminal takes UTF-8. Go writes UTF-16 to a Windows console itself; macOS's terminals are
// UTF-8 even where the environment does not say so.
func drawsBlocks(goos string, getenv func(string) string) bool {
	if getenv("TERM") == "dumb" {
		return false
	}
	locale := cmp.Or(getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG"))
	if goos == "windows" || goos == "darwin" && locale == "" {
		return true
	}
	locale = strings.ToLower(locale)
	return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
}
