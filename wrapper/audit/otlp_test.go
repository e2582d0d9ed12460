package audit_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"mcp-valet/wrapper/audit"
)

func TestEndpoints(t *testing.T) {
	for endpoint, want := range map[string]bool{
		"https://otel.example.com": true, "https://otel.example.com:4318/v1/logs": true, "http://127.0.0.1:4318": true,
		"http://localhost:4318/": true, "http://[::1]:4318": true,
		"": false, "otel.example.com": false, "http://otel.example.com": false, "http://127.0.0.1.example.com": false,
		"http://10.0.0.1": false, "https://u:p@otel.example.com": false, "https://otel.example.com?x=1": false,
		"https://otel.example.com/#": false, "file:///tmp/x": false, "https:otel.example.com": false, "https://": false,
		"http://localhost.example.com": false, "https://h/" + strings.Repeat("x", 3000): false,
	} {
		if err := audit.CheckEndpoint(endpoint); (err == nil) != want || err != nil && !errors.Is(err, audit.ErrEndpoint) {
			t.Errorf("%q: %v", endpoint, err)
		}
	}
}

// collector answers with what answer says, and counts records.
type collector struct {
	mu       sync.Mutex
	requests int
	records  int
	paths    []string
}

func (c *collector) start(t *testing.T, answer func(n int, w http.ResponseWriter)) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil || !json.Valid(b) || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("a request of %d bytes that is no JSON: %v", len(b), err)
		}
		c.mu.Lock()
		c.requests++
		n := c.requests
		c.records += strings.Count(string(b), `"timeUnixNano"`)
		c.paths = append(c.paths, r.URL.Path)
		c.mu.Unlock()
		answer(n, w)
	}))
	t.Cleanup(s.Close)
	return s
}

func good(_ int, w http.ResponseWriter) { io.WriteString(w, `{}`) }

func TestLiveExport(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1") // has no say
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	c := &collector{}
	s := c.start(t, good)
	e, err := audit.NewExporter(s.URL, "test")
	if err != nil {
		t.Fatal(err)
	}
	l := open(t, audit.Options{Dir: folder(t), Written: e.Export})
	for range 1200 {
		appendAll(t, l, "a")
	}
	closeLog(t, l)
	if err := e.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c.records != 1201 || c.requests < 3 || c.paths[0] != "/v1/logs" {
		t.Errorf("%d records in %d requests to %s", c.records, c.requests, c.paths[0])
	}
}

func TestExportRepeatsWhatMayBeRepeated(t *testing.T) {
	c := &collector{}
	s := c.start(t, func(n int, w http.ResponseWriter) {
		if n == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		good(n, w)
	})
	if sent, err := audit.Send(t.Context(), s.URL, "test", entry); sent != 1 || err != nil || c.requests != 2 {
		t.Errorf("sent %d in %d requests: %v", sent, c.requests, err)
	}
}

func entry(yield func(*audit.Entry, error) bool) {
	yield(&audit.Entry{Seq: 1, Record: *decision("a")}, nil)
}

func TestExportGivesUp(t *testing.T) {
	tests := map[string]func(int, http.ResponseWriter){
		"refused": func(_ int, w http.ResponseWriter) { w.WriteHeader(http.StatusBadRequest) },
		"redirected": func(_ int, w http.ResponseWriter) {
			w.Header().Set("Location", "/v1/logs")
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"not all": func(_ int, w http.ResponseWriter) {
			io.WriteString(w, `{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"x"}}`)
		},
		"much later": func(_ int, w http.ResponseWriter) {
			w.Header().Set("Retry-After", "600")
			w.WriteHeader(http.StatusTooManyRequests)
		},
	}
	for name, answer := range tests {
		t.Run(name, func(t *testing.T) {
			c := &collector{}
			s := c.start(t, answer)
			if sent, err := audit.Send(t.Context(), s.URL, "test", entry); sent != 0 || err == nil || c.requests != 1 {
				t.Errorf("sent %d in %d requests: %v", sent, c.requests, err)
			}
		})
	}
}

// TestExportDoesNotHoldUp: a collector that hangs costs records, never a call.
func TestExportDoesNotHoldUp(t *testing.T) {
	hang := make(chan struct{})
	c := &collector{}
	s := c.start(t, func(int, http.ResponseWriter) { <-hang })
	defer close(hang)
	e, err := audit.NewExporter(s.URL, "test")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for i := range 20_000 {
		e.Export(&audit.Entry{Seq: uint64(i + 1), Record: *decision("a")})
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("exporting took %s", took)
	}
	if e.Dropped() < 20_000-4096-2*512 {
		t.Errorf("dropped %d", e.Dropped())
	}
	ctx, cancel := timeout(t, 100*time.Millisecond)
	defer cancel()
	if err := e.Close(ctx); err == nil || e.Dropped() != 20_000 {
		t.Errorf("dropped %d: %v", e.Dropped(), err)
	} else if strings.Contains(err.Error(), fmt.Sprint(s.URL)) {
		t.Errorf("the error has the address: %v", err)
	}
}
