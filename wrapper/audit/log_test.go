package audit_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mcp-valet/wrapper/audit"
)

func TestRecordComesBack(t *testing.T) {
	dir := folder(t)
	l := open(t, audit.Options{Dir: dir})
	want := decision("create \"incident\"\u2028\n\x00é")
	want.Time = time.Date(2026, 11, 24, 12, 0, 0, 123000, time.UTC)
	want.Detail = "what \x7f there is"
	if err := l.Append(want); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
	got := entries(t, dir, audit.Filter{Event: "decision"})
	if len(got) != 1 || !reflect.DeepEqual(got[0].Record, *want) {
		t.Errorf("got %+v\nwant %+v", got, *want)
	}
	if got[0].Seq != 2 || got[0].Line != 2 || got[0].File != files(t, dir)[0] {
		t.Errorf("stands at %+v", got[0])
	}
	if r := verified(t, dir, nil); r.Records != 2 || r.Last != 2 || r.LastHash != got[0].Hash || len(r.Log) != 16 {
		t.Errorf("report %+v", r)
	}
}

func TestHostileRecordStaysOneBoundedLine(t *testing.T) {
	dir := folder(t)
	l := open(t, audit.Options{Dir: dir})
	long := strings.Repeat("\x01\xff\u2028é", 100_000)
	r := &audit.Record{Event: long, Server: long, Account: long, Subject: long, Tenant: long, Method: long, Tool: long,
		Verdict: long, Rule: long, Outcome: long, Detail: long, Roles: slices.Repeat([]string{long}, 10_000)}
	if err := l.Append(r); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
	if r := verified(t, dir, nil); r.Records != 2 {
		t.Errorf("%d records", r.Records)
	}
	if got := entries(t, dir, audit.Filter{After: 1}); !strings.HasSuffix(got[0].Tool, "…") || len(got[0].Roles) != 32 {
		t.Errorf("not cut: %d roles, tool %q", len(got[0].Roles), got[0].Tool)
	}
}

func TestAppendRefuses(t *testing.T) {
	l := open(t, audit.Options{Dir: folder(t)})
	for _, event := range []string{"", "file", "rotate", "retention", "head", "gap"} {
		if l.Append(&audit.Record{Event: event}) == nil {
			t.Errorf("takes the event %q", event)
		}
	}
	for _, arguments := range []string{`{"a"`, `{} {}`, `"` + strings.Repeat("x", audit.MaxShape) + `"`} {
		if l.Append(&audit.Record{Event: "decision", Arguments: []byte(arguments)}) == nil {
			t.Errorf("takes the arguments %.20q", arguments)
		}
	}
	closeLog(t, l)
	if err := l.Append(decision("late")); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	for _, o := range []audit.Options{{Dir: "relative"}, {Dir: folder(t), OnFull: "shrug"}, {Dir: folder(t), MaxSize: -1}} {
		if _, err := audit.Open(o); err == nil {
			t.Errorf("opens %+v", o)
		}
	}
}

func TestModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes are made up on Windows")
	}
	dir := folder(t)
	closeLog(t, func() *audit.Log { l := open(t, audit.Options{Dir: dir}); appendAll(t, l, "a"); return l }())
	for path, want := range map[string]os.FileMode{dir: 0o700, files(t, dir)[0]: 0o600, filepath.Join(dir, "audit.lock"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestNotOurs(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes are made up on Windows")
	}
	tests := map[string]func(dir, file string) error{
		"folder for the group": func(dir, file string) error { return os.Chmod(dir, 0o770) },
		"file for the group":   func(dir, file string) error { return os.Chmod(file, 0o620) },
		"lock for all":         func(dir, file string) error { return os.Chmod(filepath.Join(dir, "audit.lock"), 0o666) },
		"file is a link": func(dir, file string) error {
			return errors.Join(os.Rename(file, dir+".moved"), os.Symlink(dir+".moved", file))
		},
		"folder is a link": func(dir, file string) error {
			return errors.Join(os.Rename(dir, dir+".moved"), os.Symlink(dir+".moved", dir))
		},
		"file is a folder":        func(dir, file string) error { return errors.Join(os.Remove(file), os.Mkdir(file, 0o700)) },
		"file of somebody else":   func(dir, file string) error { return chown(t, file) },
		"folder of somebody else": func(dir, file string) error { return chown(t, dir) },
		"lock file is a link": func(dir, file string) error {
			l := filepath.Join(dir, "audit.lock")
			return errors.Join(os.Rename(l, l+".x"), os.Symlink(l+".x", l))
		},
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			dir := folder(t)
			l := open(t, audit.Options{Dir: dir})
			appendAll(t, l, "a")
			closeLog(t, l)
			if err := spoil(dir, files(t, dir)[0]); err != nil {
				t.Fatal(err)
			}
			for _, onFull := range []string{audit.Block, audit.Continue} {
				l, err := audit.Open(audit.Options{Dir: dir, OnFull: onFull})
				if !errors.Is(err, audit.ErrInsecure) {
					t.Errorf("%s: opened: %v, %v", onFull, l, err)
				}
			}
			if _, err := audit.Verify(dir, nil); err == nil {
				t.Error("verified")
			}
		})
	}
}

func chown(t *testing.T, path string) error {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away; run the tests as root to see this one")
	}
	return os.Chown(path, 12345, 12345)
}

