package demo_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"mcp-valet/internal/demo"
	"mcp-valet/internal/issuer"
)

const (
	issuerURL = "http://127.0.0.1:7777"
	ownName   = "https://incidents.example/mcp"
	otherName = "https://other.example/mcp"
)

// newIssuer makes an issuer that the server reaches without a network, so that time
// can be a test's own. Nothing here runs in parallel.
func newIssuer(t *testing.T) *issuer.Issuer {
	t.Helper()
	i, err := issuer.New(issuer.Options{
		URL: issuerURL, Audience: ownName, Resources: []string{otherName}, Scopes: []string{"incidents"}, AccessTTL: time.Minute,
		Clients: []issuer.Client{{ID: "valet"}}, Users: []issuer.User{{Subject: "ada", Roles: []string{"security_analyst"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	network := http.DefaultTransport
	t.Cleanup(func() { http.DefaultTransport = network })
	http.DefaultTransport = transport{i.Handler()}
	return i
}

type transport struct{ http.Handler }

func (tr transport) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	tr.ServeHTTP(w, req)
	return w.Result(), nil
}

// post sends a form to the issuer.
func post(t *testing.T, path string, form url.Values) (answer map[string]any) {
	t.Helper()
	resp, err := http.PostForm(issuerURL+path, form)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v %v", path, resp.StatusCode, answer, err)
	}
	return answer
}

// token signs in by the device flow.
func token(t *testing.T, i *issuer.Issuer, resource string) string {
	t.Helper()
	d := post(t, "/device_authorization", url.Values{"client_id": {"valet"}, "resource": {resource}, "scope": {"incidents openid"}})
	if err := i.Approve(d["user_code"].(string), "ada"); err != nil {
		t.Fatal(err)
	}
	a := post(t, "/token", url.Values{"client_id": {"valet"}, "device_code": {d["device_code"].(string)},
		"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}})
	return a["access_token"].(string)
}

// A conversation is one run of the server.
type conversation struct {
	t    *testing.T
	in   *io.PipeWriter
	out  *bufio.Reader
	log  bytes.Buffer
	done chan error
}

func begin(t *testing.T, env map[string]string) *conversation {
	t.Helper()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	c := &conversation{t: t, in: inW, out: bufio.NewReader(outR), done: make(chan error, 1)}
	full := map[string]string{"INCIDENTS_ISSUER": issuerURL, "INCIDENTS_AUDIENCE": ownName}
	for k, v := range env {
		full[k] = v
	}
	go func() { // joined by end
		err := demo.Serve(t.Context(), inR, outW, &c.log, func(name string) string { return full[name] })
		outW.CloseWithError(io.EOF)
		inR.Close()
		c.done <- err
	}()
	return c
}

// end closes the server's stdin and waits for a clean end and no further output.
func (c *conversation) end() {
	c.t.Helper()
	c.in.Close()
	if rest, _ := io.ReadAll(c.out); len(rest) > 0 {
		c.t.Errorf("more than was asked for: %s", rest)
	}
	if err := <-c.done; err != nil {
		c.t.Error(err)
	}
}

func (c *conversation) tell(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
}

func (c *conversation) ask(line string) string {
	c.t.Helper()
	c.tell(line)
	answer, err := c.out.ReadString('\n')
	if err != nil {
		c.t.Fatalf("no answer to %s: %v", line, err)
	}
	return strings.TrimSuffix(answer, "\n")
}

// want asks and compares: every member of want must be in the answer with its value.
func (c *conversation) want(line, want string) {
	c.t.Helper()
	answer := c.ask(line)
	var got, wanted any
	if err := json.Unmarshal([]byte(answer), &got); err != nil {
		c.t.Fatalf("not JSON: %s", answer)
	}
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		c.t.Fatalf("test: %s: %v", want, err)
	}
	if !holds(got, wanted) {
		c.t.Errorf("%s\n got %s\nwant %s", line, answer, want)
	}
}

// holds reports whether got has all of want: objects may have more members.
func holds(got, want any) bool {
	members, isObject := want.(map[string]any)
	if !isObject {
		return fmt.Sprintf("%#v", got) == fmt.Sprintf("%#v", want)
	}
	g, ok := got.(map[string]any)
	for k, v := range members {
		value, there := g[k]
		ok = ok && there && holds(value, v)
	}
	return ok
}

const (
	initialize = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`
	meta       = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`
)

func call(id int, tool, args string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, id, tool, args)
}

func modernCall(id int, tool, args string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q,"arguments":%s,%s}}`, id, tool, args, meta)
}

// toolText asks for a call and returns the text of its result.
func (c *conversation) toolText(line string) (text string, failed bool) {
	c.t.Helper()
	var a struct {
		Result struct {
			Content []struct{ Type, Text string }
			IsError bool
		}
	}
	answer := c.ask(line)
	if err := json.Unmarshal([]byte(answer), &a); err != nil || len(a.Result.Content) != 1 || a.Result.Content[0].Type != "text" {
		c.t.Fatalf("no tool result: %s", answer)
	}
	return a.Result.Content[0].Text, a.Result.IsError
}

func (c *conversation) wantRefused(line, text string) {
	c.t.Helper()
	if got, failed := c.toolText(line); !failed || !strings.Contains(got, text) {
		c.t.Errorf("%s\n got %q (failed: %v), want %q", line, got, failed, text)
	}
}
