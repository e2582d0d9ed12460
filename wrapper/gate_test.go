package wrapper_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mcp-valet/keyring"
	"mcp-valet/refresh"
	"mcp-valet/wrapper"
)

const (
	aToken     = "a-token-of-some-length"
	legacyShot = `{"version":1,"talks":{"2025-11-25":{"hello":{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"logging":{}},"serverInfo":{"name":"s","version":"1"}},"lists":{"tools/list":{"tools":[{"name":"echo","inputSchema":{"type":"object"}}]}},"used":"2026-11-01T00:00:00Z"}}}`
	modernShot = `{"version":1,"talks":{"modern 2026-07-28":{"hello":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"},"ttlMs":0,"cacheScope":"private"},"lists":{"tools/list":{"resultType":"complete","tools":[],"ttlMs":0,"cacheScope":"private"}},"used":"2026-11-01T00:00:00Z"}}}`

	initialize  = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"roots":{}},"clientInfo":{"name":"c","version":"1"}}}` + "\n"
	initialized = `{"jsonrpc":"2.0","method":"notifications/initialized"}` + "\n"
	legacyCall  = `{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"echo","arguments":{}}}` + "\n"
	modernCall  = `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}` + "\n"

	replayed = `read initialize
print {"jsonrpc":"2.0","id":"mcp-valet-1","result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"logging":{}},"serverInfo":{"name":"s","version":"1"}}}
`
)

// credentials is a Starter whose credential depends on the effort.
type credentials struct {
	server wrapper.Server
	get    func(ctx context.Context, effort wrapper.Effort) (token string, err error)
}

func (c *credentials) Start(ctx context.Context, effort wrapper.Effort) (wrapper.Start, error) {
	token, err := c.get(ctx, effort)
	return wrapper.Start{Server: c.server, Token: keyring.NewSecret(token)}, err
}

// gateConversation is a conversation with a server that runs script, the credential that get gives, and the snapshot of
// an earlier run; "" for none.
func gateConversation(t *testing.T, script, shot string, get func(context.Context, wrapper.Effort) (string, error)) *conversation {
	t.Helper()
	c := newConversation(t, script, "snapshot\n")
	c.starter.server.TokenEnv = "TOKEN"
	if shot != "" {
		if err := keyring.WriteFile(c.options.Snapshot, []byte(shot)); err != nil {
			t.Fatal(err)
		}
	}
	c.options.Starter = &credentials{c.starter.server, get}
	c.options.SignIns, c.signIns.how = c.signIns, "opened"
	return c
}

func signedOutNow(_ context.Context, effort wrapper.Effort) (string, error) {
	if effort == wrapper.Bare {
		return "", nil
	}
	return "", fmt.Errorf("account work: %w", refresh.ErrSignedOut)
}

// endsSoon ends the conversation in one of two ways, and wants Run to return within the time that clients give.
func (c *conversation) endsSoon(how string) {
	c.t.Helper()
	began := time.Now()
	if how == "stop" {
		c.stop <- syscall.SIGTERM
	} else {
		c.in.Close()
	}
	select {
	case <-c.end:
	case <-time.After(patience):
		c.t.Fatalf("%s: not ended; stderr: %s", how, c.err.String())
	}
	if took := time.Since(began); took > 4*time.Second { // two, on a machine that does nothing else
		c.t.Errorf("%s: ended after %v", how, took)
	}
}

// bothEnds runs f for each way in which a client ends.
func bothEnds(t *testing.T, f func(t *testing.T, how string)) {
	for _, how := range []string{"stop", "eof"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			f(t, how)
		})
	}
}

// A call that a server may have carried out before it died is never carried out again: not by another server, and not
// after a sign-in.
func TestCallIsNeverRepeated(t *testing.T) {
	for name, refused := range map[string]error{
		"no remedy": wrapper.ErrNoRemedy, "signed out": refresh.ErrSignedOut, "unreachable": refresh.ErrUnreachable, "another token": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := gateConversation(t, "read tools/call\nerr \"carried out\\n\"\nexit 1", modernShot, func(_ context.Context, effort wrapper.Effort) (string, error) {
				if effort == wrapper.Refused {
					return "another-token-of-some-length", refused
				}
				return aToken, nil
			})
			c.run()
			c.send(modernCall)
			c.await(1)
			c.send(strings.Replace(modernCall, "tools/call", "tools/list", 1)) // and the session goes on
			c.endsSoon("eof")
			if n := strings.Count(c.err.String(), "carried out"); n != 1 || !strings.Contains(c.got()[0], "may have been carried out") {
				t.Errorf("%d times; %q", n, c.got())
			}
		})
	}
}

// Whatever is under way when the client ends, the session ends soon.
func TestGateEndsSoon(t *testing.T) {
	slowRemedy := func(ctx context.Context, effort wrapper.Effort) (string, error) {
		if effort != wrapper.Refused {
			return aToken, nil
		}
		<-ctx.Done()
		return "", ctx.Err()
	}
	for _, tt := range []struct {
		name, script, shot, send, log string
		get                           func(context.Context, wrapper.Effort) (string, error)
	}{
		{"while another credential is looked for after a death", "read initialize\nerr \"here\\n\"\nexit 1", legacyShot, initialize, "here", slowRemedy},
		{"and after a silence", "read initialize\neof", legacyShot, initialize, "has been silent", slowRemedy},
		{"while the server is asked without its token", "ignore-term\nerr \"here\\n\"\nread initialize\nsleep 1m", "", initialize, "here", signedOutNow},
		{"while what is held is given to a server that does not read", "if ${TOKEN} " + aToken + "\nread resources/read\nexit 1\nelse\nerr \"here\\n\"\nsleep 1m", modernShot,
			`{"jsonrpc":"2.0","id":2,"method":"resources/read","params":{"uri":"x:y","x":"` + strings.Repeat("x", 300<<10) + `"}}` + "\n", "here",
			func(_ context.Context, effort wrapper.Effort) (string, error) {
				if effort == wrapper.Refused {
					return "another-token-of-some-length", nil
				}
				return aToken, nil
			}},
		{"while a handshake is not answered", "err \"here\\n\"\nsleep 1m", legacyShot, initialize + initialized, "here", slowThenSignedIn()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bothEnds(t, func(t *testing.T, how string) {
				c := gateConversation(t, tt.script, tt.shot, tt.get)
				c.run()
				c.send(tt.send)
				c.awaitErr(tt.log)
				c.endsSoon(how)
			})
		})
	}
}

// slowThenSignedIn gives a credential with the second look for one.
func slowThenSignedIn() func(context.Context, wrapper.Effort) (string, error) {
	var looks atomic.Int32
	return func(_ context.Context, effort wrapper.Effort) (string, error) {
		switch {
		case effort == wrapper.Stored:
			return "", wrapper.ErrDue
		case looks.Add(1) == 1:
			return "", fmt.Errorf("the agent: %w", context.DeadlineExceeded)
		}
		return aToken, nil
	}
}

// A client that sends and does not read is noticed when it ends.
func TestGateClientThatDoesNotRead(t *testing.T) {
	bothEnds(t, func(t *testing.T, how string) {
		c := gateConversation(t, "eof", legacyShot, signedOutNow)
		go func() { defer close(c.end); wrapper.Run(t.Context(), c.options) }()
		c.send(initialize + initialized)
		for i := range 500 { // more than fits into the pipe back
			c.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":"%d%s","method":"tools/list"}`+"\n", i, strings.Repeat("x", 50)))
		}
		c.endsSoon(how)
	})
}

