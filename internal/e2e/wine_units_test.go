//go:build linux

package e2e

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// windowsUnits are tests of packages that have a part of their own for Windows. Left out is what Wine 8 cannot do:
// os.RemoveAll, which ends a test with a temporary folder, and telling a reader that a child without a window has
// closed its stdout, since Wine's console server keeps it open. Wine also adds to a child's environment.
var windowsUnits = []struct{ folder, run, skip string }{
	{"wrapper/frame", "TestMemory", ""},
	{"wrapper/proc", "", "^(TestStdoutClosedEarly|TestStartErrors|TestEnvironment|TestDetachedWait|TestDetachedRelease)$"},
}

// testWindowsUnits runs the packages' own tests.
func testWindowsUnits(t *testing.T, w *wine) {
	for _, u := range windowsUnits {
		t.Run(u.folder, func(t *testing.T) {
			binary := filepath.Join(t.TempDir(), "unit.test.exe")
			folder := filepath.Join("../..", u.folder)
			w.build(t, folder, "test", "-c", "-o", binary, ".")
			cmd := exec.Command("wine", binary, "-test.short", "-test.run", u.run, "-test.skip", u.skip)
			cmd.Dir, cmd.Env, cmd.WaitDelay = folder, w.env, time.Second
			if r := finish(t, cmd, ""); r.code != 0 {
				t.Errorf("exit %d\n%s%s", r.code, r.stdout, r.stderr)
			}
		})
	}
}
