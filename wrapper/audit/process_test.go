package audit_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"mcp-valet/wrapper/audit"
)

// TestMain is also the writer that TestProcesses starts: it appends until it is killed, and says after each record so.
func TestMain(m *testing.M) {
	dir := os.Getenv("AUDIT_TEST_DIR")
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := appendUntilKilled(dir, os.Getenv("AUDIT_TEST_NAME")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func appendUntilKilled(dir, name string) error {
	l, err := audit.Open(audit.Options{Dir: dir, Sign: sign, Every: 20, MaxSize: 50_000})
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		if err := l.Append(&audit.Record{Event: "decision", Subject: name, Tool: strconv.Itoa(i)}); err != nil {
			return err
		}
		if _, err := fmt.Println(i); err != nil {
			return err
		}
	}
}

// TestProcesses has 8 processes append and be killed, again and again. No record that a process was told is written gets
// lost, none is there twice, and the chain holds.
func TestProcesses(t *testing.T) {
	dir := folder(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	told := map[string]int{} // records that were written, by writer
	for p := range 8 {
		wg.Go(func() {
			for life := range 4 {
				name := fmt.Sprintf("p%d-%d", p, life)
				n := writeAndKill(t, dir, name)
				mu.Lock()
				told[name] = n
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	closeLog(t, func() *audit.Log { l := open(t, audit.Options{Dir: dir, Sign: sign}); appendAll(t, l, "end"); return l }())
	r := verified(t, dir, public())
	seen := map[string]int{}
	for e, err := range audit.Read(dir, audit.Filter{Event: "decision"}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Subject != "ada" && e.Tool != strconv.Itoa(seen[e.Subject]) {
			t.Fatalf("record %d of %s where %d is next", e.Seq, e.Subject, seen[e.Subject])
		}
		seen[e.Subject]++
	}
	for name, n := range told {
		if seen[name] < n || seen[name] > n+1 { // one may have been written, and its writer killed before it said so
			t.Errorf("%s wrote %d records, %d are there", name, n, seen[name])
		}
	}
	if r.Signed < r.Last-2 {
		t.Errorf("signed up to %d of %d", r.Signed, r.Last)
	}
	t.Logf("%d records in %d files, %d lines unfinished", r.Records, r.Files, r.Crashes)
}

// writeAndKill gives how many records the writer said it had written.
func writeAndKill(t *testing.T, dir, name string) int {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "AUDIT_TEST_DIR="+dir, "AUDIT_TEST_NAME="+name)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Error(err)
		return 0
	}
	until := 30 + rand.IntN(100)
	n := 0
	for s := bufio.NewScanner(out); s.Scan(); n++ {
		if n == until {
			time.Sleep(rand.N(time.Millisecond)) // in the midst of whatever it does
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); n < until {
		t.Errorf("%s ended by itself: %v", name, err)
	}
	return n
}