// What the client says while the handshake is replayed reaches the server: that it is initialized, and its answers.
func TestSaidDuringWelcome(t *testing.T) {
	c := gateConversation(t, replayed+`read initialized
read logging/setLevel
print {"jsonrpc":"2.0","id":77,"method":"roots/list"}
read "roots":
print {"jsonrpc":"2.0","id":"mcp-valet-2","result":{}}
print {"jsonrpc":"2.0","id":"mcp-valet-2","result":{}}
answer-all`, legacyShot, slowThenSignedIn())
	c.run()
	c.send(initialize)
	c.await(1)
	c.send(initialized + `{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"info"}}` + "\n")
	c.await(3)
	c.send(`{"jsonrpc":"2.0","id":77,"result":{"roots":[]}}` + "\n" + legacyCall)
	c.await(4)
	c.in.Close()
	c.wait()
	if len(c.got()) != 4 || !strings.Contains(c.got()[3], `"did":"tools/call"`) {
		t.Errorf("%q", c.got())
	}
}

// What came back with an answer to our request for input never reaches a server, even when another process had asked.
func TestMarkOfAnotherProcess(t *testing.T) {
	c := gateConversation(t, "echo", modernShot, func(context.Context, wrapper.Effort) (string, error) { return aToken, nil })
	c.run()
	c.send(strings.Replace(modernCall, `"arguments":{}`, `"arguments":{},"requestState":"mcp-valet-sign-in","inputResponses":{"mcp-valet-sign-in":{"action":"accept"}}`, 1))
	c.await(1)
	c.send(strings.Replace(modernCall, `"id":2,`, `"id":3,`, 1))
	c.send(strings.Replace(strings.Replace(modernCall, `"id":2,`, `"id":4,`, 1), `"arguments":{}`, `"arguments":{},"requestState":"theirs","inputResponses":{"a":{}}`, 1))
	c.await(3)
	c.in.Close()
	c.wait()
	if strings.Contains(c.got()[0], "inputResponses") || strings.Contains(c.got()[0], "requestState") || !strings.Contains(c.got()[2], `"requestState":"theirs","inputResponses":{"a":{}}`) {
		t.Errorf("%q", c.got())
	}
}

