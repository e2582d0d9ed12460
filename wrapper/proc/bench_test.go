package proc_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
)

// BenchmarkPipe sends one message at a time through a middleman, as the launcher is one: it reads its
// own stdin, writes the child's, and back. "proc" has this package's pipes in the middle, "os/exec" those
// of the Go runtime's poller, which are several times slower at 1 MiB.
func BenchmarkPipe(b *testing.B) {
	for _, size := range []int{200, 64 << 10, 1 << 20, 10 << 20} {
		for _, middle := range []string{"proc", "os/exec"} {
			b.Run(fmt.Sprintf("%s/%d", middle, size), func(b *testing.B) { benchmarkPipe(b, middle, size) })
		}
	}
}

func benchmarkPipe(b *testing.B, middle string, size int) {
	s := spec("middle " + middle)
	cmd := exec.Command(s.Path)
	cmd.Env, cmd.Stderr = s.Env, os.Stderr
	in, out := must(cmd.StdinPipe()), must(cmd.StdoutPipe())
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	message, answer := bytes.Repeat([]byte("x"), size), make([]byte, size)
	message[size-1] = '\n'
	requests := make(chan struct{})
	go func() {
		for range requests {
			in.Write(message)
		}
		in.Close()
	}()
	b.SetBytes(int64(size))
	for b.Loop() {
		requests <- struct{}{}
		if _, err := io.ReadFull(out, answer); err != nil {
			b.Fatal(err)
		}
	}
	close(requests)
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
}
