package refresh

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

const maxURL = 2048

// urlBytes are the characters a URL may hold without escaping, RFC 3986 section
// 2, less "#": whatever opens the URL later (a browser, the shell of some
// desktop) sees no quote, space, backslash or control character.
const urlBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" +
	"-._~:/?[]@!$&'()*+,;=%"

// checkURL parses a URL that came from the configuration or from an issuer. It
// accepts https, and http on loopback, and nothing that hides where it leads.
// Its errors wrap ErrInsecureURL and never repeat the URL.
func checkURL(raw string) (*url.URL, error) {
	if raw == "" {
		return nil, insecure("is empty")
	}
	if len(raw) > maxURL {
		return nil, insecure("is longer than %d bytes", maxURL)
	}
	for i := range len(raw) {
		if strings.IndexByte(urlBytes, raw[i]) < 0 {
			return nil, insecure("holds a character that no endpoint needs, at byte %d", i+1)
		}
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, insecure("cannot be parsed")
	}
	return u, checkParsed(u)
}

func checkParsed(u *url.URL) error {
	switch {
	case u.User != nil:
		return insecure("holds a user name")
	case u.Opaque != "" || u.Host == "":
		return insecure("names no host")
	case !validHost(u.Hostname()) || !validPort(u):
		return insecure("names no valid host and port")
	case hidesControls(u):
		return insecure("holds an escaped control character")
	case u.Scheme == "https", u.Scheme == "http" && loopbackHost(u.Hostname()):
		return nil
	case u.Scheme == "http":
		return insecure("is http, which is accepted on loopback only")
	}
	return insecure("is not https")
}

func insecure(format string, a ...any) error {
	return fmt.Errorf("%w: it "+format, append([]any{ErrInsecureURL}, a...)...)
}

// validHost accepts an IP literal without zone, or a name in ASCII. A last label
// that a browser would read as part of a number ("https://2130706433/" is
// 127.0.0.1) is no name.
func validHost(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Zone() == ""
	}
	if len(host) > 253 {
		return false
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if !validLabel(label) {
			return false
		}
	}
	last := labels[len(labels)-1]
	return last[0] < '0' || last[0] > '9'
}

func validLabel(label string) bool {
	if label == "" || len(label) > 63 {
		return false
	}
	for _, b := range []byte(label) {
		if !alphanumeric(b) && b != '-' && b != '_' {
			return false
		}
	}
	return true
}

func alphanumeric(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9'
}

func validPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && n > 0
}

func hidesControls(u *url.URL) bool {
	query, err := url.QueryUnescape(u.RawQuery)
	return err != nil || hasControl(u.Path) || hasControl(query)
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || 0x7f <= r && r <= 0x9f })
}

// loopbackHost reports whether a host is this machine by its name: 127.0.0.0/8,
// ::1 or localhost.
func loopbackHost(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// localAddress reports whether a host is an address that means something else
// on every network: loopback, private, link-local (cloud metadata), unspecified.
func localAddress(host string) bool {
	if loopbackHost(host) {
		return true
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	a = a.Unmap()
	return a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsUnspecified()
}

// checkEndpoint parses a URL that an issuer named. It may lead to another public
// host (Google's endpoints do), but an issuer elsewhere may not point us at our
// own machine or network.
func checkEndpoint(issuer *url.URL, raw string) (*url.URL, error) {
	u, err := checkURL(raw)
	if err != nil {
		return nil, err
	}
	if strings.EqualFold(u.Hostname(), issuer.Hostname()) || loopbackHost(issuer.Hostname()) {
		return u, nil
	}
	if localAddress(u.Hostname()) {
		return nil, insecure("points into the local network, where its issuer is not")
	}
	return u, nil
}

// byIssuer is err, about a URL, where an issuer named the URL.
func byIssuer(err error) error { return fmt.Errorf("%w: %w", ErrIssuerAddress, err) }

// originOf is the origin of a URL in writing, "https://login.example.com"; one
// that is no acceptable URL has none.
func originOf(raw string) string {
	u, err := checkURL(raw)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// sameOrigin compares scheme, host and port (RFC 6454 section 5).
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "http":
		return "80"
	}
	return "443"
}
