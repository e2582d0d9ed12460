package cli_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"mcp-valet/internal/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"mcp-valet": func() {
			cli.NoKeychain()
			cli.RunsIf(filepath.Join(os.Getenv("HOME"), "client-runs"))
			cli.MintFor(os.Getenv("TEST_MINT_LIFE"))
			os.Exit(cli.Main(os.Args[1:]))
		},
		"ask-signin": askSignIn,
		"audit-append": func() {
			if err := cli.AppendAudit(os.Args[1:]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		},
	})
}

// TestScripts runs the program as its users meet it: each file of testdata/script is one promise.
//
// Besides testscript's own commands there are: issuer (starts a local issuer for this script, $ISSUER), issuer-set (changes
// its behaviour), issuer-saw (compares its counts), badissuer KIND, nosecrets (no token or code of the issuer is in any
// file of the script, nor in what the last command printed), sleep DURATION, expand FILE (fills $NAMES in), and those of signin_test.go.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setupScript,
		Cmds:                scriptCommands,
	})
}

// scriptCommands are the commands that scripts have besides testscript's own.
var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){
	"issuer":     startIssuer,
	"issuer-set": setIssuer,
	"issuer-saw": issuerSaw,
	"badissuer":  startBadIssuer,
	"nosecrets":  noSecrets,
	"sleep":      sleep,
	"expand":     expand,

	"proxied-issuer": startProxiedIssuer,
	"note":           awaitNote,
	"approve":        approve,
	"old-trust":      oldTrust,
}

// setupScript gives a script a home of its own, and no more of the environment than a client gives.
func setupScript(e *testscript.Env) error {
	home := filepath.Join(e.WorkDir, "home")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	e.Setenv("HOME", home)
	e.Setenv("USERPROFILE", home)
	e.Setenv("MCP_VALET_CONFIG", filepath.Join(home, "config.json"))
	e.Setenv("MCP_VALET_STATE_DIR", filepath.Join(home, "state"))
	e.Setenv("GORACE", "atexit_sleep_ms=0")                                          // a race-enabled program lives a second longer otherwise, and is killed for it
	e.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+filepath.Join(home, "no-bus")) // never the real keychain
	return nil
}

func sleep(ts *testscript.TestScript, neg bool, args []string) {
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	time.Sleep(d)
}

// expand fills $NAME and ${NAME} in a file of the script from its environment.
func expand(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		path := ts.MkAbs(name)
		text, err := os.ReadFile(path)
		ts.Check(err)
		filled := os.Expand(string(text), ts.Getenv)
		ts.Check(os.MkdirAll(filepath.Dir(path), 0o700))
		ts.Check(os.WriteFile(path, []byte(filled), 0o600))
	}
}

// noSecrets looks for everything that the issuer handed out.
func noSecrets(ts *testscript.TestScript, neg bool, args []string) {
	secrets := issuerOf(ts).secrets()
	if len(secrets) == 0 {
		ts.Fatalf("the issuer has handed out nothing: there is nothing to look for")
	}
	for _, secret := range secrets {
		for _, stream := range []string{"stdout", "stderr"} {
			if strings.Contains(ts.ReadFile(stream), secret) {
				ts.Fatalf("%s holds a secret", stream)
			}
		}
	}
	ts.Check(filepath.WalkDir(ts.MkAbs("."), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, secret := range secrets {
			if bytes.Contains(text, []byte(secret)) {
				return fmt.Errorf("%s holds a secret", path)
			}
		}
		return nil
	}))
}
