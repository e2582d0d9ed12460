package scan

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// wanted is the method of every good message.
const wanted = "tools/call"

// call is a tools/call request with these arguments, as a line.
func call(arguments string) []byte {
	return []byte(`{"jsonrpc":"2.0","id":7,"method":"` + wanted + `","params":{"name":"echo","arguments":` + arguments + "}}\n")
}

// shapes are what messages consist of.
func shapes() []struct {
	name string
	line []byte
} {
	base64Text := func(size int) string {
		raw := make([]byte, size*3/4)
		for i := range raw {
			raw[i] = byte(i*7 + i>>8)
		}
		return base64.StdEncoding.EncodeToString(raw)
	}
	var source, rows strings.Builder
	for i := 0; source.Len() < 9<<20/10; i++ {
		fmt.Fprintf(&source, "\tif x[\"k%d\"] == nil { return fmt.Errorf(\"naïve %%d\", %d) }\n", i, i)
	}
	quoted, err := json.Marshal(source.String())
	if err != nil {
		panic(err)
	}
	for i := 0; rows.Len() < 1<<20; i++ {
		fmt.Fprintf(&rows, `,{"id":%d,"name":"user %d","ok":%t,"score":%d.5,"tags":["a","b"]}`, i, i, i%2 == 0, i)
	}
	return []struct {
		name string
		line []byte
	}{
		{"200B", call(`{"text":"` + base64Text(100) + `"}`)},
		{"1MiB-base64", call(`{"text":"` + base64Text(1<<20) + `"}`)},
		{"1MiB-source", call(`{"text":` + string(quoted) + `}`)},
		{"1MiB-rows", call(`{"rows":[` + rows.String()[1:] + `]}`)},
	}
}

// BenchmarkCheck has every library check every shape; its name says what it checks.
func BenchmarkCheck(b *testing.B) {
	for _, s := range shapes() {
		for _, l := range libraries {
			b.Run(fmt.Sprintf("%s/%s(%s)", s.name, l.name, strings.Join(l.checks, "+")), func(b *testing.B) {
				b.SetBytes(int64(len(s.line)))
				b.ReportAllocs()
				check := l.prepare(s.line)
				for b.Loop() {
					if method, err := check(); err != nil || method != wanted {
						b.Fatalf("%q, %v", method, err)
					}
				}
			})
		}
	}
}
