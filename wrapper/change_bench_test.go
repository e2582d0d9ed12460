package wrapper_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mcp-valet/keyring"
	"mcp-valet/wrapper"
)

// replyEnv makes the test binary a server that answers each request with as many bytes, and has a start of its own that takes
// as long as the variable says.
const replyEnv = "WRAPPER_BENCH_REPLY"

func init() {
	if text, ok := os.LookupEnv(replyEnv); ok {
		takes, err := time.ParseDuration(text)
		if err != nil {
			die("%v", err)
		}
		time.Sleep(takes)
		reply()
		os.Exit(0)
	}
}

func reply() {
	const format = `{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"},"by":"%d","text":"%s"}}` + "\n"
	in := bufio.NewReaderSize(os.Stdin, 2<<20)
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return
		}
		_, rest, isRequest := bytes.Cut(line, []byte(`"id":`))
		if isRequest {
			id, _, _ := bytes.Cut(rest, []byte(","))
			fmt.Printf(format, id, os.Getpid(), strings.Repeat("x", max(0, len(line)-len(format))))
		}
	}
}

// newTokens is a Starter that has another token each time, and says of each when it is due.
type newTokens struct {
	server    wrapper.Server
	due, ends func() time.Time
	given     atomic.Int64
}

func (n *newTokens) Start(context.Context, wrapper.Effort) (wrapper.Start, error) {
	token := fmt.Sprintf("%s-%d", jwt, n.given.Add(1))
	return wrapper.Start{Server: n.server, Token: keyring.NewSecret(token), Due: n.due(), Ends: n.ends()}, nil
}

func never() time.Time { return time.Time{} }
func past() time.Time  { return time.Now().Add(-time.Hour).Round(0) }
func later() time.Time { return time.Now().Add(time.Hour).Round(0) }
func far() time.Time   { return time.Now().Add(2 * time.Hour).Round(0) }

// BenchmarkRestart measures what a request waits for that another server with a new token is started for, whose own start
// takes the time in the name. ms-over-child is the median of that less what the same server takes when nothing stands before
// it: from its start over the handshake to the answer. "fresh" is with a new token at hand, "ended" looks for one first.
func BenchmarkRestart(b *testing.B) {
	for _, takes := range []time.Duration{0, 50 * time.Millisecond} {
		for _, tt := range []struct {
			name      string
			due, ends func() time.Time
			settle    bool // a request is made before that which waits: it has the token got
		}{{"fresh", past, never, true}, {"ended", past, past, false}} {
			b.Run(fmt.Sprintf("start-%s/%s", takes, tt.name), func(b *testing.B) {
				starter := &newTokens{server: replyServer(takes), due: tt.due, ends: tt.ends}
				c := benchClient(b, wrapper.Options{Starter: starter, Renewal: wrapper.RenewRestart, Environ: os.Environ()})
				c.trip(benchHello)
				io.WriteString(c.in, benchReady)
				time.Sleep(pause)
				c.trip(string(toolCall(0))) // the first change, as the handshake has had a token got
				var over, child, whole []float64
				last, id := "", 0
				for b.Loop() {
					if tt.settle {
						id++
						last = c.by(string(toolCall(id)))
					}
					time.Sleep(pause)
					id++
					began := time.Now()
					by := c.by(string(toolCall(id)))
					took := ms(time.Since(began))
					if by == last {
						b.Fatalf("no other server has answered than %s", by)
					}
					last = by
					time.Sleep(pause)
					own := ownStart(b, takes)
					over, child, whole = append(over, took-own), append(child, own), append(whole, took)
				}
				b.StopTimer()
				b.ReportMetric(median(over), "ms-over-child")
				b.ReportMetric(median(child), "ms-child")
				b.ReportMetric(median(whole), "ms-restart")
				b.ReportMetric(0, "ns/op") // which is mostly sleep
			})
		}
	}
}

// pause is enough for a renewal in the background, and for the end of a server that is not needed any more.
const pause = 30 * time.Millisecond

