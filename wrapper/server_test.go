package wrapper_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mcp-valet/wrapper"
)

const (
	// scriptEnv makes the test binary a server that does what the script in this variable says.
	scriptEnv = "WRAPPER_TEST_SERVER"
	// relayEnv makes it a program that is nothing but Run, with a server that does what the script says.
	relayEnv = "WRAPPER_TEST_RELAY"
)

func TestMain(m *testing.M) {
	if script, ok := os.LookupEnv(scriptEnv); ok {
		runScript(script)
		os.Exit(0)
	}
	if script, ok := os.LookupEnv(relayEnv); ok {
		os.Exit(runRelay(script))
	}
	wrapper.Hasten()
	os.Exit(m.Run())
}

func runRelay(script string) int {
	self, err := os.Executable()
	if err != nil {
		die("%v", err)
	}
	code, err := wrapper.Run(context.Background(), wrapper.Options{
		Starter: wrapper.Fixed{Server: wrapper.Server{Path: self, Env: map[string]string{scriptEnv: script}}},
		In:      os.Stdin, Out: os.Stdout, Err: os.Stderr,
	})
	if err != nil {
		die("%v", err)
	}
	return code
}

// runScript is a server: one step a line, see the switch. ${NAME} stands for a variable of its environment.
func runScript(script string) {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	skips := false
	for line := range strings.Lines(script) {
		step, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		rest = os.Expand(rest, os.Getenv)
		if step == "else" {
			skips = !skips
			continue
		}
		if skips {
			continue
		}
		switch step {
		case "if": // its two words are the same, or there is none; else what is after else
			words := strings.Fields(rest + " - -")
			skips = words[0] != words[1]
		case "first": // it is the first one that makes the file, else what is after else
			f, err := os.OpenFile(rest, os.O_CREATE|os.O_EXCL, 0o600)
			f.Close()
			skips = err != nil
		case "read-or-exit": // as read, but another message is its end
			if got := readLine(in); !strings.Contains(got, rest) {
				os.Exit(1)
			}
		case "", "#":
		case "read": // one message, which must hold the text
			if got := readLine(in); !strings.Contains(got, rest) {
				die("read %q, which does not hold %q", got, rest)
			}
		case "answer": // that many requests
			for range atoi(rest) {
				answer(readLine(in))
			}
		case "answer-all": // requests, until the end of stdin
			for l, err := in.ReadString('\n'); err == nil; l, err = in.ReadString('\n') {
				answer(l)
			}
		case "echo": // bytes, until the end of stdin
			io.Copy(os.Stdout, in)
		case "print": // a line on stdout
			fmt.Println(rest)
		case "raw": // bytes on stdout
			os.Stdout.WriteString(unquote(rest))
		case "err": // bytes on stderr, in one write
			os.Stderr.WriteString(unquote(rest))
		case "big": // an answer with the id and this many bytes, id last
			id, n, _ := strings.Cut(rest, " ")
			fmt.Printf(`{"jsonrpc":"2.0","result":{"text":"%s"},"id":%s}`+"\n", strings.Repeat("x", atoi(n)), id)
		case "lists": // answers to requests for lists, until the end of stdin: there is one more tool
			for l, err := in.ReadString('\n'); err == nil; l, err = in.ReadString('\n') {
				var m struct{ ID json.RawMessage }
				json.Unmarshal([]byte(l), &m)
				result := `{"prompts":[{"name":"p"}]}`
				if strings.Contains(l, "tools/list") {
					result = `{"tools":[{"inputSchema":{"type":"object"},"name":"a"},{"name":"b","inputSchema":{"type":"object"}}]}`
				}
				fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":%s}`+"\n", m.ID, result)
			}
		case "claim": // what one server can have at a time, as a port is
			if f, err := os.OpenFile(rest, os.O_CREATE|os.O_EXCL, 0o600); err != nil {
				fmt.Fprintln(os.Stderr, "taken")
				os.Exit(1)
			} else {
				f.Close()
			}
		case "show": // a file, backwards, as it would be masked
			b, err := os.ReadFile(rest)
			slices.Reverse(b)
			fmt.Fprintf(os.Stderr, "%s %v\n", b, err)
		case "free":
			os.Remove(rest)
		case "eof": // wait for it
			io.Copy(io.Discard, in)
		case "close-stdin":
			os.Stdin.Close()
		case "close-stdout":
			os.Stdout.Close()
		case "ignore-term":
			signal.Ignore(syscall.SIGTERM)
		case "grandchild": // a process that holds our streams, deaf to everything; its pid goes to stderr
			grandchild()
		case "sleep":
			d, err := time.ParseDuration(rest)
			if err != nil {
				die("%v", err)
			}
			time.Sleep(d)
		case "exit":
			os.Exit(atoi(rest))
		default:
			die("no such step: %q", line)
		}
	}
}

func die(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "test server: "+format+"\n", args...)
	os.Exit(99)
}

func readLine(in *bufio.Reader) string {
	line, err := in.ReadString('\n')
	if err != nil {
		die("reading: %v", err)
	}
	return line
}

func answer(line string) {
	var m struct {
		ID     json.RawMessage
		Method string
	}
	if err := json.Unmarshal([]byte(line), &m); err != nil {
		die("%v: %q", err, line)
	}
	if m.ID != nil && m.Method != "" {
		fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":{"did":%q}}`+"\n", m.ID, m.Method)
	}
}

func grandchild() {
	self, err := os.Executable()
	if err != nil {
		die("%v", err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), scriptEnv+"=ignore-term\nerr \"ready\\n\"\nsleep 1m")
	cmd.Stdin, cmd.Stdout = os.Stdin, os.Stdout
	ready, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		die("%v", err)
	}
	readLine(bufio.NewReader(ready))
	fmt.Fprintf(os.Stderr, "grandchild %d\n", cmd.Process.Pid)
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		die("%v", err)
	}
	return n
}

func unquote(s string) string {
	u, err := strconv.Unquote(s)
	if err != nil {
		die("%v: %s", err, s)
	}
	return u
}
