package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"mcp-valet/wrapper"
	"mcp-valet/wrapper/proc"
)

// renewals are the ways of auth.renew.
var renewals = map[string]wrapper.Renewal{
	"":                  wrapper.RenewRestart,
	"restart":           wrapper.RenewRestart,
	"restart-exclusive": wrapper.RenewExclusive,
	"file":              wrapper.RenewFile,
	"meta":              wrapper.RenewMeta,
	"off":               wrapper.RenewOff,
}

// tokensFolder is where the files with tokens lie that servers read, in the state folder: each launcher has its own, which
// it removes at its end.
const tokensFolder = "tokens"

func tokenFile(state, server string) string {
	return filepath.Join(state, tokensFolder, fmt.Sprintf("%s.%d", server, os.Getpid()))
}

// sweepTokenFiles removes the files of launchers that were killed.
func sweepTokenFiles(state string) {
	folder := filepath.Join(state, tokensFolder)
	files, err := os.ReadDir(folder)
	if err != nil {
		return
	}
	for _, file := range files {
		name := file.Name()
		pid, err := strconv.Atoi(name[strings.LastIndexByte(name, '.')+1:])
		draft := strings.HasPrefix(name, ".") && isOld(file) // of one that was killed while it wrote
		if draft || err == nil && !proc.Runs(pid) {
			_ = os.Remove(filepath.Join(folder, name)) // another launcher may have been faster
		}
	}
}

// isOld tells whether a file has not just been made.
func isOld(file os.DirEntry) bool {
	info, err := file.Info()
	return err == nil && time.Since(info.ModTime()) > time.Minute
}
