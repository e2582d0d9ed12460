package proc_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mcp-valet/wrapper/proc"
)

// TestDetachedWait: who waits may lose patience, and may come back.
func TestDetachedWait(t *testing.T) {
	file := filepath.Join(t.TempDir(), "here")
	d, err := proc.Detach(spec("detached", file))
	if err != nil {
		t.Fatal(err)
	}
	waitFile(t, file)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	within(t, "the detached child", func() {
		if code, err := d.Wait(t.Context()); code != 42 || err != nil {
			t.Errorf("got %d, %v; want 42", code, err)
		}
	})
	d.Release()
	if code, err := d.Wait(ctx); code != 42 || err != nil {
		t.Errorf("an exit code that is known: got %d, %v; want 42", code, err)
	}
}

func TestDetachedRelease(t *testing.T) {
	file := filepath.Join(t.TempDir(), "here")
	d, err := proc.Detach(spec("detached", file))
	if err != nil {
		t.Fatal(err)
	}
	waitFile(t, file)
	waits := make(chan error, 1)
	go func() {
		_, err := d.Wait(t.Context())
		waits <- err
	}()
	d.Release()
	d.Release()
	within(t, "Wait", func() {
		if err := <-waits; !errors.Is(err, proc.ErrReleased) {
			t.Errorf("got %v, want ErrReleased", err)
		}
	})
	os.Remove(file)
}

// waitFile waits for a file and gives what is in it.
func waitFile(t testing.TB, path string) string {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		b, err := os.ReadFile(path)
		if err == nil {
			return string(b)
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not come", filepath.Base(path))
		}
	}
}
