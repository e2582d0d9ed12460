package cli

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"

	"mcp-valet/install"
	"mcp-valet/internal/config"
	"mcp-valet/keyring"
	"mcp-valet/wrapper/proc"
)

// takeOver makes an entry of ours out of the client's.
func (p *installPlan) takeOver() error {
	was, err := p.doc.Server(p.name)
	if err != nil {
		return err
	}
	if was.Cwd != "" && !filepath.IsAbs(was.Cwd) {
		return &install.Error{Path: p.file, Line: p.doc.Line(p.name), Msg: `"cwd" is not an absolute path: it means another folder at each start`}
	}
	known, mine := p.cfg.Servers[p.server]
	p.entry = known
	p.entry.Args, p.entry.Cwd, p.entry.Env = was.Args, was.Cwd, maps.Clone(was.Env)
	if p.entry.Env == nil {
		p.entry.Env = map[string]string{}
	}
	if p.entry.Auth, err = p.auth(known.Auth); err != nil {
		return err
	}
	if err := p.resume(); err != nil {
		return err
	}
	for _, step := range []func(*install.Server) error{p.refuseKeys, p.moveArguments, p.moveVariables, p.takeUp, p.moveCopies} {
		if err := step(was); err != nil {
			return err
		}
	}
	p.recordPath()
	if p.entry.Command, err = proc.Resolve(was.Command, was.Cwd, append(os.Environ(), "PATH="+variable(p.entry.Env, "PATH"))); err != nil {
		return &hinted{&about{server: p.server, err: err}, fmt.Sprintf("the client's config says so, in line %d of %s: give the command's full path there, or put its folder into this terminal's PATH", p.doc.Line(p.name), p.file)}
	}
	p.made = p.made || !mine || string(asWords(known)) == string(asWords(p.entry))
	return nil
}

// auth is where the server's token is to come from.
func (p *installPlan) auth(known *config.Auth) (*config.Auth, error) {
	if p.o.account == "" {
		return known, nil
	}
	if _, err := accountIn(p.cfg, p.o.account); err != nil {
		return nil, &hinted{err, fmt.Sprintf("to make it: mcp-valet login %s --issuer URL --client-id ID", p.o.account)}
	}
	auth := config.Auth{}
	if known != nil {
		auth = *known
	}
	auth.Kind, auth.Account = "account", p.o.account
	auth.TokenEnv = cmpOr(cmpOr(p.o.tokenEnv, auth.TokenEnv), config.DefaultTokenEnv)
	return &auth, nil
}

// refuseKeys refuses an entry that lets whoever reads it make credentials, or open our store.
func (p *installPlan) refuseKeys(was *install.Server) error {
	for name := range was.Env {
		switch upper := strings.ToUpper(name); {
		case upper == "MCP_JWT_SECRET":
			return &refusal{
				"the client's config holds MCP_JWT_SECRET, with which anybody can make tokens for anybody",
				"take it out of the client's config and have a new one made: only who issues tokens, and who checks them, may have it",
			}
		case upper == "MCP_VALET_STORE_KEY":
			return &refusal{
				"the client's config holds MCP_VALET_STORE_KEY, which opens the sealed store",
				"take it out of the client's config; the key belongs into its key file (mode 0600)",
			}
		case strings.HasPrefix(upper, "MCP_VALET_"):
			return &refusal{
				"the client's config sets " + printable(name) + ": variables that begin with MCP_VALET_ are for mcp-valet and not passed to servers",
				"take it out of the client's config; what is needed of it stands in the entry that install writes",
			}
		}
	}
	return nil
}

