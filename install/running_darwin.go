package install

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// processes lists what this user runs, by name: sysctl kern.proc.uid.
func processes() ([]process, error) {
	const zombie = 5 // SZOMB of <sys/proc.h>
	list, err := unix.SysctlKinfoProcSlice("kern.proc.uid", os.Getuid())
	if err != nil {
		return nil, fmt.Errorf("listing the processes: %w", err)
	}
	var all []process
	for _, p := range list {
		if p.Proc.P_stat != zombie {
			all = append(all, process{name: unix.ByteSliceToString(p.Proc.P_comm[:])})
		}
	}
	return all, nil
}
