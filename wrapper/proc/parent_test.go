package proc_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"mcp-valet/wrapper/proc"
)

func TestPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		died := time.Now().Add(10 * time.Second)
		dead := func() bool { return !time.Now().Before(died) }
		if !proc.Poll(t.Context(), 3*time.Second, dead) {
			t.Error("did not see the death")
		}
		if late := time.Since(died); late < 0 || late > 3*time.Second {
			t.Errorf("told %v after the death", late)
		}
	})
}

func TestPollEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if proc.Poll(ctx, time.Second, func() bool { return false }) {
			t.Error("saw a death that was none")
		}
	})
}

// TestParentLives: no false alarm, and the goroutine ends with its context.
func TestParentLives(t *testing.T) {
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	gone := proc.ParentGone(ctx)
	select {
	case <-gone:
		t.Error("the parent lives")
	case <-time.After(100 * time.Millisecond):
	}
	cancel()
	for late := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("the watch does not end with its context")
		}
	}
	select {
	case <-gone:
		t.Error("the end of the context was taken for the parent's")
	default:
	}
}
