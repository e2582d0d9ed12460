package wrapper_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mcp-valet/keyring"
	"mcp-valet/wrapper"
)

const call = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}`

func TestEndTimes(t *testing.T) {
	deaf := func(b *bubble) { b.onEOF, b.onTerm = -1, -1 }
	for _, tt := range []struct {
		name   string
		f      func(b *bubble)
		code   int
		took   time.Duration
		events []string
	}{
		{"client ends, server obeys", func(b *bubble) {
			b.start()
			b.client.Close()
		}, 0, 0, nil},
		{"client ends, server needs SIGTERM", func(b *bubble) {
			b.onEOF = -1
			b.start()
			b.client.Close()
		}, 143, time.Second, []string{"term 1s"}},
		{"client ends, server needs the kill", func(b *bubble) {
			deaf(b)
			b.start()
			b.client.Close()
		}, 137, 1500 * time.Millisecond, []string{"term 1s", "kill 1.5s"}},
		{"server survives the kill", func(b *bubble) {
			deaf(b)
			b.onKill = -1
			b.start()
			b.client.Close()
		}, 137, 2200 * time.Millisecond, []string{"term 1s", "kill 1.5s"}},
		{"signal, server obeys", func(b *bubble) {
			b.onEOF = -1
			b.start()
			b.stop <- syscall.SIGTERM
		}, 143, 0, []string{"term 0s"}},
		{"signal, server needs the kill", func(b *bubble) {
			deaf(b)
			b.start()
			b.stop <- syscall.SIGTERM
		}, 137, 700 * time.Millisecond, []string{"term 0s", "kill 700ms"}},
		{"signal while the client's end is under way", func(b *bubble) {
			deaf(b)
			b.start()
			b.client.Close()
			time.Sleep(600 * time.Millisecond)
			b.stop <- syscall.SIGTERM
		}, 137, 1300 * time.Millisecond, []string{"term 600ms", "kill 1.3s"}},
		{"a late signal delays nothing", func(b *bubble) {
			deaf(b)
			b.start()
			b.client.Close()
			time.Sleep(1200 * time.Millisecond)
			b.stop <- syscall.SIGTERM
		}, 137, 1500 * time.Millisecond, []string{"term 1s", "kill 1.5s"}},
		{"second signal", func(b *bubble) {
			deaf(b)
			b.start()
			b.stop <- os.Interrupt
			time.Sleep(100 * time.Millisecond)
			b.stop <- os.Interrupt
		}, 137, 100 * time.Millisecond, []string{"term 0s", "kill 100ms"}},
		{"context ends", func(b *bubble) {
			deaf(b)
			b.start()
			b.cancel()
		}, 137, 700 * time.Millisecond, []string{"term 0s", "kill 700ms"}},
		{"parent is gone", func(b *bubble) {
			deaf(b)
			b.start()
			close(b.parent)
		}, 137, 1500 * time.Millisecond, []string{"term 1s", "kill 1.5s"}},
		{"server closes its stdout", func(b *bubble) {
			b.onEOF = -1
			b.start()
			b.stdoutWrite.Close()
		}, 143, time.Second, []string{"term 1s"}},
		{"server exits, client stays", func(b *bubble) {
			b.start()
			b.leave(9)
		}, 9, 50 * time.Millisecond, nil},
		{"server exits, grandchild holds its stdout", func(b *bubble) {
			b.grandchild = true
			b.start()
			b.leave(9)
		}, 9, 550 * time.Millisecond, nil},
		{"server is stopped, grandchild holds its stdout", func(b *bubble) {
			b.grandchild, b.onEOF = true, -1
			b.start()
			b.stop <- syscall.SIGTERM
		}, 143, 200 * time.Millisecond, []string{"term 0s"}},
	} {
		t.Run(tt.name, func(t *testing.T) { inBubble(t, tt.f, tt.code, tt.took, tt.events...) })
	}
}

// TestStuck ends a relay that can pass nothing on.
func TestStuck(t *testing.T) {
	t.Run("server never reads, client ends", func(t *testing.T) {
		inBubble(t, func(b *bubble) {
			b.reads = false
			b.start()
			b.send(call) // stays in the write to the server
			b.send(strings.Repeat(call+"\n", 100))
			b.client.Close() // noticed after 250 ms
		}, 143, 1250*time.Millisecond, "term 1.25s")
	})
	t.Run("server reads again before that", func(t *testing.T) {
		inBubble(t, func(b *bubble) {
			b.reads = false
			b.start()
			b.send(call)
			b.send(strings.Replace(call, "1", "2", 1))
			time.Sleep(time.Second)
			go func() {
				got, err := io.ReadAll(b.stdinRead)
				if n := bytes.Count(got, []byte("\n")); err != nil || n != 2 {
					b.t.Errorf("the server got %d messages, %v: %s", n, err, got)
				}
				b.leave(0)
			}()
			b.client.Close()
		}, 0, time.Second)
	})
	t.Run("server never reads, signal", func(t *testing.T) {
		inBubble(t, func(b *bubble) {
			b.reads, b.onTerm = false, -1
			b.start()
			b.send(strings.Repeat(call+"\n", 2*wrapper.ReadAheadLimit/len(call)))
			b.stop <- syscall.SIGTERM
		}, 137, 700*time.Millisecond, "term 0s", "kill 700ms")
	})
	t.Run("client never reads, and ends", func(t *testing.T) {
		inBubble(t, func(b *bubble) {
			out, hold := io.Pipe()
			defer out.Close() // lets the last goroutine go
			b.options.Out = hold
			b.start()
			go fmt.Fprintln(b.stdoutWrite, `{"jsonrpc":"2.0","method":"n"}`)
			synctest.Wait()
			b.send(call)
			b.client.Close()
			<-b.end
		}, 0, 500*time.Millisecond+3*100*time.Millisecond)
	})
	t.Run("client never reads, signal", func(t *testing.T) {
		inBubble(t, func(b *bubble) {
			out, hold := io.Pipe()
			defer out.Close()
			b.options.Out, b.onEOF = hold, -1
			b.start()
			b.send("not json") // our own answer is stuck
			b.stop <- syscall.SIGTERM
			<-b.end
		}, 143, 100*time.Millisecond, "term 0s")
	})
	t.Run("nobody reads stderr", func(t *testing.T) {
		inBubble(t, func(b *bubble) {
			log, hold := io.Pipe()
			defer log.Close()
			b.options.Err = hold
			b.start()
			go fmt.Fprintln(b.stderrWrite, "stuck")
			for range 1000 {
				fmt.Fprintln(b.stdoutWrite, "no message")
			}
			fmt.Fprintln(b.stdoutWrite, `{"jsonrpc":"2.0","id":1,"result":{}}`)
			synctest.Wait()
			if want := `{"jsonrpc":"2.0","id":1,"result":{}}` + "\n"; b.out.String() != want {
				b.t.Errorf("the client got %q, want %q", b.out.String(), want)
			}
			b.client.Close()
			<-b.end
		}, 0, 500*time.Millisecond+3*100*time.Millisecond)
	})
}

// TestNoOutputAfterReturn holds Run to its word: a request that comes later is not answered.
func TestNoOutputAfterReturn(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.start()
		b.leave(1)
		<-b.end
		before := b.out.String() + b.err.String()
		b.send(call)
		b.send("not json")
		b.send(`{"jsonrpc":"2.0","method":"n","params":3}`)
		if after := b.out.String() + b.err.String(); after != before {
			b.t.Errorf("written after Run returned: %q", after)
		}
	}, 1, 50*time.Millisecond)
}

func TestPendingIsBounded(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.start()
		for id := range wrapper.MaxPending + 1 {
			fmt.Fprintf(b.client, `{"jsonrpc":"2.0","id":%d,"method":"ping"}`+"\n", id)
		}
		synctest.Wait()
		want := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"error":{"code":-32000,`, wrapper.MaxPending)
		if got := b.out.String(); !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 1 {
			b.t.Errorf("the client got %q, want one line with %q", got, want)
		}
		b.client.Close()
	}, 0, 0)
}

