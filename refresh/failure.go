package refresh

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
)

// noAnswer is a request that brought no usable answer. Its text is ours: what a
// server or proxy wrote never gets into it.
type noAnswer struct {
	op     string // "POST https://login.example.com/token"
	reason string
	cause  error // may be nil
}

func (e *noAnswer) Error() string { return e.op + ": " + e.reason }

func (e *noAnswer) Unwrap() []error {
	if e.cause == nil {
		return []error{ErrUnreachable}
	}
	return []error{ErrUnreachable, e.cause}
}

// proxyRefusal is the status with which a proxy refused to connect us.
type proxyRefusal int

func (proxyRefusal) Error() string { return "refused by the proxy" }

// failed turns what net/http says into our words. Connections are dropped, so
// that the next attempt dials anew: after a sleep the old ones are dead.
func (c *Client) failed(ctx context.Context, op string, err error) error {
	c.closeIdle()
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // without the URL, which may be one we were redirected to
	}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("%s: %w", op, context.Canceled)
	case errors.Is(err, ErrInsecureURL):
		return fmt.Errorf("%s: %w", op, byIssuer(err)) // a redirect
	}
	return &noAnswer{op: op, reason: reason(err), cause: err}
}

// reason words the failures that a person can do something about.
func reason(err error) string {
	var (
		timeout  net.Error
		name     *net.DNSError
		dial     *net.OpError
		unknown  x509.UnknownAuthorityError
		wrong    x509.HostnameError
		invalid  x509.CertificateInvalidError
		notTLS   tls.RecordHeaderError
		anyCheck *tls.CertificateVerificationError
		proxy    proxyRefusal
	)
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case errors.As(err, &proxy):
		return fmt.Sprintf("the proxy answered status %d", int(proxy))
	case errors.As(err, &name):
		return "the host name is not known"
	case errors.As(err, &unknown):
		return "its certificate is signed by an authority that is not trusted"
	case errors.As(err, &wrong):
		return "its certificate is for another host"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate has expired or is not yet valid"
	case errors.As(err, &invalid), errors.As(err, &anyCheck):
		return "its certificate is not valid"
	case errors.As(err, &notTLS), errors.Is(err, http.ErrSchemeMismatch):
		return "it does not speak TLS"
	case errors.As(err, &dial) && dial.Op == "dial":
		return "cannot connect"
	case errors.As(err, &dial) && dial.Op == "proxyconnect":
		return "cannot connect to the proxy"
	}
	return "the connection broke"
}
