package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// ErrEndpoint is what is wrong with an address to export to.
var ErrEndpoint = errors.New("an OTLP endpoint is an address with https://, or http:// on this machine, without user name, query and fragment")

const (
	exportQueue = 4096             // records that wait to be sent
	exportBatch = 512              // records in one request
	exportPause = time.Second      // how long a record may wait for others
	exportLimit = 15 * time.Second // for one request and its repetitions
	maxAnswer   = 64 << 10         // bytes
)

// CheckEndpoint tells whether records may be sent to an address: https, or http on this machine.
func CheckEndpoint(endpoint string) error { _, err := logsURL(endpoint); return err }

// logsURL is where logs go: OTLP specification, "OTLP/HTTP Request": the path is /v1/logs unless another is configured.
func logsURL(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil, len(endpoint) > 2048, u.Host == "", u.Opaque != "", u.User != nil, u.RawQuery != "", u.ForceQuery, strings.Contains(endpoint, "#"):
		return "", ErrEndpoint
	case u.Scheme == "https":
	case u.Scheme != "http" || !loopback(u.Hostname()):
		return "", ErrEndpoint
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/logs"
	}
	return u.String(), nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && a.IsLoopback()
}

// Exporter sends records to a collector by OTLP/HTTP in JSON, in the background. What does not fit into its queue, and
// what the collector does not take, is dropped and counted: nothing waits for it.
type Exporter struct {
	sender  sender
	queue   chan *Entry
	stop    chan struct{}
	cancel  context.CancelFunc
	joined  sync.WaitGroup
	once    sync.Once
	dropped atomic.Uint64
	last    atomic.Pointer[error]
}

// NewExporter begins to export to an endpoint, which comes from the config alone: no variable of the environment, which
// whoever starts us sets, has a say, nor in how to get there. version is that of this program.
func NewExporter(endpoint, version string) (*Exporter, error) {
	s, err := newSender(endpoint, version)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	e := &Exporter{sender: s, queue: make(chan *Entry, exportQueue), stop: make(chan struct{}), cancel: cancel}
	e.joined.Go(func() { e.work(ctx) })
	return e, nil
}

// Export takes a copy of a record to be sent. It does not wait.
func (e *Exporter) Export(entry *Entry) {
	own := *entry
	own.Roles, own.Arguments = slices.Clone(own.Roles), bytes.Clone(own.Arguments)
	select {
	case e.queue <- &own:
	default:
		e.dropped.Add(1)
	}
}

// Dropped is how many records have not arrived and will not.
func (e *Exporter) Dropped() uint64 { return e.dropped.Load() }

// Close sends what waits, for as long as ctx allows, and gives the last error when records were dropped.
func (e *Exporter) Close(ctx context.Context) error {
	e.once.Do(func() { close(e.stop) })
	defer context.AfterFunc(ctx, e.cancel)()
	e.joined.Wait()
	e.cancel()
	e.sender.client.CloseIdleConnections()
	if n := e.Dropped(); n > 0 {
		why := errors.New("more records than the exporter holds")
		if last := e.last.Load(); last != nil {
			why = *last
		}
		return fmt.Errorf("%d audit records were not exported: %w", n, why)
	}
	return nil
}

func (e *Exporter) work(ctx context.Context) {
	defer e.cancel()
	var batch []*Entry
	timer := time.NewTimer(exportPause)
	defer timer.Stop()
	for {
		select {
		case entry := <-e.queue:
			if batch = append(batch, entry); len(batch) == 1 {
				timer.Reset(exportPause)
			}
			if len(batch) < exportBatch {
				continue
			}
		case <-timer.C:
		case <-e.stop:
			e.rest(ctx, batch)
			return
		}
		e.send(ctx, batch)
		batch = batch[:0]
	}
}

// rest sends what is left at the end.
func (e *Exporter) rest(ctx context.Context, batch []*Entry) {
	for {
		select {
		case entry := <-e.queue:
			if batch = append(batch, entry); len(batch) < exportBatch {
				continue
			}
			e.send(ctx, batch)
			batch = batch[:0]
		default:
			e.send(ctx, batch)
			return
		}
	}
}

