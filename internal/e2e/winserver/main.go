// Command winserver is the MCP server that the launcher starts in the tests on Windows. It tells what has reached it.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// deaf is the first argument of one that only lives: it heeds nothing, and ends after a minute if nobody ends it.
const deaf = "deaf"

// codeVariable holds the exit code for the end of stdin.
const codeVariable = "WINSERVER_EXIT_CODE"

type text struct {
	Message string `json:"message"`
}

type name struct {
	Name string `json:"name"`
}

// digest tells of a value without saying it.
type digest struct {
	Length int    `json:"length"`
	SHA256 string `json:"sha256"`
}

type arguments struct {
	All []string `json:"all"`
}

type none struct{}

func main() {
	if len(os.Args) > 1 && os.Args[1] == deaf {
		time.Sleep(time.Minute)
		return
	}
	server := mcp.NewServer(&mcp.Implementation{Name: "winserver", Version: "1"}, nil)
	add(server, "echo", func(in text) (text, error) { return in, nil })
	add(server, "arguments", func(none) (arguments, error) { return arguments{os.Args[1:]}, nil })
	add(server, "variable", func(in name) (digest, error) {
		value := os.Getenv(in.Name)
		sum := sha256.Sum256([]byte(value))
		return digest{len(value), hex.EncodeToString(sum[:])}, nil
	})
	add(server, "family", func(in name) (none, error) { return none{}, startDeaf(in.Name) })
	add(server, "exit", func(in text) (none, error) { os.Exit(number(in.Message)); return none{}, nil })
	if err := server.Run(context.Background(), &mcp.StdioTransport{}); err != nil {
		log.Fatal(err)
	}
	os.Exit(number(os.Getenv(codeVariable)))
}

func add[In, Out any](server *mcp.Server, name string, do func(In) (Out, error)) {
	mcp.AddTool(server, &mcp.Tool{Name: name, Description: name}, func(_ context.Context, _ *mcp.CallToolRequest, in In) (*mcp.CallToolResult, Out, error) {
		out, err := do(in)
		return nil, out, err
	})
}

// startDeaf starts a child that shares no stream with us; mark tells it from others.
func startDeaf(mark string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	child, err := os.StartProcess(self, []string{self, deaf, mark}, &os.ProcAttr{Files: make([]*os.File, 3)})
	if err != nil {
		return err
	}
	return child.Release()
}

// number is 0 for what is none.
func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}
