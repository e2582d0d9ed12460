package frame_test

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"mcp-valet/wrapper/frame"
)

// long is a source that gives head, size times 'a', and tail, without holding them.
func long(head string, size int64, tail string) io.Reader {
	return io.MultiReader(strings.NewReader(head), io.LimitReader(filler{}, size), strings.NewReader(tail))
}

type filler struct{}

var filling = strings.Repeat("a", 64<<10)

func (filler) Read(p []byte) (int, error) { return copy(p, filling), nil }

const (
	idFirst = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"danger","arguments":{"text":"`
	idLast  = `{"method":"tools/call","params":{"name":"danger","arguments":{"text":"`
)

func TestLongLines(t *testing.T) {
	const tail, tailID = `"}}}` + "\n", `"}},"jsonrpc":"2.0","id":7}` + "\n"
	tooLarge := "-32600 request 7: message is too large"
	for _, c := range []struct {
		name       string
		head       string
		size       int64
		tail, want string
	}{
		{"9 MiB", idFirst, 9 << 20, tail, passed},
		{"11 MiB", idFirst, 11 << 20, tail, passed},
		{"32 MiB exactly", idFirst, 32<<20 - int64(len(idFirst+tail)) + 1, tail, passed},
		{"32 MiB and 1", idFirst, 32<<20 - int64(len(idFirst+tail)) + 2, tail, tooLarge},
		{"32 MiB and 1, id last", idLast, 32<<20 - int64(len(idLast+tailID)) + 2, tailID, tooLarge},
		{"100 MiB", idFirst, 100 << 20, tail, tooLarge},
		{"100 MiB, id last", idLast, 100 << 20, tailID, tooLarge},
		{"40 MiB, id last, in escapes", idLast, 40 << 20, `"}},"jsonrpc":"2.0","\u0069d":"\u0061` + "\"}\n", `-32600 request "\u0061": message is too large`},
		{"40 MiB, id twice", idFirst, 40 << 20, tailID, "-32600 request -: message is too large"},
		{"40 MiB in the id", `{"jsonrpc":"2.0","method":"x","id":"`, 40 << 20, `"}` + "\n", "-32600 request -: message is too large"},
		{"40 MiB in a key", `{"jsonrpc":"2.0","method":"x","`, 40 << 20, `":1,"id":7}` + "\n", tooLarge},
		{"40 MiB notification", idLast, 40 << 20, `"}},"jsonrpc":"2.0"}` + "\n", "-32600 notification -: message is too large"},
		{"40 MiB result", `{"jsonrpc":"2.0","id":7,"result":"`, 40 << 20, `"}` + "\n", "-32600 response 7: message is too large"},
		{"40 MiB of text", "", 40 << 20, "\n", "-32600 unknown -: message is too large"},
		{"100 MiB without a newline", idFirst, 100 << 20, "", tooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r := frame.NewReader(io.MultiReader(long(c.head, c.size, c.tail), strings.NewReader("\n")), frame.ClientToServer, 0)
			m, err := r.Next()
			got := outcome(m, err)
			runtime.ReadMemStats(&after)
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			size := int64(len(m.Raw))
			var v *frame.Violation
			if errors.As(err, &v) {
				size = v.Size
			}
			if want := c.size + int64(len(c.head+c.tail)); size != want && c.tail != "" {
				t.Errorf("size %d, want %d", size, want)
			}
			// All that was ever allocated beside the message's own memory, garbage included.
			if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
				t.Errorf("%d bytes allocated", used)
			}
			if _, err := r.Next(); err != io.EOF {
				t.Errorf("then %v", err)
			}
		})
	}
}

// TestManyMegabytesFromServer holds that a server's line without end is not kept.
func TestManyMegabytesFromServer(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := frame.NewReader(long("Exception in thread main: ", 200<<20, "\n"), frame.ServerToClient, 0)
	_, err := r.Next()
	runtime.ReadMemStats(&after)
	var v *frame.Violation
	if !errors.As(err, &v) || len(v.Line) != 8<<10 || v.Size < 200<<20 {
		t.Fatalf("got %v", err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
		t.Errorf("%d bytes allocated", used)
	}
}

// TestLargeStream holds that large messages in a row share one buffer, also when they are as large as they may be.
func TestLargeStream(t *testing.T) {
	line := call(`{"text":"` + strings.Repeat("a", 3<<20) + `"}`)
	for _, max := range []int{0, len(line)} {
		r := frame.NewReader(&repeat{line: line}, frame.ClientToServer, max)
		next := func() {
			if m, err := r.Next(); err != nil || len(m.Raw) != len(line) {
				t.Fatal(outcome(m, err))
			}
		}
		next()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 50 {
			next()
		}
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
			t.Errorf("limit %d: %d bytes allocated for 50 messages of %d", max, used, len(line))
		}
	}
}

