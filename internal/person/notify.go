package person

import (
	"context"
	"errors"
	"fmt"
)

var (
	// ErrNoNotifications says that nothing here shows notifications.
	ErrNoNotifications = errors.New("nothing here shows notifications")
	// ErrNoText says that there is nothing to show.
	ErrNoText = errors.New("an empty notification")
)

const (
	maxTitle = 80  // characters
	maxText  = 400 // characters
)

// Notify shows a notification on the person's desktop, in plain text of one line each, whatever the texts hold. It starts
// no shell. It returns when the desktop has taken it, within 3 seconds (10 on Windows); whether anybody saw it nobody can
// tell.
func Notify(ctx context.Context, title, text string) error {
	title, text = Sanitize(title, maxTitle), Sanitize(text, maxText)
	if title == "" || text == "" {
		return ErrNoText
	}
	ctx, cancel := context.WithTimeout(ctx, notifyTime)
	defer cancel()
	if err := notify(ctx, title, text); err != nil {
		return fmt.Errorf("showing a notification: %w", err)
	}
	return nil
}
