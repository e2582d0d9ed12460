package cli

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"unicode"

	"mcp-valet/install"
	"mcp-valet/internal/config"
	"mcp-valet/keyring"
	"mcp-valet/refresh"
	"mcp-valet/wrapper/proc"
)

// The exit codes of mcp-valet. `run` ends with the server's own code once a server has been started.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitConfig      = 3
	exitSignIn      = 4
	exitRefused     = 5
	exitUnreachable = 6
	exitKeychain    = 7
	exitNotStarted  = 126
	exitNotFound    = 127
)

// exitStatus is the exit code of a server that ran, or of an error that was told already: nothing more is said.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("ended with exit code %d", int(e)) }

// usageError is a command line that makes no sense.
type usageError struct{ msg, command string }

func (e *usageError) Error() string { return e.msg }

// refusal is something that this program declines to do, with what the person can do about it.
type refusal struct{ msg, hint string }

func (e *refusal) Error() string { return e.msg }

// hinted is an error with a hint of its own; its exit code is that of the error within.
type hinted struct {
	err  error
	hint string
}

func (e *hinted) Error() string { return e.err.Error() }
func (e *hinted) Unwrap() error { return e.err }

// about says which account and server an error is about, so that its hint can name them.
type about struct {
	account, server string
	issuer          string // its host
	err             error
}

func (e *about) Error() string { return e.err.Error() }
func (e *about) Unwrap() error { return e.err }

// advice is a row of the table from error to hint and exit code.
type advice struct {
	is   error
	code int
	hint string // {account} and {server} are filled in
}

// table is looked through from the top: the first row whose error is in the chain decides.
var table = []advice{
	{context.Canceled, exitFailure, "to try again, start over"},
	{keyring.ErrLocked, exitKeychain, "unlock the login keychain and try again"},
	{keyring.ErrTimeout, exitKeychain, "the keychain does not answer: look for its unlock window, or log out of the desktop and in again"},
	{keyring.ErrTooNew, exitKeychain, "a newer mcp-valet wrote this record: update mcp-valet"},
	{keyring.ErrFull, exitKeychain, "the keychain or the disk is full: make room and try again"},
	{keyring.ErrUnavailable, exitKeychain, "no keychain answers here; where there was one, log out of the desktop and in again; on a machine without one, choose the sealed file store: mcp-valet --store file login {account}"},
	{keyring.ErrInsecure, exitKeychain, "make the file or folder yours alone (chmod 600 a file, chmod 700 a folder) and try again"},
	{keyring.ErrWrongKey, exitKeychain, "the record was sealed with another key: put the right key file or MCP_VALET_STORE_KEY in place; if that key is gone for good, remove the folder store in the state folder and sign in anew"},
	{keyring.ErrCorrupt, exitKeychain, "the stored record is damaged; mcp-valet login {account} writes a fresh one"},
	{keyring.ErrBusy, exitFailure, "another mcp-valet is at the same work; wait for it to end and try again"},
	{keyring.ErrUnknown, exitKeychain, "the keychain did not say whether it saved the record: run mcp-valet status, then try again"},
	{refresh.ErrForeign, exitRefused, "the account in the config is not the one that you signed in to; if you changed it, mcp-valet login {account} shows the difference and asks; if not, put it right: mcp-valet config edit"},
	{refresh.ErrMisconfigured, exitConfig, "the issuer does not accept this client as it is described; check client id, secret and scopes of the account, then: mcp-valet login {account}"},
	{refresh.ErrToken, exitRefused, "the token is not the one this server needs; check issuer and audience of the account, then: mcp-valet login {account}"},
	{refresh.ErrUnreachable, exitUnreachable, "{issuer} cannot be reached: check the network, VPN and proxy, and try again; whoever is signed in stays signed in"},
	{refresh.ErrDenied, exitSignIn, "the sign-in was refused; to try again: mcp-valet login {account}"},
	{refresh.ErrCodeExpired, exitSignIn, "the code was not used in time; to get a new one: mcp-valet login {account}"},
	{refresh.ErrUnanswered, exitSignIn, "no more windows open by themselves; to sign in: mcp-valet login {account}"},
	{refresh.ErrSignedOut, exitSignIn, "to sign in: mcp-valet login {account}"},
	{keyring.ErrNotFound, exitSignIn, "to sign in: mcp-valet login {account}"},
	{refresh.ErrNoWay, exitFailure, "the issuer offers neither device login nor a browser login; give its addresses with --device-endpoint, --authorization-endpoint and --token-endpoint"},
	{refresh.ErrIssuerAddress, exitFailure, "the issuer named an address that is not safe to use; nothing in your config is wrong: tell whoever runs it"},
	{refresh.ErrInsecureURL, exitConfig, "addresses must begin with https:// (http:// only for this machine)"},
	{refresh.ErrDiscovery, exitFailure, "check the issuer address: it must be exactly the one that the identity provider shows"},
	{install.ErrNoFile, exitConfig, "start the client once and quit it, or name its config: --client-config FILE"},
	{install.ErrSeveralFiles, exitConfig, "name the one that the client reads (its settings show it): --client-config FILE"},
	{proc.ErrNotFound, exitNotFound, "give the command's full path in the config: mcp-valet config edit"},
	{proc.ErrNotExecutable, exitNotStarted, "the program is there but cannot be run: check its mode, its folder (cwd) and arguments"},
	{proc.ErrBatchArgument, exitNotStarted, "start the program behind the .cmd or .bat file directly (for npx: node and the script's path)"},
}

