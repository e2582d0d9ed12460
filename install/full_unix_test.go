//go:build unix

package install_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mcp-valet/install"
)

// fillDisk is a process for which every file is full after 1000 bytes.
func fillDisk() int {
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1000, Max: 1000}); err != nil {
		return 2
	}
	err := install.Update(os.Getenv("INSTALL_TEST_FILE"), func([]byte) ([]byte, error) { return make([]byte, 5000), nil })
	if err == nil {
		return 3
	}
	os.Stdout.WriteString(err.Error())
	return 0
}

func init() { roles["fills"] = fillDisk }

// TestUpdateOnFullDisk: nothing is lost, and nothing is left behind.
func TestUpdateOnFullDisk(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "config.json")
	write(t, path, "mine", 0o600)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "INSTALL_TEST_ROLE=fills", "INSTALL_TEST_FILE="+path)
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "it is as it was") {
		t.Errorf("%s, %v", out, err)
	}
	mustBe(t, path, "mine")
	onlyFile(t, path)
}
