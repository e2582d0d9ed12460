package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"mcp-valet/internal/config"
)

var policyCheckCommand = command{
	name: "policy check", max: 0,
	short: "read the policies of servers and say what is wrong or odd with them",
	long: `A role, permission or attribute that is used and not defined is an error, and so are globs of which nobody could say
which one counts, and Cedar that does not parse. Rows that match nothing which the server offered in its last good run,
and permissions that no row asks for, are warnings.`,
	example: "mcp-valet policy check\nmcp-valet policy check --server security-kb",
	flags: func(a *app, fs *pflag.FlagSet) action {
		server := fs.String("server", "", "only the policy of this server `NAME`")
		return func(context.Context, []string) error { return a.policyCheck(*server) }
	},
}

func (a *app) policyCheck(server string) error {
	cfg, err := a.loadConfig(true)
	if err != nil {
		return err
	}
	names := sortedKeys(cfg.Servers)
	if server != "" {
		if _, there := cfg.Servers[server]; !there {
			return unknownServer(cfg, server)
		}
		names = []string{server}
	}
	var wrong []error
	for _, name := range names {
		if err := a.checkPolicy(cfg, name); err != nil {
			wrong = append(wrong, err)
		}
	}
	if len(wrong) > 0 {
		return &hinted{errors.Join(wrong...), "the config is mended with mcp-valet config edit, conditions in the file that is named"}
	}
	return nil
}

// checkPolicy says what is odd with the policy of one server, and returns what is wrong with it.
func (a *app) checkPolicy(cfg *config.Config, name string) error {
	p, err := compilePolicy(cfg, name)
	switch {
	case err != nil:
		return err
	case p == nil:
		fmt.Fprintf(a.stdout, "%s: no policy, whoever is let in may do everything\n", name)
		return nil
	}
	offered := a.offered(cfg, name)
	warnings := p.Warnings(offered.names)
	for _, w := range warnings {
		a.sayf("%s: warning: %v", program, place(cfg, name, w))
	}
	unknown := ""
	if offered.hints == nil {
		unknown = " (what the server offers is not known yet: rows that match nothing are not looked for)"
	}
	fmt.Fprintf(a.stdout, "%s: good, %s%s\n", name, count(len(warnings), "warning"), unknown)
	return nil
}

func unknownServer(cfg *config.Config, name string) error {
	return &config.Error{Path: cfg.Path, Key: "mcpServers", Msg: fmt.Sprintf("there is no server %q (%s)", name, knownNames(name, sortedKeys(cfg.Servers)))}
}
