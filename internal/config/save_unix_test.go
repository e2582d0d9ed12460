//go:build unix

package config_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mcp-valet/internal/config"
)

// Opening a pipe would wait until somebody writes into it.
func TestLoadRefusesPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	var wrong *config.Error
	if _, err := config.Load(path); !errors.As(err, &wrong) {
		t.Errorf("got %v", err)
	}
}

func TestAdministratorKeepsOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs to run as root")
	}
	path := filepath.Join(t.TempDir(), "config.json")
	write(t, path, "{}", 0o600)
	if err := os.Chown(path, 1234, 5678); err != nil {
		t.Skip("changing owners: ", err)
	}
	if err := config.Save(path, []byte("{ }")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if stat := info.Sys().(*syscall.Stat_t); stat.Uid != 1234 || stat.Gid != 5678 {
		t.Errorf("belongs to %d:%d", stat.Uid, stat.Gid)
	}
}

// The child of this test gives up its rights and then must not trust a file of somebody else.
func TestLoadRefusesForeignFile(t *testing.T) {
	if path := os.Getenv("CONFIG_TEST_LOAD"); path != "" {
		_, err := config.Load(path)
		if err == nil || !strings.Contains(err.Error(), "belongs to another user") {
			t.Errorf("got %v", err)
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs to run as root")
	}
	dir, err := os.MkdirTemp("", "config-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "config.json")
	write(t, path, "{}", 0o644)
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chown(path, 1234, 1234)); err != nil {
		t.Skip("changing owners: ", err)
	}
	runAs(t, 4321, "TestLoadRefusesForeignFile", "CONFIG_TEST_LOAD="+path)
}

// runAs runs one test of this binary again as another user.
func runAs(t *testing.T, uid uint32, test, env string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "config-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	exe := filepath.Join(dir, "test")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(exe, b, 0o755)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^"+test+"$")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), env)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
