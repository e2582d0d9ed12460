package proc

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

func rootOf(path string) string { return filepath.VolumeName(path) + `\` }

// startDetached leaves the job that a client may have put us in. Some jobs do not let their members
// go; the child then shares our fate, which is still better than no child.
func startDetached(s Spec, files []*os.File) (*os.Process, error) {
	const flags = windows.DETACHED_PROCESS | windows.CREATE_NEW_PROCESS_GROUP
	child, err := startProcess(s, files, flags|windows.CREATE_BREAKAWAY_FROM_JOB)
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		return startProcess(s, files, flags)
	}
	return child, err
}

func stateCode(state *os.ProcessState) int { return state.ExitCode() }
