package issuer

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Options says what an issuer hands out, to which clients and for which people.
// Only Audience, Clients and Users are needed; every zero duration and number
// stands for the default named beside it.
type Options struct {
	Addr string // where Start listens, loopback only; "" = 127.0.0.1:0, a free port
	URL  string // the issuer identifier, scheme and host only; "" = http:// and the address Start got

	Audience  string   // the aud of a token for which the client named no resource (RFC 9068 section 3)
	Resources []string // further values a client may ask for with resource (RFC 8707) or audience
	Scopes    []string // what can be granted besides openid and offline_access; all of it when a client names no scope

	Clients []Client
	Users   []User

	// Approver says who sits before an approval page. Telling people apart, by a
	// password or anything else, is wholly its business: the issuer believes it.
	// nil means the only one of Users, taken at their word and without a password,
	// which suits a demonstration on one's own machine and nothing else; with
	// several users and no Approver the pages approve nothing.
	// It may be called by several requests at once.
	Approver func(*http.Request) (subject string, err error)

	AccessTTL  time.Duration // life of an access token and an id_token, at least 1 s; 0 = 5 min
	RefreshTTL time.Duration // life of an unused refresh token, anew at each rotation; 0 = 30 days
	DeviceTTL  time.Duration // how long a device code waits for a person; 0 = 10 min
	Interval   time.Duration // least time between two polls for a device code; 0 = 5 s
	MaxGrants  int           // most sign-ins, and most pending requests of each kind, held at a time; 0 = 10,000
}

// Client is a program that may ask this issuer for tokens.
type Client struct {
	ID   string // the client_id, [A-Za-z0-9_.-]{1,128}
	Name string // shown on the approval page; "" = the ID

	// SecretHash is the SHA-256 sum of the secret of a confidential client, empty
	// for a public one. Nothing slower is needed for a secret of 128 random bits.
	SecretHash []byte

	// RedirectURIs are the loopback addresses (http, 127.0.0.1, [::1] or localhost)
	// an authorization code may be sent to. A port in them is ignored and any port
	// is accepted (RFC 8252 section 7.3). None: no authorization code grant.
	RedirectURIs []string
}

// User is a person who may approve a sign-in.
type User struct {
	Subject string   // the sub claim
	Roles   []string // the roles claim (RFC 9068 section 2.2.3.1)
}

// standardScopes need no mention in Options.Scopes.
var standardScopes = []string{"openid", "offline_access"}

const minAccessTTL = time.Second // exp counts whole seconds

// complete fills in defaults and returns a copy, or says what is wrong.
func (o Options) complete() (Options, error) {
	orDuration := func(d *time.Duration, standard time.Duration) {
		if *d == 0 {
			*d = standard
		}
	}
	orDuration(&o.AccessTTL, 5*time.Minute)
	orDuration(&o.RefreshTTL, 30*24*time.Hour)
	orDuration(&o.DeviceTTL, 10*time.Minute)
	orDuration(&o.Interval, 5*time.Second)
	if o.MaxGrants == 0 {
		o.MaxGrants = 10_000
	}
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	o.Clients = slices.Clone(o.Clients)
	o.Users = slices.Clone(o.Users)
	if o.Approver == nil {
		o.Approver = onlyUser(o.Users)
	}
	return o, o.check()
}

// onlyUser is the Approver of Options that have none.
func onlyUser(users []User) func(*http.Request) (string, error) {
	return func(*http.Request) (string, error) {
		if len(users) != 1 {
			return "", errors.New("nobody is set to tell who you are")
		}
		return users[0].Subject, nil
	}
}

func (o Options) check() error {
	switch {
	case o.Audience == "":
		return errors.New("issuer options: no audience")
	case o.AccessTTL < minAccessTTL:
		return fmt.Errorf("issuer options: access tokens cannot live less than %v", minAccessTTL)
	case o.RefreshTTL < 0 || o.DeviceTTL < 0 || o.Interval < 0 || o.MaxGrants < 0:
		return errors.New("issuer options: a negative limit")
	}
	if err := checkListenAddress(o.Addr); err != nil {
		return err
	}
	if o.URL != "" {
		if err := checkIssuerURL(o.URL); err != nil {
			return err
		}
	}
	for _, s := range o.Scopes {
		if !validScope(s) {
			return fmt.Errorf("issuer options: scope %q is not a scope token of RFC 6749 section 3.3", s)
		}
	}
	for _, u := range o.Users {
		if u.Subject == "" {
			return errors.New("issuer options: a user without a subject")
		}
	}
	return checkClients(o.Clients)
}

func checkListenAddress(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("issuer options: listen address: %w", err)
	}
	if !isLoopback(host) {
		return fmt.Errorf("issuer options: listen address %q is not a loopback address", addr)
	}
	return nil
}

// checkIssuerURL also guards what is printed into headers and pages later.
func checkIssuerURL(s string) error {
	u, err := url.Parse(s)
	if err != nil {
		return fmt.Errorf("issuer URL: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || s != u.Scheme+"://"+u.Host {
		return fmt.Errorf("issuer URL %q is not just http(s)://host", s)
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return fmt.Errorf("issuer URL %q: http is for loopback addresses only", s)
	}
	return nil
}

func checkClients(clients []Client) error {
	seen := map[string]bool{}
	for _, c := range clients {
		switch {
		case !validClientID(c.ID):
			return fmt.Errorf("issuer options: client id %q is not of [A-Za-z0-9_.-]{1,128}", c.ID)
		case seen[c.ID]:
			return fmt.Errorf("issuer options: client %q is there twice", c.ID)
		case len(c.SecretHash) != 0 && len(c.SecretHash) != sha256.Size:
			return fmt.Errorf("issuer options: client %q: the secret hash is not a SHA-256 sum", c.ID)
		}
		seen[c.ID] = true
		for _, r := range c.RedirectURIs {
			if _, ok := parseRedirect(r); !ok {
				return fmt.Errorf("issuer options: client %q: redirect URI %q is not an http loopback address", c.ID, r)
			}
		}
	}
	return nil
}

// scopesSupported lists what can be granted, for the metadata document.
func (o Options) scopesSupported() []string {
	return append(slices.Clone(standardScopes), o.Scopes...)
}

func (c *Client) title() string {
	if c.Name != "" {
		return c.Name
	}
	return c.ID
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func validClientID(s string) bool {
	const others = "_.-"
	return len(s) >= 1 && len(s) <= 128 && !strings.ContainsFunc(s, func(r rune) bool {
		alphanumeric := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !alphanumeric && !strings.ContainsRune(others, r)
	})
}

// validScope reports whether s is a scope-token of RFC 6749 section 3.3.
func validScope(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || r == '"' || r == '\\'
	})
}
