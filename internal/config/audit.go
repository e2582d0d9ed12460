package config

import (
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Audit says how the log of what was decided is kept. What is zero takes the log's own default.
type Audit struct {
	Dir       string        // absolute once parsed; "" is "audit" in the state folder
	MaxSize   int64         // bytes of one file
	MaxAge    time.Duration // of one file
	Retention time.Duration // how long a file is kept; negative: for ever
	OnFull    string        // "", "block" or "continue": what becomes of calls when no record can be written
	Arguments []string      // names of arguments whose values may be recorded
	OTLP      string        // address of a collector; "" is none
}

// The limits of what an audit log can be told, chosen so that nobody empties or splinters it by a slip.
const (
	leastAuditFile = 64 << 10
	mostAuditFile  = 1 << 30
	leastAuditTime = time.Hour
	mostAuditTime  = 100 * 365 * 24 * time.Hour
	mostAuditNames = 100
)

var (
	onFull = map[string]string{"block": "", "continue": ""}
)

func (r *reader) audit(n node) *Audit {
	a := &Audit{}
	r.members(n, fields{
		"dir":       func(n node) { a.Dir = r.plainText(n) },
		"maxSize":   func(n node) { a.MaxSize = int64(r.number(n, leastAuditFile, mostAuditFile)) },
		"maxAge":    func(n node) { a.MaxAge = r.duration(n) },
		"retention": func(n node) { a.Retention = r.retention(n) },
		"onFull":    func(n node) { a.OnFull = r.oneOf(n, onFull) },
		"arguments": func(n node) {
			if a.Arguments = r.list(n, r.text); len(a.Arguments) > mostAuditNames {
				r.refuse(n, "at most %d names", mostAuditNames)
			}
		},
		"otlp": func(n node) { a.OTLP = r.plainText(n) },
	}, nil)
	return a
}

// retention reads how long files are kept; "forever" is an answer, too.
func (r *reader) retention(n node) time.Duration {
	if kindOf(n.v) == '"' && stringOf(n.v) == "forever" {
		return -1
	}
	return r.duration(n)
}

// duration reads "30d" or "12h".
func (r *reader) duration(n node) time.Duration {
	s := r.text(n)
	if kindOf(n.v) != '"' || s == "" {
		return 0
	}
	d, ok := ParseDays(s)
	if !ok {
		r.refuse(n, `must be a number of days or hours, such as "30d" or "12h"`)
		return 0
	}
	if d < leastAuditTime || d > mostAuditTime {
		r.refuse(n, "must be from one hour to a hundred years")
	}
	return d
}

// ParseDays reads a length of time that is written as "30d", or the way of [time.ParseDuration].
func ParseDays(s string) (time.Duration, bool) {
	if days, found := strings.CutSuffix(s, "d"); found {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err == nil
	}
	d, err := time.ParseDuration(s)
	return d, err == nil && d >= 0
}

// AuditDir is the folder of the audit log, where the state folder is given.
func (c *Config) AuditDir(state string) string {
	if c.Audit != nil && c.Audit.Dir != "" {
		return c.Audit.Dir
	}
	return filepath.Join(state, "audit")
}
