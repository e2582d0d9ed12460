package demo_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mcp-valet/internal/demo"
)

func TestLegacyConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t)
		c := begin(t, map[string]string{"MCP_AUTH_TOKEN": token(t, i, ownName)})
		c.want(`{"jsonrpc":"2.0","id":"p","method":"ping"}`, `{"jsonrpc":"2.0","id":"p","result":{}}`)
		c.want(initialize, `{"id":0,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"incidents"}}}`)
		c.tell(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
		c.tell(``)
		c.tell(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}`)
		c.tell(`{"jsonrpc":"2.0","method":"notifications/unheard-of","params":[]}`)
		c.tell(`{"jsonrpc":"2.0","id":99,"result":{}}`)
		if list := c.ask(`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}`); !strings.Contains(list, `"create_incident"`) || strings.Contains(list, "resultType") {
			t.Errorf("tools/list: %s", list)
		}
		c.want(call(2, "whoami", `{}`), `{"id":2,"result":{"isError":false,"structuredContent":
			{"subject":"ada","client":"valet","scopes":["incidents","openid"],"roles":["security_analyst"],"secondsLeft":60}}}`)
		c.want(call(3, "list_incidents", `{}`), `{"result":{"structuredContent":{"incidents":[]}}}`)
		c.want(call(4, "create_incident", `{"title":"Tök€n <b> & leak","severity":"high"}`),
			`{"result":{"structuredContent":{"id":"INC-0001","title":"Tök€n <b> & leak","severity":"high","createdBy":"ada"}}}`)
		c.want(call(5, "create_incident", `{"title":"Second","severity":"low"}`), `{"result":{"structuredContent":{"id":"INC-0002"}}}`)
		text, failed := c.toolText(`{"jsonrpc":"2.0","id":6,"method":"tools/call","params":{"name":"list_incidents"}}`)
		if failed || !strings.Contains(text, `"title":"Tök€n <b> & leak"`) || !strings.Contains(text, "INC-0002") {
			t.Errorf("list: %s", text)
		}
		c.end()
	})
}

func TestModernConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t)
		c := begin(t, map[string]string{"MCP_AUTH_TOKEN": token(t, i, ownName)})
		request := func(id int, method string) string {
			return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q,"params":{%s}}`, id, method, meta)
		}
		const info = `"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"incidents","version":"1.0.0"}}`
		c.want(modernCall(1, "whoami", `{}`), `{"result":{"resultType":"complete","structuredContent":{"subject":"ada"},`+info+`}}`)
		c.want(request(2, "server/discover"), `{"result":{"resultType":"complete","supportedVersions":
			["2026-07-28","2025-11-25","2025-06-18","2025-03-26","2024-11-05"],"capabilities":{"tools":{}},"ttlMs":300000,"cacheScope":"public",`+info+`}}`)
		c.want(request(3, "tools/list"), `{"result":{"resultType":"complete","ttlMs":300000,"cacheScope":"public",`+info+`}}`)
		for n, removed := range []string{"initialize", "ping", "logging/setLevel", "subscriptions/listen"} {
			c.want(request(10+n, removed), `{"error":{"code":-32601}}`)
		}
		// A request of the other era beside it needs its handshake still.
		c.want(call(20, "whoami", `{}`), `{"error":{"code":-32600}}`)
		c.want(initialize, `{"result":{"protocolVersion":"2025-11-25"}}`)
		c.want(call(21, "whoami", `{}`), `{"result":{"isError":false}}`)
		c.want(modernCall(22, "whoami", `{}`), `{"result":{"resultType":"complete"}}`)
		c.end()
	})
}

