package refresh

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

const redirectPath = "/callback"

// redirect is the place on loopback to which an issuer sends the browser back:
// one path, one answer, for whoever knows the state.
type redirect struct {
	state    string
	checkIss func(iss []string) bool

	addr     string    // "127.0.0.1:PORT"
	back     chan back // buffered: takes the one answer
	answered atomic.Bool
	server   *http.Server
	served   chan struct{} // closed when the server's goroutine has ended
}

// back is what the browser brought.
type back struct {
	code string // a secret until it is redeemed
	err  error
}

// listen opens the listener on the literal address (a name could be resolved to
// another, RFC 8252 section 8.3). The caller closes it.
func (r *redirect) listen() error {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening on loopback for the browser: %w", err)
	}
	r.addr = listener.Addr().String()
	r.back = make(chan back, 1)
	r.served = make(chan struct{})
	r.server = &http.Server{
		Handler:           http.HandlerFunc(r.serve),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      5 * time.Second,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // it would repeat what a stranger sent
	}
	r.server.SetKeepAlivesEnabled(false)
	go func() {
		defer close(r.served)
		_ = r.server.Serve(listener) // it ends by close, which is no failure
	}()
	return nil
}

func (r *redirect) uri() string { return "http://" + r.addr + redirectPath }

// close lets the answer that is under way reach the browser, and joins the
// server. A browser may hold connections open that it never used.
func (r *redirect) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if r.server.Shutdown(ctx) != nil {
		_ = r.server.Close() // what is left is a connection nobody uses
	}
	<-r.served
}

// serve answers the browser. Everyone on this machine, and any web page through
// the person's browser, can send requests here: a wrong one changes nothing.
func (r *redirect) serve(w http.ResponseWriter, req *http.Request) {
	switch {
	case req.Host != r.addr: // DNS rebinding
		say(w, http.StatusMisdirectedRequest, "This is not the place.")
	case req.URL.Path != redirectPath:
		say(w, http.StatusNotFound, "There is nothing here.")
	case req.Method != http.MethodGet:
		say(w, http.StatusMethodNotAllowed, "Only GET is answered here.")
	default:
		r.callback(w, req.URL.RawQuery)
	}
}

func (r *redirect) callback(w http.ResponseWriter, rawQuery string) {
	q, err := url.ParseQuery(rawQuery)
	if err != nil || !r.ours(q) {
		say(w, http.StatusBadRequest, "This answer does not belong to the sign-in that is waiting.")
		return
	}
	if r.answered.Swap(true) {
		say(w, http.StatusGone, "The sign-in has already been answered.")
		return
	}
	came := r.read(q)
	if came.err != nil {
		say(w, http.StatusBadRequest, "The sign-in was not completed. You can close this window.")
	} else {
		say(w, http.StatusOK, "Thank you. You can close this window.")
	}
	r.back <- came
}

// ours compares in constant time: the state is what keeps strangers out.
func (r *redirect) ours(q url.Values) bool {
	states := q["state"]
	return len(states) == 1 && subtle.ConstantTimeCompare([]byte(states[0]), []byte(r.state)) == 1
}

func (r *redirect) read(q url.Values) back {
	if !r.checkIss(q["iss"]) {
		return back{err: fmt.Errorf("%w: the browser's answer is from another issuer", ErrForeign)}
	}
	if q.Has("error") {
		e := &OAuthError{Description: clean(q.Get("error_description"))}
		if code := q.Get("error"); errorCode(code) {
			e.Code = code
		}
		return back{err: denied(e)}
	}
	codes := q["code"]
	if len(codes) != 1 || codes[0] == "" || len(codes[0]) > maxToken {
		return back{err: errors.New("the browser's answer holds no code")}
	}
	return back{code: codes[0]}
}

// say answers with a page of constant text.
func say(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	// A browser that hung up has its answer.
	_, _ = io.WriteString(w, "<!doctype html><html lang=\"en\"><title>mcp-valet</title><p>"+text+"</p></html>\n")
}
