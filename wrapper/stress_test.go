package wrapper_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mcp-valet/wrapper"
)

// stressLimit is when a session under stress is given up: it hangs.
const stressLimit = time.Minute

// stressed gives the client's end of a Run, in this process, before a server under stress. It is cut when that takes too
// long, and awaited at the end of the test.
func stressed(t *testing.T, kind string, err io.Writer) (in, out *os.File) {
	self, e := os.Executable()
	if e != nil {
		t.Fatal(e)
	}
	inRead, in := pipe(t)
	out, outWrite := pipe(t)
	done := make(chan struct{})
	server := wrapper.Server{Path: self, Env: map[string]string{stressEnv: kind, "GORACE": "atexit_sleep_ms=0"}}
	ctx := context.WithoutCancel(t.Context()) // which is over before the server is let go
	go func() {
		defer close(done)
		code, err := wrapper.Run(ctx, wrapper.Options{Starter: wrapper.Fixed{Server: server}, In: inRead, Out: outWrite, Err: err})
		if code != 0 || err != nil {
			t.Errorf("Run returned %d, %v", code, err)
		}
		outWrite.Close()
	}()
	limit := cutLate(in, out)
	t.Cleanup(func() { in.Close(); <-done; limit.Stop() })
	return in, out
}

// cutLate closes the streams of a session that hangs.
func cutLate(streams ...io.Closer) *time.Timer {
	return time.AfterFunc(stressLimit, func() {
		for _, s := range streams {
			s.Close()
		}
	})
}

// fewer is a number of things to do, or a twentieth of it in a short run.
func fewer(n int) int {
	if testing.Short() {
		return n / 20
	}
	return n
}

func wantLine(t *testing.T, r *bufio.Reader, want []byte) {
	t.Helper()
	got, err := r.ReadBytes('\n')
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("got %.200q, %v; want %.200q", got, err, want)
	}
}

// TestByteByByte has both neighbours write and read one byte at a time.
func TestByteByByte(t *testing.T) {
	in, out := stressed(t, "drip", os.Stderr)
	var sent, want bytes.Buffer
	for i := range fewer(200) {
		id, params := strconv.Itoa(i), fmt.Sprintf(`{"a":[%d,"\ud83d\ude00 naïve 天地 \"\\",true,-1.5e3,{"b":null}]}`, i)
		space := []string{"", " ", "\r", "\t \r"}[i%4]
		fmt.Fprintf(&sent, "%s{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"x\",\"params\":%s}%s\n%s", space, id, params, space, []string{"", "\n", "\r\n"}[i%3])
		want.Write(stressAnswer([]byte(id), []byte(params)))
	}
	large := `{"text":"` + strings.Repeat("many bytes ", fewer(2000)) + `"}`
	fmt.Fprintf(&sent, `{"jsonrpc":"2.0","id":"large","method":"x","params":%s}`+"\n", large)
	want.Write(stressAnswer([]byte(`"large"`), []byte(large)))
	go drip{in}.Write(sent.Bytes())
	one := make([]byte, 1)
	for i, c := range want.Bytes() {
		if _, err := out.Read(one); err != nil || one[0] != c {
			t.Fatalf("byte %d of %d is %q, %v; want %q", i, want.Len(), one, err, c)
		}
	}
}

