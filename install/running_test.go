package install_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"mcp-valet/install"
)

// roles are what this test binary does when it is started anew.
var roles = map[string]func() int{
	"waits": func() int { // a client that runs until its stdin ends
		os.Stdout.WriteString("up\n")
		io.Copy(io.Discard, os.Stdin)
		return 0
	},
}

func TestMain(m *testing.M) {
	if role := roles[os.Getenv("INSTALL_TEST_ROLE")]; role != nil {
		os.Exit(role())
	}
	os.Exit(m.Run())
}

// TestProcesses starts a program with a name of its own and looks for it.
func TestProcesses(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := "valet-test-app"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	program := filepath.Join(t.TempDir(), name)
	text, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, text, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), "INSTALL_TEST_ROLE=waits")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stdout, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	names, paths, err := install.ProcessesNow()
	if err != nil || !slices.Contains(names, name) {
		t.Errorf("not among the processes: %v, %q", err, names)
	}
	if runtime.GOOS != "darwin" && !slices.ContainsFunc(paths, func(p string) bool { return strings.HasSuffix(p, name) }) {
		t.Errorf("its file is not known: %q", paths)
	}
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if names, _, err = install.ProcessesNow(); err != nil || slices.Contains(names, name) {
		t.Errorf("still among the processes: %v, %q", err, names)
	}
}
