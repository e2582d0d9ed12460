package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"mcp-valet/internal/config"
	"mcp-valet/refresh"
)

func presetNames() string {
	var names []string
	for _, p := range refresh.Presets() {
		name := p.Name
		if p.Needs != "" {
			name += " (--host " + strings.ToUpper(p.Needs) + ")"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

func (o *loginOptions) declare(fs *pflag.FlagSet) {
	acc := &o.account
	fs.StringVar(&acc.Issuer, "issuer", "", "address (`URL`) of the identity provider, as it calls itself")
	fs.StringVar(&acc.Preset, "preset", "", "a known `provider` instead of --issuer")
	fs.StringVar(&acc.Host, "host", "", "tenant, domain or realm `address` that the preset needs")
	fs.StringVar(&acc.ClientID, "client-id", "", "`id` of the public client registered at the provider")
	fs.BoolVar(&o.secretStdin, "client-secret-stdin", false, "read a client secret from stdin; it goes to the keychain")
	fs.StringArrayVar(&o.scopes, "scope", nil, "`scope` to ask for (may be repeated)")
	fs.StringVar(&acc.Audience, "audience", "", "`audience` that the access token must be for")
	fs.StringVar(&acc.Resource, "resource", "", "resource (`URI`) that the access token is for, RFC 8707")
	fs.StringVar(&acc.Endpoints.DeviceAuthorization, "device-endpoint", "", "device authorization `URL`, where the issuer publishes none")
	fs.StringVar(&acc.Endpoints.Authorization, "authorization-endpoint", "", "authorization `URL`, where the issuer publishes none")
	fs.StringVar(&acc.Endpoints.Token, "token-endpoint", "", "token `URL`; given, nothing is asked of the issuer's discovery")
	fs.StringVar(&acc.Endpoints.Revocation, "revocation-endpoint", "", "revocation `URL`")
	fs.StringVar(&acc.Endpoints.JWKS, "jwks", "", "`URL` of the issuer's keys")
	fs.StringVar(&acc.CAFile, "ca-file", "", "PEM `file` with further certificate authorities")
	fs.StringVar(&acc.Proxy, "proxy", "", "proxy `URL` (default: the environment's)")
	fs.BoolVar(&acc.Export, "export", false, "let `mcp-valet token` hand the token to scripts")
	fs.BoolVar(&o.browser, "browser", false, "sign in in a browser on this machine instead of by code")
	fs.BoolVar(&o.device, "device", false, "sign in by code, in a browser anywhere")
	fs.BoolVar(&o.noOpen, "no-open", false, "do not open a browser")
}

// merge lays the options over what the config says of the account and tells whether that changes it.
func (o *loginOptions) merge(name string, acc config.Account) (config.Account, bool) {
	given, old := o.account, acc
	if given.Issuer != "" || given.Preset != "" {
		acc.Preset, acc.Host, acc.Issuer = given.Preset, given.Host, given.Issuer
		acc.Endpoints = config.Endpoints{}
	}
	for _, f := range []struct {
		dst *string
		v   string
	}{
		{&acc.Host, given.Host}, {&acc.ClientID, given.ClientID}, {&acc.Audience, given.Audience}, {&acc.Resource, given.Resource},
		{&acc.Endpoints.DeviceAuthorization, given.Endpoints.DeviceAuthorization},
		{&acc.Endpoints.Authorization, given.Endpoints.Authorization}, {&acc.Endpoints.Token, given.Endpoints.Token},
		{&acc.Endpoints.Revocation, given.Endpoints.Revocation}, {&acc.Endpoints.JWKS, given.Endpoints.JWKS},
		{&acc.CAFile, absolute(given.CAFile)}, {&acc.Proxy, given.Proxy},
	} {
		setIf(f.dst, f.v)
	}
	if o.scopes != nil {
		acc.Scopes = splitScopes(o.scopes)
	}
	acc.Export = acc.Export || given.Export
	if o.secretStdin {
		acc.ClientSecret = "keyring://" + name + "/" + clientSecretKey
	}
	return acc, !sameAccount(old, acc)
}

// noAccount says that the config has no such account, which it has, and how to make one.
func noAccount(cfg *config.Config, name string) error {
	return &hinted{
		&config.Error{Path: cfg.Path, Key: "accounts", Msg: fmt.Sprintf("there is no account %q (%s)", name, accountsOf(cfg))},
		"to make it: mcp-valet login " + shellWord(name) + " --issuer URL --client-id ID",
	}
}

// accountsOf tells which accounts there are.
func accountsOf(cfg *config.Config) string {
	if cfg == nil || len(cfg.Accounts) == 0 {
		return "there is none so far"
	}
	return "there is " + strings.Join(sortedKeys(cfg.Accounts), ", ")
}

// checkAccount finds out before the person signs in whether the config will take the account.
func checkAccount(cfg *config.Config, name string, conf config.Account) error {
	if conf.Issuer == "" && conf.Preset == "" {
		return &usageError{
			msg:     fmt.Sprintf("there is no account %q yet (%s): say where to sign in, with --issuer URL or --preset NAME", name, accountsOf(cfg)),
			command: "login",
		}
	}
	account, err := resolveAccount(name, conf)
	if err != nil {
		return &usageError{msg: err.Error(), command: "login"}
	}
	if account.ClientID == "" {
		return &usageError{msg: "give the id of the client that is registered at the provider, with --client-id ID", command: "login"}
	}
	text, err := os.ReadFile(cfg.Path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("reading the config: %w", err)
	}
	_, err = config.SetAccount(text, name, conf)
	return err
}

// clientSecretKey names the secret of an account that holds its client secret.
const clientSecretKey = "CLIENT_SECRET"

func absolute(path string) string {
	if path == "" {
		return ""
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	return abs
}

// splitScopes takes both --scope a --scope b and --scope "a b".
func splitScopes(given []string) []string {
	var scopes []string
	for _, s := range given {
		scopes = append(scopes, strings.Fields(s)...)
	}
	return scopes
}

func sameAccount(x, y config.Account) bool {
	sx, sy := strings.Join(x.Scopes, " "), strings.Join(y.Scopes, " ")
	x.Scopes, y.Scopes = nil, nil
	return sx == sy && fmt.Sprint(x) == fmt.Sprint(y)
}