// A note of an earlier sign-in is not the end of this one.
func TestStaleSignIn(t *testing.T) {
	for _, outcome := range []string{refresh.SignInDone, refresh.SignInDenied, refresh.SignInExpired} {
		t.Run(outcome, func(t *testing.T) {
			t.Parallel()
			c := gateConversation(t, "eof", legacyShot, signedOutNow)
			c.signIns.how = "says nothing"
			c.signIns.set(refresh.SignIn{Outcome: outcome, At: time.Now().Add(-time.Hour)})
			c.run()
			c.send(initialize + initialized + legacyCall)
			c.await(2)
			if !strings.Contains(c.got()[1], "still being prepared") {
				t.Errorf("%q", c.got())
			}
			c.in.Close()
			c.wait()
		})
	}
}

// A client that cannot show an address after all is told it instead; one that has shown it once shows it for the next
// call again.
func TestElicitationAnswers(t *testing.T) {
	for answer, want := range map[string]string{
		`"error":{"code":-32603,"message":"no"}`: `open https://login.example.com/device`,
		`"result":{"action":"accept"}`:           `"id":"mcp-valet-sign-in-2"`,
		`"result":{"action":"cancel"}`:           `"id":"mcp-valet-sign-in-2"`,
	} {
		t.Run(answer, func(t *testing.T) {
			t.Parallel()
			c := gateConversation(t, "eof", legacyShot, signedOutNow)
			c.run()
			c.send(strings.Replace(initialize, `"roots":{}`, `"elicitation":{"url":{}}`, 1) + initialized + legacyCall)
			c.await(2)
			c.send(`{"jsonrpc":"2.0","id":"mcp-valet-sign-in-1",` + answer + "}\n")
			c.await(3)
			c.send(strings.Replace(legacyCall, `"id":5`, `"id":6`, 1))
			c.await(4)
			if !strings.Contains(c.got()[3], want) {
				t.Errorf("%q, want %q", c.got()[3], want)
			}
			c.in.Close()
			c.wait()
		})
	}
}

// A request with an id that waits already is told so, and the one that waits is answered once.
func TestSameIDAtGate(t *testing.T) {
	c := gateConversation(t, "eof", legacyShot, signedOutNow)
	c.run()
	c.send(initialize + initialized + legacyCall)
	c.signIns.await(t)
	c.send(legacyCall)
	c.await(3)
	if !strings.Contains(c.got()[1], "still waiting") || !strings.Contains(c.got()[2], `"isError":true`) {
		t.Errorf("%q", c.got())
	}
	c.in.Close()
	c.wait()
}

// A call may take its time, and is not taken for the silence of a server that was given a bad token.
func TestSlowFirstCall(t *testing.T) {
	c := gateConversation(t, "read tools/call\nsleep 1500ms\nprint {\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"content\":[]}}\neof", modernShot,
		func(_ context.Context, effort wrapper.Effort) (string, error) {
			if effort == wrapper.Refused {
				t.Error("the token came under suspicion")
			}
			return aToken, nil
		})
	c.run()
	c.send(modernCall)
	c.await(1)
	c.in.Close()
	c.wait()
}
