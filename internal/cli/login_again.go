package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/pflag"

	"mcp-valet/keyring"
)

// login is loginTo, with a hint that holds all that was given where there is no keychain.
func (a *app) login(ctx context.Context, name string, o *loginOptions) error {
	err := a.loginTo(ctx, name, o)
	var own *hinted
	if errors.Is(err, keyring.ErrUnavailable) && !errors.As(err, &own) && o.again != "" {
		return &hinted{err, "no keychain answers here; on a machine without one, choose the sealed file store: " + o.again}
	}
	return err
}

// withFileStore is a command as it was given, as it is typed in a shell, with the sealed file store chosen instead of
// the keychain.
func (a *app) withFileStore(name string, fs *pflag.FlagSet, args []string) string {
	words := []string{program, "--store", "file"}
	for _, place := range [][2]string{{"--config", a.configFlag}, {"--state", a.stateFlag}} {
		if place[1] != "" {
			words = append(words, place[0], shellWord(place[1]))
		}
	}
	words = append(words, name)
	for _, arg := range args {
		words = append(words, shellWord(arg))
	}
	fs.Visit(func(f *pflag.Flag) {
		switch f.Name {
		case "config", "state", "store": // said above
		default:
			words = append(words, givenFlag(f)...)
		}
	})
	return strings.Join(words, " ")
}

// givenFlag is an option as it is typed.
func givenFlag(f *pflag.Flag) []string {
	if list, ok := f.Value.(pflag.SliceValue); ok {
		var words []string
		for _, v := range list.GetSlice() {
			words = append(words, "--"+f.Name, shellWord(v))
		}
		return words
	}
	switch value := f.Value.String(); {
	case f.Value.Type() != "bool":
		return []string{"--" + f.Name, shellWord(value)}
	case value == "true":
		return []string{"--" + f.Name}
	default:
		return []string{"--" + f.Name + "=" + value}
	}
}

// whichAccount is the error of a login that names no account.
func (a *app) whichAccount() error {
	cfg, _ := a.loadConfig(false) // one that cannot be read shows no accounts here
	return &usageError{
		msg:     "usage: mcp-valet login ACCOUNT (" + accountsOf(cfg) + "; a new one needs --issuer URL or --preset NAME)",
		command: "login",
	}
}
