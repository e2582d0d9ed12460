// Command sdkrelay runs a server behind the official Go SDK's transports, back to back: each message is decoded and
// encoded again.
package main

import (
	"context"
	"os"
	"os/exec"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func main() {
	ctx := context.Background()
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	cmd.Stderr = os.Stderr
	client, err := (&mcp.StdioTransport{}).Connect(ctx)
	check(err)
	server, err := (&mcp.CommandTransport{Command: cmd}).Connect(ctx)
	check(err)
	go func() {
		pump(ctx, server, client)
		server.Close()
	}()
	pump(ctx, client, server)
}

func pump(ctx context.Context, to, from mcp.Connection) {
	for {
		message, err := from.Read(ctx)
		if err != nil || to.Write(ctx, message) != nil {
			return
		}
	}
}

func check(err error) {
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(127)
	}
}