// TestMixedSizes holds that messages of all sizes come out as they went in, from a source that gives all it is asked
// for, so that much of the next message is read with the last.
func TestMixedSizes(t *testing.T) {
	var lines []string
	most := 0
	for i := range 60 {
		size := []int{10, 1000, 100 << 10, 200 << 10, 900 << 10, 3 << 20, 250 << 10}[i*3%7] + i
		lines = append(lines, withText(strings.Repeat(string(rune('a'+i%26)), size)))
		most = max(most, len(lines[i])-1)
	}
	for i := range 10 { // and some that hardly fit, one behind the other
		for len(lines[i])-1 < most {
			i++
		}
		lines = append(lines, lines[i])
	}
	in := strings.Join(lines, "")
	for _, max := range []int{0, most} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r := frame.NewReader(strings.NewReader(in), frame.ClientToServer, max)
		for i, line := range lines {
			if m, err := r.Next(); err != nil || string(m.Raw) != line {
				t.Fatalf("message %d of %d bytes: %s with %d", i, len(line), outcome(m, err), len(m.Raw))
			}
		}
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
			t.Errorf("limit %d: %d bytes allocated", max, used)
		}
	}
}

// TestNames holds that a reader that has seen many names still tells them apart.
func TestNames(t *testing.T) {
	var in strings.Builder
	for i := range 10_000 {
		in.WriteString(envelope(fmt.Sprintf(`"id":%d,"method":"tools/call","params":{"name":"tool %05d"}`, i, i*7919%10_000)))
	}
	r := frame.NewReader(strings.NewReader(in.String()), frame.ClientToServer, 0)
	for i := range 10_000 {
		m, err := r.Next()
		if want := fmt.Sprintf("request %d tools/call tool %05d", i, i*7919%10_000); outcome(m, err) != want {
			t.Fatalf("got %s, want %s", outcome(m, err), want)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	for _, c := range []struct {
		name, line string
		d          frame.Direction
	}{
		{"call", withID("7"), frame.ClientToServer},
		{"call with a UUID", withID(`"0b1f6f0e-6a4b-4d0f-9f25-93c2b1a6a9d3"`), frame.ClientToServer},
		{"escapes", envelope(`"id":7,"m\u0065thod":"tools\/call","params":{"n\u0061me":"d\u0061nger","arguments":{"\u0061":"\n","B":[1.5e3]}}`), frame.ClientToServer},
		{"modern", envelope(`"id":7,"method":"resources/read","params":{"uri":"file:///a","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}`), frame.ClientToServer},
		{"twenty keys", withText(`","` + strings.Join(strings.Split("abcdefghijklmnopqrst", ""), `":1,"`) + `":"`), frame.ClientToServer},
		{"result", envelope(`"id":7,"result":{"content":[{"type":"text","text":"naïve"}]}`), frame.ServerToClient},
		{"notification", envelope(`"method":"notifications/message","params":{}`), frame.ServerToClient},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := frame.NewReader(&repeat{line: []byte(c.line)}, c.d, 0)
			if n := testing.AllocsPerRun(1000, func() {
				if m, err := r.Next(); err != nil {
					t.Fatal(outcome(m, err))
				}
			}); n != 0 {
				t.Errorf("%v allocations a message", n)
			}
		})
	}
}

// TestManyKeys holds that objects of many keys are checked in the time and memory of their bytes, also when the keys
// are chosen to look alike. Were any of these quadratic, it would take hours.
func TestManyKeys(t *testing.T) {
	object := func(n int, key func(i int) string, more string) string {
		var s strings.Builder
		s.WriteByte('{')
		for i := range n {
			fmt.Fprintf(&s, `"%s":0,`, key(i))
		}
		return s.String() + `"` + more + `":0}`
	}
	alike := func(i int) string { return fmt.Sprintf("the same%08dthe same", i) }
	capital := func(i int) string { return fmt.Sprintf("Key%d", i) }
	escaped := func(i int) string { return fmt.Sprintf(`\u006bey%d`, i) }
	for _, c := range []struct{ name, params, want string }{
		{"different", `{"a":` + object(1_000_000, alike, "more") + `}`, "request 7 x"},
		{"last the same as first", `{"a":` + object(100_000, alike, alike(0)) + `}`, "-32600 request 7: message has an object with a repeated key"},
		{"escaped", `{"a":` + object(100_000, escaped, "more") + `}`, "request 7 x"},
		{"escaped and plain", `{"a":` + object(100_000, escaped, "key99999") + `}`, "-32600 request 7: message has an object with a repeated key"},
		{"in params", object(100_000, capital, "more"), "request 7 x"},
		{"in params, last a twin", object(100_000, capital, "KEY99999"), "-32602 request 7: params has keys that are the same or differ only in case"},
		{"one a level", strings.Repeat(`{"a":`, 500) + object(100_000, alike, "more") + strings.Repeat("}", 500), "request 7 x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := envelope(`"id":7,"method":"x","params":` + c.params)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			m, err := frame.NewReader(strings.NewReader(in), frame.ClientToServer, 0).Next()
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if got := outcome(m, err); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			used := after.TotalAlloc - before.TotalAlloc // with all tables and buffers that were outgrown
			t.Logf("%d bytes in %v, %d bytes allocated", len(in), took, used)
			if used > 5*uint64(len(in))+16<<20 {
				t.Errorf("%d bytes allocated for %d", used, len(in))
			}
		})
	}
}
