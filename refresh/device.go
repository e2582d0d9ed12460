package refresh

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"golang.org/x/oauth2"
)

const (
	deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

	defaultInterval = 5 * time.Second  // RFC 8628 section 3.2
	maxInterval     = time.Minute      // an issuer's first word on it
	slowStep        = 5 * time.Second  // RFC 8628 section 3.5
	maxSlow         = 2 * time.Minute  // how slow it may make us
	maxPollBackOff  = 30 * time.Second // how slow a failing network makes us: the person is there
	pollMargin      = 500 * time.Millisecond

	defaultCodeLife = 10 * time.Minute
	maxCodeLife     = time.Hour
	maxCodes        = 3 // shown in one sign-in, each after the other ran out
	maxUserCode     = 64
	maxRenewals     = 6 // attempts to get the next one from a failing network
)

// byDevice is the device authorization grant, RFC 8628. A code that runs out is
// replaced by a fresh one.
func (c *Client) byDevice(ctx context.Context, m *metadata, p Prompt) (*grantedToken, error) {
	for n := range c.codes {
		code, err := c.freshCode(ctx, m, p, n > 0)
		if err != nil {
			return nil, err
		}
		code.show(ctx, p, n > 0)
		token, err := c.await(ctx, m, code, p)
		if err == nil {
			token.page = code.VerificationURI
		}
		if !errors.Is(err, ErrCodeExpired) || ctx.Err() != nil {
			return token, err
		}
	}
	return nil, ErrCodeExpired
}

// deviceCode is an issuer's answer, checked, and what belongs to it.
type deviceCode struct {
	oauth2.DeviceAuthResponse // Expiry is set, and Interval is of no use: see interval
	interval                  time.Duration
	verifier                  string // RFC 7636; "" without PKCE
}

func (d *deviceCode) show(ctx context.Context, p Prompt, renewed bool) {
	if p.Code == nil {
		return
	}
	p.Code(ctx, DeviceCode{
		UserCode:                d.UserCode,
		VerificationURI:         d.VerificationURI,
		VerificationURIComplete: d.VerificationURIComplete,
		Expires:                 d.Expiry,
		Renewed:                 renewed,
	})
}

// freshCode asks for a code. The first one must come at once: the person is
// there, and can be told. For a later one the network gets some time (a laptop
// that wakes has no network yet).
func (c *Client) freshCode(ctx context.Context, m *metadata, p Prompt, renewal bool) (*deviceCode, error) {
	pace := newPace(defaultInterval)
	for attempt := 1; ; attempt++ {
		code, err := c.deviceCode(ctx, m)
		if err == nil || !renewal || attempt == maxRenewals || !errors.Is(err, ErrUnreachable) {
			return code, err
		}
		pace.failed(retryOf(err))
		p.waiting(ctx, err)
		if err := pace.wait(ctx); err != nil {
			return nil, err
		}
	}
}

func (p Prompt) waiting(ctx context.Context, err error) {
	if p.Waiting != nil {
		p.Waiting(ctx, err)
	}
}

func (c *Client) deviceCode(ctx context.Context, m *metadata) (*deviceCode, error) {
	v := c.request()
	verifier := ""
	if m.pkce {
		verifier = oauth2.GenerateVerifier()
		setChallenge(v, verifier)
	}
	asked := now()
	a, err := c.post(ctx, m.endpoints.DeviceAuthorization, v)
	if err != nil {
		return nil, err
	}
	code, err := c.readDeviceCode(a, asked)
	if err != nil {
		return nil, err
	}
	code.verifier = verifier
	return code, nil
}

// readDeviceCode checks a device authorization response, RFC 8628 section 3.2.
func (c *Client) readDeviceCode(a *answer, asked time.Time) (*deviceCode, error) {
	f, err := a.form()
	if err != nil && a.ok() {
		return nil, err
	}
	if e := a.refusal(f); e != nil {
		return nil, denied(e)
	}
	d := &deviceCode{interval: f.interval()}
	d.DeviceCode = f.text("device_code")
	d.UserCode = f.text("user_code")
	d.VerificationURI = first(f.text("verification_uri"), f.text("verification_url")) // Google's name
	d.VerificationURIComplete = first(f.text("verification_uri_complete"), f.text("verification_url_complete"))
	d.Expiry = asked.Add(f.codeLife())
	return d, c.checkDeviceCode(a, d)
}

func (f fields) interval() time.Duration {
	if d, ok := f.seconds("interval", maxInterval); ok {
		return max(d, time.Second)
	}
	return defaultInterval
}

func (f fields) codeLife() time.Duration {
	if d, ok := f.seconds("expires_in", maxCodeLife); ok {
		return d
	}
	return defaultCodeLife
}

// checkDeviceCode: the code is shown to a person and the URLs are opened, so an
// issuer's word is not good enough for either.
func (c *Client) checkDeviceCode(a *answer, d *deviceCode) error {
	if d.DeviceCode == "" || d.UserCode == "" {
		return fmt.Errorf("%s: the answer holds no device code or no user code", a.op)
	}
	if len(d.UserCode) > maxUserCode || !printable(d.UserCode) {
		return fmt.Errorf("%s: the user code is not at most %d bytes of printable ASCII", a.op, maxUserCode)
	}
	if _, err := checkEndpoint(c.issuer, d.VerificationURI); err != nil {
		return fmt.Errorf("verification URI: %w", byIssuer(err))
	}
	if d.VerificationURIComplete == "" {
		return nil
	}
	if _, err := checkEndpoint(c.issuer, d.VerificationURIComplete); err != nil {
		return fmt.Errorf("complete verification URI: %w", byIssuer(err))
	}
	return nil
}

// await polls until the person has acted, the code has run out or ctx ends. It
// compares wall-clock times, so that the hours a laptop slept count. The last
// poll is the first one after the code's end: the person may have acted in time.
func (c *Client) await(ctx context.Context, m *metadata, code *deviceCode, p Prompt) (*grantedToken, error) {
	polls := poll{pace: newPace(code.interval)}
	for {
		if err := polls.pace.wait(ctx); err != nil {
			return nil, err
		}
		token, err := c.redeem(ctx, m, c.pollForm(code))
		if err == nil {
			return token, nil
		}
		if ctx.Err() != nil {
			return nil, ended(ctx)
		}
		passing, shown := polls.judge(err)
		if !passing {
			return nil, shown
		}
		if !now().Before(code.Expiry) {
			return nil, ErrCodeExpired
		}
		if shown != nil {
			p.waiting(ctx, shown)
		}
	}
}

func (c *Client) pollForm(code *deviceCode) url.Values {
	v := url.Values{"grant_type": {deviceGrant}, "device_code": {code.DeviceCode}}
	setUnlessEmpty(v, "code_verifier", code.verifier)
	setUnlessEmpty(v, "resource", c.account.Resource) // RFC 8707 section 2.2
	return v
}
