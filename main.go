// Command mcp-valet is what an MCP client runs in place of a stdio MCP server: it fetches the server's
// credential from the operating system's keychain, renews it, starts the server with it and checks what passes.
package main

import (
	"os"

	"mcp-valet/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:]))
}
