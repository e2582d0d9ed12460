package cli_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// instructionsOfTrip are those that the launcher executes for a call of 200 bytes and its answer, but for the Go runtime's,
// whose scheduler never does the same twice. They differ between releases of Go.
const instructionsOfTrip = 15_490

// TestInstructions holds the whole way of a message through the launcher to what it costs now, by counting.
func TestInstructions(t *testing.T) {
	needTool(t, "valgrind")
	needRelease(t)
	l := buildLauncher(t)
	const few, many = 200, 1200
	base, baseAll := l.countInstructions(t, few)
	all, allAll := l.countInstructions(t, many)
	got, whole := float64(all-base)/(many-few), float64(allAll-baseAll)/(many-few)
	t.Logf("%.0f instructions a round trip; %.0f with those of the Go runtime", got, whole)
	if got > 1.05*instructionsOfTrip {
		t.Errorf("%.0f instructions a round trip, more than %d by %.0f %%: make it faster, or say why not and raise the number in this file",
			got, instructionsOfTrip, 100*(got/instructionsOfTrip-1))
	}
	if got < 0.80*instructionsOfTrip {
		t.Errorf("%.0f instructions a round trip, which is much better than %d: lower the number in this file", got, instructionsOfTrip)
	}
}

// countInstructions has the launcher pass on a number of calls under cachegrind (callgrind follows stacks, and loses its
// way on Go's), and returns its instructions, without and with the Go runtime's.
func (l *builtLauncher) countInstructions(t *testing.T, trips int) (own, all int) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	cmd := exec.Command("valgrind", append([]string{"--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=" + out, l.program}, l.args...)...)
	cmd.Env = append(l.env, "GODEBUG=asyncpreemptoff=1", "GOGC=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	answers, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	err = makeCalls(in, bufio.NewReader(answers), trips)
	in.Close()
	if err := errors.Join(err, cmd.Wait()); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	return sumInstructions(t, out)
}

// makeCalls is a client that makes one call after another.
func makeCalls(in io.Writer, answers *bufio.Reader, trips int) error {
	call := `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","arguments":{"text":"` + strings.Repeat("x", 105) + `"}}}` + "\n"
	for i := range trips + 1 {
		line := fmt.Sprintf(call, 1_000_000+i)
		if i == 0 {
			line = firstMessage
		}
		if _, err := io.WriteString(in, line); err != nil {
			return err
		}
		if answer, err := answers.ReadString('\n'); err != nil || !strings.Contains(answer, `"result"`) {
			return fmt.Errorf("%q: %v", answer, err)
		}
	}
	return nil
}

// sumInstructions reads a file of cachegrind's: lines fn=NAME, each with lines LINE COUNT behind it.
func sumInstructions(t *testing.T, file string) (own, all int) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	runtime := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if name, is := strings.CutPrefix(line, "fn="); is {
			runtime = strings.HasPrefix(name, "runtime.") || strings.HasPrefix(name, "internal/runtime/") || name == "???"
			continue
		}
		_, count, _ := strings.Cut(line, " ")
		n, err := strconv.Atoi(count)
		if err != nil || line[0] < '0' || line[0] > '9' {
			continue
		}
		all += n
		if !runtime {
			own += n
		}
	}
	if own == 0 || own == all {
		t.Fatalf("%s: %d instructions of %d", file, own, all)
	}
	return own, all
}
