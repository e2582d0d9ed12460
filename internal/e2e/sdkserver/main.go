// Command sdkserver is an MCP server on the official Go SDK for the end-to-end tests: it speaks both eras.
package main

import (
	"context"
	"log"
	"os"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type text struct {
	Message string `json:"message"`
}

func main() {
	server := mcp.NewServer(&mcp.Implementation{Name: "sdkserver", Version: "1"}, nil)
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
	if err := server.Run(context.Background(), &mcp.StdioTransport{}); err != nil {
		log.Fatal(err)
	}
}
