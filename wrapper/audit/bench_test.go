package audit_test

import (
	"slices"
	"testing"
	"time"

	"mcp-valet/wrapper/audit"
)

// BenchmarkAppend also gives the median, which is what a call waits for: ns/op has the file system's bursts in it.
func BenchmarkAppend(b *testing.B) {
	l := open(b, audit.Options{Dir: folder(b), Sign: sign})
	r := decision("create_incident")
	var took []time.Duration
	b.ReportAllocs()
	for b.Loop() {
		start := time.Now()
		if err := l.Append(r); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "median-ns")
}

func BenchmarkShape(b *testing.B) {
	arguments := []byte(`{"title":"a title of some length","severity":3,"tags":["one","two"],"body":"` + string(slices.Repeat([]byte("text "), 200)) + `"}`)
	b.ReportAllocs()
	for b.Loop() {
		audit.Shape(arguments, nil)
	}
}

func BenchmarkVerify(b *testing.B) {
	dir := folder(b)
	l := open(b, audit.Options{Dir: dir, Sign: sign})
	for range 10_000 {
		appendAll(b, l, "a")
	}
	closeLog(b, l)
	for b.Loop() {
		verified(b, dir, public())
	}
}
