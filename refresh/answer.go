package refresh

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// fields are the members of an answer, by their exact names: encoding/json would
// fill a struct from names in any case.
type fields map[string]any

// json reads the answer as a JSON object.
func (a *answer) json() (fields, error) {
	if a.html() {
		return nil, a.unusable("answered text/html, not JSON")
	}
	f, err := parseObject(a.body)
	if err != nil {
		return nil, a.unusable("the answer is not a JSON object")
	}
	return f, nil
}

// form reads the answer as JSON or, from endpoints that know nothing better, as
// a query string.
func (a *answer) form() (fields, error) {
	switch {
	case a.mediaType == "application/x-www-form-urlencoded",
		a.mediaType == "text/plain" && !bytes.HasPrefix(bytes.TrimSpace(a.body), []byte("{")):
		return a.query()
	}
	return a.json()
}

func (a *answer) query() (fields, error) {
	values, err := url.ParseQuery(string(a.body))
	if err != nil {
		return nil, a.unusable("the answer is neither JSON nor a form")
	}
	f := fields{}
	for name := range values {
		f[name] = values.Get(name)
	}
	return f, nil
}

// html: some servers leave the type out, and a captive portal claims anything.
func (a *answer) html() bool {
	return a.mediaType == "text/html" || a.mediaType == "application/xhtml+xml" ||
		bytes.HasPrefix(bytes.TrimSpace(a.body), []byte("<"))
}

func parseObject(body []byte) (fields, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var f fields
	if err := d.Decode(&f); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more than one value")
	}
	if f == nil {
		return nil, errors.New("null")
	}
	return f, nil
}

// text returns a string member; anything else is "".
func (f fields) text(name string) string {
	s, _ := f[name].(string) // a member of another type is like none
	return s
}

// flag returns a boolean member; anything else is false.
func (f fields) flag(name string) bool {
	b, _ := f[name].(bool) // a member of another type is like none
	return b
}

// list returns the strings of an array member.
func (f fields) list(name string) []string {
	items, _ := f[name].([]any) // a member of another type is like none
	var texts []string
	for _, item := range items {
		if s, ok := item.(string); ok {
			texts = append(texts, s)
		}
	}
	return texts
}

// seconds returns a duration member given as a number, or as a string that holds
// one (some servers do). Only a positive, finite one is ok; it is cut at limit.
func (f fields) seconds(name string, limit time.Duration) (d time.Duration, ok bool) {
	var digits string
	switch v := f[name].(type) {
	case json.Number:
		digits = v.String()
	case string:
		digits = strings.TrimSpace(v)
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, false
	}
	if math.IsNaN(n) || n <= 0 {
		return 0, false
	}
	if n >= limit.Seconds() {
		return limit, true
	}
	d = time.Duration(n * float64(time.Second))
	return d, d > 0
}

// errorCode tells whether code has the form of those that are registered: no more than 64 of a-z and _.
func errorCode(code string) bool {
	return code != "" && len(code) <= 64 && strings.Trim(code, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// refusal returns the answer's error: a status other than 2xx, or an "error"
// member, which some endpoints send with status 200. It returns nil for neither.
func (a *answer) refusal(f fields) *OAuthError {
	if a.ok() && !f.has("error") {
		return nil
	}
	e := &OAuthError{Status: a.status, retryAfter: a.retryAfter}
	if code := f.text("error"); errorCode(code) {
		e.Code = code
	}
	e.Description = clean(f.text("error_description"))
	if d, ok := f.seconds("interval", maxPause); ok {
		e.interval = d
	}
	return e
}

// has reports whether a member says something.
func (f fields) has(name string) bool {
	switch v := f[name].(type) {
	case nil:
		return false
	case string:
		return v != ""
	case bool:
		return v
	}
	return true
}

// clean makes a server's prose fit for a terminal: printable ASCII, 200 bytes.
func clean(s string) string {
	var b strings.Builder
	for _, r := range s {
		if b.Len() == 200 {
			break
		}
		if r < 0x20 || r > 0x7e {
			r = '?'
		}
		b.WriteByte(byte(r))
	}
	return b.String()
}