const (
	benchHello = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}` + "\n"
	benchReady = `{"jsonrpc":"2.0","method":"notifications/initialized"}` + "\n"
)

func replyServer(takes time.Duration) wrapper.Server {
	self, err := os.Executable()
	if err != nil {
		die("%v", err)
	}
	return wrapper.Server{Path: self, Env: map[string]string{replyEnv: takes.String()}, TokenEnv: "TOKEN"}
}

// ownStart is what a server takes from its start to the answer to a call, in milliseconds.
func ownStart(b *testing.B, takes time.Duration) float64 {
	server := replyServer(takes)
	cmd := exec.Command(server.Path)
	cmd.Env = append(os.Environ(), replyEnv+"="+takes.String())
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	c := &rawClient{b: b, in: in, out: bufio.NewReader(out)}
	c.trip(benchHello)
	io.WriteString(in, benchReady)
	c.trip(string(toolCall(1)))
	took := ms(time.Since(began))
	in.Close()
	cmd.Wait()
	return took
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

// rawClient is a client that makes one request after another.
type rawClient struct {
	b   *testing.B
	in  io.WriteCloser
	out *bufio.Reader
}

// by is a trip that tells which process has answered.
func (c *rawClient) by(line string) string {
	_, rest, _ := bytes.Cut(c.trip(line), []byte(`"by":"`))
	process, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(process)
}

// trip sends a request and reads on to its answer, which is good until the next trip.
func (c *rawClient) trip(line string) []byte {
	if _, err := io.WriteString(c.in, line); err != nil {
		c.b.Fatal(err)
	}
	for {
		got, err := c.out.ReadSlice('\n')
		if err != nil || bytes.Contains(got, []byte(`"error"`)) || bytes.Contains(got, []byte(`"isError"`)) {
			c.b.Fatalf("%.300s: %v", got, err)
		}
		if bytes.Contains(got, []byte(`"result"`)) {
			return got
		}
	}
}

// benchClient is the client of a session.
func benchClient(b *testing.B, o wrapper.Options) *rawClient {
	in, client := benchPipe(b)
	out, back := benchPipe(b)
	o.In, o.Out, o.Err = in, back, os.Stderr
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := wrapper.Run(b.Context(), o); err != nil {
			b.Error(err)
		}
		back.Close()
	}()
	b.Cleanup(func() { client.Close(); <-done })
	return &rawClient{b, client, bufio.NewReaderSize(out, 2<<20)}
}

// BenchmarkRenewal measures what renewal costs a call while nothing is to be renewed: "copy" is two io.Copy, and the others
// are Run with a token that is delivered in each of the ways.
func BenchmarkRenewal(b *testing.B) {
	for _, size := range []int{200, 64 << 10} {
		b.Run(fmt.Sprintf("%d/copy", size), func(b *testing.B) { calls(b, copyClient(b), size) })
		for _, tt := range []struct {
			name string
			how  wrapper.Renewal
		}{{"off", wrapper.RenewOff}, {"restart", wrapper.RenewRestart}, {"file", wrapper.RenewFile}, {"meta", wrapper.RenewMeta}} {
			b.Run(fmt.Sprintf("%d/%s", size, tt.name), func(b *testing.B) {
				calls(b, benchClient(b, wrapper.Options{
					Starter: &newTokens{server: replyServer(0), due: later, ends: far}, Renewal: tt.how,
					TokenFile: b.TempDir() + "/tokens/kb", Environ: os.Environ(),
				}), size)
			})
		}
	}
}

// calls makes one call after another, of a size, which is that of its answer too.
func calls(b *testing.B, c *rawClient, size int) {
	c.trip(benchHello)
	io.WriteString(c.in, benchReady)
	const format = `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"search","arguments":{"query":"%s"}}}` + "\n"
	query := strings.Repeat("x", size-len(format))
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for id := 1; b.Loop(); id++ {
		c.trip(fmt.Sprintf(format, id, query))
	}
}

// copyClient is a client whose server has no more than two io.Copy before it.
func copyClient(b *testing.B) *rawClient {
	server := replyServer(0)
	cmd := exec.Command(server.Path)
	cmd.Env = append(os.Environ(), replyEnv+"=0s")
	serverIn, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	serverOut, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	in, client := benchPipe(b)
	out, back := benchPipe(b)
	go func() { io.Copy(struct{ io.Writer }{serverIn}, struct{ io.Reader }{in}); serverIn.Close() }()
	go func() { io.Copy(struct{ io.Writer }{back}, struct{ io.Reader }{serverOut}); back.Close() }()
	b.Cleanup(func() { client.Close(); cmd.Wait() })
	return &rawClient{b, client, bufio.NewReaderSize(out, 2<<20)}
}