// TestManyMessages has many small requests answered, a thousand of them waiting at a time.
func TestManyMessages(t *testing.T) {
	in, out := stressed(t, "answer", os.Stderr)
	n, waiting := fewer(100_000), make(chan struct{}, 1000)
	go func() {
		w := bufio.NewWriter(in)
		for i := range n {
			select {
			case waiting <- struct{}{}:
			default:
				w.Flush()
				waiting <- struct{}{}
			}
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"a%d"}}`+"\n", i, i)
			if i%7 == 0 {
				fmt.Fprintln(w, `{"jsonrpc":"2.0","method":"notifications/x","params":{"n":1}}`)
			}
		}
		w.Flush()
	}()
	r := bufio.NewReader(out)
	for i := range n {
		wantLine(t, r, stressAnswer(strconv.AppendInt(nil, int64(i), 10), fmt.Appendf(nil, `{"name":"a%d"}`, i)))
		<-waiting
	}
}

// TestManyIDs has a thousand requests wait together and be answered in any order, again and again: numbers, and the
// strings that look like them. One id that waits already is refused, and its request is answered all the same.
func TestManyIDs(t *testing.T) {
	const ids = 1000
	in, out := stressed(t, "shuffle "+strconv.Itoa(ids), os.Stderr)
	r := bufio.NewReader(out)
	for round := range fewer(20) {
		want := map[string]bool{}
		var sent bytes.Buffer
		for i := range ids {
			id := []string{"%d", `"%d"`, "-%d", `"\u002d%d"`}[i%4]
			id = fmt.Sprintf(id, 1+i/4)
			params := fmt.Sprintf(`{"round":%d,"i":%d}`, round, i)
			fmt.Fprintf(&sent, `{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":%s}`+"\n", id, params)
			want[string(stressAnswer([]byte(id), []byte(params)))] = true
		}
		again := []string{"7.0", `"\u0037"`, "-70e-1", `"-7"`}[round%4]
		begin := bytes.LastIndexByte(sent.Bytes()[:sent.Len()-1], '\n') + 1 // all must wait when it comes
		last := bytes.Clone(sent.Bytes()[begin:])
		sent.Truncate(begin)
		fmt.Fprintf(&sent, `{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{}}`+"\n", again)
		sent.Write(last)
		want[fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32600,"message":"mcp-valet: a request with this id is still waiting for its answer"}}`+"\n", again)] = true
		go in.Write(sent.Bytes())
		for len(want) > 0 {
			line, err := r.ReadString('\n')
			if err != nil || !want[line] {
				t.Fatalf("round %d: got %q, %v, with %d answers to come", round, line, err, len(want))
			}
			delete(want, line)
		}
	}
}

// TestFlood has the server flood stderr while it answers: all of that arrives, in order, when it is read; and when nobody
// reads it, requests are answered all the same.
func TestFlood(t *testing.T) {
	lines := fewer(200_000)
	t.Run("read", func(t *testing.T) {
		flood := &floodReader{done: make(chan struct{}), lines: lines}
		in, out := stressed(t, fmt.Sprint("flood ", lines), flood)
		converse(t, in, out)
		select {
		case <-flood.done:
		case <-time.After(stressLimit):
			t.Fatalf("%d lines of %d have come", flood.next.Load(), lines)
		}
		if flood.wrong != "" {
			t.Error(flood.wrong)
		}
	})
	t.Run("not read", func(t *testing.T) {
		_, w := pipe(t)
		in, out := stressed(t, fmt.Sprint("flood ", lines), w)
		converse(t, in, out)
	})
}

// converse has a thousand requests answered, one after another.
func converse(t *testing.T, in io.Writer, out io.Reader) {
	t.Helper()
	r := bufio.NewReader(out)
	for i := range fewer(1000) {
		fmt.Fprintf(in, `{"jsonrpc":"2.0","id":%d,"method":"x","params":{}}`+"\n", i)
		wantLine(t, r, stressAnswer(strconv.AppendInt(nil, int64(i), 10), []byte("{}")))
	}
}

// floodReader reads a flood of numbered lines.
type floodReader struct {
	rest  []byte
	next  atomic.Int64
	lines int
	wrong string // the first thing that was, before done
	done  chan struct{}
}

func (f *floodReader) Write(p []byte) (int, error) {
	f.rest = append(f.rest, p...)
	for {
		i := bytes.IndexByte(f.rest, '\n')
		if i < 0 {
			return len(p), nil
		}
		if n := int(f.next.Load()); n < f.lines {
			if want := floodLine(n); f.wrong == "" && string(f.rest[:i+1]) != want {
				f.wrong = fmt.Sprintf("line %d of stderr is %.80q", n, f.rest[:i+1])
			}
			if f.next.Add(1); n+1 == f.lines {
				close(f.done)
			}
		}
		f.rest = f.rest[i+1:]
	}
}

// TestLargeBothWays has large messages go both ways at once past a relay that is a process of its own. Neither way waits
// for the other: not when the client reads nothing before the server has got all, nor when the server does not, nor
// when both are slow. The relay needs memory for the messages at hand, not for all.
func TestLargeBothWays(t *testing.T) {
	const size, most = 10 << 20, 96 << 10 // bytes of a message, KiB of a relay
	n := 12
	if testing.Short() {
		n = 2
	}
	for _, tt := range []struct{ name, server, client string }{
		{"client reads late", "read", "late"},
		{"server reads late", "write", "at once"},
		{"both are slow", "slow", "slow"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(self)
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=relay exchange %d %d %s", stressEnv, n, size, tt.server), "GORACE=atexit_sleep_ms=0")
			cmd.Stderr = os.Stderr
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			limit := time.AfterFunc(stressLimit, func() { cmd.Process.Kill() })
			defer limit.Stop()
			defer func() {
				in.Close()
				if err := cmd.Wait(); err != nil {
					t.Error(err)
				}
			}()
			wrote := make(chan uint32, 1)
			go func() {
				sum := crc32.NewIEEE()
				for i := range n {
					io.MultiWriter(sum, in).Write(largeMessage(25-i%26, size))
				}
				wrote <- sum.Sum32()
			}()
			var sum uint32
			r := bufio.NewReaderSize(out, 64<<10)
			switch tt.client {
			case "late":
				sum = <-wrote
			case "slow":
				r = bufio.NewReaderSize(slow{out}, 256<<10)
			}
			for i := range n {
				wantLine(t, r, largeMessage(i, size))
			}
			if tt.client != "late" {
				sum = <-wrote
			}
			wantLine(t, r, []byte(exchanged(int64(n*size), sum)))
			if runtime.GOOS != "linux" {
				return
			}
			if got := mostMemory(t, cmd.Process.Pid); got > most {
				t.Errorf("the relay has needed %d KiB, more than %d", got, most)
			} else {
				t.Logf("%d MiB each way; the relay has needed %d MiB", n*size>>20, got>>10)
			}
		})
	}
}

// mostMemory is the most memory, in KiB, that a process has needed so far.
func mostMemory(t *testing.T, pid int) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindSubmatch(status)
	if found == nil {
		t.Fatalf("no VmHWM in %s", status)
	}
	return atoi(string(found[1]))
}
