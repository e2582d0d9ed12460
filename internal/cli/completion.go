package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

var completionCommand = command{
	name: "completion", args: "bash|zsh|fish|powershell", min: 1, max: 1,
	short: "print a script that completes commands, accounts and servers in your shell",
	example: `source <(mcp-valet completion bash)
mcp-valet completion fish > ~/.config/fish/completions/mcp-valet.fish`,
	flags: func(a *app, _ *pflag.FlagSet) action {
		return func(_ context.Context, args []string) error {
			script, ok := completionScripts[args[0]]
			if !ok {
				return &usageError{msg: fmt.Sprintf("there is no script for %q: bash, zsh, fish or powershell", args[0]), command: "completion"}
			}
			_, err := fmt.Fprint(a.stdout, script)
			return err
		}
	},
}

// completeCommand is what the scripts ask: it prints what may follow the words typed so far, the last of them unfinished.
var completeCommand = command{
	name: "complete", args: "-- WORDS", max: -1, hidden: true, ownArgs: true,
	short:   "print what may follow (for shell completion)",
	example: "mcp-valet complete -- run sec",
	flags: func(a *app, _ *pflag.FlagSet) action {
		return func(_ context.Context, words []string) error {
			for _, c := range a.complete(words) {
				fmt.Fprintln(a.stdout, c)
			}
			return nil
		}
	},
}

// completionScripts are small on purpose: the program itself knows what may follow.
var completionScripts = map[string]string{
	"bash": `_mcp_valet() {
  local IFS=$'\n'
  COMPREPLY=($(mcp-valet complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -F _mcp_valet mcp-valet
`,
	"zsh": `#compdef mcp-valet
_mcp_valet() {
  compadd -- ${(f)"$(mcp-valet complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)"}
}
compdef _mcp_valet mcp-valet
`,
	"fish": `complete -c mcp-valet -f -a '(mcp-valet complete -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
`,
	"powershell": `Register-ArgumentCompleter -Native -CommandName mcp-valet -ScriptBlock {
  param($word, $ast, $position)
  $words = @($ast.CommandElements | Select-Object -Skip 1 | ForEach-Object { $_.ToString() })
  if ($word -eq '') { $words += '""' }
  mcp-valet complete -- $words 2>$null | ForEach-Object { [System.Management.Automation.CompletionResult]::new($_) }
}
`,
}

// complete lists what may stand in place of the last word.
func (a *app) complete(words []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	done, last := words[:len(words)-1], words[len(words)-1]
	if last == `""` {
		last = ""
	}
	var found []string
	for _, c := range slices.Compact(sorted(a.candidates(done, last))) {
		if strings.HasPrefix(c, last) {
			found = append(found, c)
		}
	}
	return found
}

// candidates lists what may follow the finished words: a command, an option, or a name from the config.
func (a *app) candidates(done []string, last string) []string {
	if len(done) == 0 {
		return a.commandWords(done)
	}
	c, rest, err := a.find(done)
	if err != nil {
		return a.commandWords(done)
	}
	if strings.HasPrefix(last, "-") {
		return a.optionNames(c)
	}
	if len(rest) > 0 {
		return nil
	}
	cfg, err := a.loadConfig(false)
	switch {
	case err != nil:
		return nil
	case strings.HasPrefix(c.args, "ACCOUNT"):
		return sortedKeys(cfg.Accounts)
	case strings.HasPrefix(c.args, "NAME"):
		return sortedKeys(cfg.Servers)
	}
	return strings.Split(c.args, "|")
}

// commandWords lists the next words of the commands that begin with done.
func (a *app) commandWords(done []string) []string {
	var next []string
	for _, c := range a.table {
		words := strings.Fields(c.name)
		if !c.hidden && len(words) > len(done) && slices.Equal(words[:len(done)], done) {
			next = append(next, words[len(done)])
		}
	}
	return next
}

func (a *app) optionNames(c command) []string {
	fs := a.flagSet(c.name)
	c.flags(a, fs)
	var names []string
	fs.VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
	return names
}
