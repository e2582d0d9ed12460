package person

import (
	"context"
	"os"
	"os/exec"
	"time"
)

const notifyTime = 3 * time.Second

// notifyScript takes the texts as arguments, so that they are never part of a script. The first argument is there because
// osascript would take one with a dash for an option of its own.
var notifyScript = []string{
	"-e", "on run argv",
	"-e", "display notification (item 3 of argv) with title (item 2 of argv)",
	"-e", "end run",
	"mcp-valet",
}

func notify(ctx context.Context, title, text string) error {
	if remote(os.Getenv) {
		return ErrNoDisplay
	}
	cmd := exec.CommandContext(ctx, "/usr/bin/osascript", append(notifyScript[:len(notifyScript):len(notifyScript)], title, text)...)
	cmd.Env = ForeignEnv(os.Environ())
	return runNotifier(ctx, cmd)
}
