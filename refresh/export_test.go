package refresh

import (
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"
)

// SetTransport puts c on another network.
func (c *Client) SetTransport(rt http.RoundTripper) { c.http = newHTTPClient(rt) }

// SetBrowserWait is how long the browser way waits for the person.
func (c *Client) SetBrowserWait(d time.Duration) { c.browserWait = d }

// ProxyFor is the proxy that c would take for a URL; "" is none.
func (c *Client) ProxyFor(to string) (string, error) {
	r, err := http.NewRequest(http.MethodGet, to, nil)
	if err != nil {
		return "", err
	}
	u, err := c.http.Transport.(*http.Transport).Proxy(r)
	if u == nil {
		return "", err
	}
	return u.String(), err
}

// ParseToken reads a token endpoint's answer.
func ParseToken(status int, mediaType, body string, asked time.Time) (*oauth2.Token, error) {
	return (&answer{op: "POST test", status: status, mediaType: mediaType, body: []byte(body)}).token(asked)
}

// ParseDeviceCode reads a device authorization endpoint's answer to c.
func (c *Client) ParseDeviceCode(status int, mediaType, body string, asked time.Time) (*oauth2.DeviceAuthResponse, time.Duration, error) {
	a := &answer{op: "POST test", status: status, mediaType: mediaType, body: []byte(body)}
	d, err := c.readDeviceCode(a, asked)
	if err != nil {
		return nil, 0, err
	}
	return &d.DeviceAuthResponse, d.interval, nil
}

// RouteOf is the route of an account that names no CA file, for credentials made by hand.
func RouteOf(a Account) string { return routeOf(a, nil) }

var (
	CheckURL   = checkURL
	SameIssuer = sameIssuer
	Notice     = notice
)

func CheckEndpoint(issuer, raw string) error {
	u, err := url.Parse(issuer)
	if err != nil {
		return err
	}
	_, err = checkEndpoint(u, raw)
	return err
}
