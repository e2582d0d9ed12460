//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// sdkClient is a client of the official Go SDK.
type sdkClient struct {
	era   string // protocol version
	shows bool   // it shows addresses to the person
}

func (c sdkClient) name() string {
	if c.shows {
		return c.era + " shows addresses"
	}
	return c.era
}

// connect starts the server "sdk"; show is told the address when there is one to show.
func (c sdkClient) connect(t *testing.T, v *valet, show func(url string)) *mcp.ClientSession {
	t.Helper()
	options := &mcp.ClientOptions{}
	if c.shows {
		options.Capabilities = &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}}
		options.ElicitationHandler = func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			show(r.Params.URL)
			return &mcp.ElicitResult{Action: "accept"}, nil
		}
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "e2e", Version: "1"}, options)
	session, err := client.Connect(t.Context(), &mcp.CommandTransport{Command: v.command("run", "sdk")}, &mcp.ClientSessionOptions{ProtocolVersion: c.era})
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	t.Cleanup(func() { session.Close() })
	if got := session.InitializeResult().ProtocolVersion; got != c.era {
		t.Fatalf("protocol version %s, want %s", got, c.era)
	}
	return session
}

// tools is what a session lists, but for how long that is good.
func tools(t *testing.T, session *mcp.ClientSession) string {
	t.Helper()
	list, err := session.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(list.Tools)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestGateGoSDK has real clients of both eras meet the gate: tools are listed while nobody is signed in, and a call goes on
// after the sign-in. Those that show addresses do so by the means of their era.
func TestGateGoSDK(t *testing.T) {
	t.Parallel()
	const legacy, modern = "2025-11-25", "2026-07-28"
	together(t, []sdkClient{{legacy, false}, {legacy, true}, {modern, false}, {modern, true}}, sdkClient.name, func(t *testing.T, c sdkClient) {
		p := panva(t, "AT_TTL=5")
		v := lastWeek(t, p, "-without-token=end")
		session := c.connect(t, v, nil)
		want := tools(t, session)
		if err := session.Close(); err != nil {
			t.Errorf("closing last week's session: %v", err)
		}
		weekend(p)
		before := p.stats()
		addresses, signedIn := make(chan string, 10), make(chan struct{})
		session = c.connect(t, v, func(url string) {
			addresses <- url
			if c.era == modern { // the call is sent again when this returns
				<-signedIn
			}
		})
		if got := tools(t, session); got != want {
			t.Errorf("tools at the gate:\n%s\nlast week:\n%s", got, want)
		}
		type answer struct {
			*mcp.CallToolResult
			err error
		}
		called := make(chan answer, 1)
		ctx, cancel := context.WithTimeout(t.Context(), holdLimit)
		defer cancel()
		go func() {
			r, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "note", Arguments: map[string]any{"file": v.notes(), "line": "held"}})
			called <- answer{r, err}
		}()
		asked := v.asked(t)
		if c.shows {
			await(t, "the address", func() bool { return len(addresses) > 0 })
			if url := <-addresses; url != asked.URIComplete {
				t.Errorf("the client shows %s, want %s", url, asked.URIComplete)
			}
		}
		approve(t, asked.URIComplete)
		close(signedIn)
		a := <-called
		if a.err != nil {
			t.Fatal(a.err)
		}
		if text, err := json.Marshal(a.CallToolResult); a.IsError || err != nil {
			t.Errorf("the call was not carried out: %s %v", text, err)
		}
		v.mustHaveNoted(t, "held")
		p.mustHaveAsked(t, before, 1)
		if s := v.signIn(t); s.Outcome != "done" || s.Quiet != c.shows || len(addresses) > 0 {
			t.Errorf("the sign-in in the end: %+v; %d more addresses were to be shown", s, len(addresses))
		}
		if err := session.Close(); err != nil {
			t.Errorf("closing the session: %v", err)
		}
	})
}

// TestGateInspector has the MCP Inspector list tools while nobody is signed in, and call one, which goes on after the
// sign-in.
func TestGateInspector(t *testing.T) {
	t.Parallel()
	p := panva(t, "AT_TTL=5")
	v := lastWeek(t, p, "-without-token=end")
	list := func() string { return inspect(t, v, built.valet, "run", "sdk", "--method", "tools/list") }
	want := list()
	weekend(p)
	before := p.stats()
	if got := list(); got != want || !strings.Contains(got, `"note"`) {
		t.Errorf("tools at the gate:\n%s\nlast week:\n%s", got, want)
	}
	call := inspection(t, v, built.valet, "run", "sdk", "--method", "tools/call", "--tool-name", "note", "--tool-arg", "file="+v.notes(), "--tool-arg", "line=held")
	var got string
	var err error
	called := make(chan struct{})
	go func() {
		defer close(called)
		got, err = call()
	}()
	approve(t, v.asked(t).URIComplete)
	<-called
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(got, `"pid"`) || strings.Contains(got, `"isError": true`) {
		t.Errorf("the call: %s", got)
	}
	v.mustHaveNoted(t, "held")
	p.mustHaveAsked(t, before, 1)
}
