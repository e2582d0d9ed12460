package refresh

import (
	"errors"
	"net/http"
)

// Verdict is what a failed refresh grant means for the stored credential.
type Verdict int

const (
	// Passing failures say nothing about the credential: it is kept, and asked with again later.
	Passing Verdict = iota
	// Dead credentials are refused for good: a person must sign in.
	Dead
	// BareRefusal is a 400 without an OAuth error: the way some issuers refuse a dead refresh token, and the way any
	// firewall on the road refuses anything. Only [Renew], which sees several in a row, can tell.
	BareRefusal
	// Fatal failures are about how the account is set up, not about this sign-in: signing in again would not help.
	Fatal
)

func (v Verdict) String() string {
	return [...]string{"passing", "dead", "bare refusal", "fatal"}[v]
}

// ErrMisconfigured is a refusal of the account's settings by its issuer: client, grant, scope or resource.
var ErrMisconfigured = errors.New("the issuer refuses the settings of the account")

// codeVerdicts is what the OAuth error codes of a token endpoint mean on a refresh grant. A code that is not here is
// a refusal that we do not understand, hence Fatal: it is shown, and tried again slowly.
var codeVerdicts = map[string]Verdict{
	// RFC 6749 section 5.2, 4.1.2.1
	"invalid_grant":           Dead,
	"invalid_request":         Dead, // seen in the field for a refresh token that is no longer known
	"invalid_client":          Fatal,
	"unauthorized_client":     Fatal,
	"unsupported_grant_type":  Fatal,
	"invalid_scope":           Fatal,
	"access_denied":           Dead,
	"temporarily_unavailable": Passing,
	"server_error":            Passing,
	// RFC 6750 section 3.1, used at token endpoints too
	"invalid_token": Dead,
	// OpenID Connect Core section 3.1.2.6: the issuer wants to see the person
	"interaction_required":       Dead,
	"login_required":             Dead,
	"consent_required":           Dead,
	"account_selection_required": Dead,
	// RFC 8707 section 2
	"invalid_target": Fatal,
	// RFC 8628 section 3.5, of which slow_down is met outside the device flow
	"slow_down":     Passing,
	"expired_token": Dead,
	// GitHub
	"bad_refresh_token":            Dead,
	"incorrect_client_credentials": Fatal,
	// Auth0
	"mfa_required":      Dead,
	"too_many_requests": Passing,
}

// statusVerdicts is what HTTP statuses mean whatever the body says: the one who answers is in trouble, or is not the
// issuer. Statuses of 500 and more are Passing too.
var statusVerdicts = map[int]Verdict{
	http.StatusProxyAuthRequired: Passing,
	http.StatusRequestTimeout:    Passing,
	http.StatusTooEarly:          Passing,
	http.StatusTooManyRequests:   Passing,
}

// errorVerdicts is what failures mean that come from us and not from the issuer's answer.
var errorVerdicts = []struct {
	err     error
	verdict Verdict
}{
	{ErrSignedOut, Dead},
	{ErrForeign, Fatal},
	{ErrInsecureURL, Fatal},
}

// Classify says what the failure of a refresh grant means. Whatever is not understood is Passing: networks, proxies and
// captive portals fail in more ways than anybody has listed, and none of them may sign a person out.
func Classify(err error) Verdict {
	for _, known := range errorVerdicts {
		if errors.Is(err, known.err) {
			return known.verdict
		}
	}
	var answer *OAuthError
	if !errors.As(err, &answer) {
		return Passing
	}
	return classifyAnswer(answer)
}

func classifyAnswer(answer *OAuthError) Verdict {
	if v, ok := statusVerdicts[answer.Status]; ok {
		return v
	}
	if answer.Status >= http.StatusInternalServerError {
		return Passing
	}
	if answer.Code == "" {
		return classifyBare(answer.Status)
	}
	if v, ok := codeVerdicts[answer.Code]; ok {
		return v
	}
	return Fatal
}

// classifyBare judges an answer without an OAuth error: it may be anybody's.
func classifyBare(status int) Verdict {
	if status == http.StatusBadRequest {
		return BareRefusal
	}
	return Passing
}
