package config

import (
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
)

// The keys of a config file, each with who reads it. What is not listed here is refused.

const (
	leastMessage = 4 << 10 // bytes; below that not even an initialize fits
	mostMessage  = 1 << 30
)

// later words the refusal of what the format has and this version has not: to pass over it in silence would let a server
// run without the protection that its entry asks for.
const later = "not supported by this version of mcp-valet"

// config reads the whole file.
func (r *reader) config() *Config {
	c := &Config{Desktop: map[string]string{}, Accounts: map[string]Account{}, Servers: map[string]Server{}}
	var uses []use
	r.members(node{v: r.doc.root}, fields{
		"$schema": func(n node) { r.text(n) },
		"store":   func(n node) { c.Store = r.store(n) },
		"desktop": func(n node) { c.Desktop = r.desktop(n) },
		"audit":   func(n node) { c.Audit = r.audit(n) },
		"accounts": func(n node) {
			r.entries(n, true, func(name string, key, value node) {
				r.checkName(name, key)
				c.Accounts[name] = r.account(name, value)
			})
		},
		"mcpServers": func(n node) {
			r.entries(n, true, func(name string, key, value node) {
				r.checkName(name, key)
				c.Servers[name] = r.server(value, &uses)
			})
		},
	}, map[string]string{"servers": `unknown key (the servers stand in "mcpServers")`})
	r.checkUses(uses, c.Accounts)
	return c
}

func (r *reader) checkName(name string, key node) {
	if !validName(name) {
		r.refuse(key, nameRule)
	}
}

func (r *reader) store(n node) Store {
	var s Store
	r.members(n, fields{"kind": r.into(&s.Kind), "keyFile": r.into(&s.KeyFile)}, nil)
	switch s.Kind {
	case "", "keychain":
		if s.KeyFile != "" {
			r.refuse(n, `"keyFile" belongs to the kind "file"`)
		}
	case "file":
	default:
		r.refuse(n, `"kind" is "keychain" or "file"`)
	}
	return s
}

// desktop reads the variables that lead to the person's screen. A path among them is absolute, since the client starts us
// anywhere.
func (r *reader) desktop(n node) map[string]string {
	vars := map[string]string{}
	known := fields{}
	for _, name := range DesktopVariables() {
		known[name] = func(n node) {
			s := r.plainText(n)
			if (name == "XAUTHORITY" || name == "XDG_RUNTIME_DIR") && s != "" && !filepath.IsAbs(s) {
				r.refuse(n, "must be an absolute path")
			}
			vars[name] = s
		}
	}
	r.members(n, known, nil)
	return vars
}

func (r *reader) account(name string, n node) Account {
	var a Account
	has := r.members(n, fields{
		"issuer":       r.into(&a.Issuer),
		"preset":       r.into(&a.Preset),
		"host":         r.into(&a.Host),
		"clientId":     r.into(&a.ClientID),
		"clientSecret": func(n node) { a.ClientSecret = r.clientSecret(name, n) },
		"scopes":       func(n node) { a.Scopes = r.list(n, r.scope) },
		"audience":     r.into(&a.Audience),
		"resource":     r.into(&a.Resource),
		"endpoints":    func(n node) { a.Endpoints = r.endpoints(n) },
		"caFile":       r.into(&a.CAFile),
		"proxy":        func(n node) { a.Proxy = r.proxy(n) },
		"export":       func(n node) { a.Export = r.flag(n) },
		"roles":        func(n node) { a.Roles = r.roles(n) },
		"tenants":      func(n node) { a.Tenants = r.tenants(n) },
	}, nil)
	switch {
	case has == nil:
	case !has["issuer"] && !has["preset"]:
		r.refuse(n, `needs "issuer" (the address of the identity provider) or "preset"`)
	case has["issuer"] && has["preset"]:
		r.refuse(n, `has both "issuer" and "preset"; one of them says where to sign in`)
	case has["host"] && !has["preset"]:
		r.refuse(n, `"host" belongs to "preset"; an "issuer" is the whole address`)
	case has["issuer"] && !has["clientId"]:
		r.refuse(n, `needs "clientId", the id that the identity provider gave to this program`)
	}
	return a
}

func (r *reader) endpoints(n node) Endpoints {
	var e Endpoints
	r.members(n, fields{
		"authorization":       r.into(&e.Authorization),
		"deviceAuthorization": r.into(&e.DeviceAuthorization),
		"token":               r.into(&e.Token),
		"revocation":          r.into(&e.Revocation),
		"jwks":                r.into(&e.JWKS),
	}, nil)
	return e
}

// clientSecret takes the one reference that is right: the account's own secret. Any other would let an edited file send
// one account's secret to another's issuer.
func (r *reader) clientSecret(account string, n node) string {
	s := r.text(n)
	if want := (Reference{account, clientSecretKey}).String(); kindOf(n.v) == '"' && s != want {
		r.refuse(n, "a client secret is not written here: it must be %q, and \"mcp-valet login %s --client-secret-stdin\" takes the secret itself", want, account)
	}
	return s
}

