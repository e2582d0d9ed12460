package audit

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// retain removes the oldest files whose last record is older than is wanted, and says so in the log first: who finds them
// missing, finds why. A clock that jumps ahead does not empty the log at once, since what it is compared with is the
// record before. The lock is held.
func (l *Log) retain() error {
	if l.o.Retention < 0 || l.file == nil {
		return nil
	}
	names, err := listFiles(l.o.Dir)
	if err != nil {
		return err
	}
	now := l.now()
	if l.before.Before(now) && !l.before.IsZero() {
		now = l.before
	}
	old := l.expired(names, now.Add(-l.o.Retention))
	if old == 0 {
		return nil
	}
	through := firstOf(names[old]) - 1
	if err := l.mend(); err != nil {
		return err
	}
	err = l.put(&Entry{Through: through, Record: Record{
		Event: EventRetention, Detail: fmt.Sprintf("kept for %s, then removed: %d files", l.o.Retention, old),
	}})
	if err != nil {
		return err
	}
	for _, name := range names[:old] {
		// One that stays (on Windows, while another process has it open) is found again next time.
		_ = os.Remove(filepath.Join(l.o.Dir, name))
	}
	return nil
}

// expired counts the files from the oldest on that were last written before the given time; the newest never counts.
func (l *Log) expired(names []string, before time.Time) int {
	n := 0
	for ; n < len(names)-1; n++ {
		info, err := os.Lstat(filepath.Join(l.o.Dir, names[n]))
		if err != nil || !info.ModTime().Before(before) {
			break
		}
	}
	return n
}
