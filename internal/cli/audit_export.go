package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"

	"mcp-valet/wrapper/audit"
)

// auditExportOptions are the options of audit export.
type auditExportOptions struct{ otlp, heads, since string }

var auditExportCommand = command{
	name: "audit export", max: 0,
	short: "send the audit log to a collector, or write down its signatures",
	long: `--otlp sends the records by OTLP/HTTP in JSON; /v1/logs is added to an address without a path. --heads writes the signed
heads into a new file: kept where this user cannot write, it shows later whether the log was cut or written anew.
The log is verified first. To export all the time, set "audit.otlp" in the config.`,
	example: `mcp-valet audit export --otlp https://otel.example.com --since 30d
mcp-valet audit export --heads /mnt/elsewhere/heads-2026-11.json`,
	flags: func(a *app, fs *pflag.FlagSet) action {
		o := &auditExportOptions{}
		fs.StringVar(&o.otlp, "otlp", "", "`address` of the collector: https://, or http:// on this machine")
		fs.StringVar(&o.heads, "heads", "", "`file` to write, which must not be there yet")
		fs.StringVar(&o.since, "since", "", "only records from this `time` on (with --otlp): 12h, 30d, 2026-11-24")
		return func(ctx context.Context, _ []string) error { return a.auditExport(ctx, o) }
	},
}

func (a *app) auditExport(ctx context.Context, o *auditExportOptions) error {
	if (o.otlp == "") == (o.heads == "") || o.heads != "" && o.since != "" {
		return &usageError{msg: "give --otlp ENDPOINT [--since TIME], or --heads FILE", command: "audit export"}
	}
	since, err := sinceWhen(o.since, time.Now())
	if err != nil {
		return err
	}
	if o.otlp != "" {
		if err := audit.CheckEndpoint(o.otlp); err != nil {
			return &usageError{msg: err.Error(), command: "audit export"}
		}
	}
	r, key, err := a.verifiedAudit(ctx, "", false)
	if err != nil || r == nil {
		return err
	}
	if len(r.Problems) > 0 {
		return a.tampered(r)
	}
	if o.heads != "" {
		if key == nil || len(r.Heads) == 0 {
			return &refusal{"the audit log has no signature yet", "use a server once, and try again"}
		}
		return a.exportHeads(o.heads, &headsFile{key, r.Heads})
	}
	dir, _, err := a.auditDir()
	if err != nil {
		return err
	}
	sent, err := audit.Send(ctx, o.otlp, version(), audit.Read(dir, audit.Filter{Since: since}))
	if err != nil {
		return &hinted{fmt.Errorf("after %d records: %w", sent, err), "the collector must take OTLP/HTTP in JSON; what it has had already it gets again next time"}
	}
	a.sayf("Sent %d records.", sent)
	return nil
}

func (a *app) exportHeads(path string, heads *headsFile) error {
	b, err := json.MarshalIndent(heads, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("writing heads: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing heads: %w", errors.Join(err, os.Remove(path)))
	}
	a.sayf("Wrote %s, the last for record %d. Keep %s where this user cannot write.", count(len(heads.Heads), "head"), heads.Heads[len(heads.Heads)-1].Seq, printable(path))
	return nil
}
