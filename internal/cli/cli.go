// Package cli is the command line of mcp-valet: one file a command, and the table from error to hint and exit code.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// program is what the first word of every message on stderr says.
const program = "mcp-valet"

// app is one run of the program: its streams and the options that every command has.
type app struct {
	stdin          *os.File
	stdout, stderr io.Writer
	table          []command
	configFlag     string // --config; empty: MCP_VALET_CONFIG or the usual place
	stateFlag      string // --state; empty: MCP_VALET_STATE_DIR or the usual place
	storeFlag      string // --store; empty: what the config says
}

// command is one row of the table of commands.
type command struct {
	name    string // one word, or two or three ("secret set")
	args    string // its arguments as the usage line shows them
	short   string // one sentence for the list of commands
	long    string // what else a person must know
	example string
	min     int // fewest arguments
	max     int // most arguments; -1: no limit
	hidden  bool
	// ownArgs leaves everything after the first argument unparsed, since it may belong to another program.
	ownArgs bool
	// flags declares the command's options and returns what runs it.
	flags func(a *app, fs *pflag.FlagSet) action
}

// action runs a command whose options have been parsed.
type action func(ctx context.Context, args []string) error

// commands is the table of commands, in the order in which help lists them.
func commands() []command {
	return []command{
		installCommand, uninstallCommand, reapplyCommand,
		loginCommand, logoutCommand, statusCommand, runCommand,
		issuerInitCommand, issuerJWKSCommand, issuerIssueCommand, issuerListCommand, issuerRevokeCommand,
		tokenCommand, credentialCommand, secretSetCommand, secretRmCommand, trustCommand,
		auditTailCommand, auditShowCommand, auditVerifyCommand, auditExportCommand,
		policyCheckCommand, policyExplainCommand, policyTestCommand,
		configCheckCommand, configEditCommand, configPathCommand,
		purgeCommand, demoCommand, completionCommand, versionCommand,
		agentCommand, signInCommand, completeCommand, demoServerCommand,
	}
}

// Main runs the program with the arguments that follow its name and returns its exit code.
func Main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	hideMemory()
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, table: commands()}
	return a.report(a.dispatch(ctx, args))
}

// dispatch finds the command that args name and runs it.
func (a *app) dispatch(ctx context.Context, args []string) error {
	global := a.flagSet(program)
	global.SetInterspersed(false)
	version := global.Bool("version", false, "print the version")
	if err := global.Parse(args); err != nil {
		return a.parseError(err, "", a.usage)
	}
	rest := global.Args()
	if *version {
		rest = []string{"version"}
	}
	if len(rest) == 0 {
		a.usage(a.stderr)
		return &usageError{msg: "no command given"}
	}
	if rest[0] == "help" {
		return a.help(rest[1:])
	}
	if len(rest) == 2 && (rest[1] == "--help" || rest[1] == "-h") && a.groupUsage(rest[0]) {
		return nil
	}
	c, rest, err := a.find(rest)
	if err != nil {
		return err
	}
	return a.runCommand(ctx, c, rest)
}

// find looks up the command that words begin with; a longer name goes before a shorter one.
func (a *app) find(words []string) (command, []string, error) {
	for n := min(3, len(words)); n > 0; n-- {
		name := strings.Join(words[:n], " ")
		if i := slices.IndexFunc(a.table, func(c command) bool { return c.name == name }); i >= 0 {
			return a.table[i], words[n:], nil
		}
	}
	if sub := a.subcommands(words[0]); len(sub) > 0 {
		return command{}, nil, &usageError{msg: fmt.Sprintf("%q needs one of: %s", words[0], strings.Join(sub, ", ")), command: words[0]}
	}
	return command{}, nil, &usageError{msg: fmt.Sprintf("there is no command %q", words[0])}
}

// subcommands lists the second words of the commands that begin with first.
func (a *app) subcommands(first string) []string {
	var subs []string
	for _, c := range a.table {
		if rest, ok := strings.CutPrefix(c.name, first+" "); ok {
			subs = append(subs, rest)
		}
	}
	return subs
}

