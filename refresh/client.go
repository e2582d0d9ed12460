package refresh

import (
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// Client speaks for one account to its issuer. It is safe for concurrent use.
type Client struct {
	account Account
	issuer  *url.URL // account.Issuer, checked
	route   string   // as routeOf: what http goes by
	http    *http.Client

	// One caller at a time discovers; the others wait, each with its own
	// context. The place in the channel is the right to set found.
	discovering chan struct{}
	found       atomic.Pointer[metadata]

	style       atomic.Int32  // an authStyle: the one that worked when the other did not
	browserWait time.Duration // how long the browser way waits for the person
	codes       int           // how many the device way shows, each after the other ran out
}

// New checks an account (its URLs must be https, loopback may be http), reads
// its CA file and makes a client for it. It speaks to nobody yet.
func New(a Account) (*Client, error) {
	issuer, err := a.validate()
	if err != nil {
		return nil, err
	}
	pem, err := readCA(a.CAFile)
	if err != nil {
		return nil, fmt.Errorf("account %q: %w", a.Name, err)
	}
	transport, err := a.transport(pem)
	if err != nil {
		return nil, fmt.Errorf("account %q: %w", a.Name, err)
	}
	return &Client{
		account:     a,
		issuer:      issuer,
		route:       routeOf(a, pem),
		http:        newHTTPClient(transport),
		discovering: make(chan struct{}, 1),
		browserWait: 5 * time.Minute,
		codes:       maxCodes,
	}, nil
}

// transport is what carries the requests to the issuer; pem is what CAFile holds.
func (a Account) transport(pem []byte) (http.RoundTripper, error) {
	if a.Transport != nil {
		return a.Transport, nil
	}
	return newTransport(a.CAFile, pem, a.Proxy)
}

// closeIdle lets go of connections kept for the next request; called at the end
// of each piece of work.
func (c *Client) closeIdle() { c.http.CloseIdleConnections() }
