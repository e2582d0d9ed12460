package issuer

import (
	"crypto/hmac"
	_ "embed"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed page.html
var pageText string

// pageTemplate is parsed when the first page is shown: most runs of the program show none.
var pageTemplate = sync.OnceValue(func() *template.Template { return template.Must(template.New("page").Parse(pageText)) })

// page is what page.html shows: a notice, a question, or a field for a code.
type page struct {
	Nonce     string // of the style sheet, for the Content-Security-Policy
	Notice    string
	Question  *questionText
	EnterCode bool
}

type questionText struct {
	Path, About, Token            string
	Client, Subject, Code, Answer string
	Audience, Scopes              []string
}

// A question is what a person is asked to approve.
type question struct {
	request
	path     string   // whose form it is
	about    string   // what exactly is approved: a user code or an authorization request
	code     string   // shown for comparison, device flow only
	redirect *url.URL // where the answer goes, authorization code flow only
}

// formTTL is how long an open page can be answered.
const formTTL = 10 * time.Minute

// The cookie of a form. It means nothing by itself and lasts as long as the browser.
// Cookies know no ports: a server on another port of this host reads and writes it,
// which is why Origin is checked as well.
const formCookie = "mcp_valet_form"

// show writes a page with a status and says where its form may lead.
func (i *Issuer) show(w http.ResponseWriter, status int, p page, formAction string) {
	p.Nonce = random(16)
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+p.Nonce+"'; form-action "+formAction+
		"; base-uri 'none'; frame-ancestors 'none'")
	w.WriteHeader(status)
	pageTemplate().Execute(w, p) // what fails here is the connection: nobody is left to tell
}

func (i *Issuer) notice(w http.ResponseWriter, status int, text string) {
	i.show(w, status, page{Notice: text}, "'none'")
}

// ask shows a question to the person that the Approver recognises.
func (i *Issuer) ask(w http.ResponseWriter, r *http.Request, q question) {
	subject, ok := i.recognise(w, r)
	if !ok {
		return
	}
	text := questionText{
		Path: q.path, About: q.about, Token: i.formToken(i.formSession(w, r), q.path, q.about, time.Now()),
		Client: q.client.title(), Subject: subject, Code: q.code,
		Audience: q.audience, Scopes: describeScopes(q.scopes),
	}
	if q.redirect != nil {
		text.Answer = q.redirect.Host
	}
	i.show(w, http.StatusOK, page{Question: &text}, formAction(q.redirect))
}

// formAction lists where a form may lead. Browsers hold the redirect that answers
// it against the list too, so the client's address has to be there.
func formAction(redirect *url.URL) string {
	switch {
	case redirect == nil:
		return "'self'"
	case strings.HasPrefix(redirect.Host, "["): // the grammar of CSP has no IPv6 addresses
		return "'self' http:"
	}
	return "'self' http://" + redirect.Host
}

// recognise asks the Approver who is there, and tells the person when nobody is.
func (i *Issuer) recognise(w http.ResponseWriter, r *http.Request) (subject string, ok bool) {
	subject, err := i.options.Approver(r)
	if err == nil {
		_, ok = i.user(subject)
	}
	if !ok {
		i.notice(w, http.StatusForbidden, "This issuer does not know who you are, so you cannot approve anything here.")
	}
	return subject, ok
}

// formSession returns the value that ties a form to one browser.
func (i *Issuer) formSession(w http.ResponseWriter, r *http.Request) string {
	if c, err := r.Cookie(formCookie); err == nil && validSession(c.Value) {
		return c.Value
	}
	session := random(32)
	http.SetCookie(w, &http.Cookie{
		Name: formCookie, Value: session, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: strings.HasPrefix(i.URL(), "https:"),
	})
	return session
}

func validSession(s string) bool {
	b, err := decode(s)
	return err == nil && len(b) == 32
}

// formToken proves that a form came from our page, in this browser, about exactly this.
func (i *Issuer) formToken(session, path, about string, at time.Time) string {
	end := strconv.FormatInt(at.Add(formTTL).Unix(), 10)
	return end + "." + encode(i.mac("form", formData(session, path, about, end)))
}

func (i *Issuer) checkFormToken(token, session, path, about string, at time.Time) bool {
	end, mac, _ := strings.Cut(token, ".")
	seconds, err := strconv.ParseInt(end, 10, 64)
	if err != nil || !at.Before(time.Unix(seconds, 0)) {
		return false
	}
	got, err := decode(mac)
	return err == nil && hmac.Equal(got, i.mac("form", formData(session, path, about, end)))
}

func formData(session, path, about, end string) []byte {
	return []byte(session + "\x00" + path + "\x00" + end + "\x00" + about) // only the last can hold a NUL
}

// A decision is an answered form.
type decision struct {
	answer  answer
	subject string
	about   string
}

// readDecision takes a form of ours, or tells the person what is wrong with it.
func (i *Issuer) readDecision(w http.ResponseWriter, r *http.Request, path string) (d decision, ok bool) {
	form, err := readForm(r)
	if err != nil {
		i.notice(w, http.StatusBadRequest, "This form could not be read.")
		return d, false
	}
	var session string
	if c, err := r.Cookie(formCookie); err == nil && validSession(c.Value) {
		session = c.Value
	}
	d.about = form.Get("about")
	if session == "" || !i.checkFormToken(form.Get("token"), session, path, d.about, time.Now()) {
		i.notice(w, http.StatusForbidden, "This form is not from a page of this issuer in this browser, or it is too old. Go back and open the page again.")
		return d, false
	}
	d.answer, ok = map[string]answer{"approve": approved, "deny": denied}[form.Get("decision")]
	if !ok {
		i.notice(w, http.StatusBadRequest, "This form could not be read.")
		return d, false
	}
	d.subject, ok = i.recognise(w, r)
	return d, ok
}

// showDevice is the verification page (RFC 8628 section 3.3).
func (i *Issuer) showDevice(w http.ResponseWriter, r *http.Request) {
	typed := r.URL.Query().Get("user_code")
	if typed == "" {
		i.show(w, http.StatusOK, page{EnterCode: true}, "'self'")
		return
	}
	d, err := i.lookUp(typed)
	switch err {
	case nil:
		i.ask(w, r, question{request: d.request, path: pathDevice, about: d.userCode, code: d.userCode})
	case errGuessing:
		w.Header().Set("Retry-After", strconv.Itoa(int(guessWindow/time.Second)))
		i.notice(w, http.StatusTooManyRequests, "Too many wrong codes were tried. Wait ten minutes and start the sign-in again.")
	default:
		i.show(w, http.StatusNotFound, page{EnterCode: true, Notice: "No sign-in waits for this code. It may have expired or been answered already."}, "'self'")
	}
}

// decideDevice takes the person's answer.
func (i *Issuer) decideDevice(w http.ResponseWriter, r *http.Request) {
	said, ok := i.readDecision(w, r, pathDevice)
	if !ok {
		return
	}
	switch err := i.answerDevice(said.about, said.subject, said.answer); {
	case err != nil:
		i.notice(w, http.StatusNotFound, "No sign-in waits for this code. It may have expired or been answered already.")
	case said.answer == approved:
		i.notice(w, http.StatusOK, "Approved. You can close this page: the program goes on by itself.")
	default:
		i.notice(w, http.StatusOK, "Denied. The program gets no access.")
	}
}
