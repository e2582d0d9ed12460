package refresh

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// maxBare is how many answers in a row may be refusals without an OAuth error.
// One is a firewall's or a proxy's; so many are the endpoint's.
const maxBare = 5

// poll judges the failures of one code's polls.
type poll struct {
	pace *pace
	lost bool // an answer was lost, and with it perhaps the token
	bare int  // refusals in a row without an OAuth error
}

// judge says whether polling goes on after err, and sets its pace. It returns
// the error to show: nil while the person just has not acted yet.
func (p *poll) judge(err error) (passing bool, shown error) {
	var refused *OAuthError
	switch {
	case errors.As(err, &refused) && refused.bare():
		p.bare++
		p.pace.failed(refused.retryAfter)
		return p.bare < maxBare, err
	case refused != nil:
		p.bare = 0
		return p.judgeRefusal(refused)
	case errors.Is(err, ErrUnreachable):
		p.lost = true
		p.pace.failed(0)
		return true, err
	}
	return false, err
}

// bare: an answer that says nothing about the sign-in, whoever gave it.
func (e *OAuthError) bare() bool {
	return e.Code == "" && !e.passing() && e.Status != http.StatusPreconditionRequired
}

func (p *poll) judgeRefusal(e *OAuthError) (passing bool, shown error) {
	switch {
	case deniedCodes[e.Code]:
		return false, denied(e)
	case expiredCodes[e.Code], e.Code == "invalid_grant" && p.lost:
		return false, ErrCodeExpired
	case e.Code == "slow_down", e.Status == http.StatusTooManyRequests: // Auth0's slow_down
		p.pace.slower(e)
		return true, nil
	case e.Code == "authorization_pending",
		e.Code == "" && e.Status == http.StatusPreconditionRequired: // Google, without a body
		p.pace.answered()
		return true, nil
	case e.passing():
		p.lost = true
		p.pace.failed(e.retryAfter)
		return true, e
	}
	return false, e
}

// expiredCodes say that a code has run out: RFC 8628, Microsoft, GitHub's text.
var expiredCodes = map[string]bool{
	"expired_token":         true,
	"bad_verification_code": true,
	"token_expired":         true,
}

// deniedCodes say that the person, or a policy, said no: RFC 6749, Microsoft.
var deniedCodes = map[string]bool{
	"access_denied":          true,
	"authorization_declined": true,
}

// denied makes a refusal an ErrDenied where it is one, keeping its details.
func denied(e *OAuthError) error {
	if deniedCodes[e.Code] {
		return fmt.Errorf("%w: %w", ErrDenied, e)
	}
	return e
}

func retryOf(err error) time.Duration {
	var refused *OAuthError
	if errors.As(err, &refused) {
		return refused.retryAfter
	}
	return 0
}

// pace is the time between two polls.
type pace struct {
	interval time.Duration // what the issuer asks for; it only grows
	backOff  time.Duration // 0 while answers come
	atLeast  time.Duration // Retry-After of the last answer
}

func newPace(interval time.Duration) *pace { return &pace{interval: interval} }

func (p *pace) answered() { p.backOff, p.atLeast = 0, 0 }

// slower: "the interval MUST be increased by 5 seconds for this and all
// subsequent requests" (RFC 8628 section 3.5); GitHub says what it wants instead.
func (p *pace) slower(e *OAuthError) {
	p.answered()
	p.interval = min(max(p.interval+slowStep, e.interval), maxSlow)
	p.atLeast = e.retryAfter
}

// failed: "clients MUST unilaterally reduce their polling frequency ... e.g.,
// doubling the polling interval on each such connection timeout" (section 3.5).
func (p *pace) failed(retryAfter time.Duration) {
	p.backOff = min(2*max(p.backOff, p.interval), maxPollBackOff)
	p.atLeast = retryAfter
}

// next is a little more than was asked for: some servers count a poll that comes
// exactly on time as early, and then never leave slow_down.
func (p *pace) next() time.Duration {
	return max(p.interval, p.backOff, p.atLeast) + pollMargin
}

func (p *pace) wait(ctx context.Context) error {
	timer := time.NewTimer(p.next())
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ended(ctx)
	case <-timer.C:
		return nil
	}
}

// ended is the error for a ctx that ended while a person was waited for.
func ended(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrCodeExpired, ctx.Err())
	}
	return ctx.Err()
}
