// Package e2e drives the mcp-valet binary against real parts: identity providers, a keychain, MCP clients and servers.
// It is a module of its own, so that what only tests need stays out of the program's dependencies.
package e2e
