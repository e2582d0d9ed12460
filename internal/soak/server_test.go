//go:build linux

package soak

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The environment of the server, beside its token.
const (
	notesVar  = "SOAK_NOTES"  // file that it writes down in what it has carried out
	habitsVar = "SOAK_HABITS" // its bad habits, separated by commas
)

// faultyServer is an MCP server that does what its clients' calls ask for, crashes among it.
type faultyServer struct {
	habits string
	out    sync.Mutex
	asked  chan struct{} // its own question has been answered
}

type request struct {
	ID     json.RawMessage
	Method string
	Params struct {
		Name            string
		ProtocolVersion string
		Arguments       struct {
			Key    string
			Number int
		}
		Meta map[string]json.RawMessage `json:"_meta"`
	}
}

func serveClient() {
	s := &faultyServer{habits: os.Getenv(habitsVar), asked: make(chan struct{}, 100)}
	if s.has("stubborn") {
		signal.Ignore(syscall.SIGTERM)
	}
	if s.has("slow-start") {
		time.Sleep(700 * time.Millisecond)
	}
	for _, v := range os.Environ() {
		if strings.HasPrefix(v, "MCP_VALET_") {
			s.note("LEAK", "the environment of mcp-valet", "")
		}
	}
	if s.has("noisy") {
		fmt.Println("server 1.0 listening on stdio")
	}
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			break
		}
		var r request
		if json.Unmarshal(line, &r) != nil {
			continue
		}
		if r.Method == "tools/call" && r.Params.Name == "deaf" {
			time.Sleep(time.Duration(r.Params.Arguments.Number) * time.Millisecond)
		}
		s.handle(&r)
	}
	if s.has("stubborn") {
		time.Sleep(time.Minute)
	}
}

func (s *faultyServer) has(habit string) bool { return strings.Contains(s.habits, habit) }

func (s *faultyServer) write(text string) {
	s.out.Lock()
	defer s.out.Unlock()
	os.Stdout.WriteString(text)
}

func (s *faultyServer) result(r *request, result map[string]any) {
	if r.Params.Meta["io.modelcontextprotocol/protocolVersion"] != nil {
		result["resultType"] = "complete"
	}
	b, _ := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": r.ID, "result": result})
	s.write(string(b) + "\n")
}

// token is what the server was given last, however it is given.
func (s *faultyServer) token(r *request) string {
	var inMessage string
	if json.Unmarshal(r.Params.Meta["mcp-valet/token"], &inMessage) == nil && inMessage != "" {
		return inMessage
	}
	if b, err := os.ReadFile(os.Getenv("MCP_AUTH_TOKEN_FILE")); err == nil {
		return string(b)
	}
	return os.Getenv("MCP_AUTH_TOKEN")
}

func (s *faultyServer) handle(r *request) {
	description := "does something"
	if s.has("leaky") {
		description += " with " + s.token(r)
	}
	switch r.Method {
	case "initialize":
		s.result(r, map[string]any{
			"protocolVersion": r.Params.ProtocolVersion, "capabilities": capabilities, "instructions": description,
			"serverInfo": map[string]string{"name": "soak", "version": "1"},
		})
	case "server/discover":
		s.result(r, map[string]any{
			"supportedVersions": []string{"2026-07-28", "2025-11-25"}, "capabilities": capabilities,
			"serverInfo": map[string]string{"name": "soak", "version": "1"}, "ttlMs": 0, "cacheScope": "private",
		})
	case "tools/list":
		s.result(r, map[string]any{"tools": []any{map[string]any{
			"name": "count", "description": description, "inputSchema": map[string]string{"type": "object"},
		}}, "ttlMs": 0, "cacheScope": "private"})
	case "ping":
		s.result(r, map[string]any{})
	case "tools/call":
		go s.call(r)
	case "":
		s.asked <- struct{}{}
	default:
		if r.ID != nil {
			s.write(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no such method"}}`+"\n", r.ID))
		}
	}
}

var capabilities = map[string]any{"tools": map[string]bool{"listChanged": true}}

// said is the text of a call's result.
func (s *faultyServer) said(r *request, text string) {
	s.result(r, map[string]any{"content": []any{map[string]string{"type": "text", "text": text}}})
}

func (s *faultyServer) call(r *request) {
	key, n := r.Params.Arguments.Key, r.Params.Arguments.Number
	switch r.Params.Name {
	case "count":
		s.note("COUNT", key, s.token(r))
	case "wait":
		time.Sleep(time.Duration(n) * 2 * time.Millisecond)
	case "hang":
		return
	case "crash":
		s.note("CRASH", key, "")
		s.crash(n)
	case "garbage":
		for i := range 20 {
			s.write([]string{"warning: ", "{", `{"jsonrpc":"2.0","id":"nobody's","result":{}}` + "\n", "[]\n", "\xff\xfe\n", "\n"}[i%6])
		}
		s.write("\n")
	case "twice":
		s.said(r, "done")
	case "flood":
		for range 2000 {
			fmt.Fprintln(os.Stderr, strings.Repeat("warning ", 30))
		}
	case "big":
		s.said(r, strings.Repeat("0123456789", 30_000))
		return
	case "leak":
		token := s.token(r)
		fmt.Fprintf(os.Stderr, "authorization: Bearer %s\n%s", token, token[:len(token)/2])
		fmt.Fprintln(os.Stderr, token[len(token)/2:])
		s.said(r, "the token is "+token)
		return
	case "grandchild":
		child := exec.Command("/proc/self/exe")
		child.Env = append(os.Environ(), roleVar+"=grandchild")
		if n%2 == 0 {
			child.Stdout, child.Stderr = os.Stdout, os.Stderr
		}
		child.Start()
	case "ask":
		s.write(fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,"method":"roots/list"}`+"\n", "ask-"+key))
		select {
		case <-s.asked:
		case <-time.After(time.Second):
		}
	}
	s.said(r, "done "+key)
}

func (s *faultyServer) crash(n int) {
	switch n % 3 {
	case 0:
		os.Exit(3)
	case 1:
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	s.write(`{"jsonrpc":"2.0","id":`)
	os.Exit(0)
}

// note writes down what is carried out, when, and with which token: the file is the schedule's own, and no part of what
// is under test.
func (s *faultyServer) note(what, key, token string) {
	f, err := os.OpenFile(os.Getenv(notesVar), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	fmt.Fprintf(f, "%s\t%s\t%d\t%s\n", what, key, time.Now().UnixNano(), token)
}

// stayBehind is a process that a server has left behind.
func stayBehind() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGHUP)
	time.Sleep(20 * time.Second)
}
