//go:build darwin || windows

package person

import (
	"context"
	"fmt"
	"os/exec"
	"time"
)

// leaveTime is how long a program that was killed has to let go of its output.
const leaveTime = time.Second

// runNotifier runs the program that shows a notification, which was made with ctx and ends with it.
func runNotifier(ctx context.Context, cmd *exec.Cmd) error {
	cmd.WaitDelay = leaveTime
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w", ErrNoNotifications, err)
}
