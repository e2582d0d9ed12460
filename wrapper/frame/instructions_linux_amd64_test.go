package frame_test

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/cpu"
)

var update = flag.Bool("update", false, "write the instructions that are counted to "+instructionsFile)

const (
	instructionsFile = "testdata/instructions.txt"
	instructionsHead = `# Instructions that the reader executes for a byte of a message, its reading included, as callgrind counts them
# (linux/amd64, a processor with AVX2). They are the same in each run, but not in each release of Go. To write them anew:
#	go test ./wrapper/frame -run TestInstructions -update
`
	// Worse by more than the first is a fault; better by more than the second is to be kept, by writing it down.
	mostWorse, mostBetter = 1.05, 0.80
)

// TestInstructions holds the reader to the speed that it has, by counting instead of timing.
func TestInstructions(t *testing.T) {
	needValgrind(t)
	got := countInstructions(t)
	if *update {
		writeInstructions(t, got)
		return
	}
	want := readInstructions(t)
	if len(want) != len(got) {
		t.Errorf("%s has %d figures, want %d", instructionsFile, len(want), len(got))
	}
	for _, g := range got {
		w := want[g.name]
		t.Logf("%-24s %8.3f a byte, %8.3f in the file", g.name, g.perByte, w)
		switch {
		case g.perByte > w*mostWorse:
			t.Errorf("%s: %.3f instructions a byte, more than %.3f by %.0f %%: make it faster, or say why not and run this test with -update",
				g.name, g.perByte, w, 100*(g.perByte/w-1))
		case g.perByte < w*mostBetter:
			t.Errorf("%s: %.3f instructions a byte, fewer than %.3f by %.0f %%: keep that, by running this test with -update",
				g.name, g.perByte, w, 100*(1-g.perByte/w))
		}
	}
}

func needValgrind(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("valgrind"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("valgrind is missing: apt-get install valgrind")
		}
		t.Skip("to run this: apt-get install valgrind")
	}
	if !strings.HasPrefix(runtime.Version(), "go1.26") || !cpu.X86.HasAVX2 {
		t.Skip("the figures in the file are those of Go 1.26 on a processor with AVX2")
	}
}

// instructions is one line of the file.
type instructions struct {
	name    string // "client/200B"
	perByte float64
}

// countInstructions runs one program that reads messages of every shape in both directions, and takes apart what each has cost.
func countInstructions(t *testing.T) []instructions {
	dir := t.TempDir()
	program, out := filepath.Join(dir, "count"), filepath.Join(dir, "out")
	build := exec.Command("go", "build", "-trimpath", "-o", program, "./testdata/count")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	cmd := exec.Command("valgrind", "--tool=callgrind", "--callgrind-out-file="+out, "--dump-before=main.mark", program)
	// Go's preemption by signals is more than valgrind can follow; the collector would come at its own times.
	cmd.Env = append(os.Environ(), "GODEBUG=asyncpreemptoff=1", "GOGC=off", "GOMAXPROCS=1")
	var counted []instructions
	var bytes []int
	for _, d := range directions {
		for i, s := range shapes() {
			file := filepath.Join(dir, strconv.Itoa(i))
			if err := os.WriteFile(file, s.line, 0o600); err != nil {
				t.Fatal(err)
			}
			times := max(4, 400_000/len(s.line))
			cmd.Args = append(cmd.Args, d.name, strconv.Itoa(times), file)
			counted = append(counted, instructions{name: d.name + "/" + strings.ReplaceAll(s.name, " ", "-")})
			bytes = append(bytes, times*len(s.line))
		}
	}
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	for i := range counted {
		// A file ends at each mark: the first holds what comes before the first messages, the second these, and so on.
		counted[i].perByte = float64(readSummary(t, fmt.Sprintf("%s.%d", out, 2*i+2))) / float64(bytes[i])
	}
	return counted
}

// readSummary finds the number of all instructions in a file of callgrind's.
func readSummary(t *testing.T, file string) int {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if count, ok := strings.CutPrefix(lines.Text(), "summary: "); ok {
			n, err := strconv.Atoi(count)
			if err != nil || n == 0 {
				t.Fatalf("%s: %q", file, lines.Text())
			}
			return n
		}
	}
	t.Fatalf("%s has no summary", file)
	return 0
}

func readInstructions(t *testing.T) map[string]float64 {
	t.Helper()
	text, err := os.ReadFile(instructionsFile)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		var i instructions
		if _, err := fmt.Sscanf(line, "%s %f", &i.name, &i.perByte); err != nil {
			t.Fatalf("%s: %q: %v", instructionsFile, line, err)
		}
		all[i.name] = i.perByte
	}
	return all
}

func writeInstructions(t *testing.T, all []instructions) {
	t.Helper()
	var b strings.Builder
	b.WriteString(instructionsHead)
	for _, i := range all {
		fmt.Fprintf(&b, "%-24s %.3f\n", i.name, i.perByte)
	}
	if err := os.WriteFile(instructionsFile, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
