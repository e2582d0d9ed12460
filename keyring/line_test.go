package keyring_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"mcp-valet/keyring"
)

const limit = 3 * time.Second

func noConnection() (func(), error) { return nil, nil }

func answerOf(text string) func() (string, error) { return func() (string, error) { return text, nil } }

func hangOn(c <-chan struct{}) func() (string, error) {
	return func() (string, error) { <-c; return "late", nil }
}

// wantAfter checks the outcome of a call and how long it took.
func wantAfter(t *testing.T, d time.Duration, start time.Time, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
	if took := time.Since(start); took != d {
		t.Errorf("took %s, want %s", took, d)
	}
}

func TestHangUpEndsTheCallAndTheNextWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		connects := 0
		var closed chan struct{}
		l := keyring.NewLine(func() (func(), error) {
			connects++
			closed = make(chan struct{})
			return func() { close(closed) }, nil
		})
		start := time.Now()
		_, err := l.Ask(t.Context(), limit, func() (string, error) { <-closed; panic("nil pointer, as in go-keyring") })
		wantAfter(t, limit, start, err, keyring.ErrTimeout)
		start = time.Now()
		v, err := l.Ask(t.Context(), limit, answerOf("again"))
		wantAfter(t, 0, start, err, nil)
		if v != "again" || connects != 2 {
			t.Errorf("got %q over %d connections", v, connects)
		}
	})
}

func TestOneAbandonedCallAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := keyring.NewLine(noConnection)
		release := make(chan struct{})
		start := time.Now()
		_, err := l.Ask(t.Context(), limit, hangOn(release))
		wantAfter(t, limit+keyring.HangUpWait, start, err, keyring.ErrTimeout)
		for range 3 {
			start = time.Now()
			_, err = l.Ask(t.Context(), limit, func() (string, error) { t.Error("a second call ran"); return "", nil })
			wantAfter(t, 0, start, err, keyring.ErrTimeout)
			if keyring.CutShort(err) {
				t.Error("a call that never ran is taken for one of unknown outcome")
			}
		}
		close(release)
		synctest.Wait()
		if v, err := l.Ask(t.Context(), limit, answerOf("ok")); v != "ok" || err != nil {
			t.Errorf("after the release: %q, %v", v, err)
		}
	})
}

func TestContextEndsACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := keyring.NewLine(noConnection)
		release := make(chan struct{})
		defer close(release)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := l.Ask(ctx, limit, hangOn(release))
		wantAfter(t, time.Second+keyring.HangUpWait, start, err, keyring.ErrTimeout)
		if !errors.Is(err, context.DeadlineExceeded) || !keyring.CutShort(err) {
			t.Errorf("got %v", err)
		}
		if _, err = l.Ask(ctx, limit, answerOf("")); !errors.Is(err, keyring.ErrTimeout) || keyring.CutShort(err) {
			t.Errorf("with an ended context: got %v", err)
		}
	})
}

func TestCallsWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := keyring.NewLine(noConnection)
		running, most := 0, 0
		done := make(chan error, 4)
		for range cap(done) {
			go func() {
				_, err := l.Ask(t.Context(), limit, func() (string, error) {
					running++ // no lock: the line is the lock, the race detector the judge
					most = max(most, running)
					time.Sleep(100 * time.Millisecond)
					running--
					return "", nil
				})
				done <- err
			}()
		}
		for range cap(done) {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if most != 1 {
			t.Errorf("%d calls at a time", most)
		}
	})
}

// A connection that comes about after the caller left must not carry out a
// change that nobody expects any more.
func TestLateConnectionRunsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := make(chan struct{})
		l := keyring.NewLine(func() (func(), error) { <-up; return nil, nil })
		_, err := l.Ask(t.Context(), limit, func() (string, error) { t.Error("ran late"); return "", nil })
		if !errors.Is(err, keyring.ErrTimeout) {
			t.Errorf("got %v", err)
		}
		close(up)
		synctest.Wait()
		if _, err := l.Ask(t.Context(), limit, answerOf("")); err != nil {
			t.Error(err)
		}
	})
}

func TestNoConnection(t *testing.T) {
	l := keyring.NewLine(func() (func(), error) { return nil, errors.New("no bus") })
	_, err := l.Ask(t.Context(), limit, func() (string, error) { t.Error("ran"); return "", nil })
	if !errors.Is(keyring.Classify(err), keyring.ErrUnavailable) || keyring.CutShort(err) {
		t.Errorf("got %v", err)
	}
}

func TestPanicIsAnError(t *testing.T) {
	l := keyring.NewLine(noConnection)
	_, err := l.Ask(t.Context(), limit, func() (string, error) { panic("shape of a reply") })
	if !errors.Is(keyring.Classify(err), keyring.ErrUnavailable) || !keyring.CutShort(err) {
		t.Errorf("got %v", err)
	}
}