func TestManyGoroutinesAndTwoLogs(t *testing.T) {
	dir := folder(t)
	var wg sync.WaitGroup
	for range 2 {
		l := open(t, audit.Options{Dir: dir, Sign: sign, Every: 50, MaxSize: 20_000})
		for range 4 {
			wg.Go(func() {
				for range 100 {
					if err := l.Append(decision("t")); err != nil {
						t.Error(err)
					}
				}
			})
		}
		defer l.Close()
	}
	wg.Wait()
	r := verified(t, dir, public())
	if n := len(entries(t, dir, audit.Filter{Event: "decision"})); n != 800 {
		t.Errorf("%d decisions, want 800", n)
	}
	if r.Files < 5 || r.Signed == 0 {
		t.Errorf("report: %d files, signed up to %d", r.Files, r.Signed)
	}
}

func TestTornLine(t *testing.T) {
	whole := func(t *testing.T, dir string) (string, []byte) {
		l := open(t, audit.Options{Dir: dir})
		appendAll(t, l, "a", "b")
		closeLog(t, l)
		return files(t, dir)[0], read(t, files(t, dir)[0])
	}
	n := len(func() []byte { _, b := whole(t, folder(t)); return b }())
	for _, cut := range []int{1, 2, 70, n - 1, n/3 + 5} { // the last two: the first line, of a log without any other
		dir := folder(t)
		file, b := whole(t, dir)
		left := b[:len(b)-cut]
		write(t, file, left)
		if r := verified(t, dir, nil); r.Torn == nil || r.Torn.File != file {
			t.Errorf("cut by %d: torn %v", cut, r.Torn)
		}
		l := open(t, audit.Options{Dir: dir})
		appendAll(t, l, "c")
		closeLog(t, l)
		r := verified(t, dir, nil)
		if r.Crashes != 1 || r.Torn != nil {
			t.Errorf("cut by %d: %d crashes, torn %v", cut, r.Crashes, r.Torn)
		}
		if all := entries(t, dir, audit.Filter{}); !strings.HasSuffix(strings.ReplaceAll(events(all), " file", ""), "crash decision") {
			t.Errorf("cut by %d: %s", cut, events(all))
		}
	}
}

func TestTornLineIsNotExcusedLater(t *testing.T) {
	dir := folder(t)
	l := open(t, audit.Options{Dir: dir})
	appendAll(t, l, "a")
	closeLog(t, l)
	file := files(t, dir)[0]
	write(t, file, append(read(t, file), `{"seq":3,`...))
	l = open(t, audit.Options{Dir: dir})
	appendAll(t, l, "b")
	closeLog(t, l)
	b := read(t, file)
	write(t, file, []byte(strings.Replace(string(b), `{"seq":3,`+"\n", `{"seq":9,`+"\n", 1)))
	found(t, verify(t, dir, nil), 3, "is not a record")
}

func TestDamagedEndGoesOn(t *testing.T) {
	dir := folder(t)
	l := open(t, audit.Options{Dir: dir})
	appendAll(t, l, "a", "b")
	closeLog(t, l)
	file := files(t, dir)[0]
	b := read(t, file)
	b[len(b)-100] ^= 1
	write(t, file, b)
	l = open(t, audit.Options{Dir: dir})
	appendAll(t, l, "c")
	closeLog(t, l)
	r := verify(t, dir, nil)
	found(t, r, 3, "was changed")
	if got := events(entriesOf(dir)); got != "file decision crash decision" {
		t.Errorf("the log has %s", got)
	}
	write(t, file, []byte("no record\n"))
	if _, err := audit.Open(audit.Options{Dir: dir}); !errors.Is(err, audit.ErrDamaged) {
		t.Errorf("a log of nonsense: %v", err)
	}
}

func entriesOf(dir string) (all []*audit.Entry) {
	for e, err := range audit.Read(dir, audit.Filter{}) {
		if err == nil {
			all = append(all, e)
		}
	}
	return all
}

func TestClockGoesBack(t *testing.T) {
	dir := folder(t)
	l := open(t, audit.Options{Dir: dir})
	appendAll(t, l, "a")
	l.SetClock(func() time.Time { return time.Now().Add(-2 * time.Hour) })
	appendAll(t, l, "b", "c")
	closeLog(t, l)
	r := verified(t, dir, nil)
	got := entries(t, dir, audit.Filter{Tool: "b"})
	if r.Backward != 1 || got[0].Back.Round(time.Minute) != 2*time.Hour {
		t.Errorf("back %d times, by %v", r.Backward, got[0].Back)
	}
}

func TestFilters(t *testing.T) {
	dir := folder(t)
	l := open(t, audit.Options{Dir: dir, MaxSize: 1000})
	start := time.Now()
	for i, r := range []*audit.Record{decision("a"), decision("b"), decision("a"), {Event: "login", Account: "home", Verdict: "allow"}} {
		r.Time = start.Add(time.Duration(i) * time.Hour)
		if err := l.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	closeLog(t, l)
	for want, f := range map[int]audit.Filter{
		2: {Tool: "a"}, 3: {Denied: true}, 1: {User: "home"},
	} {
		if got := entries(t, dir, f); len(got) != want {
			t.Errorf("%+v: %s", f, events(got))
		}
	}
	if got := entries(t, dir, audit.Filter{User: "ada", Since: start.Add(30 * time.Minute)}); len(got) != 2 {
		t.Errorf("since: %s", events(got))
	}
	all := entries(t, dir, audit.Filter{})
	for i := range all {
		if got := entries(t, dir, audit.Filter{After: all[i].Seq}); len(got) != len(all)-i-1 {
			t.Errorf("after %d: %s", all[i].Seq, events(got))
		}
	}
	if got := entries(t, folder(t), audit.Filter{}); got != nil {
		t.Errorf("of no log: %v", got)
	}
}
