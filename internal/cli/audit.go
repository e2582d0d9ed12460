package cli

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"

	"mcp-valet/internal/config"
	"mcp-valet/wrapper/audit"
)

// auditShowOptions are the options of audit show.
type auditShowOptions struct {
	since, user, tool, server, event string
	denied, asJSON, asCSV            bool
}

var auditShowCommand = command{
	name: "audit show", max: 0,
	short: "show what was decided, and for whom",
	long: `All that is given must fit. Arguments are shown as kinds and sizes, never as values, but for those that the config
names in "audit.arguments". --json prints the lines of the log as they are.`,
	example: `mcp-valet audit show --since 7d --denied
mcp-valet audit show --since 2026-11-01 --user ada --csv > ada.csv`,
	flags: func(a *app, fs *pflag.FlagSet) action {
		o := &auditShowOptions{}
		fs.StringVar(&o.since, "since", "", "only from this `time` on: 12h, 30d, 2026-11-24, or 2026-11-24T10:00:00Z")
		fs.StringVar(&o.user, "user", "", "only this `user` (the subject of the token, or the account)")
		fs.StringVar(&o.tool, "tool", "", "only this `tool`, prompt or resource")
		fs.StringVar(&o.server, "server", "", "only this `server`")
		fs.StringVar(&o.event, "event", "", "only this `event`, such as decision, login or crash")
		fs.BoolVar(&o.denied, "denied", false, "only what was denied")
		fs.BoolVar(&o.asJSON, "json", false, "print JSON Lines")
		fs.BoolVar(&o.asCSV, "csv", false, "print comma-separated values")
		return func(context.Context, []string) error { return a.auditShow(o) }
	},
}

var auditTailCommand = command{
	name: "audit tail", max: 0,
	short:   "show the last records of the audit log, and with --follow those to come",
	example: "mcp-valet audit tail --follow",
	flags: func(a *app, fs *pflag.FlagSet) action {
		lines := fs.IntP("lines", "n", 20, "`number` of records")
		follow := fs.BoolP("follow", "f", false, "go on with what is written, until ^C")
		asJSON := fs.Bool("json", false, "print JSON Lines")
		return func(ctx context.Context, _ []string) error { return a.auditTail(ctx, *lines, *follow, *asJSON) }
	},
}

// auditDir is the folder of the log, with the config that says so.
func (a *app) auditDir() (string, *config.Config, error) {
	cfg, err := a.loadConfig(false)
	if err != nil {
		return "", nil, err
	}
	state, err := a.stateDir()
	if err != nil {
		return "", nil, err
	}
	return cfg.AuditDir(state), cfg, nil
}

func (a *app) auditShow(o *auditShowOptions) error {
	if o.asJSON && o.asCSV {
		return &usageError{msg: "give --json or --csv, not both", command: "audit show"}
	}
	since, err := sinceWhen(o.since, time.Now())
	if err != nil {
		return err
	}
	dir, _, err := a.auditDir()
	if err != nil {
		return err
	}
	out := a.auditPrinter(o.asJSON, o.asCSV)
	for e, err := range audit.Read(dir, audit.Filter{Since: since, User: o.user, Tool: o.tool, Server: o.server, Event: o.event, Denied: o.denied}) {
		if err = a.passBadLine(err); err != nil {
			return auditError(err)
		}
		if e != nil {
			if err := out.print(e); err != nil {
				return err
			}
		}
	}
	return out.end()
}

// passBadLine tells about a line that is no record, and lets what reads go on.
func (a *app) passBadLine(err error) error {
	var bad *audit.BadLine
	if errors.As(err, &bad) {
		a.sayf("%s: warning: %s (mcp-valet audit verify tells more)", program, printable(bad.Error()))
		return nil
	}
	return err
}

// sinceWhen reads a time, or how long ago it is.
func sinceWhen(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, ok := config.ParseDays(s); ok {
		return now.Add(-d), nil
	}
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(form, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, &usageError{msg: "--since takes 12h, 30d, a date such as 2026-11-24, or a time such as 2026-11-24T10:00:00Z", command: "audit show"}
}

// followPause is how often a tail that follows looks at the log.
const followPause = 500 * time.Millisecond

func (a *app) auditTail(ctx context.Context, lines int, follow, asJSON bool) error {
	if lines < 0 {
		return &usageError{msg: "the number of records is not negative", command: "audit tail"}
	}
	dir, _, err := a.auditDir()
	if err != nil {
		return err
	}
	last, seq, err := a.lastEntries(dir, lines, 0)
	if err != nil {
		return err
	}
	out := a.auditPrinter(asJSON, false)
	for {
		for _, e := range last {
			if err := out.print(e); err != nil {
				return err
			}
		}
		if err := out.end(); err != nil || !follow {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followPause):
		}
		if last, seq, err = a.lastEntries(dir, -1, seq); err != nil {
			return err
		}
	}
}

