// Command sdkserver is an MCP server on the official Go SDK for the end-to-end tests: it speaks both eras.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type text struct {
	Message string `json:"message"`
}

// note is a line to write down in a file, so that a test can tell what was carried out.
type note struct {
	File string `json:"file"`
	Line string `json:"line"`
}

type noted struct {
	PID    int `json:"pid"`
	Length int `json:"length" jsonschema:"of the token"`
}

func (n *note) write() error {
	f, err := os.OpenFile(n.File, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(n.Line + "\n"); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func main() {
	without := flag.String("without-token", "", "without a token, `end` at once or hang")
	legacy := flag.Bool("legacy", false, "know nothing of MCP 2026-07-28")
	more := flag.Int("tools", 0, "how many more tools there are")
	flag.Parse()
	if os.Getenv("MCP_AUTH_TOKEN") == "" {
		switch *without {
		case "end":
			log.Fatal("MCP_AUTH_TOKEN is not set")
		case "hang":
			time.Sleep(time.Hour)
		}
	}
	server := mcp.NewServer(&mcp.Implementation{Name: "sdkserver", Version: "1"}, nil)
	if *legacy {
		server.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
			return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
				if method == "server/discover" {
					return nil, &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "unknown method"}
				}
				return next(ctx, method, req)
			}
		})
	}
	mcp.AddTool(server, &mcp.Tool{Name: "echo", Description: "says it back"}, func(_ context.Context, _ *mcp.CallToolRequest, in text) (*mcp.CallToolResult, text, error) {
		return nil, in, nil
	})
	// The name of the variable, not its value, tells a test whether the token arrived; its length is no secret here.
	mcp.AddTool(server, &mcp.Tool{Name: "token_length", Description: "how long the token in MCP_AUTH_TOKEN is"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, struct {
		Length int `json:"length"`
	}, error) {
		return nil, struct {
			Length int `json:"length"`
		}{len(os.Getenv("MCP_AUTH_TOKEN"))}, nil
	})
	mcp.AddTool(server, &mcp.Tool{Name: "note", Description: "writes a line down"}, func(_ context.Context, _ *mcp.CallToolRequest, in note) (*mcp.CallToolResult, noted, error) {
		return nil, noted{os.Getpid(), len(os.Getenv("MCP_AUTH_TOKEN"))}, in.write()
	})
	mcp.AddTool(server, &mcp.Tool{Name: "wait", Description: "takes its time"}, func(ctx context.Context, _ *mcp.CallToolRequest, in struct {
		Seconds int `json:"seconds"`
	}) (*mcp.CallToolResult, noted, error) {
		select {
		case <-time.After(time.Duration(in.Seconds) * time.Second):
			return nil, noted{os.Getpid(), len(os.Getenv("MCP_AUTH_TOKEN"))}, nil
		case <-ctx.Done():
			return nil, noted{}, ctx.Err()
		}
	})
	for i := range *more {
		mcp.AddTool(server, &mcp.Tool{Name: fmt.Sprintf("echo_%03d", i), Description: "says it back, as the tool echo does"}, func(_ context.Context, _ *mcp.CallToolRequest, in text) (*mcp.CallToolResult, text, error) {
			return nil, in, nil
		})
	}
	if err := server.Run(context.Background(), &mcp.StdioTransport{}); err != nil {
		log.Fatal(err)
	}
}