// TestNotesAreBounded floods us with what deserves a note.
func TestNotesAreBounded(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.start()
		flood := strings.Repeat(`{"jsonrpc":"2.0","method":"n","params":3}`+"\n", 1000)
		io.WriteString(b.client, flood)
		synctest.Wait()
		if n := strings.Count(b.err.String(), "\n"); n < 5 || n > 25 {
			b.t.Errorf("%d notes for 1000 messages at once", n)
		}
		time.Sleep(time.Second)
		io.WriteString(b.client, flood[:len(flood)/1000])
		synctest.Wait()
		if got := b.err.String(); !strings.Contains(got, "lines before this one left out") {
			b.t.Errorf("nothing is said of the notes left out: %s", got)
		}
		b.client.Close()
	}, 0, time.Second)
}

func TestSignalWhileTokenIsFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan os.Signal, 1)
		o := wrapper.Options{
			In: strings.NewReader(""), Out: io.Discard, Err: io.Discard, Stop: stop, Environ: []string{},
			Starter: &starter{token: func(ctx context.Context) (s keyring.Secret, err error) {
				stop <- syscall.SIGTERM
				<-ctx.Done()
				return s, ctx.Err()
			}},
		}
		code, err := wrapper.RunOn(t.Context(), o, nil, nil)
		if code != 143 || err != nil {
			t.Errorf("got %d, %v; want 143", code, err)
		}
	})
}

func TestTokenReachesServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeServer()
		o := wrapper.Options{
			Starter: wrapper.Fixed{Server: wrapper.Server{TokenEnv: "TOKEN"}, Token: keyring.NewSecret("abc")},
			In:      strings.NewReader(""), Out: io.Discard, Err: io.Discard, Environ: []string{"TOKEN=old"},
		}
		var got string
		code, err := wrapper.RunOn(t.Context(), o, func(env []string) (wrapper.ServerProcess, error) {
			got = strings.Join(env, " ")
			return f.run(env)
		}, nil)
		if code != 0 || err != nil || !strings.Contains(got, "TOKEN=abc") || strings.Contains(got, "old") {
			t.Errorf("got %d, %v and environment %q", code, err, got)
		}
	})
}
