package wrapper_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mcp-valet/keyring"
	"mcp-valet/refresh"
	"mcp-valet/wrapper"
)

// issuer is a Starter whose tokens live for as long as life says, and the clock of all that happens.
type issuer struct {
	life    time.Duration
	mu      sync.Mutex
	tokens  int
	got     time.Time
	away    bool // it cannot be reached
	renewed []time.Duration
	began   time.Time
}

func (i *issuer) Start(_ context.Context, effort wrapper.Effort) (wrapper.Start, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	due := i.got.Add(i.life * 8 / 10)
	switch {
	case effort == wrapper.Stored && i.tokens == 0, effort == wrapper.Renewed && !i.away && !time.Now().Before(due):
		if i.tokens > 0 {
			i.renewed = append(i.renewed, time.Since(i.began))
		}
		i.tokens++
		i.got = time.Now()
	case effort == wrapper.Renewed && i.away && !time.Now().Before(due):
		if !time.Now().Before(i.got.Add(i.life)) {
			return wrapper.Start{}, fmt.Errorf("account work: %w", refresh.ErrUnreachable)
		}
	}
	return wrapper.Start{
		Server: wrapper.Server{TokenEnv: "TOKEN"}, Token: keyring.NewSecret(fmt.Sprintf("the-token-number-%02d", i.tokens)),
		Due: i.got.Add(i.life * 8 / 10), Ends: i.got.Add(i.life),
	}, nil
}

// shift is a client at work, with servers in memory that answer with the number of their token.
type shift struct {
	t      *testing.T
	issuer *issuer
	in     *io.PipeWriter
	lines  chan string
	asked  int
	starts int
}

// atWork runs f in a bubble.
func atWork(t *testing.T, life time.Duration, how wrapper.Renewal, f func(s *shift)) {
	synctest.Test(t, func(t *testing.T) {
		in, client := io.Pipe()
		back, out := io.Pipe()
		s := &shift{t: t, issuer: &issuer{life: life, began: time.Now()}, in: client, lines: make(chan string, 100)}
		go func() {
			defer close(s.lines)
			for r := bufio.NewScanner(back); r.Scan(); {
				s.lines <- r.Text()
			}
		}()
		var log buffer
		end := make(chan struct{})
		go func() {
			defer close(end)
			o := wrapper.Options{Name: "kb", Account: "work", Starter: s.issuer, SignIns: &signIns{}, In: in, Out: out, Err: &log, Environ: []string{}, Renewal: how}
			code, err := wrapper.RunOn(t.Context(), o, s.serve, nil)
			if code != 0 || err != nil {
				t.Errorf("the end: %d, %v; %s", code, err, log.String())
			}
			out.Close()
		}()
		s.ask("initialize")
		f(s)
		client.Close()
		<-end
	})
}

// serve is a server.
func (s *shift) serve(env []string) (wrapper.ServerProcess, error) {
	s.starts++
	f := newFakeServer()
	number := env[len(env)-1]
	number = number[len(number)-2:]
	go func() {
		for r := bufio.NewReader(f.stdinRead); ; {
			line, err := r.ReadBytes('\n')
			if err != nil {
				f.leave(0)
				return
			}
			var m struct{ ID json.RawMessage }
			if json.Unmarshal(line, &m); m.ID != nil {
				fmt.Fprintf(f.stdoutWrite, `{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","token":%q}}`+"\n", m.ID, number)
			}
		}
	}()
	return f, nil
}

// ask sends a request, and gives the number of the token of the server that answers; "" for an error.
func (s *shift) ask(method string) string {
	s.t.Helper()
	s.asked++
	params := `{}`
	if method == "initialize" {
		params = `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}`
	}
	fmt.Fprintf(s.in, `{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`+"\n", s.asked, method, params)
	var m struct {
		ID     int
		Result struct{ Token string }
	}
	if err := json.Unmarshal([]byte(<-s.lines), &m); err != nil || m.ID != s.asked {
		s.t.Fatalf("request %d is answered as %d (%v)", s.asked, m.ID, err)
	}
	return m.Result.Token
}

// TestRenewedAtWork holds that a token is renewed in time while the client works, in the background, and that the next
// request goes to a server that has it.
func TestRenewedAtWork(t *testing.T) {
	atWork(t, time.Hour, wrapper.RenewRestart, func(s *shift) {
		for time.Since(s.issuer.began) < 5*time.Hour {
			time.Sleep(7 * time.Minute)
			began := time.Now()
			if s.ask("tools/call") == "" {
				t.Errorf("a call after %v has an error", time.Since(s.issuer.began))
			}
			if took := time.Since(began); took > 0 {
				t.Errorf("a call took %v", took)
			}
		}
		// Each life of an hour is over, for this, between minute 48 and 51.
		synctest.Wait()
		s.issuer.mu.Lock()
		defer s.issuer.mu.Unlock()
		// The last token may not have been asked for yet.
		if n := len(s.issuer.renewed); n < 5 || n > 6 || s.starts != n+1 && s.starts != n {
			t.Errorf("%d servers, renewed %v", s.starts, s.issuer.renewed)
		}
		if at := s.issuer.renewed[0]; at < 48*time.Minute || at > 53*time.Minute {
			t.Errorf("renewed first after %v", at)
		}
	})
}

// TestNotRenewedInVain holds that nothing is renewed while nobody works, and that the first request after that waits for
// a new token.
func TestNotRenewedInVain(t *testing.T) {
	atWork(t, time.Hour, wrapper.RenewRestart, func(s *shift) {
		time.Sleep(16 * time.Hour)
		synctest.Wait()
		if len(s.issuer.renewed) != 0 {
			t.Errorf("renewed %v overnight", s.issuer.renewed)
		}
		if token := s.ask("tools/call"); token != "02" {
			t.Errorf("in the morning a call is answered with token %q", token)
		}
	})
}

// TestUnreachableAtWork holds that a server goes on with a token that has not ended while its issuer is away, that a call
// after that is told so at once, and that work goes on when the issuer is back.
func TestUnreachableAtWork(t *testing.T) {
	atWork(t, time.Hour, wrapper.RenewRestart, func(s *shift) {
		s.issuer.mu.Lock()
		s.issuer.away = true
		s.issuer.mu.Unlock()
		for time.Since(s.issuer.began) < 55*time.Minute {
			time.Sleep(time.Minute)
			if token := s.ask("tools/call"); token != "01" {
				t.Fatalf("after %v a call is answered with token %q", time.Since(s.issuer.began), token)
			}
		}
		time.Sleep(10 * time.Minute)
		if token := s.ask("tools/call"); token != "" {
			t.Errorf("without a token a call is answered with %q", token)
		}
		s.issuer.mu.Lock()
		s.issuer.away = false
		s.issuer.mu.Unlock()
		time.Sleep(time.Minute)
		if token := s.ask("tools/call"); token != "02" {
			t.Errorf("with the issuer back, a call is answered with token %q", token)
		}
	})
}
