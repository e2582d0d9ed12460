package refresh

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// The sentinels a caller acts on. They are always wrapped; ask with errors.Is.
var (
	// ErrSignedOut says that only a person signing in can help: there is no
	// refresh token, or the issuer refused the one there is.
	ErrSignedOut = errors.New("signed out")

	// ErrUnreachable says that no usable answer came from the issuer: no
	// network, no answer in time, an overloaded or broken server, a web page
	// instead of JSON. It passes; the credential stays as it is.
	ErrUnreachable = errors.New("issuer unreachable")

	// ErrDenied says that the person, or the issuer's policy, refused the sign-in.
	ErrDenied = errors.New("sign-in denied")

	// ErrCodeExpired says that nobody finished the sign-in in time.
	ErrCodeExpired = errors.New("nobody signed in in time")

	// ErrUnanswered says that no window is opened: the last MaxUnanswered ones
	// brought no sign-in, and nobody has acted since.
	ErrUnanswered = errors.New("nobody answered the last sign-ins")

	// ErrForeign says that the stored record and the configuration name
	// different issuers, clients or token endpoints.
	ErrForeign = errors.New("credential belongs to another issuer or client")

	// ErrToken says that a token failed its check, or is one we cannot carry.
	ErrToken = errors.New("token refused")

	// ErrDiscovery says that the issuer's own description is missing or wrong.
	ErrDiscovery = errors.New("issuer discovery")

	// ErrInsecureURL says that a URL is not https (http on loopback), or holds
	// something no endpoint needs: userinfo, a fragment, control characters.
	ErrInsecureURL = errors.New("insecure URL")

	// ErrIssuerAddress says that it was the issuer, or what answered in its
	// place, that named an ErrInsecureURL, which such an error wraps as well.
	ErrIssuerAddress = errors.New("an address that the issuer named")

	// ErrNoWay says that the issuer offers neither of the ways asked for to
	// sign in.
	ErrNoWay = errors.New("no way to sign in")

	// ErrNoRevocation says that the issuer has no revocation endpoint, so that
	// its tokens live until they expire.
	ErrNoRevocation = errors.New("issuer cannot revoke tokens")
)

// OAuthError is an endpoint's refusal (RFC 6749 section 5.2), or an answer whose
// status alone says that it is one. It is not an oauth2.RetrieveError, which
// keeps the whole answer and prints it.
//
// errors.Is(err, ErrUnreachable) holds when the refusal is of passing nature by
// itself: status 429 or 5xx, or the codes made for that.
type OAuthError struct {
	Status      int    // HTTP status; 0 when it came through the browser
	Code        string // the "error" field when it matches [a-z_]{1,64}, else ""
	Description string // for a terminal only: printable ASCII, at most 200 bytes

	interval   time.Duration // "interval" in the answer's body; 0 when absent
	retryAfter time.Duration // the Retry-After header; 0 when absent
}

// Error names status and code alone: an issuer's prose may end in front of a
// model, which would read it as an instruction.
func (e *OAuthError) Error() string {
	switch {
	case e.Status == 0 && e.Code == "":
		return "the issuer refused without a known error code"
	case e.Status == 0:
		return "the issuer refused: " + told(e.Code)
	case e.Code == "":
		return fmt.Sprintf("the issuer answered status %d without a known error code", e.Status)
	}
	return fmt.Sprintf("the issuer answered status %d: %s", e.Status, told(e.Code))
}

// told is an error code as a text may hold it: one that we know, or the word that it is another. Letters and
// underscores are enough for a sentence that a model would obey.
func told(code string) string {
	_, onGrant := codeVerdicts[code]
	if onGrant || deniedCodes[code] || expiredCodes[code] || signInCodes[code] {
		return code
	}
	return "an error code of its own"
}

// signInCodes are codes that only a sign-in or a revocation is answered with: RFC 6749 section 4.1.2.1, RFC 8628
// section 3.5, RFC 7009 section 2.2.1, GitHub.
var signInCodes = map[string]bool{
	"authorization_pending": true, "slow_down": true, "unsupported_response_type": true, "unsupported_token_type": true,
	"device_flow_disabled": true, "incorrect_client_credentials": true, "incorrect_device_code": true,
}

// Is makes a refusal that passes by itself an ErrUnreachable.
func (e *OAuthError) Is(target error) bool {
	return target == ErrUnreachable && e.passing()
}

func (e *OAuthError) passing() bool {
	switch e.Code {
	case "server_error", "temporarily_unavailable", "slow_down":
		return true
	}
	return e.Status == http.StatusTooManyRequests || e.Status >= http.StatusInternalServerError
}