func TestVersions(t *testing.T) {
	newIssuer(t)
	for asked, given := range map[string]string{
		"2024-11-05": "2024-11-05", "2025-06-18": "2025-06-18", "2025-11-25": "2025-11-25", "2026-07-28": "2025-11-25", "1999-01-01": "2025-11-25",
	} {
		c := begin(t, nil)
		c.want(strings.Replace(initialize, "2025-11-25", asked, 1), `{"result":{"protocolVersion":"`+given+`"}}`)
		c.want(initialize, `{"error":{"code":-32600}}`)
		c.end()
	}
	c := begin(t, nil)
	list := func(meta string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":` + meta + `}}`
	}
	c.want(list(`{"io.modelcontextprotocol/protocolVersion":"2027-01-01","io.modelcontextprotocol/clientCapabilities":{}}`),
		`{"error":{"code":-32022,"data":{"requested":"2027-01-01","supported":["2026-07-28","2025-11-25","2025-06-18","2025-03-26","2024-11-05"]}}}`)
	for _, malformed := range []string{
		`{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}`,
		`{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":null}`,
		`{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":[]}`,
		`{"io.modelcontextprotocol/protocolVersion":null}`,
		`{"io.modelcontextprotocol/protocolVersion":20260728}`,
		`[]`, `null`, `"x"`,
	} {
		c.want(list(malformed), `{"error":{"code":-32602}}`)
	}
	c.want(`{"jsonrpc":"2.0","id":1,"method":"server/discover"}`, `{"error":{"code":-32602}}`)
	c.want(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`, `{"error":{"code":-32602}}`)
	c.want(`{"jsonrpc":"2.0","id":1,"method":"initialize"}`, `{"error":{"code":-32602}}`)
	c.end()
}

func TestMalformedMessages(t *testing.T) {
	newIssuer(t)
	c := begin(t, nil)
	for line, want := range map[string]string{
		`{`:                        `{"jsonrpc":"2.0","id":null,"error":{"code":-32700}}`,
		`hello`:                    `{"id":null,"error":{"code":-32700}}`,
		`[]`:                       `{"id":null,"error":{"code":-32600}}`,
		`[` + initialize + `]`:     `{"id":null,"error":{"code":-32600}}`,
		`null`:                     `{"id":null,"error":{"code":-32600}}`,
		`7`:                        `{"id":null,"error":{"code":-32600}}`,
		`{"id":1}`:                 `{"id":1,"error":{"code":-32600}}`,
		`{"jsonrpc":"2.0","id":1}`: `{"id":1,"error":{"code":-32600}}`,
		`{"jsonrpc":"1.0","id":1,"method":"ping"}`:                              `{"id":1,"error":{"code":-32600}}`,
		`{"jsonrpc":"2.0","id":1,"Method":"ping"}`:                              `{"id":1,"error":{"code":-32600}}`,
		`{"jsonrpc":"2.0","id":1,"method":7}`:                                   `{"id":1,"error":{"code":-32600}}`,
		`{"jsonrpc":"2.0","id":null,"method":"ping"}`:                           `{"id":null,"error":{"code":-32600}}`,
		`{"jsonrpc":"2.0","id":1.5,"method":"ping"}`:                            `{"id":null,"error":{"code":-32600}}`,
		`{"jsonrpc":"2.0","id":{},"method":"ping"}`:                             `{"id":null,"error":{"code":-32600}}`,
		`{"jsonrpc":"2.0","id":true,"method":"ping"}`:                           `{"id":null,"error":{"code":-32600}}`,
		`{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}`:                  `{"id":1,"error":{"code":-32602}}`,
		`{"jsonrpc":"2.0","id":1,"method":"ping","params":null}`:                `{"id":1,"error":{"code":-32602}}`,
		`{"jsonrpc":"2.0","id":1,"method":"resources/list"}`:                    `{"id":1,"error":{"code":-32601}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`:                        `{"id":1,"error":{"code":-32600}}`, // before initialize
		`{"jsonrpc":"2.0","id":"` + strings.Repeat("x", 1<<20) + `"}`:           `{"id":null,"error":{"code":-32600}}`,
		strings.Repeat("x", 3<<20):                                              `{"id":null,"error":{"code":-32600}}`,
		`  {"jsonrpc":"2.0","id":123456789012345678901,"method":"ping"}` + "\r": `{"result":{}}`,
	} {
		c.want(line, want)
	}
	if got := c.ask(`{"jsonrpc":"2.0","id":9007199254740993,"method":"ping"}`); !strings.Contains(got, `"id":9007199254740993`) {
		t.Errorf("the id changed: %s", got)
	}
	if _, err := io.WriteString(c.in, `{"jsonrpc":"2.0","id":1,"method":"ping"}`); err != nil { // cut off before its newline
		t.Fatal(err)
	}
	c.end()
}

func TestToolInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := begin(t, map[string]string{"MCP_AUTH_TOKEN": token(t, newIssuer(t), ownName)})
		for line, code := range map[string]int{
			modernCall(1, "delete_everything", `{}`):                                          -32602,
			modernCall(1, "Whoami", `{}`):                                                     -32602,
			modernCall(1, "whoami", `[]`):                                                     -32602,
			modernCall(1, "whoami", `null`):                                                   -32602,
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{` + meta + `}}`:          -32602,
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":7,` + meta + `}}`: -32602,
		} {
			c.want(line, fmt.Sprintf(`{"error":{"code":%d}}`, code))
		}
		for args, text := range map[string]string{
			`{}`:                                   "title is missing",
			`{"title":"x"}`:                        "severity is missing",
			`{"title":7,"severity":"low"}`:         "title is missing or not a string",
			`{"title":null,"severity":"low"}`:      "title is missing or not a string",
			`{"Title":"x","severity":"low"}`:       "an argument that this tool does not have",
			`{"title":"","severity":"low"}`:        "1 to 200 characters",
			`{"title":"a\nb","severity":"low"}`:    "one line",
			`{"title":"a","severity":"grave"}`:     "low, medium, high, critical",
			`{"title":"a","severity":"LOW"}`:       "low, medium, high, critical",
			`{"title":"a","severity":"low","x":1}`: "an argument that this tool does not have",
			`{"title":"` + strings.Repeat("ä", 201) + `","severity":"low"}`: "1 to 200 characters",
		} {
			c.wantRefused(modernCall(2, "create_incident", args), text)
		}
		c.wantRefused(modernCall(3, "whoami", `{"x":1}`), "an argument that this tool does not have")
		c.want(modernCall(4, "create_incident", `{"title":"`+strings.Repeat("ä", 200)+`","severity":"critical"}`), `{"result":{"isError":false}}`)
		c.end()
	})
}

func TestTokenIsCheckedAtEveryCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		secret := token(t, newIssuer(t), ownName)
		c := begin(t, map[string]string{"MCP_AUTH_TOKEN": secret})
		c.want(initialize, `{"result":{}}`)
		c.want(call(1, "whoami", `{}`), `{"result":{"structuredContent":{"secondsLeft":60}}}`)
		time.Sleep(59 * time.Second)
		c.want(call(2, "whoami", `{}`), `{"result":{"structuredContent":{"secondsLeft":1}}}`)
		time.Sleep(time.Second)
		for _, tool := range []string{"whoami", "list_incidents", "create_incident"} {
			c.wantRefused(call(3, tool, `{}`), "token expired")
		}
		c.want(`{"jsonrpc":"2.0","id":4,"method":"tools/list"}`, `{"result":{}}`)
		c.end()
		if log := c.log.String(); !strings.Contains(log, "whoami refused: token expired") || strings.Contains(log, secret) {
			t.Errorf("log: %s", log)
		}
	})
}

func TestBadTokens(t *testing.T) {
	i := newIssuer(t)
	good := token(t, i, ownName)
	for name, c := range map[string]struct{ token, want string }{
		"none":             {"", "no token: MCP_AUTH_TOKEN is not set"},
		"another audience": {token(t, i, otherName), "another audience"},
		"no JWT":           {"gho_opaque", "not a valid access token"},
		"tampered":         {good[:len(good)-6] + "AAAAAA", "not a valid access token"},
		"two in one":       {good + " " + good, "not a valid access token"},
	} {
		s := begin(t, map[string]string{"MCP_AUTH_TOKEN": c.token})
		s.wantRefused(modernCall(1, "whoami", `{}`), c.want)
		s.end()
		if c.token != "" && strings.Contains(s.log.String(), c.token) {
			t.Errorf("%s: the token is in the log", name)
		}
	}
	s := begin(t, map[string]string{"MCP_AUTH_TOKEN": good, "INCIDENTS_ISSUER": "http://127.0.0.1:7778"})
	s.wantRefused(modernCall(1, "whoami", `{}`), "another issuer")
	s.end()

	http.DefaultTransport = transport{http.NotFoundHandler()} // newIssuer's cleanup restores it
	s = begin(t, map[string]string{"MCP_AUTH_TOKEN": good})
	s.wantRefused(modernCall(1, "whoami", `{}`), "try again later")
	http.DefaultTransport = transport{i.Handler()}
	s.want(modernCall(2, "whoami", `{}`), `{"result":{"isError":false}}`)
	s.end()
}

