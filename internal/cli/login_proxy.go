package cli

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"mcp-valet/refresh"
)

// proxySchemes are those that an account's proxy may have.
var proxySchemes = []string{"http", "https", "socks5", "socks5h"}

// proxyToRecord is the proxy that the environment names for the account's issuer, "" for none, to be written down with
// the account: clients hand on no such variables. One that the account has already stays, and a password is not written
// into a file.
func (a *app) proxyToRecord(account refresh.Account) string {
	issuer, err := url.Parse(cmpOr(account.Issuer, account.Endpoints.Token))
	if err != nil || account.Proxy != "" || thisMachine(issuer.Hostname()) {
		return ""
	}
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: issuer})
	switch {
	case err != nil || proxy == nil || !slices.Contains(proxySchemes, proxy.Scheme):
		return ""
	case proxy.User != nil:
		a.sayf("The environment names a proxy with a user name or password, which is not recorded. A client hands that variable on only if its own config sets it.")
		return ""
	}
	a.sayf("The environment's proxy is recorded for the account, since clients do not hand it on: %s", printable(proxy.String()))
	return proxy.String()
}

func thisMachine(host string) bool {
	return strings.EqualFold(host, "localhost") || net.ParseIP(host).IsLoopback()
}
