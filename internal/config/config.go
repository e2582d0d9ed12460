// Package config reads and edits mcp-valet's config file.
package config

import (
	"path/filepath"
)

// DefaultTokenEnv is the environment variable that a server reads its token from unless auth.tokenEnv names another.
const DefaultTokenEnv = "MCP_AUTH_TOKEN"

// Config is the content of one config file. All maps are always there.
type Config struct {
	Path     string // the file it was read from
	Store    Store
	Desktop  map[string]string // how to reach the person's screen, where a client hands on no such variables; see DesktopVariables
	Accounts map[string]Account
	Servers  map[string]Server
	Audit    *Audit // nil: the log is kept as it is by default
}

// DesktopVariables are the environment variables that "desktop" may have: what a program on Linux needs to show a window.
// All other variables are refused there: the programs that open windows would take libraries and programs from some.
func DesktopVariables() []string {
	return []string{"DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_CURRENT_DESKTOP", "XDG_RUNTIME_DIR"}
}

// Store says where credentials are kept.
type Store struct {
	Kind    string // "" or "keychain": the operating system's keychain; "file": sealed files
	KeyFile string // key of the sealed files; absolute once parsed
}

// Account is one sign-in at one issuer. Its URLs are as written: package refresh judges them.
type Account struct {
	Issuer       string // exactly one of Issuer and Preset is set
	Preset       string
	Host         string // tenant, domain or realm that the preset needs
	ClientID     string
	ClientSecret string // "" or "keyring://ACCOUNT/CLIENT_SECRET", never the secret itself
	Scopes       []string
	Audience     string
	Resource     string
	Endpoints    Endpoints
	CAFile       string // absolute once parsed
	Proxy        string
	Export       bool // scripts may ask for the token
	Roles        *Roles
	Tenants      *Tenants
}

// Endpoints are the URLs of an issuer that publishes none, or not the right ones.
type Endpoints struct {
	Authorization, DeviceAuthorization, Token, Revocation, JWKS string
}

// Server is one entry of mcpServers: how to start a server and what it is given.
type Server struct {
	Command    string
	Args       []string
	Env        map[string]string // as written: a value may be a reference to a secret, see Secrets
	Cwd        string            // absolute once parsed; "" is wherever the client started us
	Auth       *Auth             // nil: the server gets no token
	MaxMessage int               // bytes in one message; 0 takes the default
	Policy     *Policy           `json:",omitempty"` // nil: whoever is let in may do everything
}

// Auth says where a server's token comes from and how it is handed over.
type Auth struct {
	Kind     string // "account", "secret", "issuer", "client" or "none"; never empty once parsed
	Account  string // set exactly when Kind is "account"
	TokenEnv string // set unless Kind is "none"
	Renew    string // "" (as "restart"), "restart", "restart-exclusive", "file", "meta" or "off"

	// OnUnauthorized are texts in a server's errors that say that it does not take its token, whatever their case.
	OnUnauthorized []string

	// What follows says who is calling, where no account does.

	User      string   `json:",omitempty"` // for the kind "issuer" whom tokens are made for; for "secret" and "none" who the caller is taken for
	Audience  string   `json:",omitempty"` // of tokens, for the kinds "issuer" and "client"; "" is the server's name
	JWTSecret string   `json:",omitempty"` // "" or the reference to a secret that tokens are signed with (HS256)
	APIKeys   string   `json:",omitempty"` // "" or the reference to the keys that the kind "client" accepts
	Roles     *Roles   `json:",omitempty"`
	Tenants   *Tenants `json:",omitempty"`
}

// Secrets gives the values of the server's environment that stand for a secret in the keychain, by variable.
func (s Server) Secrets() map[string]Reference {
	refs := map[string]Reference{}
	for name, value := range s.Env {
		if owner, key, err := ParseReference(value); err == nil {
			refs[name] = Reference{Owner: owner, Key: key}
		}
	}
	return refs
}

// Load reads a config file. It refuses one that another user of the machine could have written, and returns an error
// that wraps [os.ErrNotExist] when there is none. What is wrong inside the file comes as one or more [*Error], joined.
func Load(path string) (*Config, error) {
	b, err := read(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, b)
}

// Parse reads the text of a config file: JSON with comments and trailing commas, in UTF-8, with or without a byte order
// mark. It is strict: an unknown or a repeated key is an error. All errors are told at once, as [*Error], joined.
// path names the file in errors, and relative paths inside the file start from its folder.
func Parse(path string, b []byte) (*Config, error) {
	doc, err := parseDocument(path, b)
	if err != nil {
		return nil, err
	}
	r := newReader(doc)
	cfg := r.config()
	if err := r.err(); err != nil {
		return nil, err
	}
	cfg.Path = path
	cfg.makeAbsolute(filepath.Dir(path))
	return cfg, nil
}

// makeAbsolute lets the config's paths mean the same file wherever the client starts us.
func (c *Config) makeAbsolute(dir string) {
	abs := func(p string) string {
		if p == "" || filepath.IsAbs(p) {
			return p
		}
		return filepath.Join(dir, p)
	}
	c.Store.KeyFile = abs(c.Store.KeyFile)
	if c.Audit != nil {
		c.Audit.Dir = abs(c.Audit.Dir)
	}
	for name, a := range c.Accounts {
		a.CAFile = abs(a.CAFile)
		c.Accounts[name] = a
	}
	for name, s := range c.Servers {
		s.Cwd = abs(s.Cwd)
		if s.Policy != nil {
			s.Policy.File = abs(s.Policy.File)
		}
		c.Servers[name] = s
	}
}
