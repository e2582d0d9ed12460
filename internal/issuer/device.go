package issuer

import (
	"crypto/rand"
	"slices"
	"strings"
	"time"
)

// Consonants that are hard to confuse and make no words (RFC 8628 section 6.1).
const (
	codeLetters = "BCDFGHJKLMNPQRSTVWXZ"
	codeLength  = 8
)

// slowDownBy is what one slow_down adds to the interval (RFC 8628 section 3.5).
const slowDownBy = 5 * time.Second

// deviceMemory is how long an expired device code still gets expired_token rather
// than invalid_grant.
const deviceMemory = 10 * time.Minute

type deviceAuthorization struct {
	DeviceCode              string `json:"device_code"`
	UserCode                string `json:"user_code"`
	VerificationURI         string `json:"verification_uri"`
	VerificationURIComplete string `json:"verification_uri_complete"`
	ExpiresIn               int64  `json:"expires_in"`
	Interval                int64  `json:"interval"`
}

// authorizeDevice answers a device authorization request (RFC 8628 section 3.1).
func (i *Issuer) authorizeDevice(c *call) (any, error) {
	asked, err := i.requestOf(c.client, c.form)
	if err != nil {
		return nil, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	start := time.Now()
	d := &deviceRequest{
		request:  asked,
		userCode: i.freshUserCode(start),
		expires:  start.Add(i.options.DeviceTTL),
		interval: i.options.Interval,
	}
	code := random(32)
	if !i.devices.put(start, digestOf(code), d, d.expires.Add(deviceMemory)) {
		return nil, errFull
	}
	i.stats.DeviceAuthorizations++
	return deviceAuthorization{
		DeviceCode:              code,
		UserCode:                d.userCode,
		VerificationURI:         i.url + pathDevice,
		VerificationURIComplete: i.url + pathDevice + "?user_code=" + d.userCode,
		ExpiresIn:               wholeSeconds(i.options.DeviceTTL),
		Interval:                wholeSeconds(i.options.Interval),
	}, nil
}

// wholeSeconds rounds up, so that a client never polls faster than it may.
func wholeSeconds(d time.Duration) int64 {
	return int64((d + time.Second - 1) / time.Second)
}

// freshUserCode makes a code that no pending device has. The caller holds the mutex.
func (i *Issuer) freshUserCode(at time.Time) string {
	for {
		code := newUserCode()
		if _, taken := i.deviceByUserCode(at, code); !taken {
			return code
		}
	}
}

func newUserCode() string {
	code := make([]byte, 0, codeLength+1)
	var b [1]byte
	for len(code) < cap(code) {
		if len(code) == codeLength/2 {
			code = append(code, '-')
		}
		rand.Read(b[:])
		// 240 is the greatest multiple of 20 in a byte: above it some letters would be likelier.
		if n := int(b[0]); n < 240 {
			code = append(code, codeLetters[n%len(codeLetters)])
		}
	}
	return string(code)
}

// normalUserCode undoes a person's spelling: case, dashes, spaces. It returns ""
// for what cannot be a code.
func normalUserCode(s string) string {
	if len(s) > 64 {
		return ""
	}
	var letters strings.Builder
	for _, r := range strings.ToUpper(s) {
		switch {
		case strings.ContainsRune(codeLetters, r):
			letters.WriteRune(r)
		case !strings.ContainsRune("- \t", r):
			return ""
		}
	}
	if letters.Len() != codeLength {
		return ""
	}
	code := letters.String()
	return code[:codeLength/2] + "-" + code[codeLength/2:]
}

// deviceByUserCode finds a device that still waits for a person. The caller holds the mutex.
func (i *Issuer) deviceByUserCode(at time.Time, code string) (*deviceRequest, bool) {
	return i.devices.find(at, func(d *deviceRequest) bool {
		return d.userCode == code && d.answer == pending && at.Before(d.expires)
	})
}

// answerDevice records what a person said to the device with a user code.
func (i *Issuer) answerDevice(userCode, subject string, said answer) error {
	if _, known := i.user(subject); said == approved && !known {
		return ErrUnknownUser
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	at := time.Now()
	d, ok := i.deviceByUserCode(at, normalUserCode(userCode))
	if !ok {
		return ErrUnknownCode
	}
	d.answer, d.subject, d.answered = said, subject, at
	i.countAnswer(said)
	return nil
}

// countAnswer is called with the mutex held.
func (i *Issuer) countAnswer(said answer) {
	if said == approved {
		i.stats.Approvals++
	} else {
		i.stats.Denials++
	}
}

// redeemDevice answers one poll for a device code (RFC 8628 section 3.4). The
// caller holds the mutex.
func (i *Issuer) redeemDevice(c *call, at time.Time) (*tokens, error) {
	i.stats.Polls++
	code := digestOf(c.form.Get("device_code"))
	d, ok := i.devices.get(at, code)
	switch {
	case !c.form.Has("device_code"):
		return nil, refusal("invalid_request", "device_code is missing")
	case !ok || d.client != c.client:
		return nil, refusal("invalid_grant", "the device code is unknown, or was used")
	case !at.Before(d.expires):
		return nil, refusal("expired_token", "the device code has expired")
	case d.answer == denied:
		return nil, refusal("access_denied", "the sign-in was denied")
	case d.answer == pending:
		return nil, i.poll(d, at)
	}
	if err := verified(d.challenge, c.form.Get("code_verifier")); err != nil {
		return nil, err
	}
	out, _, err := i.signIn(c, d.request, d.subject, d.answered, at)
	if err != nil {
		return nil, err
	}
	i.devices.drop(code)
	return out, nil
}

// poll says whether a pending device asked in good time.
func (i *Issuer) poll(d *deviceRequest, at time.Time) error {
	early := !d.polled.IsZero() && at.Sub(d.polled) < d.interval-pollTolerance(d.interval)
	d.polled = at
	if early {
		d.interval += slowDownBy
		i.stats.SlowDowns++
		return refusal("slow_down", "polled too early: wait five seconds longer from now on")
	}
	return refusal("authorization_pending", "nobody has answered yet")
}

// pollTolerance is for a client that waits exactly as told: what it sends is not
// always equally long under way.
func pollTolerance(interval time.Duration) time.Duration {
	return min(interval/10, 500*time.Millisecond)
}

// describeScopes names what a request asks for, the openid machinery left out.
func describeScopes(scopes []string) []string {
	return slices.DeleteFunc(slices.Clone(scopes), func(s string) bool {
		return slices.Contains(standardScopes, s)
	})
}
