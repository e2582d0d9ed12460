package issuer

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// An oauthError is an error answer of RFC 6749 section 5.2, RFC 8628 section 3.5
// or RFC 8707 section 2. Its text is made of constants, never of a request's parts.
type oauthError struct {
	code        string
	description string
	status      int // 0 = 400
}

func (e *oauthError) Error() string { return e.code + ": " + e.description }

func refusal(code, description string) *oauthError {
	return &oauthError{code: code, description: description}
}

var errFull = &oauthError{"temporarily_unavailable", "too many sign-ins are under way", http.StatusServiceUnavailable}

// retryAfter is what a client is told to wait when there is no room, in seconds.
const retryAfter = 60

// A call is a request of a client to one of the OAuth endpoints.
type call struct {
	client *Client
	form   url.Values
}

// oauth wraps an endpoint for clients: form in, JSON out, client authenticated.
// A nil answer is an empty body.
func (i *Issuer) oauth(serve func(*call) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Pragma", "no-cache") // RFC 6749 section 5.1 wants both this and no-store
		answer, err := i.answer(r, serve)
		switch {
		case err != nil:
			writeError(w, err)
		case answer == nil:
			w.WriteHeader(http.StatusOK)
		default:
			writeJSON(w, http.StatusOK, answer)
		}
	}
}

func (i *Issuer) answer(r *http.Request, serve func(*call) (any, error)) (any, error) {
	form, err := readForm(r)
	if err != nil {
		return nil, err
	}
	client, err := i.authenticate(r, form)
	if err != nil {
		return nil, err
	}
	return serve(&call{client, form})
}

func writeError(w http.ResponseWriter, err error) {
	var e *oauthError
	if !errors.As(err, &e) {
		e = &oauthError{"server_error", "the issuer failed", http.StatusInternalServerError}
	}
	status := e.status
	switch status {
	case 0:
		status = http.StatusBadRequest
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Basic realm="mcp-valet issuer", charset="UTF-8"`)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
	writeJSON(w, status, map[string]string{"error": e.code, "error_description": e.description})
}

// readForm reads the body alone: RFC 6749 section 3.2 keeps parameters out of the URI.
func readForm(r *http.Request) (url.Values, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, refusal("invalid_request", "the body is not application/x-www-form-urlencoded")
	}
	body, err := io.ReadAll(r.Body)
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return nil, &oauthError{"invalid_request", "the body is too large", http.StatusRequestEntityTooLarge}
	}
	if err != nil {
		return nil, refusal("invalid_request", "the body could not be read")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, refusal("invalid_request", "the body is not a well-formed form")
	}
	return form, checkParameters(form)
}

// checkParameters drops empty parameters and refuses repeated ones (RFC 6749
// sections 3.1 and 3.2); resource alone may be repeated (RFC 8707 section 2).
func checkParameters(form url.Values) error {
	for name, values := range form {
		values = slices.DeleteFunc(values, func(v string) bool { return v == "" })
		switch {
		case len(values) == 0:
			delete(form, name)
		case len(values) > 1 && name != "resource":
			return refusal("invalid_request", "a parameter is repeated")
		default:
			form[name] = values
		}
	}
	return nil
}

var errClient = &oauthError{"invalid_client", "unknown client, or its authentication is missing or wrong", http.StatusUnauthorized}

// authenticate tells which client is calling (RFC 6749 section 2.3.1).
func (i *Issuer) authenticate(r *http.Request, form url.Values) (*Client, error) {
	id, secret := form.Get("client_id"), form.Get("client_secret")
	if r.Header.Get("Authorization") != "" {
		basicID, basicSecret, err := basicCredentials(r)
		switch {
		case err != nil:
			return nil, err
		case secret != "":
			return nil, refusal("invalid_request", "the client authenticates in two ways")
		case id != "" && id != basicID:
			return nil, refusal("invalid_request", "client_id and the Authorization header differ")
		}
		id, secret = basicID, basicSecret
	}
	client, known := i.clients[id]
	if !known || !client.accepts(secret) {
		return nil, errClient
	}
	return client, nil
}

// basicCredentials undoes the form encoding below HTTP Basic.
func basicCredentials(r *http.Request) (id, secret string, err error) {
	rawID, rawSecret, ok := r.BasicAuth()
	id, errID := url.QueryUnescape(rawID)
	secret, errSecret := url.QueryUnescape(rawSecret)
	if !ok || errID != nil || errSecret != nil {
		return "", "", errClient
	}
	return id, secret, nil
}

// accepts compares a presented secret; a public client presents none.
func (c *Client) accepts(secret string) bool {
	if len(c.SecretHash) == 0 {
		return secret == ""
	}
	sum := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(sum[:], c.SecretHash) == 1
}

// requestOf reads what a client asks a person for: scope, audience, PKCE.
func (i *Issuer) requestOf(client *Client, form url.Values) (request, error) {
	scopes, err := i.scopesOf(form.Get("scope"))
	if err != nil {
		return request{}, err
	}
	audience, err := i.audienceOf(form)
	if err != nil {
		return request{}, err
	}
	challenge, err := challengeOf(form)
	return request{client: client, scopes: scopes, audience: audience, challenge: challenge, nonce: form.Get("nonce")}, err
}

func (i *Issuer) scopesOf(scope string) ([]string, error) {
	if scope == "" {
		return i.options.Scopes, nil
	}
	scopes := fields(scope)
	if !subset(scopes, i.options.scopesSupported()) {
		return nil, refusal("invalid_scope", "a scope is unknown here")
	}
	return scopes, nil
}

// fields splits a scope parameter into its distinct tokens, their order kept.
func fields(scope string) (list []string) {
	for s := range strings.SplitSeq(scope, " ") {
		if s != "" && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

func subset(some, all []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}

// audienceOf reads resource (RFC 8707) and its older sibling audience, or takes the default.
func (i *Issuer) audienceOf(form url.Values) ([]string, error) {
	asked := targets(form)
	if len(asked) == 0 {
		return []string{i.options.Audience}, nil
	}
	if !subset(asked, append([]string{i.options.Audience}, i.options.Resources...)) {
		return nil, refusal("invalid_target", "a resource or audience is unknown here")
	}
	return asked, nil
}

func targets(form url.Values) (list []string) {
	for _, t := range slices.Concat(form["resource"], form["audience"]) {
		if !slices.Contains(list, t) {
			list = append(list, t)
		}
	}
	return list
}

// challengeOf reads the PKCE challenge (RFC 7636 section 4.3). Only S256 is taken:
// plain shows the verifier to whoever reads the request.
func challengeOf(form url.Values) (string, error) {
	challenge, method := form.Get("code_challenge"), form.Get("code_challenge_method")
	if challenge == "" && method == "" {
		return "", nil
	}
	if method != "S256" {
		return "", refusal("invalid_request", "code_challenge_method is not S256")
	}
	if sum, err := decode(challenge); err != nil || len(sum) != sha256.Size {
		return "", refusal("invalid_request", "code_challenge is not a SHA-256 sum in base64url")
	}
	return challenge, nil
}

// verified checks a PKCE verifier against a challenge. A verifier without a
// challenge is refused too (RFC 9700 section 4.8.2, the downgrade attack).
func verified(challenge, verifier string) error {
	if challenge == "" && verifier == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(verifier))
	if subtle.ConstantTimeCompare([]byte(encode(sum[:])), []byte(challenge)) != 1 {
		return refusal("invalid_grant", "code_verifier does not match")
	}
	return nil
}
