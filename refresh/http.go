package refresh

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	requestTime  = 15 * time.Second // one request, from dialling to the last byte
	maxBody      = 1 << 20
	maxRedirects = 3
	maxPause     = 5 * time.Minute // the longest Retry-After we follow
)

// newTransport makes the connections to an issuer: TLS 1.2 or newer, the
// system's roots plus those in pem, and never a proxy for loopback.
func newTransport(caFile string, pem []byte, proxy string) (*http.Transport, error) {
	roots, err := rootsWith(caFile, pem)
	if err != nil {
		return nil, err
	}
	via, err := proxyFunc(proxy)
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		Proxy:                  via,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout:    10 * time.Second,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, res *http.Response) error {
			if res.StatusCode != http.StatusOK {
				return proxyRefusal(res.StatusCode)
			}
			return nil
		},
	}, nil
}

// readCA reads a CA file; no name is no file.
func readCA(caFile string) ([]byte, error) {
	if caFile == "" {
		return nil, nil
	}
	pem, err := readBounded(caFile, maxBody)
	if err != nil {
		return nil, fmt.Errorf("reading CA file %q: %w", caFile, err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading CA file %q: no PEM certificate in it", caFile)
	}
	return pem, nil
}

// rootsWith returns the system's roots with those in pem, which is what caFile
// holds; nil, the system's alone, when there is no file.
func rootsWith(caFile string, pem []byte) (*x509.CertPool, error) {
	if caFile == "" {
		return nil, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("reading the system's certificates: %w", err)
	}
	roots.AppendCertsFromPEM(pem) // readCA has seen that there are some
	return roots, nil
}

// proxyFunc chooses the proxy of a request. Neither a proxy's URL nor a parser's
// complaint about it is repeated: it may hold a password.
func proxyFunc(proxy string) (func(*http.Request) (*url.URL, error), error) {
	choose := func(r *http.Request) (*url.URL, error) {
		u, err := http.ProxyFromEnvironment(r)
		if err != nil {
			return nil, errors.New("the environment names a proxy that is no URL")
		}
		return u, nil
	}
	if proxy != "" {
		fixed, err := url.Parse(proxy)
		if err != nil || fixed.Hostname() == "" || !proxyScheme(fixed.Scheme) {
			return nil, errors.New("proxy: not a URL of the form http://host:port (or https, socks5, socks5h)")
		}
		choose = http.ProxyURL(fixed)
	}
	return func(r *http.Request) (*url.URL, error) {
		if loopbackHost(r.URL.Hostname()) {
			return nil, nil
		}
		return choose(r)
	}, nil
}

func proxyScheme(s string) bool {
	return s == "http" || s == "https" || s == "socks5" || s == "socks5h"
}

func newHTTPClient(transport http.RoundTripper) *http.Client {
	return &http.Client{Transport: transport, Timeout: requestTime, CheckRedirect: checkRedirect}
}

// checkRedirect follows no redirect of a POST (its body holds a secret), and of
// a GET only one within the same origin.
func checkRedirect(next *http.Request, via []*http.Request) error {
	if via[0].Method != http.MethodGet {
		return http.ErrUseLastResponse
	}
	if _, err := checkURL(next.URL.String()); err != nil {
		return err
	}
	if !sameOrigin(next.URL, via[0].URL) {
		return insecure("redirects to another origin")
	}
	if len(via) > maxRedirects {
		return insecure("redirects too often")
	}
	return nil
}

// answer is a response that came in whole.
type answer struct {
	op         string // "POST https://login.example.com/token", for errors
	status     int
	mediaType  string
	body       []byte
	retryAfter time.Duration
}

func (a *answer) ok() bool { return a.status >= 200 && a.status <= 299 }

// unusable is the error for an answer that is not what was asked for. It says
// so without a byte of the answer.
func (a *answer) unusable(reason string) error {
	return &noAnswer{op: a.op, reason: reason}
}

// do sends one request and reads the whole answer, or says in our own words why
// there is none. An error wraps ErrUnreachable, ErrInsecureURL (a redirect) or
// the end of ctx.
func (c *Client) do(req *http.Request) (*answer, error) {
	req.Header.Set("User-Agent", "mcp-valet")
	req.Header.Set("Accept", "application/json")
	op := req.Method + " " + bare(req.URL)
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.failed(req.Context(), op, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err != nil {
		return nil, c.failed(req.Context(), op, err)
	}
	a := &answer{op: op, status: res.StatusCode, body: body, retryAfter: retryAfter(res.Header)}
	// A media type that cannot be parsed is like none: the body decides.
	a.mediaType, _, _ = mime.ParseMediaType(res.Header.Get("Content-Type"))
	if len(body) > maxBody {
		if a.ok() {
			return nil, a.unusable("the answer is larger than 1 MiB")
		}
		a.body = nil // the status says enough
	}
	if a.status >= 300 && a.status <= 399 {
		return nil, a.unusable("answered with a redirect, which is not followed")
	}
	return a, nil
}

// bare is a URL for error texts: without its query, and without a path so long
// that it may be prose.
func bare(u *url.URL) string {
	short := &url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	if len(u.Path) > 200 {
		short.Path = ""
	}
	return short.String()
}

// retryAfter reads the header of that name (RFC 9110 section 10.2.3), bounded.
func retryAfter(h http.Header) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseUint(v, 10, 32); err == nil {
		return min(time.Duration(n)*time.Second, maxPause)
	}
	if at, err := http.ParseTime(v); err == nil {
		return min(max(time.Until(at), 0), maxPause)
	}
	return 0
}

// getJSON fetches a public document, whose URL was checked before.
// An answer that is no JSON object, or has no 2xx status, is an error.
func (c *Client) getJSON(ctx context.Context, from string) (fields, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, insecure("cannot be requested")
	}
	a, err := c.do(req)
	if err != nil {
		return nil, err
	}
	if !a.ok() {
		return nil, &OAuthError{Status: a.status, retryAfter: a.retryAfter}
	}
	return a.json()
}
