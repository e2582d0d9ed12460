//go:build linux

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestWindows runs the program as it is built for Windows under Wine. Of the access lists of files, the isolation of
// packaged apps and the quoting of a real cmd.exe, Wine proves nothing.
func TestWindows(t *testing.T) {
	for _, program := range []string{"wine", "wineserver"} {
		if _, err := exec.LookPath(program); err != nil {
			need(t, program, "apt-get install wine wine64")
		}
	}
	w := newWine(t)
	t.Run("CredentialManager", func(t *testing.T) { testCredentialManager(t, w) })
	t.Run("CredentialManagerKeepsCaseApart", func(t *testing.T) { testKeepsCaseApart(t, w) })
	t.Run("Login", func(t *testing.T) { testWindowsLogin(t, w) })
	t.Run("Server", func(t *testing.T) { testWindowsServer(t, w) })
	t.Run("ServerEndsByItself", func(t *testing.T) { testServerEndsByItself(t, w) })
	t.Run("BatchFile", func(t *testing.T) { testBatchFile(t, w) })
	t.Run("BatchArguments", func(t *testing.T) { testBatchArguments(t, w) })
	t.Run("Job", func(t *testing.T) { testJob(t, w) })
	t.Run("PackagedClient", func(t *testing.T) { testPackagedClient(t, w) })
	t.Run("Units", func(t *testing.T) { testWindowsUnits(t, w) })
}

// wine is a fresh Windows with our program in it.
type wine struct {
	folder                    string // what is C:\
	valet, server, credential string // programs
	env                       []string
}

// newWine makes a Windows that ends with the test. It has a home of its own, and no display.
func newWine(t *testing.T) *wine {
	t.Helper()
	dir := t.TempDir()
	home, prefix := filepath.Join(dir, "home"), filepath.Join(dir, "prefix")
	w := &wine{folder: filepath.Join(prefix, "drive_c"), env: []string{
		"HOME=" + home, "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "WINEPREFIX=" + prefix, "WINEDEBUG=-all",
		"WINEDLLOVERRIDES=mscoree,mshtml,winemenubuilder.exe=", // offer no downloads, write nothing into a desktop's menus
	}}
	programs := filepath.Join(w.folder, "Program Files", "mcp-valet")
	w.valet, w.server, w.credential = filepath.Join(programs, "mcp-valet.exe"), filepath.Join(programs, "winserver.exe"), filepath.Join(programs, "wincredential.exe")
	for _, d := range []string{home, programs} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var building sync.WaitGroup // the system is made meanwhile
	building.Go(func() {
		w.build(t, "../..", "build", "-o", w.valet, ".")
		w.build(t, "winserver", "build", "-o", w.server, ".")
		w.build(t, "wincredential", "build", "-o", w.credential, ".")
	})
	defer building.Wait()
	t.Cleanup(func() { w.must(t, "wineserver", "--kill") })
	w.must(t, "wineserver", "--persistent=30") // seconds that it outlives its last program: the next one starts sooner
	w.must(t, "wine", "wineboot", "--init")
	random := filepath.Join(w.folder, "windows", "system32", "bcryptprimitives.dll")
	if _, err := os.Stat(random); err == nil {
		return w
	}
	if err := os.WriteFile(random, forwardingDLL("bcryptprimitives.dll", "ProcessPrng", "advapi32.SystemFunction036"), 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

// build runs the go command for Windows in a folder of the repository; it may be called from any goroutine.
func (w *wine) build(t *testing.T, folder string, args ...string) {
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = folder, append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("go %s in %s: %v\n%s", strings.Join(args, " "), folder, err, out)
	}
}

// must runs one of Wine's own programs. They leave others behind, for whose end nobody must wait.
func (w *wine) must(t *testing.T, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = w.env
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
}

// windowsPath is a path as Windows programs see it; the disk of this machine is their Z:.
func windowsPath(path string) string { return `Z:` + strings.ReplaceAll(path, "/", `\`) }

// windowsValet is one person's installation of mcp-valet on w.
type windowsValet struct {
	*wine
	t   *testing.T
	dir string // config.json and state
}

// newValet makes an installation with files of its own. The Credential Manager is the same for all.
func (w *wine) newValet(t *testing.T) *windowsValet { return &windowsValet{w, t, t.TempDir()} }

func (v *windowsValet) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command("wine", append([]string{program}, args...)...)
	cmd.Env = append(slices.Clip(v.env),
		"MCP_VALET_CONFIG="+windowsPath(filepath.Join(v.dir, "config.json")), "MCP_VALET_STATE_DIR="+windowsPath(filepath.Join(v.dir, "state")))
	cmd.Dir = v.dir
	return cmd
}

func (v *windowsValet) run(stdin string, args ...string) result {
	v.t.Helper()
	return finish(v.t, v.command(v.valet, args...), stdin)
}

func (v *windowsValet) must(stdin string, args ...string) result {
	v.t.Helper()
	r := v.run(stdin, args...)
	if r.code != 0 {
		v.t.Fatalf("mcp-valet %s: exit %d\n%s", strings.Join(args, " "), r.code, r.stderr)
	}
	return r
}

// finish runs a command to its end, a minute at most.
func finish(t testing.TB, cmd *exec.Cmd, stdin string) result {
	t.Helper()
	var out, errs strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

func (v *windowsValet) writeConfig(format string, args ...any) {
	v.t.Helper()
	if err := os.WriteFile(filepath.Join(v.dir, "config.json"), fmt.Appendf(nil, format, args...), 0o600); err != nil {
		v.t.Fatal(err)
	}
}