// runCommand parses the command's options and runs it.
func (a *app) runCommand(ctx context.Context, c command, words []string) error {
	fs := a.flagSet(c.name)
	fs.SetInterspersed(!c.ownArgs)
	run := c.flags(a, fs)
	if err := fs.Parse(words); err != nil {
		return a.parseError(err, c.name, func(w io.Writer) { a.commandUsage(w, c, fs) })
	}
	args := fs.Args()
	if len(args) < c.min || (c.max >= 0 && len(args) > c.max) {
		return &usageError{msg: fmt.Sprintf("usage: %s %s %s", program, c.name, c.args), command: c.name}
	}
	return run(ctx, args)
}

// flagSet is a set of options with those that every command has.
func (a *app) flagSet(name string) *pflag.FlagSet {
	fs := pflag.NewFlagSet(name, pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	fs.SortFlags = false
	fs.StringVar(&a.configFlag, "config", a.configFlag, "config `file` (default: `mcp-valet config path` prints it)")
	fs.StringVar(&a.stateFlag, "state", a.stateFlag, "`folder` for locks, sealed records and notes (default: the usual place)")
	fs.StringVar(&a.storeFlag, "store", a.storeFlag, "where credentials are kept: `keychain` or file")
	return fs
}

// parseError turns a failure to parse options into help (asked for) or a usage error.
func (a *app) parseError(err error, command string, usage func(io.Writer)) error {
	if errors.Is(err, pflag.ErrHelp) {
		usage(a.stdout)
		return nil
	}
	return &usageError{msg: err.Error(), command: command}
}

// help prints the help of the command that words name, or the list of commands.
func (a *app) help(words []string) error {
	if len(words) == 0 {
		a.usage(a.stdout)
		return nil
	}
	if len(words) == 1 && a.groupUsage(words[0]) {
		return nil
	}
	c, _, err := a.find(words)
	if err != nil {
		return err
	}
	fs := a.flagSet(c.name)
	c.flags(a, fs)
	a.commandUsage(a.stdout, c, fs)
	return nil
}

// groupUsage prints the commands that begin with a word which is no command by itself, and tells whether there are any.
func (a *app) groupUsage(first string) bool {
	if slices.ContainsFunc(a.table, func(c command) bool { return c.name == first }) {
		return false
	}
	some := slices.DeleteFunc(slices.Clone(a.table), func(c command) bool { return c.hidden || !strings.HasPrefix(c.name, first+" ") })
	if len(some) == 0 {
		return false
	}
	fmt.Fprintf(a.stdout, "Usage: %s %s COMMAND [options]\n\nCommands:\n", program, first)
	for _, c := range some {
		fmt.Fprintf(a.stdout, "  %-32s %s\n", strings.TrimSpace(c.name+" "+c.args), c.short)
	}
	fmt.Fprintf(a.stdout, "\nEach has --help with an example.\n")
	return true
}

// usage prints the list of commands.
func (a *app) usage(w io.Writer) {
	fmt.Fprint(w, `mcp-valet starts an MCP server with its credential: from the keychain, renewed, never in a config file.

Usage: mcp-valet COMMAND [options]

Commands:
`)
	for _, c := range a.table {
		if !c.hidden {
			fmt.Fprintf(w, "  %-32s %s\n", strings.TrimSpace(c.name+" "+c.args), c.short)
		}
	}
	fmt.Fprint(w, `
Every command has --help with an example, --config FILE, --state FOLDER and --store keychain|file.

Exit codes: 0 done, 1 failure, 2 wrong usage, 3 config, 4 sign-in needed, 5 refused (trust, policy, token check),
6 issuer unreachable, 7 keychain, 126 server could not be started, 127 server not found; run: else the server's own.
`)
}

// commandUsage prints the help of one command.
func (a *app) commandUsage(w io.Writer, c command, fs *pflag.FlagSet) {
	fmt.Fprintf(w, "%s\n\nUsage: %s %s %s\n", capitalize(c.short)+".", program, c.name, c.args)
	if c.long != "" {
		fmt.Fprintf(w, "\n%s\n", c.long)
	}
	fmt.Fprintf(w, "\nExample:\n%s\n\nOptions:\n%s", indent(c.example), fs.FlagUsages())
}

func capitalize(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func indent(s string) string { return "  " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n  ") }

// sayf tells the person something on stderr.
func (a *app) sayf(format string, args ...any) {
	fmt.Fprintf(a.stderr, format+"\n", args...)
}
