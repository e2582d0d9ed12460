package person

import (
	"context"
	"io"
	"os"
	"time"
)

// TerminalOn is a terminal that need not be that of this process.
func TerminalOn(f *os.File) *Terminal { return &Terminal{in: f, out: f} }

var (
	CheckURL    = checkURL
	DrawsBlocks = drawsBlocks
	Opener      = opener
	ErrTooLong  = errTooLong
	ErrControl  = errControl
	ErrTwoLines = errTwoLines
)

const MaxSecret = maxSecret

// StartOpener starts argv as the program that opens a browser.
func StartOpener(ctx context.Context, argv []string, wait time.Duration) error {
	return start(ctx, argv, wait)
}

// ShowCodeOn is ShowCode at a given time on a terminal of a given size.
func ShowCodeOn(w io.Writer, userCode, uri, complete string, expires, now time.Time, columns, rows int) {
	showCode(w, userCode, uri, complete, expires, now, size{columns, rows})
}
