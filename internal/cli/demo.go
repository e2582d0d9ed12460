package cli

import (
	"context"
	"os"

	"github.com/spf13/pflag"

	"mcp-valet/internal/demo"
)

var demoCommand = command{
	name: "demo", max: 0,
	short: "show everything once, on this machine alone, in under a minute",
	long: `It starts a real issuer and a real MCP server on this machine, in a folder of its own, and removes them again.
Nothing of yours is touched; with --keychain the demo's credential goes through your real keychain, and out of it again.`,
	example: "mcp-valet demo --interactive",
	flags: func(a *app, fs *pflag.FlagSet) action {
		o := demo.Options{}
		fs.BoolVar(&o.Keep, "keep", false, "keep the folder of the demo and say where it is")
		fs.BoolVar(&o.Interactive, "interactive", false, "approve the sign-in yourself, in your browser")
		fs.BoolVar(&o.Keychain, "keychain", false, "use the real keychain instead of the sealed file store")
		return func(ctx context.Context, _ []string) error {
			o.Out = a.stdout
			return demo.Run(ctx, o)
		}
	},
}

// demoServerCommand is the MCP server that the demo launches.
var demoServerCommand = command{
	name: "demo-server", max: 0, hidden: true,
	short:   "the incident server of the demo (MCP over stdio)",
	example: "mcp-valet demo-server",
	flags: func(a *app, _ *pflag.FlagSet) action {
		return func(ctx context.Context, _ []string) error {
			return demo.Serve(ctx, a.stdin, a.stdout, a.stderr, os.Getenv)
		}
	},
}
