package wrapper_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"mcp-valet/wrapper"
)

// stressEnv makes the test binary a server under stress, of the kind that this variable says, or nothing but a Run of
// one where that begins with "relay".
const stressEnv = "WRAPPER_TEST_STRESS"

func init() {
	kind, rest, _ := strings.Cut(os.Getenv(stressEnv), " ")
	switch kind {
	case "":
		return
	case "relay":
		os.Exit(stressRelay(rest))
	case "answer": // every request, at once
		answerAll(os.Stdout)
	case "drip": // every request, byte by byte
		answerAll(drip{os.Stdout})
	case "shuffle": // so many requests at a time, in any order
		answerShuffled(atoi(rest))
	case "flood": // every request, while stderr gets numbered lines
		go floodStderr(os.Stderr, atoi(rest))
		answerAll(os.Stdout)
	case "exchange": // so many messages of that size each way; which way comes first, or both
		exchange(rest)
	default:
		die("no such stress: %q", kind)
	}
	os.Exit(0)
}

func stressRelay(kind string) int {
	self, err := os.Executable()
	if err != nil {
		die("%v", err)
	}
	code, err := wrapper.Run(context.Background(), wrapper.Options{
		Starter: wrapper.Fixed{Server: wrapper.Server{Path: self, Env: map[string]string{stressEnv: kind}}},
		In:      os.Stdin, Out: os.Stdout, Err: os.Stderr,
	})
	if err != nil {
		die("%v", err)
	}
	return code
}

// drip writes one byte at a time.
type drip struct{ w io.Writer }

func (d drip) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := d.w.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

// asked is what a server under stress reads of a message.
type asked struct {
	ID     json.RawMessage
	Method string
	Params json.RawMessage
}

func readAsked(in *bufio.Reader) (asked, bool) {
	var m asked
	line, err := in.ReadBytes('\n')
	if err == io.EOF && len(line) == 0 {
		return m, false
	}
	if err == nil {
		err = json.Unmarshal(line, &m)
	}
	if err != nil {
		die("reading %.80q: %v", line, err)
	}
	return m, true
}

// stressAnswer is the answer to a request: its own params.
func stressAnswer(id, params []byte) []byte {
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"result":%s}`+"\n", id, params)
}

func answerAll(w io.Writer) {
	in, out := bufio.NewReaderSize(os.Stdin, 64<<10), bufio.NewWriter(w)
	for {
		if in.Buffered() == 0 {
			out.Flush()
		}
		m, ok := readAsked(in)
		if !ok {
			return
		}
		if m.ID != nil {
			out.Write(stressAnswer(m.ID, m.Params))
		}
	}
}

func answerShuffled(n int) {
	in, random := bufio.NewReader(os.Stdin), rand.New(rand.NewPCG(1, 2))
	for {
		var all [][]byte
		for len(all) < n {
			m, ok := readAsked(in)
			if !ok {
				return
			}
			all = append(all, stressAnswer(m.ID, m.Params))
		}
		random.Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
		os.Stdout.Write(bytes.Join(all, nil))
	}
}

// floodLine is a line of the flood; some are longer than any buffer on their way.
func floodLine(i int) string {
	length := i % 200
	if i%1000 == 999 {
		length = 100_000
	}
	return fmt.Sprintf("%d %s\n", i, strings.Repeat("x", length))
}

func floodStderr(w io.Writer, lines int) {
	out := bufio.NewWriterSize(w, 256<<10)
	for i := range lines {
		out.WriteString(floodLine(i))
	}
	out.Flush()
}

// largeMessage is number i of the messages of a size; each is of another letter.
func largeMessage(i, size int) []byte {
	const head, tail = `{"jsonrpc":"2.0","method":"notifications/x","params":{"text":"`, `"}}` + "\n"
	text := bytes.Repeat([]byte{byte('a' + i%26)}, size-len(head)-len(tail))
	return append(append([]byte(head), text...), tail...)
}

// exchange writes messages and reads as many, and then tells how many bytes it has read, and their checksum.
func exchange(order string) {
	var n, size int
	var first string
	if _, err := fmt.Sscan(order, &n, &size, &first); err != nil {
		die("%q: %v", order, err)
	}
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		for i := range n {
			os.Stdout.Write(largeMessage(i, size))
		}
	}()
	if first == "write" {
		<-wrote
	}
	sum, got := crc32.NewIEEE(), int64(0)
	in := io.Reader(os.Stdin)
	if first == "slow" {
		in = slow{in}
	}
	got, err := io.CopyN(sum, in, int64(n*size))
	if err != nil {
		die("after %d bytes: %v", got, err)
	}
	<-wrote
	fmt.Print(exchanged(got, sum.Sum32()))
	io.Copy(io.Discard, os.Stdin)
}

// exchanged is how the server tells what it has read.
func exchanged(bytes int64, sum uint32) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/read","params":{"bytes":%d,"sum":%d}}`+"\n", bytes, sum)
}

// slow is a reader that takes its time: 256 KiB in a millisecond at most.
type slow struct{ r io.Reader }

func (s slow) Read(p []byte) (int, error) {
	time.Sleep(time.Millisecond)
	return s.r.Read(p[:min(len(p), 256<<10)])
}
