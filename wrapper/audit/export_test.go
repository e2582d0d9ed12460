package audit

import "time"

// SetClock has the log see another time.
func (l *Log) SetClock(now func() time.Time) { l.mu.Lock(); l.now = now; l.mu.Unlock() }

// MaxShape is the most that Shape gives.
const MaxShape = maxShape
