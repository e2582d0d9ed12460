package cli

import (
	"io"
	"os"
	"strconv"

	"mcp-valet/keyring"
	"mcp-valet/wrapper/audit"
)

// AppendAudit writes decisions about the given tools into the log, as a launcher does: "-NAME" is a denied one.
func AppendAudit(tools []string) (err error) {
	a := &app{stdin: os.Stdin, stdout: io.Discard, stderr: io.Discard}
	cfg, err := a.loadConfig(false)
	if err != nil {
		return err
	}
	store, err := a.openStore(cfg, startLimit)
	if err != nil {
		return err
	}
	return appendAudit(a, store, tools)
}

func appendAudit(a *app, store *keyring.Store, tools []string) (err error) {
	cfg, err := a.loadConfig(false)
	if err != nil {
		return err
	}
	trail, err := a.openAudit(cfg, store)
	if err != nil {
		return err
	}
	for i, tool := range tools {
		r := &audit.Record{
			Event: "decision", Server: "kb", Subject: "user" + strconv.Itoa(i%2), Method: "tools/call", Tool: tool, Verdict: "allow",
			Arguments: trail.shape([]byte(`{"title":"hidden canary","id":7}`)),
		}
		if tool[0] == '-' {
			r.Tool, r.Verdict, r.Rule = tool[1:], "deny", "tools."+tool[1:]
		}
		if err := trail.Append(r); err != nil {
			return err
		}
	}
	return trail.Close()
}
