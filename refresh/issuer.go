package refresh

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// sameIssuer reports whether an issuer that a document, a record or a token names
// is the configured one: the same text; the same but for one closing slash, which
// people leave out (same host and path, so the same party); or, at Microsoft
// alone, the same tenant.
func sameIssuer(configured, named string) bool {
	if named == "" {
		return false
	}
	return strings.TrimSuffix(configured, "/") == strings.TrimSuffix(named, "/") || sameTenant(configured, named)
}

// Microsoft's clouds, each with its own sign-in host.
var microsoftHosts = []string{
	"login.microsoftonline.com",
	"login.microsoftonline.us",
	"login.partner.microsoftonline.cn",
}

// tenantID matches a tenant's id, or the template. It is compiled at its first use, since most starts need none.
var tenantID = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|\{tenantid\})$`)
})

func microsoft(issuer string) bool {
	u, err := url.Parse(issuer)
	return err == nil && slices.Contains(microsoftHosts, u.Host)
}

// sameTenant: where a tenant is configured by its domain, or as "organizations",
// "common" or "consumers", Microsoft's document names it by its id, or by the
// template {tenantid}. A configured id is left to the exact comparison.
func sameTenant(configured, named string) bool {
	if !microsoft(configured) {
		return false
	}
	prefix, tenant, rest := cutTenant(configured)
	namedPrefix, id, namedRest := cutTenant(named)
	return prefix == namedPrefix && rest == namedRest && !tenantID().MatchString(tenant) && tenantID().MatchString(id)
}

// cutTenant splits "https://host/" "tenant" "/v2.0".
func cutTenant(issuer string) (prefix, tenant, rest string) {
	scheme, after, _ := strings.Cut(issuer, "://")
	host, path, _ := strings.Cut(after, "/")
	tenant, rest, _ = strings.Cut(path, "/")
	return scheme + "://" + host + "/", tenant, strings.TrimSuffix(rest, "/")
}