var variableName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`) })

// moveArguments moves the arguments that the person has named, and finds those that they should have.
func (p *installPlan) moveArguments(was *install.Server) error {
	taken := map[int]bool{}
	for _, option := range p.o.secretArgs {
		cut := strings.LastIndex(option, "=")
		if cut < 0 || !variableName().MatchString(option[cut+1:]) {
			return &usageError{msg: "--secret-arg takes N=VARIABLE, the number of an argument and the variable that the server reads instead", command: "install"}
		}
		at, value, err := install.ArgumentSecret(was.Args, option[:cut], option[cut+1:])
		if err != nil {
			return &usageError{msg: err.Error(), command: "install"}
		}
		if _, set := p.entry.Env[at.Variable]; set || taken[at.Argument] {
			return &usageError{msg: fmt.Sprintf("--secret-arg: argument %d has been moved, or the variable %s is set already", at.Argument, at.Variable), command: "install"}
		}
		taken[at.Argument], taken[at.Argument-1] = true, taken[at.Argument-1] || at.Option
		p.adopt(at, at.String()+" until now", value)
	}
	for i, arg := range was.Args {
		if kind, is := install.DetectArgument(was.Args, i); is && !taken[i+1] && arg != "" {
			p.leaveArgument(was.Args, i, kind)
		}
	}
	p.taken = taken
	p.entry.Args = install.Moved(was.Args, p.hidden())
	return nil
}

// leaveArgument leaves a secret where it is, among the arguments.
func (p *installPlan) leaveArgument(args []string, i int, kind string) {
	at := install.Adopted{Variable: fmt.Sprintf("argument-%d", p.former(i+1)), Argument: i + 1, Stays: true}
	value := args[i]
	if name, v, cut := strings.Cut(args[i], "="); cut && strings.HasPrefix(name, "-") {
		at.Prefix, value = name+"=", v
	}
	p.leave(at, kind, value, install.WhichArgument(args, i))
}

func (p *installPlan) leave(at install.Adopted, kind, value, which string) {
	s := foundSecret{at: at, kind: kind, kept: install.Kept{Value: keyring.NewSecret(value)}}
	if literal, odd := install.Literal(p.original, at); odd {
		s.at.AsWritten, s.kept.AsWritten = true, keyring.NewSecret(literal)
	}
	p.open = append(p.open, openSecret{foundSecret: s, which: which})
}

// moveVariables moves the secrets among the variables. The token that the account brings is one of them: it is kept for
// uninstall alone.
func (p *installPlan) moveVariables(was *install.Server) error {
	for _, name := range p.o.notSecrets {
		if _, set := was.Env[name]; !set {
			return &usageError{msg: fmt.Sprintf("the entry has no variable %s", printable(name)), command: "install"}
		}
	}
	for _, name := range p.o.secrets {
		if _, set := was.Env[name]; !set && !p.prior(name) { // the keychain may have it, from an install before
			p.again = append(p.again, name)
			p.entry.Env[name] = install.Reference(p.server, name)
		}
	}
	for _, name := range sortedKeys(was.Env) {
		value := was.Env[name]
		token := p.entry.Auth != nil && p.entry.Auth.TokenEnv != "" && sameVariable(name, p.entry.Auth.TokenEnv)
		kind, secret := install.DetectSecret(name, value)
		switch {
		case token && p.entry.Auth.Kind == "account":
			if err := p.adoptVariable(name, "replaced by the token of account "+p.entry.Auth.Account, value); err != nil && value != "" {
				return err
			}
			delete(p.entry.Env, name)
		case strings.HasPrefix(strings.ToLower(value), "keyring:") && value != install.Reference(p.server, name):
			return &refusal{
				fmt.Sprintf("the variable %s refers to a secret of the keychain, which a client's config has no say about", printable(name)),
				"put the secret itself there, or write the entry yourself: mcp-valet config edit",
			}
		case slices.Contains(p.o.notSecrets, name):
		case token && value != "", slices.Contains(p.o.secrets, name), secret, p.movedBefore(name) && value != "":
			if err := p.adoptVariable(name, cmpOr(kind, p.byWhom(name)), value); err != nil {
				return err
			}
			if token { // it is handed over by its name
				delete(p.entry.Env, name)
			}
		}
	}
	return nil
}

func (p *installPlan) adoptVariable(name, kind, value string) error {
	if value == "" || !keyring.ValidName(install.LiteralKey(name)) || name[0] == '-' {
		return &usageError{msg: fmt.Sprintf("the variable %s is empty, or its name is none that the keychain takes", printable(name)), command: "install"}
	}
	p.adopt(install.Adopted{Variable: name}, kind, value)
	return nil
}

func (p *installPlan) adopt(at install.Adopted, kind, value string) {
	literal, odd := install.Literal(p.original, at)
	s := foundSecret{at: at, kind: kind, kept: install.Kept{Value: keyring.NewSecret(value)}}
	if odd {
		s.at.AsWritten, s.kept.AsWritten = true, keyring.NewSecret(literal)
	}
	p.found = append(p.found, s)
	p.entry.Env[at.Variable] = install.Reference(p.server, at.Variable)
}

// recordPath gives the server the PATH of this terminal, where its programs are found: apps that are started from a dock
// have another.
func (p *installPlan) recordPath() {
	if variable(p.entry.Env, "PATH") != "" {
		return
	}
	if path := terminalPath(); path != "" {
		p.entry.Env["PATH"] = path
	}
}

func terminalPath() string {
	var dirs []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if filepath.IsAbs(dir) && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return strings.Join(dirs, string(filepath.ListSeparator))
}

func variable(env map[string]string, name string) string {
	for k, v := range env {
		if sameVariable(k, name) {
			return v
		}
	}
	return ""
}

// sameVariable: to Windows, Path and PATH are one variable.
func sameVariable(x, y string) bool {
	return x == y || runtime.GOOS == "windows" && strings.EqualFold(x, y)
}
