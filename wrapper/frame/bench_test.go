package frame_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"mcp-valet/wrapper/frame"
)

// call wraps arguments in a tools/call request, as a line.
func call(args string) []byte {
	return []byte(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":` + args + "}}\n")
}

// shapes are what large messages consist of.
func shapes() []struct {
	name string
	line []byte
} {
	type shape = struct {
		name string
		line []byte
	}
	text := func(size int) []byte { // one long string without escapes, as base64 is
		raw := make([]byte, size*3/4)
		for i := range raw {
			raw[i] = byte(i*7 + i>>8)
		}
		return call(`{"text":"` + base64.StdEncoding.EncodeToString(raw) + `"}`)
	}
	quoted := func(line func(i int) string) []byte {
		var s strings.Builder
		for i := 0; s.Len() < 9<<20/10; i++ {
			s.WriteString(line(i))
		}
		q, _ := json.Marshal(s.String())
		return call(`{"text":` + string(q) + `}`)
	}
	rows := func(row func(i int) string) []byte {
		var s strings.Builder
		for i := 0; s.Len() < 1<<20; i++ {
			if i > 0 {
				s.WriteByte(',')
			}
			s.WriteString(row(i))
		}
		return call(`{"rows":[` + s.String() + `]}`)
	}
	return []shape{
		{"200B", text(100)},
		{"64KiB", text(64 << 10)},
		{"1MiB/base64", text(1 << 20)},
		{"1MiB/source", quoted(func(i int) string {
			return fmt.Sprintf("\tif x[\"k%d\"] == nil { return fmt.Errorf(\"naïve %%d\", %d) }\n", i, i)
		})},
		{"1MiB/cyrillic", quoted(func(i int) string {
			return fmt.Sprintf("Съешь ещё этих мягких булок, %d раз\n", i)
		})},
		{"1MiB/chinese", quoted(func(i int) string { return fmt.Sprintf("天地玄黄宇宙洪荒日月盈昃辰宿列张%d\n", i) })},
		{"1MiB/rows", rows(func(i int) string {
			return fmt.Sprintf(`{"id":%d,"name":"user %d","ok":%t,"score":%d.5,"tags":["a","b"]}`, i, i, i%2 == 0, i)
		})},
		{"1MiB/wide rows", rows(func(i int) string {
			var s strings.Builder
			for j := range 40 {
				fmt.Fprintf(&s, `,"some_column_%d":%d`, j, i*j)
			}
			return `{` + s.String()[1:] + `}`
		})},
		{"1MiB/numbers", rows(func(i int) string { return fmt.Sprintf("%d.%d", i*7919%100000, i) })},
	}
}

// repeat is a source that gives a line over and over, as a pipe would: at most 64 KiB a read.
type repeat struct {
	line []byte
	at   int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := copy(p[:min(len(p), 64<<10)], r.line[r.at:])
	r.at = (r.at + n) % len(r.line)
	return n, nil
}

func BenchmarkReader(b *testing.B) {
	for _, d := range []struct {
		name string
		d    frame.Direction
	}{{"client", frame.ClientToServer}, {"server", frame.ServerToClient}} {
		for _, s := range shapes() {
			b.Run(d.name+"/"+s.name, func(b *testing.B) {
				b.SetBytes(int64(len(s.line)))
				b.ReportAllocs()
				r := frame.NewReader(&repeat{line: s.line}, d.d, 0)
				for b.Loop() {
					if _, err := r.Next(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkValid is encoding/json on the same messages, without framing, reading or header.
func BenchmarkValid(b *testing.B) {
	for _, s := range shapes() {
		b.Run(s.name, func(b *testing.B) {
			b.SetBytes(int64(len(s.line)))
			for b.Loop() {
				if !json.Valid(s.line) {
					b.Fatal("invalid")
				}
			}
		})
	}
}

// BenchmarkCopy is the floor: reading the same messages and looking for the newline.
func BenchmarkCopy(b *testing.B) {
	for _, s := range shapes() {
		b.Run(s.name, func(b *testing.B) {
			b.SetBytes(int64(len(s.line)))
			r, buf := &repeat{line: s.line}, make([]byte, 64<<10)
			for b.Loop() {
				for n := 0; n < len(s.line); {
					m, _ := io.ReadFull(r, buf[:min(len(buf), len(s.line)-n)])
					n += m
					bytes.IndexByte(buf[:m], '\n')
				}
			}
		})
	}
}
