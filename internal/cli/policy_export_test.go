package cli

import (
	"io"
	"os"
	"path/filepath"

	"mcp-valet/internal/config"
)

// WarningsWith gives what policy check prints about a server that is known to offer these lists.
func WarningsWith(configFile, state, server, snapshot string, out, err io.Writer) error {
	a := &app{configFlag: configFile, stateFlag: state, stdout: out, stderr: err}
	cfg, e := config.Load(configFile)
	if e != nil {
		return e
	}
	now, e := describeEntry(cfg, server)
	if e != nil {
		return e
	}
	path := snapshotPath(state, now)
	if e := os.MkdirAll(filepath.Dir(path), 0o700); e != nil {
		return e
	}
	if e := os.WriteFile(path, []byte(snapshot), 0o600); e != nil {
		return e
	}
	if e := a.policyCheck(server); e != nil {
		return e
	}
	return a.policyExplain(&question{server: server, tool: "get_x"}, false)
}
