package cli

import (
	"context"
	"io"
	"os"
	"time"

	"mcp-valet/install"
)

// NoKeychain makes this process behave as on a machine that has no keychain.
func NoKeychain() { keychainAnswers = func(string) (bool, error) { return false, nil } }

// DiffLines shows how a text becomes another.
func DiffLines(before, after string) []string { return diffLines(before, after) }

// RunsIf has a client count as running while there is a file, and be looked at often.
func RunsIf(file string) {
	closedPause = 10 * time.Millisecond
	clientRuns = func(install.Client) (bool, error) {
		_, err := os.Stat(file)
		return err == nil, nil
	}
}

// MintFor is how long tokens live that are made for a server; "" changes nothing.
func MintFor(life string) {
	if d, err := time.ParseDuration(life); err == nil {
		mintLife = d
	}
}

// AskSignIn has a person sign in, as a launcher does.
func AskSignIn(ctx context.Context, account, server string, quiet bool) error {
	a := &app{stdin: os.Stdin, stdout: io.Discard, stderr: io.Discard}
	return a.askSignIn(ctx, account, server, quiet)
}

// SignInCodes are the exit codes by which the agent of a sign-in tells its launcher what the matter is.
func SignInCodes() []int {
	var codes []int
	for _, v := range signInVerdicts {
		codes = append(codes, v.code)
	}
	return codes
}

// Here is a hint as a run with these options gives it.
func Here(config, state, store, hint string) string {
	return (&app{configFlag: config, stateFlag: state, storeFlag: store}).here(hint)
}
