package proc

import (
	"context"
	"io/fs"
	"time"
)

var (
	IsBatch          = isBatch
	BatchCommandLine = batchCommandLine
)

const MaxBatchLine = maxBatchLine

// ResolveOn is Resolve on the system goos with the files that stat knows.
func ResolveOn(goos string, stat func(string) (fs.FileInfo, error), command, dir string, env []string) (string, error) {
	return resolver{goos: goos, stat: stat, env: env}.resolve(command, dir)
}

// Poll is the loop of ParentGone.
func Poll(ctx context.Context, interval time.Duration, dead func() bool) bool {
	return poll(ctx, interval, dead)
}