func (e *Exporter) send(ctx context.Context, batch []*Entry) {
	if len(batch) == 0 {
		return
	}
	lost, err := e.sender.send(ctx, batch)
	e.dropped.Add(lost)
	if err != nil {
		e.last.Store(&err)
	}
}

// Send exports entries at once and waits for the collector to take them. It ends with the first error, and gives how many
// were taken.
func Send(ctx context.Context, endpoint, version string, entries func(yield func(*Entry, error) bool)) (sent uint64, err error) {
	s, err := newSender(endpoint, version)
	if err != nil {
		return 0, err
	}
	defer s.client.CloseIdleConnections()
	var batch []*Entry
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		lost, err := s.send(ctx, batch)
		sent += uint64(len(batch)) - lost
		batch = batch[:0]
		return err
	}
	for entry, err := range entries {
		if err != nil {
			return sent, err
		}
		if batch = append(batch, entry); len(batch) == exportBatch {
			if err := flush(); err != nil {
				return sent, err
			}
		}
	}
	return sent, flush()
}

// sender makes one request after another.
type sender struct {
	url, version string
	client       *http.Client
}

func newSender(endpoint, version string) (sender, error) {
	u, err := logsURL(endpoint)
	if err != nil {
		return sender{}, err
	}
	transport := &http.Transport{ // Proxy is nil: no proxy, whatever the environment says
		DialContext:         (&net.Dialer{Timeout: exportLimit}).DialContext,
		TLSHandshakeTimeout: exportLimit, ForceAttemptHTTP2: true, MaxIdleConns: 1, IdleConnTimeout: time.Minute,
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return sender{u, version, client}, nil
}

// send gives how many records of the batch have not arrived.
func (s sender) send(ctx context.Context, batch []*Entry) (lost uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, exportLimit)
	defer cancel()
	body := appendRequest(nil, s.version, batch)
	for pause := time.Second; ; pause *= 2 {
		var again bool
		var wait time.Duration
		lost, wait, again, err = s.post(ctx, body)
		if err == nil {
			return lost, nil
		}
		if !again || ctx.Err() != nil || !sleep(ctx, max(pause, wait)) {
			if lost == 0 {
				lost = uint64(len(batch))
			}
			return lost, fmt.Errorf("exporting to the OTLP endpoint: %w", err)
		}
	}
}

// post makes one request. OTLP specification, "OTLP/HTTP Response": 429, 502, 503 and 504 may be repeated, Retry-After
// heeded; a request that did not get through may, too.
func (s sender) post(ctx context.Context, body []byte) (lost uint64, wait time.Duration, again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return 0, 0, false, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "mcp-valet/"+s.version)
	resp, err := s.client.Do(req)
	if err != nil {
		var named *url.Error
		if errors.As(err, &named) {
			err = named.Err // without the address
		}
		return 0, 0, true, err
	}
	defer resp.Body.Close() // only read
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode == http.StatusOK {
		return partial(answer, err)
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		wait = time.Duration(min(seconds, 3600)) * time.Second
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		again = true
	}
	return 0, wait, again, fmt.Errorf("it answered with status %d", resp.StatusCode)
}

// partial reads a good answer, which may say that some records were not taken. Its text is not repeated anywhere.
func partial(answer []byte, err error) (uint64, time.Duration, bool, error) {
	var said struct {
		PartialSuccess struct {
			RejectedLogRecords json.Number `json:"rejectedLogRecords"`
		} `json:"partialSuccess"`
	}
	if err != nil || json.Unmarshal(answer, &said) != nil {
		return 0, 0, false, nil // taken: the status says so
	}
	n, err := strconv.ParseUint(said.PartialSuccess.RejectedLogRecords.String(), 10, 63)
	if err != nil || n == 0 {
		return 0, 0, false, nil
	}
	return n, 0, false, fmt.Errorf("it did not take %d records", n)
}

func sleep(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) < d {
		return false // there would be no time left
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
