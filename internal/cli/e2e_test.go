package cli_test

import (
	"os/exec"
	"testing"
)

// TestEndToEnd runs the tests against real parts, which are a module of their own.
func TestEndToEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("not with -short: it takes minutes")
	}
	args := []string{"test", "-C", "../../internal/e2e", "-count=1", "-v"}
	if raceEnabled {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "./...")...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
