package e2e

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// signInURL finds the address that login shows: of the code's page, or of the authorization endpoint.
var signInURL = regexp.MustCompile(`http://127\.0\.0\.1:\d+/\S*(?:user_code=|client_id=)\S+`)

var (
	formTag  = regexp.MustCompile(`(?is)<form[^>]*>.*?</form>`)
	inputTag = regexp.MustCompile(`(?is)<(?:input|button)[^>]*>`)
	attrPair = regexp.MustCompile(`(?is)\b([a-z_-]+)="([^"]*)"`)
	allowed  = regexp.MustCompile(`'(\./confirm\?action=allowed)'`)
)

// approve is a person in a browser: it opens the address, fills in each form it is shown and submits it, until none comes.
func approve(t testing.TB, address string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, Timeout: 15 * time.Second}
	resp, err := browser.Get(address)
	for range 10 {
		if err != nil {
			t.Fatalf("the browser: %v", err)
		}
		page, readErr := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		resp.Body.Close()
		if readErr != nil || resp.StatusCode >= 400 {
			t.Fatalf("the browser was shown status %d at %s: %v\n%s", resp.StatusCode, resp.Request.URL.Path, readErr, page)
		}
		next, form := nextStep(t, resp.Request.URL, string(page))
		switch {
		case next == nil:
			return
		case form == nil:
			resp, err = browser.Get(next.String())
		default:
			resp, err = browser.PostForm(next.String(), form)
		}
	}
	t.Fatal("the provider's pages do not come to an end")
}

// nextStep reads a page: where to go from it, and with which form. Both are nil on the last page.
func nextStep(t testing.TB, at *url.URL, page string) (*url.URL, url.Values) {
	t.Helper()
	link, form := "", url.Values(nil)
	if m := allowed.FindStringSubmatch(page); m != nil {
		link = m[1]
	} else if f := formTag.FindString(page); f != "" {
		opening := attributes(f[:strings.Index(f, ">")+1])
		link, form = opening["action"], fill(f)
		if strings.EqualFold(opening["method"], "get") {
			link, form = link+"?"+form.Encode(), nil
		}
	} else {
		return nil, nil
	}
	next, err := at.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	return next, form
}

// fill gives a form's fields the values that a person would.
func fill(form string) url.Values {
	values := url.Values{}
	for _, tag := range inputTag.FindAllString(form, -1) {
		a := attributes(tag)
		name := a["name"]
		if name == "" || name == "abort" || values.Has(name) {
			continue
		}
		switch name {
		case "login", "username":
			values.Set(name, "alice")
		case "password":
			values.Set(name, "password")
		default:
			values.Set(name, a["value"])
		}
	}
	return values
}

func attributes(tag string) map[string]string {
	found := map[string]string{}
	for _, m := range attrPair.FindAllStringSubmatch(tag, -1) {
		found[strings.ToLower(m[1])] = html.UnescapeString(m[2])
	}
	return found
}
