package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// recorder stands before the issuer and notes the tokens that it hands out.
type recorder struct {
	issuer http.Handler
	server *http.Server
	served chan error

	mu    sync.Mutex
	found map[string]bool
}

func record(issuer http.Handler) *recorder {
	return &recorder{issuer: issuer, served: make(chan error, 1), found: map[string]bool{}}
}

func (r *recorder) serve(l net.Listener) { r.served <- r.server.Serve(l) }

// close ends the server and waits for it.
func (r *recorder) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := r.server.Shutdown(ctx)
	if e := <-r.served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	t := &tee{ResponseWriter: w}
	r.issuer.ServeHTTP(t, req)
	r.note(t.body.Bytes())
}

// tee keeps a copy of an answer's body.
type tee struct {
	http.ResponseWriter
	body bytes.Buffer
}

func (t *tee) Write(p []byte) (int, error) {
	t.body.Write(p)
	return t.ResponseWriter.Write(p)
}

func (r *recorder) note(body []byte) {
	var tokens struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		ID      string `json:"id_token"`
	}
	if !bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) || json.Unmarshal(body, &tokens) != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range []string{tokens.Access, tokens.Refresh, tokens.ID} {
		if t != "" {
			r.found[t] = true
		}
	}
}

// tokens lists what was handed out so far.
func (r *recorder) tokens() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for t := range r.found {
		all = append(all, t)
	}
	return all
}
