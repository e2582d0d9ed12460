package refresh

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// metadata is what is known about an issuer, from its own document or from the
// configuration.
type metadata struct {
	issuer     string // as the document names it; the configured one without a document
	endpoints  Endpoints
	style      authStyle
	pkce       bool // PKCE with S256 is advertised
	discovered bool // there is a document
	sendsIss   bool // RFC 9207: the answer in the browser names the issuer
}

// metadata returns what is known about the issuer, asking it at most once. Its
// error wraps ErrDiscovery (what the issuer says of itself is missing or wrong),
// ErrUnreachable, or the end of ctx.
func (c *Client) metadata(ctx context.Context) (*metadata, error) {
	if m := c.found.Load(); m != nil {
		return m, nil
	}
	select {
	case c.discovering <- struct{}{}:
		defer func() { <-c.discovering }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if m := c.found.Load(); m != nil {
		return m, nil
	}
	m, err := c.discover(ctx)
	if err != nil {
		return nil, fmt.Errorf("discovering issuer %s: %w", c.account.Issuer, err)
	}
	c.found.Store(m)
	return m, nil
}

func (c *Client) discover(ctx context.Context) (*metadata, error) {
	if c.account.Endpoints.Token != "" {
		return &metadata{issuer: c.account.Issuer, endpoints: c.account.Endpoints}, nil
	}
	document, err := c.fetchDocument(ctx)
	if err != nil {
		return nil, err
	}
	m, err := readDocument(c.account.Issuer, document)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDiscovery, err)
	}
	m.endpoints = c.account.Endpoints.over(m.endpoints)
	return m, nil
}

// fetchDocument tries the well-known places in turn. It goes on only where the
// server answered that there is nothing, or nothing of use; with no answer at
// all the other places, on the same host, would not answer either.
func (c *Client) fetchDocument(ctx context.Context) (fields, error) {
	var missing []error
	for _, place := range wellKnown(c.issuer) {
		document, err := c.getJSON(ctx, place)
		if err == nil {
			return document, nil
		}
		if !answered(err) {
			return nil, err
		}
		missing = append(missing, err)
	}
	return nil, noDocument(missing)
}

// answered reports whether a failure is the server's word about one place.
func answered(err error) bool {
	var refused *OAuthError
	var none *noAnswer
	return errors.Is(err, ErrInsecureURL) || errors.As(err, &refused) || errors.As(err, &none) && none.cause == nil
}

// noDocument is an ErrUnreachable when a place failed in passing (it may be the
// one that has the document), else an ErrDiscovery.
func noDocument(missing []error) error {
	for _, err := range missing {
		var refused *OAuthError
		if errors.As(err, &refused) && refused.passing() {
			return err
		}
	}
	// %v: a web page at one of the places is no sign of a passing failure.
	return fmt.Errorf("%w: no description at its well-known places: %v", ErrDiscovery, missing[0])
}

// wellKnown lists where an issuer describes itself: OpenID Connect Discovery
// section 4 appends to the path; RFC 8414 section 3 inserts before it, for
// either name.
func wellKnown(issuer *url.URL) []string {
	const oidc, oauth = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"
	origin := issuer.Scheme + "://" + issuer.Host
	path := strings.TrimSuffix(issuer.EscapedPath(), "/")
	places := []string{origin + path + oidc, origin + oauth + path}
	if path != "" {
		places = append(places, origin+oidc+path)
	}
	return places
}

// readDocument checks an issuer's description, RFC 8414 section 2. "The issuer
// value returned MUST be identical" (section 3.3) to the one configured; see
// sameIssuer for what is taken as identical.
func readDocument(configured string, f fields) (*metadata, error) {
	named := f.text("issuer")
	if !sameIssuer(configured, named) {
		return nil, foreignDocument(named)
	}
	issuer, err := checkIssuer(configured)
	if err != nil {
		return nil, err
	}
	m := &metadata{
		issuer: named,
		endpoints: Endpoints{
			Authorization:       f.text("authorization_endpoint"),
			DeviceAuthorization: f.text("device_authorization_endpoint"),
			Token:               f.text("token_endpoint"),
			Revocation:          f.text("revocation_endpoint"),
			JWKS:                f.text("jwks_uri"),
		},
		style:      documentStyle(f),
		pkce:       slices.Contains(f.list("code_challenge_methods_supported"), "S256"),
		discovered: true,
		sendsIss:   f.flag("authorization_response_iss_parameter_supported"),
	}
	if m.endpoints.Token == "" {
		return nil, errors.New("the document names no token endpoint")
	}
	for _, e := range m.endpoints.named() {
		if e.url == "" {
			continue
		}
		if _, err := checkEndpoint(issuer, e.url); err != nil {
			return nil, fmt.Errorf("the document's %s: %w", e.name, byIssuer(err))
		}
	}
	return m, nil
}

// foreignDocument names the other issuer only where that is a URL and no prose.
func foreignDocument(named string) error {
	if _, err := checkURL(named); err != nil || len(named) > 200 {
		return errors.New("the document names another issuer")
	}
	return fmt.Errorf("the document names another issuer, %s", named)
}

// documentStyle: "If omitted, the default is client_secret_basic", RFC 8414
// section 2.
func documentStyle(f fields) authStyle {
	methods := f.list("token_endpoint_auth_methods_supported")
	switch {
	case slices.Contains(methods, "client_secret_post"):
		return styleParams
	case len(methods) == 0, slices.Contains(methods, "client_secret_basic"):
		return styleBasic
	}
	return styleUnknown
}
