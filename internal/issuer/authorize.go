package issuer

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// How long an authorization code is good, and how long it is remembered after: a
// second use ends what came of the first (RFC 6749 section 4.1.2).
const (
	codeTTL    = time.Minute
	codeMemory = 10 * time.Minute
)

// parseRedirect takes a loopback redirect URI of RFC 8252 section 7.3.
func parseRedirect(s string) (*url.URL, bool) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" || u.User != nil || u.Opaque != "" || u.Fragment != "" || strings.Contains(s, "#") {
		return nil, false
	}
	switch u.Hostname() {
	case "127.0.0.1", "::1", "localhost":
		return u, true
	}
	return nil, false
}

// redirectOf finds the address to answer to among what the client registered:
// everything but the port must be equal.
func (c *Client) redirectOf(s string) (*url.URL, bool) {
	asked, ok := parseRedirect(s)
	if !ok {
		return nil, false
	}
	ok = slices.ContainsFunc(c.RedirectURIs, func(registered string) bool {
		r, _ := parseRedirect(registered) // checked by New
		return r.Hostname() == asked.Hostname() && r.EscapedPath() == asked.EscapedPath() && r.RawQuery == asked.RawQuery
	})
	return asked, ok
}

// An authorization is an authorization request (RFC 6749 section 4.1.1) that may
// be answered at its redirect URI.
type authorization struct {
	request
	redirect string
	to       *url.URL
	state    string
}

var (
	errNoClient   = errors.New("the program that sent you here is unknown to this issuer")
	errNoRedirect = errors.New("the program that sent you here wants the answer at an address it did not register")
)

// authorizationOf reads a request. While its client or redirect URI is in doubt
// the error is for the person's eyes; an *oauthError goes to the redirect URI.
func (i *Issuer) authorizationOf(form url.Values) (authorization, error) {
	repeated := checkParameters(form)
	for _, name := range []string{"client_id", "redirect_uri"} {
		if len(form[name]) > 1 {
			return authorization{}, errNoRedirect
		}
	}
	client, ok := i.clients[form.Get("client_id")]
	if !ok {
		return authorization{}, errNoClient
	}
	to, ok := client.redirectOf(form.Get("redirect_uri"))
	if !ok {
		return authorization{}, errNoRedirect
	}
	a := authorization{redirect: form.Get("redirect_uri"), to: to, state: form.Get("state")}
	if repeated != nil {
		return a, repeated
	}
	if err := checkAuthorization(form); err != nil {
		return a, err
	}
	asked, err := i.requestOf(client, form)
	a.request = asked
	return a, err
}

func checkAuthorization(form url.Values) error {
	mode, prompt := form.Get("response_mode"), form.Get("prompt")
	switch {
	case !form.Has("response_type"):
		return refusal("invalid_request", "response_type is missing")
	case form.Get("response_type") != "code":
		return refusal("unsupported_response_type", "response_type is not code")
	case mode != "" && mode != "query":
		return refusal("invalid_request", "response_mode is not query")
	case !form.Has("code_challenge"):
		return refusal("invalid_request", "code_challenge is missing: PKCE is required")
	case form.Has("request"):
		return refusal("request_not_supported", "request objects are not supported")
	case form.Has("request_uri"):
		return refusal("request_uri_not_supported", "request objects are not supported")
	case slices.Contains(fields(prompt), "none"):
		return refusal("interaction_required", "every sign-in is approved by a person")
	}
	return nil
}

// answerTo is the redirect URI with an answer in its query.
func (i *Issuer) answerTo(a authorization, answer url.Values) string {
	if a.state != "" {
		answer.Set("state", a.state)
	}
	answer.Set("iss", i.URL()) // RFC 9207: against mix-up
	to := *a.to
	if to.RawQuery != "" {
		to.RawQuery += "&"
	}
	to.RawQuery += answer.Encode()
	return to.String()
}

func (i *Issuer) answerError(a authorization, err error) string {
	answer := url.Values{"error": {"server_error"}}
	var e *oauthError
	if errors.As(err, &e) {
		answer = url.Values{"error": {e.code}, "error_description": {e.description}}
	}
	return i.answerTo(a, answer)
}

// showAuthorize asks the person about an authorization request.
func (i *Issuer) showAuthorize(w http.ResponseWriter, r *http.Request) {
	form, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		i.notice(w, http.StatusBadRequest, errNoRedirect.Error())
		return
	}
	a, err := i.authorizationOf(form)
	switch {
	case a.to == nil:
		i.notice(w, http.StatusBadRequest, err.Error())
	case err != nil:
		http.Redirect(w, r, i.answerError(a, err), http.StatusSeeOther)
	default:
		i.ask(w, r, question{request: a.request, path: pathAuthorize, about: form.Encode(), redirect: a.to})
	}
}

// decideAuthorize takes the person's answer and carries it to the client. The form
// holds the whole request: nothing is kept for one that nobody has answered.
func (i *Issuer) decideAuthorize(w http.ResponseWriter, r *http.Request) {
	said, ok := i.readDecision(w, r, pathAuthorize)
	if !ok {
		return
	}
	form, err := url.ParseQuery(said.about)
	if err != nil { // it was our own page's
		i.notice(w, http.StatusBadRequest, errNoRedirect.Error())
		return
	}
	a, err := i.authorizationOf(form)
	if a.to == nil {
		i.notice(w, http.StatusBadRequest, err.Error())
		return
	}
	var code string
	if err == nil {
		code, err = i.decide(a, said)
	}
	if err != nil {
		http.Redirect(w, r, i.answerError(a, err), http.StatusSeeOther)
		return
	}
	// 303, for a 307 would send the form along (RFC 9700 section 4.12).
	http.Redirect(w, r, i.answerTo(a, url.Values{"code": {code}}), http.StatusSeeOther)
}

// decide records the answer and makes a code of a yes.
func (i *Issuer) decide(a authorization, said decision) (code string, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.countAnswer(said.answer)
	if said.answer != approved {
		return "", refusal("access_denied", "the sign-in was denied")
	}
	at := time.Now()
	code = random(32)
	kept := &codeRequest{request: a.request, redirect: a.redirect, subject: said.subject, answered: at, expires: at.Add(codeTTL)}
	if !i.codes.put(at, digestOf(code), kept, at.Add(codeMemory)) {
		return "", errFull
	}
	return code, nil
}

// redeemCode turns an authorization code into tokens (RFC 6749 section 4.1.3). A
// code is spent by the first try of its client, right or wrong. The caller holds
// the mutex.
func (i *Issuer) redeemCode(c *call, at time.Time) (*tokens, error) {
	if !c.form.Has("code") {
		return nil, refusal("invalid_request", "code is missing")
	}
	k, ok := i.codes.get(at, digestOf(c.form.Get("code")))
	switch {
	case !ok || k.client != c.client:
		return nil, refusal("invalid_grant", "the code is unknown or has expired")
	case k.spent:
		i.families.drop(k.family)
		return nil, refusal("invalid_grant", "the code was used before: the sign-in it began has ended")
	}
	k.spent = true
	switch {
	case !at.Before(k.expires):
		return nil, refusal("invalid_grant", "the code is unknown or has expired")
	case c.form.Get("redirect_uri") != k.redirect:
		return nil, refusal("invalid_grant", "redirect_uri is not that of the authorization request")
	}
	if err := verified(k.challenge, c.form.Get("code_verifier")); err != nil {
		return nil, err
	}
	out, family, err := i.signIn(c, k.request, k.subject, k.answered, at)
	k.family = family
	return out, err
}
