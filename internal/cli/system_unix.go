//go:build !windows

package cli

import (
	"os"
	"syscall"
)

// defaultEditor is what edits text when neither $VISUAL nor $EDITOR is set.
const defaultEditor = "vi"

// endSignals ask this program to end: SIGHUP comes when the terminal of a client is closed.
var endSignals = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}