// refusals are the hints for what an issuer has against a client as it is registered or described (RFC 6749 section 5.2).
var refusals = map[string]string{
	"invalid_client":         "the issuer does not take this client: check the client id, and the client secret if it wants one",
	"unauthorized_client":    "the client may not sign in like this: allow the device flow (or the authorization code flow) for it at the provider",
	"unsupported_grant_type": "the issuer does not offer this way of signing in; try --browser, or --device",
	"invalid_scope":          "the issuer does not grant one of the scopes: check --scope",
	"invalid_target":         "the issuer does not know the resource or audience: check --resource and --audience",
}

// classify gives err's exit code and hint.
func classify(err error) (code int, hint string) {
	var own *hinted
	if errors.As(err, &own) {
		code, _ = classify(own.err)
		return code, own.hint
	}
	var status exitStatus
	var usage *usageError
	var no *refusal
	var conf *config.Error
	var theirs *install.Error
	var missing *noSecret
	var refused *refresh.OAuthError
	switch {
	case errors.As(err, &status):
		return int(status), ""
	case errors.As(err, &usage):
		return exitUsage, strings.TrimSpace(program+" "+usage.command) + " --help explains"
	case errors.As(err, &no):
		return exitRefused, no.hint
	case errors.As(err, &conf):
		return exitConfig, "to mend it: mcp-valet config edit"
	case errors.As(err, &theirs):
		return exitConfig, "nothing was changed; put it right in the client's config, and try again"
	case errors.As(err, &refused) && refusals[refused.Code] != "":
		return exitFailure, refusals[refused.Code]
	case errors.As(err, &missing):
		return exitSignIn, fmt.Sprintf("to store it: mcp-valet secret set %s %s", missing.owner, missing.key)
	}
	for _, row := range table {
		if errors.Is(err, row.is) {
			return row.code, fill(row.hint, err)
		}
	}
	return exitFailure, ""
}

// fill puts the names that err is about into a hint.
func fill(hint string, err error) string {
	names := about{account: "ACCOUNT", server: "NAME", issuer: "the issuer"}
	for ; err != nil; err = errors.Unwrap(err) {
		if a, ok := err.(*about); ok {
			setIf(&names.account, a.account)
			setIf(&names.server, a.server)
			setIf(&names.issuer, a.issuer)
		}
	}
	return strings.NewReplacer("{account}", names.account, "{server}", names.server, "{issuer}", names.issuer).Replace(hint)
}

func cmpOr(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// report tells the person about err and returns the exit code that belongs to it.
func (a *app) report(err error) int {
	if err == nil {
		return 0
	}
	code, hint := classify(err)
	var status exitStatus
	if errors.As(err, &status) {
		return code
	}
	for _, line := range strings.Split(plainly(err), "\n") {
		a.sayf("%s: error: %s", program, line)
	}
	if hint != "" {
		a.sayf("%s: hint: %s", program, a.here(hint))
	}
	return code
}

// plainly is the text of err, with our word for what the person did who pressed ^C.
func plainly(err error) string {
	const interrupted = "interrupted"
	if !errors.Is(err, context.Canceled) {
		return err.Error()
	}
	canceled := context.Canceled.Error()
	return strings.NewReplacer(interrupted+": "+canceled, interrupted, canceled, interrupted).Replace(err.Error())
}

// commandIn finds the commands that a hint names. It is compiled for the first hint: most runs give none.
var commandIn = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\bmcp-valet ((?:audit|config|credential|install|issuer|login|logout|policy|purge|reapply|secret|status|token|trust|uninstall)\b)`)
})

// here gives the commands in a hint the options that say where the config, state and store of this run are: typed as it
// is in a terminal, a command must mean the same ones.
func (a *app) here(hint string) string {
	options := ""
	for _, o := range [][2]string{{"--config", a.configFlag}, {"--state", a.stateFlag}, {"--store", a.storeFlag}} {
		if o[1] != "" {
			options += " " + o[0] + " " + shellWord(o[1])
		}
	}
	return commandIn().ReplaceAllString(hint, strings.ReplaceAll("mcp-valet"+options, "$", "$$")+" $1")
}

// shellWord is s as it is typed in a shell.
func shellWord(s string) string {
	windows := runtime.GOOS == "windows"
	needless := func(r rune) bool {
		return strings.ContainsRune("/:._-+@%", r) || windows && r == '\\' || unicode.IsLetter(r) || unicode.IsDigit(r)
	}
	switch {
	case s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !needless(r) }):
		return s
	case windows:
		return `"` + s + `"` // where a backslash is no escape
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
