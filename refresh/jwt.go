package refresh

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"mcp-valet/keyring"
)

// Claims is what a JSON Web Token says (RFC 7519 section 4.1). Times are zero where the token gives none.
type Claims struct {
	Issuer, Subject             string
	Audience                    []string
	Expiry, NotBefore, IssuedAt time.Time
	Scope                       string
	Raw                         map[string]any // every claim; numbers are json.Number
}

// Inspect reads the claims of an access token without checking its signature: good enough to learn when it ends,
// never to decide anything by. The bool is false for a token that is no JWT, which is no error: such a token is opaque.
// A JWT that names the algorithm "none", in whatever spelling (RFC 8725 section 3.2), or that is malformed is refused
// with [ErrToken]: another reader might make something of it. A registered claim of the wrong type is left out.
func Inspect(token keyring.Secret) (Claims, bool, error) {
	t, err := decodeJWT(token)
	if err != nil || t == nil {
		return Claims{}, err != nil, err
	}
	claims, _ := readClaims(t.claims) // what cannot be read stays zero: see above
	return claims, true, nil
}

// signedToken is a JWT in its compact form (RFC 7515 section 7.1), taken apart and not yet believed.
type signedToken struct {
	header, claims map[string]any
	alg            string
	token          keyring.Secret
}

// decodeJWT takes a token apart. It is nil for an opaque token, and an error wrapping [ErrToken] for one that would be
// a JWT but is malformed or unsigned.
func decodeJWT(token keyring.Secret) (*signedToken, error) {
	compact := token.Reveal()
	if len(compact) > maxToken {
		return nil, fmt.Errorf("%w: it is larger than %d bytes", ErrToken, maxToken)
	}
	parts := strings.Split(compact, ".")
	if len(parts) != 3 || !looksLikeObject(parts[0]) {
		return nil, nil
	}
	t := &signedToken{token: token}
	var err error
	if t.header, err = decodePart(parts[0]); err != nil {
		return nil, fmt.Errorf("%w: its header is malformed", ErrToken)
	}
	if t.claims, err = decodePart(parts[1]); err != nil {
		return nil, fmt.Errorf("%w: its claims are malformed", ErrToken)
	}
	t.alg, _ = t.header["alg"].(string)
	if alg := strings.TrimSpace(t.alg); alg == "" || strings.EqualFold(alg, "none") {
		return nil, fmt.Errorf("%w: it carries no signature", ErrToken)
	}
	return t, nil
}

// looksLikeObject tells whether any reader, however lax about base64, could see a JSON object in part.
func looksLikeObject(part string) bool {
	lax := strings.NewReplacer("+", "-", "/", "_", "=", "", " ", "", "\t", "").Replace(part)
	b, err := base64.RawURLEncoding.DecodeString(lax)
	if err != nil && len(b) == 0 {
		return false
	}
	return bytes.HasPrefix(bytes.TrimSpace(b), []byte("{"))
}

// decodePart is strict where looksLikeObject is lax: the alphabet of base64url and nothing else, not even the line
// ends that encoding/base64 skips.
func decodePart(part string) (map[string]any, error) {
	if strings.ContainsAny(part, "\r\n") {
		return nil, errObject
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return nil, errObject
	}
	return decodeObject(b)
}

var errObject = errors.New("not one JSON object with distinct names")

// decodeObject reads b as one JSON object. A name repeated at its first level is refused, since another reader could
// see the other value (RFC 7515 section 4).
func decodeObject(b []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errObject
	}
	object := map[string]any{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, errObject
		}
		key, ok := name.(string)
		if _, repeated := object[key]; !ok || repeated {
			return nil, errObject
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return nil, errObject
		}
		object[key] = value
	}
	if _, err := d.Token(); err != nil { // the closing brace
		return nil, errObject
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errObject
	}
	return object, nil
}

// readClaims reads the registered claims. An error names the first one of the wrong type; the others are read all the same.
func readClaims(raw map[string]any) (Claims, error) {
	r := claimReader{raw: raw}
	c := Claims{
		Issuer:    r.text("iss"),
		Subject:   r.text("sub"),
		Audience:  r.texts("aud"),
		Expiry:    r.date("exp"),
		NotBefore: r.date("nbf"),
		IssuedAt:  r.date("iat"),
		Scope:     r.scope(),
		Raw:       raw,
	}
	return c, r.err
}

type claimReader struct {
	raw map[string]any
	err error
}

func (r *claimReader) wrong(name string) {
	if r.err == nil {
		r.err = fmt.Errorf("its claim %s is of the wrong type", name)
	}
}

func (r *claimReader) text(name string) string {
	v, present := r.raw[name]
	s, ok := v.(string)
	if present && !ok {
		r.wrong(name)
	}
	return s
}

// texts reads a claim that is one string or a list of strings (RFC 7519 section 4.1.3).
func (r *claimReader) texts(name string) []string {
	switch v := r.raw[name].(type) {
	case nil:
		return nil
	case string:
		return []string{v}
	case []any:
		texts := make([]string, 0, len(v))
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				r.wrong(name)
				return nil
			}
			texts = append(texts, s)
		}
		return texts
	}
	r.wrong(name)
	return nil
}

// scope reads "scope" (RFC 8693 section 4.2) or, as Entra and Okta name it, "scp": a string or a list.
// An odd one is no error, since nothing hangs on it here.
func (r *claimReader) scope() string {
	for _, name := range []string{"scope", "scp"} {
		lenient := claimReader{raw: r.raw}
		if texts := lenient.texts(name); len(texts) > 0 {
			return strings.Join(texts, " ")
		}
	}
	return ""
}

// lastDate is the end of the year 9999: what lies after it is no date but an attempt to overflow one.
const lastDate = 253402300799

// date reads a NumericDate: seconds since 1970, a fraction allowed (RFC 7519 section 2). The fraction is dropped.
func (r *claimReader) date(name string) time.Time {
	v, present := r.raw[name]
	if !present {
		return time.Time{}
	}
	n, ok := v.(json.Number)
	if !ok {
		r.wrong(name)
		return time.Time{}
	}
	seconds, err := n.Float64()
	if err != nil || seconds < 0 || seconds > lastDate {
		r.wrong(name)
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}