// scope: RFC 6749 section 3.3, scope-token.
func (r *reader) scope(n node) string {
	s := r.text(n)
	if strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == '"' || c == '\\' || c > '~' }) {
		r.refuse(n, "a scope has no spaces, quotes or backslashes; each one is an entry of its own in the list")
	}
	return s
}

// proxy refuses a password, which would be a secret in the file.
func (r *reader) proxy(n node) string {
	s := r.text(n)
	if u, err := url.Parse(s); err == nil && u.User != nil {
		if _, secret := u.User.Password(); secret {
			r.refuse(n, "a password does not belong in this file; a proxy with a password can be named in HTTPS_PROXY")
		}
	}
	return s
}

// fromElsewhere has a word for keys that other programs know in an entry of mcpServers.
var fromElsewhere = map[string]string{
	"type":     "unknown key; leave it out, every server here speaks stdio",
	"url":      "unknown key; a server here is a command that speaks stdio, not an address",
	"headers":  "unknown key; a server here is a command that speaks stdio, not an address",
	"envFile":  `unknown key; variables stand in "env"`,
	"timeout":  "unknown key; the client's own config has the time limits",
	"disabled": "unknown key; take the server out of the client's config instead",
}

func (r *reader) server(n node, uses *[]use) Server {
	var s Server
	has := r.members(n, fields{
		"command":    func(n node) { s.Command = r.plainText(n) },
		"args":       func(n node) { s.Args = r.list(n, r.argument) },
		"env":        func(n node) { s.Env = r.env(n) },
		"cwd":        func(n node) { s.Cwd = r.plainText(n) },
		"auth":       func(n node) { s.Auth = r.auth(n, uses) },
		"maxMessage": func(n node) { s.MaxMessage = r.number(n, leastMessage, mostMessage) },
		"policy":     func(n node) { s.Policy = r.policy(n) },
		"pin":        func(n node) { r.refuse(n, later+": nothing would compare what the server says of its tools") },
	}, fromElsewhere)
	if has == nil {
		return s
	}
	if !has["command"] {
		r.refuse(n, `needs "command", the program that is the server`)
	}
	if s.Auth != nil {
		r.checkTokenEnv(s, n)
	}
	return s
}

func (r *reader) plainText(n node) string {
	s := r.text(n)
	if mentionsReference(s) {
		r.refuse(n, `a keyring:// reference can only be a value in "env"`)
	}
	return s
}

func (r *reader) argument(n node) string {
	s := r.value(n)
	if mentionsReference(s) {
		r.refuse(n, `secrets are not passed as arguments, which other programs can read; use a variable in "env"`)
	}
	return s
}

// foldEnv: to Windows, Path and PATH are one variable.
const foldEnv = runtime.GOOS == "windows"

func (r *reader) env(n node) map[string]string {
	env := map[string]string{}
	r.entries(n, foldEnv, func(name string, key, value node) {
		r.checkVariable(name, key)
		env[name] = r.variable(name, value)
	})
	return env
}

func (r *reader) checkVariable(name string, n node) {
	switch {
	case name == "" || strings.ContainsFunc(name, func(c rune) bool { return c == '=' || isControl(c) }):
		r.refuse(n, `not the name of an environment variable: it is not empty and has no "=" and no control characters`)
	case ours(name):
		r.refuse(n, "variables that begin with MCP_VALET_ are for mcp-valet and not passed to servers")
	}
}

func ours(name string) bool { return strings.HasPrefix(strings.ToUpper(name), "MCP_VALET_") }

// neverPlain are variables whose value lets its reader make or accept credentials.
var neverPlain = map[string]bool{"MCP_JWT_SECRET": true, "MCP_API_KEYS": true}

// variable reads the value of an environment variable, which may stand for a secret.
func (r *reader) variable(name string, n node) string {
	s := r.value(n)
	_, _, err := ParseReference(s)
	switch {
	case kindOf(n.v) != '"' || err == nil:
	case mentionsReference(s):
		r.refuse(n, "%v, and nothing beside it", err)
	case neverPlain[name] && s != "":
		r.refuse(n, "a secret is not written here: keep it with \"mcp-valet secret set NAME %s\" and refer to it as \"keyring://NAME/%s\"", name, name)
	}
	return s
}

// checkTokenEnv refuses to set one variable twice.
func (r *reader) checkTokenEnv(s Server, n node) {
	for name := range s.Env {
		if name == s.Auth.TokenEnv || foldEnv && strings.EqualFold(name, s.Auth.TokenEnv) {
			r.refuse(n, "the variable %s is set by both \"env\" and \"auth\"; leave it out of \"env\"", shown(name))
		}
	}
}