func TestConfiguration(t *testing.T) {
	for _, env := range []map[string]string{
		{},
		{"INCIDENTS_ISSUER": issuerURL},
		{"INCIDENTS_AUDIENCE": ownName},
		{"INCIDENTS_ISSUER": "http://issuer.example", "INCIDENTS_AUDIENCE": ownName},
	} {
		if err := demo.Serve(t.Context(), strings.NewReader(""), io.Discard, io.Discard, func(n string) string { return env[n] }); err == nil {
			t.Errorf("%v: no error", env)
		}
	}
}

func TestEndOfContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	in, keepOpen := io.Pipe()
	defer keepOpen.Close()
	done := make(chan error, 1)
	go func() {
		done <- demo.Serve(ctx, in, io.Discard, io.Discard, func(n string) string {
			return map[string]string{"INCIDENTS_ISSUER": issuerURL, "INCIDENTS_AUDIENCE": ownName}[n]
		})
	}()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestIncidentsInAFile(t *testing.T) {
	i := newIssuer(t)
	path := filepath.Join(t.TempDir(), "incidents.json")
	env := map[string]string{"MCP_AUTH_TOKEN": token(t, i, ownName), "INCIDENTS_FILE": path}
	old, fresh := begin(t, env), begin(t, env) // one replaces the other
	old.want(modernCall(1, "create_incident", `{"title":"one","severity":"low"}`), `{"result":{"structuredContent":{"id":"INC-0001"}}}`)
	fresh.want(modernCall(1, "create_incident", `{"title":"two","severity":"low"}`), `{"result":{"structuredContent":{"id":"INC-0002"}}}`)
	old.end()
	fresh.end()
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("file: %v %v", info, err)
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("left behind: %v", files)
	}
	later := begin(t, env)
	if text, _ := later.toolText(modernCall(1, "list_incidents", `{}`)); !strings.Contains(text, "one") || !strings.Contains(text, "two") {
		t.Errorf("list: %s", text)
	}
	if err := os.WriteFile(path, []byte("no JSON"), 0o600); err != nil {
		t.Fatal(err)
	}
	later.wantRefused(modernCall(2, "list_incidents", `{}`), "cannot be read")
	later.wantRefused(modernCall(3, "create_incident", `{"title":"three","severity":"low"}`), "cannot be read")
	later.end()
	if text, _ := os.ReadFile(path); string(text) != "no JSON" {
		t.Errorf("a file that could not be read was overwritten: %s", text)
	}
	if log := later.log.String(); !strings.Contains(log, "incidents.json") {
		t.Errorf("log: %s", log)
	}

	env["INCIDENTS_FILE"] = filepath.Join(t.TempDir(), "no", "such", "folder", "incidents.json")
	nowhere := begin(t, env)
	nowhere.wantRefused(modernCall(1, "create_incident", `{"title":"one","severity":"low"}`), "cannot be read or written")
	nowhere.end()
}

func TestBookIsBounded(t *testing.T) {
	i := newIssuer(t)
	path := filepath.Join(t.TempDir(), "incidents.json")
	list := make([]map[string]string, 1000)
	for n := range list {
		list[n] = map[string]string{"id": fmt.Sprintf("INC-%04d", n+1)}
	}
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c := begin(t, map[string]string{"MCP_AUTH_TOKEN": token(t, i, ownName), "INCIDENTS_FILE": path})
	c.wantRefused(modernCall(1, "create_incident", `{"title":"one more","severity":"low"}`), "no room")
	c.end()
}

// Every listed tool can be called, and the schemas say what the tools hold to.
func TestToolListMatchesTools(t *testing.T) {
	i := newIssuer(t)
	c := begin(t, map[string]string{"MCP_AUTH_TOKEN": token(t, i, ownName)})
	var a struct {
		Result struct {
			Tools []struct {
				Name        string
				InputSchema struct {
					Type                 string
					AdditionalProperties *bool
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(c.ask(`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{`+meta+`}}`)), &a); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tool := range a.Result.Tools {
		names = append(names, tool.Name)
		if tool.InputSchema.Type != "object" || tool.InputSchema.AdditionalProperties == nil || *tool.InputSchema.AdditionalProperties {
			t.Errorf("%s: schema %+v", tool.Name, tool.InputSchema)
		}
		c.wantRefused(modernCall(2, tool.Name, `{"unheard-of":1}`), "an argument that this tool does not have")
	}
	if got := strings.Join(names, " "); got != "create_incident list_incidents whoami" {
		t.Errorf("tools: %s", got)
	}
	c.end()
}
