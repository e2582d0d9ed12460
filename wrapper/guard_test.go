package wrapper_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"testing"

	"mcp-valet/keyring"
	"mcp-valet/wrapper"
	"mcp-valet/wrapper/proc"
)

// What a message may allocate on its way through a relay, on average. Whoever saves some lowers the number.
const (
	mallocsOfCall = 2 // a request and its answer together
	mallocsOfEcho = 0 // a message that the server sends back as it is, both ways together
	// mallocsOfLarge is for one that is longer than a reader's buffer: it may need memory of its own, when that of the one
	// before is still in use.
	mallocsOfLarge = 1
	// mallocsMasked come on top where secrets are looked for in what the server says.
	mallocsMasked = 0
	// mallocsSlack is for what a session does beside its messages.
	mallocsSlack = 0.1
)

// TestMallocs counts the allocations of a relay, its server being another process. It is about messages: what a session
// needs at its beginning is not counted.
func TestMallocs(t *testing.T) {
	masked := wrapper.Fixed{Token: keyring.NewSecret(jwt), Server: wrapper.Server{
		TokenEnv: "TOKEN", Secrets: map[string]keyring.Secret{"DB_PASSWORD": keyring.NewSecret("correct horse/battery")},
	}}
	for _, tt := range []struct {
		name, script string
		with         wrapper.Fixed
		message      func(i int) []byte
		trips        int
		most         float64
		varies       bool // with who is faster, the client or the server
	}{
		{"call", "answer-all", wrapper.Fixed{}, toolCall, 1000, mallocsOfCall, false},
		{"call/masked", "answer-all", masked, toolCall, 1000, mallocsOfCall + mallocsMasked, false},
		{"200B", "echo", wrapper.Fixed{}, always(benchLine(200)), 1000, mallocsOfEcho, false},
		{"64KiB", "echo", wrapper.Fixed{}, always(benchLine(64 << 10)), 300, mallocsOfEcho, false},
		{"1MiB", "echo", wrapper.Fixed{}, always(benchLine(1 << 20)), 50, mallocsOfLarge, true},
		{"1MiB/masked", "echo", masked, always(benchLine(1 << 20)), 50, mallocsOfLarge + mallocsMasked, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := mallocs(t, tt.with, tt.script, tt.message, tt.trips)
			t.Logf("%.2f allocations a message", got)
			if got > tt.most+mallocsSlack {
				t.Errorf("%.2f allocations a message; no more than %v are to be", got, tt.most)
			}
			if got <= tt.most-1+mallocsSlack && !tt.varies {
				t.Errorf("%.2f allocations a message, which is better than %v: lower the number in this file", got, tt.most)
			}
		})
	}
}

// goroutinesAtStart are those that a session has begun when it starts its server, its own included.
const goroutinesAtStart = 2

// TestGoroutines counts what a session begins before its server runs; what it begins then, it needs.
func TestGoroutines(t *testing.T) {
	fewest := goroutinesBefore(t)
	for range 4 { // in which nothing else comes in between
		fewest = min(fewest, goroutinesBefore(t))
	}
	if fewest > goroutinesAtStart {
		t.Errorf("%d goroutines before the server runs; no more than %d are to be", fewest, goroutinesAtStart)
	}
}

func goroutinesBefore(t *testing.T) (n int) {
	in, client := pipe(t)
	defer client.Close()
	before := runtime.NumGoroutine()
	start := func([]string) (wrapper.ServerProcess, error) {
		n = runtime.NumGoroutine() - before
		return nil, proc.ErrNotFound
	}
	end := make(chan error)
	go func() {
		_, err := wrapper.RunOn(t.Context(), wrapper.Options{Starter: wrapper.Fixed{}, In: in, Out: io.Discard, Err: io.Discard}, start, nil)
		end <- err
	}()
	if err := <-end; !errors.Is(err, proc.ErrNotFound) {
		t.Fatalf("got %v", err)
	}
	return n
}

// toolCall is a small request, with an id of its own.
func toolCall(i int) []byte {
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"search","arguments":{"query":"the quick brown fox"}}}`+"\n", i)
}

func always(line []byte) func(int) []byte { return func(int) []byte { return line } }

// mallocs sends messages through a relay, each when the one before it is back, and returns the allocations of one. As many
// go before those that count, since a session remembers what comes at its beginning.
func mallocs(t *testing.T, with wrapper.Fixed, script string, message func(i int) []byte, trips int) float64 {
	in, out := relayed(t, with, script)
	lines := make([][]byte, 2*trips)
	for i := range lines {
		lines[i] = message(i)
	}
	r := bufio.NewReaderSize(out, 2<<20)
	pass := func(lines [][]byte) {
		for _, line := range lines {
			if _, err := in.Write(line); err != nil {
				t.Fatal(err)
			}
			if _, err := r.ReadSlice('\n'); err != nil {
				t.Fatal(err)
			}
		}
	}
	pass(lines[:trips])
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // the collector allocates too
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	pass(lines[trips:])
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(trips)
}

// relayed gives the client's end of a relay, in this process, before a server that does what script says.
func relayed(t *testing.T, with wrapper.Fixed, script string) (io.Writer, io.Reader) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	with.Server.Path, with.Server.Env = self, map[string]string{scriptEnv: script, "GORACE": "atexit_sleep_ms=0"}
	in, client := pipe(t)
	out, back := pipe(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := wrapper.Run(t.Context(), wrapper.Options{Starter: with, In: in, Out: back, Err: os.Stderr}); err != nil {
			t.Error(err)
		}
		back.Close()
	}()
	t.Cleanup(func() { client.Close(); <-done })
	return client, out
}
