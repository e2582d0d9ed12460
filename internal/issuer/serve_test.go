package issuer_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"mcp-valet/internal/issuer"
)

func start(t *testing.T, ctx context.Context) *issuer.Issuer {
	t.Helper()
	o := options()
	o.URL = ""
	i, err := issuer.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := i.Start(ctx); err != nil {
		t.Fatal(err)
	}
	return i
}

func TestOverTheNetwork(t *testing.T) {
	i := start(t, t.Context())
	if !strings.HasPrefix(i.URL(), "http://127.0.0.1:") {
		t.Fatalf("URL %q", i.URL())
	}
	if err := i.Start(t.Context()); err == nil {
		t.Error("started twice")
	}
	remote := &rig{i, t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequest(r.Method, i.URL()+r.URL.RequestURI(), r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		req.Header = r.Header
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		bufio.NewReader(resp.Body).WriteTo(w)
	})}
	a := remote.refresh(remote.signIn().Refresh)
	v, err := issuer.NewVerifier(i.URL(), audience)
	if err != nil {
		t.Fatal(err)
	}
	if claims, err := v.Verify(t.Context(), a.Access); err != nil || claims.Issuer != i.URL() {
		t.Errorf("%+v, %v", claims, err)
	}
	if err := i.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", strings.TrimPrefix(i.URL(), "http://")); err == nil {
		conn.Close()
		t.Error("still listening after Close")
	}
}

func TestContextEndsServing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	i := start(t, ctx)
	conn, err := net.Dial("tcp", strings.TrimPrefix(i.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	cancel()
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("an open connection survived: %v", err)
	}
	if err := i.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestCloseWithoutStart(t *testing.T) {
	if err := newRig(t).Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAddressInUse(t *testing.T) {
	i := start(t, t.Context())
	defer i.Close(context.Background())
	o := options()
	o.Addr = strings.TrimPrefix(i.URL(), "http://")
	second, err := issuer.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Start(t.Context()); err == nil {
		t.Error("two listeners on one port")
	}
}