// lastEntries gives the last entries behind a record, at most n unless n is negative, and the number of the last of all.
func (a *app) lastEntries(dir string, n int, after uint64) ([]*audit.Entry, uint64, error) {
	var all []*audit.Entry
	seq := after
	for e, err := range audit.Read(dir, audit.Filter{After: after}) {
		if err = a.passBadLine(err); err != nil {
			return nil, seq, auditError(err)
		}
		if e == nil {
			continue
		}
		seq = max(seq, e.Seq)
		if all = append(all, e); n >= 0 && len(all) > 2*n+1000 {
			all = slices.Clone(all[len(all)-n:])
		}
	}
	if n >= 0 && len(all) > n {
		all = all[len(all)-n:]
	}
	return all, seq, nil
}

// auditPrinter prints entries in one of three forms.
type auditPrinter struct {
	print func(*audit.Entry) error
	end   func() error
}

func (a *app) auditPrinter(asJSON, asCSV bool) auditPrinter {
	switch {
	case asJSON:
		return auditPrinter{
			func(e *audit.Entry) error { _, err := fmt.Fprintf(a.stdout, "%s\n", e.JSON()); return err },
			func() error { return nil },
		}
	case asCSV:
		w := csv.NewWriter(a.stdout)
		header := w.Write(auditColumns)
		return auditPrinter{
			func(e *audit.Entry) error { return errors.Join(header, w.Write(auditCells(e))) },
			func() error { w.Flush(); return w.Error() },
		}
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	return auditPrinter{func(e *audit.Entry) error { return auditRow(w, e) }, w.Flush}
}

var auditColumns = []string{
	"seq", "time", "event", "server", "account", "user", "tenant", "roles", "method", "tool", "verdict", "rule", "outcome",
	"duration_us", "size_in", "size_out", "arguments", "detail",
}

func auditCells(e *audit.Entry) []string {
	cells := []string{
		strconv.FormatUint(e.Seq, 10), e.Time.UTC().Format(time.RFC3339Nano), e.Event, e.Server, e.Account, e.Subject, e.Tenant,
		strings.Join(e.Roles, " "), e.Method, e.Tool, e.Verdict, e.Rule, e.Outcome,
		strconv.FormatInt(e.Duration.Microseconds(), 10), strconv.Itoa(e.SizeIn), strconv.Itoa(e.SizeOut), string(e.Arguments), e.Detail,
	}
	for i, c := range cells {
		// A spreadsheet takes these for the beginning of a formula, and the names are a model's.
		if strings.HasPrefix(strings.TrimLeft(c, " \t\r\n"), "=") || c != "" && strings.ContainsRune("+-@\t\r", rune(c[0])) {
			cells[i] = "'" + c
		}
	}
	return cells
}

// auditRow prints what a person looks for first.
func auditRow(w io.Writer, e *audit.Entry) error {
	what := strings.TrimSpace(e.Method + " " + e.Tool)
	rest := e.Rule
	for _, s := range []string{e.Outcome, e.Detail} {
		if s != "" {
			rest = strings.TrimPrefix(rest+"; "+s, "; ")
		}
	}
	switch {
	case e.Event == audit.EventHead:
		rest = fmt.Sprintf("signs all up to record %d", e.At)
	case e.Missed > 0:
		rest = fmt.Sprintf("%d records are missing: %s", e.Missed, rest)
	}
	cells := []string{e.Time.Local().Format("2006-01-02 15:04:05"), e.Event, e.Server, cmpOr(e.Subject, e.Account), what, e.Verdict, rest}
	for i, c := range cells {
		if cells[i] = printable(c); c == "" {
			cells[i] = "-"
		}
	}
	_, err := fmt.Fprintln(w, strings.Join(cells, "\t"))
	return err
}

// auditError adds what the person can do about a log that cannot be used.
func auditError(err error) error {
	switch {
	case errors.Is(err, audit.ErrInsecure):
		return &refusal{err.Error(), "look at who changed it; then make the folder yours alone (chmod 700), and its files (chmod 600)"}
	case errors.Is(err, audit.ErrDamaged):
		return &refusal{err.Error(), "mcp-valet audit verify names what is wrong; to begin a new log, move the folder away"}
	case errors.Is(err, audit.ErrFull):
		return &hinted{err, "make room on the disk and try again"}
	case errors.Is(err, audit.ErrBusy):
		return &hinted{err, "another mcp-valet has it; try again, and look for one that is stopped"}
	}
	return err
}
