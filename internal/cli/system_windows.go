package cli

import (
	"os"
	"syscall"
)

const defaultEditor = "notepad"

var endSignals = []os.Signal{os.Interrupt, syscall.SIGTERM}
