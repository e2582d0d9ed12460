package wrapper_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"mcp-valet/keyring"
	"mcp-valet/wrapper"
)

// BenchmarkRelay measures what a relay costs over a server that echoes what it reads: round trips of one message
// after another, and throughput with messages under way in both directions. "direct" has no relay; "copy" is two
// io.Copy, the least that one can do; "valet" is Run, and "valet-masks" is Run with a token and a password.
func BenchmarkRelay(b *testing.B) {
	for _, relay := range []struct {
		name  string
		start func(b *testing.B) (io.WriteCloser, io.Reader)
	}{
		{"direct", directly},
		{"copy", byCopy},
		{"valet", func(b *testing.B) (io.WriteCloser, io.Reader) { return byValet(b, wrapper.Fixed{}) }},
		{"valet-masks", func(b *testing.B) (io.WriteCloser, io.Reader) {
			return byValet(b, wrapper.Fixed{Token: keyring.NewSecret(jwt), Server: wrapper.Server{
				TokenEnv: "TOKEN", Secrets: map[string]keyring.Secret{"DB_PASSWORD": keyring.NewSecret("correct horse/battery")},
			}})
		}},
	} {
		for _, size := range []int{200, 64 << 10} {
			b.Run(fmt.Sprintf("roundtrip/%d/%s", size, relay.name), func(b *testing.B) {
				roundTrips(b, benchLine(size), relay.start)
			})
		}
		for _, size := range []int{200, 64 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("stream/%d/%s", size, relay.name), func(b *testing.B) {
				stream(b, benchLine(size), relay.start)
			})
		}
	}
}

func roundTrips(b *testing.B, line []byte, start func(b *testing.B) (io.WriteCloser, io.Reader)) {
	in, out := start(b)
	r := bufio.NewReaderSize(out, 2*len(line))
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		in.Write(line)
		if _, err := r.ReadSlice('\n'); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	in.Close()
}

func stream(b *testing.B, line []byte, start func(b *testing.B) (io.WriteCloser, io.Reader)) {
	in, out := start(b)
	b.SetBytes(int64(len(line)))
	b.ResetTimer()
	go func() {
		for range b.N {
			in.Write(line)
		}
		in.Close()
	}()
	n, err := io.Copy(io.Discard, out)
	if err != nil || n != int64(b.N*len(line)) {
		b.Fatalf("%d bytes of %d: %v", n, b.N*len(line), err)
	}
}

// benchLine is a message that may be sent any number of times, and echoed: a notification.
func benchLine(size int) []byte {
	const format = `{"jsonrpc":"2.0","method":"notifications/x","params":{"text":"%s"}}` + "\n"
	text := strings.Repeat("The quick brown fox, eyJ0 jumps\\n", size/33+1)
	text = text[:(size-len(format))/33*33]
	return fmt.Appendf(nil, format, text)
}

func echoServer(b *testing.B) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), scriptEnv+"=echo")
	return cmd
}

func directly(b *testing.B) (io.WriteCloser, io.Reader) {
	cmd := echoServer(b)
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); cmd.Wait() })
	return in, out
}

func byCopy(b *testing.B) (io.WriteCloser, io.Reader) {
	serverIn, serverOut := directly(b)
	in, client := benchPipe(b)
	out, back := benchPipe(b)
	go func() { io.Copy(struct{ io.Writer }{serverIn}, struct{ io.Reader }{in}); serverIn.Close() }()
	go func() { io.Copy(struct{ io.Writer }{back}, struct{ io.Reader }{serverOut}); back.Close() }()
	return client, out
}

func byValet(b *testing.B, with wrapper.Fixed) (io.WriteCloser, io.Reader) {
	in, client := benchPipe(b)
	out, back := benchPipe(b)
	cmd := echoServer(b)
	with.Server.Path, with.Server.Env = cmd.Path, map[string]string{scriptEnv: "echo"}
	o := wrapper.Options{Starter: with, In: in, Out: back, Err: os.Stderr}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := wrapper.Run(b.Context(), o); err != nil {
			b.Error(err)
		}
		back.Close()
	}()
	b.Cleanup(func() { client.Close(); <-done })
	return client, out
}

func benchPipe(b *testing.B) (r, w *os.File) {
	r, w, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}
