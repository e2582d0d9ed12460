package wrapper

import "time"

// turn is a mutex that can be waited for with a limit: whoever has it may be stuck.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take() { t <- struct{}{} }
func (t turn) pass() { <-t }

// free takes the turn if nobody has it, and tells whether that is so.
func (t turn) free() bool {
	select {
	case t <- struct{}{}:
		return true
	default:
		return false
	}
}

// comes waits until nobody has the turn, at most for limit, and tells whether that came.
func (t turn) comes(limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case t <- struct{}{}:
		t.pass()
		return true
	case <-timer.C:
		return false
	}
}
