package audit_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"mcp-valet/wrapper/audit"
)

// smallDisk is a disk of 256 KiB, and a file that takes what is left of it.
func smallDisk(t *testing.T) (dir, ballast string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a small disk takes root: run this test with sudo to see it")
	}
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("a small disk takes root that may mount: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(disk, "audit"), filepath.Join(disk, "ballast")
}

func fill(t *testing.T, ballast string) {
	t.Helper()
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for n := 1 << 16; n > 0; n /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, n))
		}
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
}

func TestFullDisk(t *testing.T) {
	for _, onFull := range []string{audit.Block, audit.Continue} {
		t.Run(onFull, func(t *testing.T) {
			dir, ballast := smallDisk(t)
			l := open(t, audit.Options{Dir: dir, OnFull: onFull, Sign: sign})
			appendAll(t, l, "before")
			fill(t, ballast)
			full := 0
			for range 40 { // what is left of a page takes some
				if err := l.Append(decision("full")); err != nil {
					if onFull == audit.Continue || !errors.Is(err, audit.ErrFull) {
						t.Fatal(err)
					}
					full++
				}
			}
			if onFull == audit.Block && full == 0 {
				t.Fatal("the disk was not full")
			}
			if r := verified(t, dir, public()); r.Torn != nil {
				t.Errorf("while it is full: %v", r.Torn)
			}
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			appendAll(t, l, "after")
			closeLog(t, l)
			r := verified(t, dir, public())
			there := uint64(len(entries(t, dir, audit.Filter{Tool: "full"})))
			if want := 40 - there; onFull == audit.Continue && (r.Missed != want || want == 0) {
				t.Errorf("%d are missing, the log says %d", want, r.Missed)
			}
			if r.Crashes != 0 || r.Signed == 0 {
				t.Errorf("report %+v", r)
			}
		})
	}
}

// TestFullFromTheStart: a launcher that may go on does so when there is no room for the first record.
func TestFullFromTheStart(t *testing.T) {
	dir, ballast := smallDisk(t)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	fill(t, ballast)
	if l, err := audit.Open(audit.Options{Dir: dir}); err == nil {
		if err := l.Append(decision("a")); !errors.Is(err, audit.ErrFull) {
			t.Errorf("block: %v", err)
		}
		l.Close()
	}
	l := open(t, audit.Options{Dir: dir, OnFull: audit.Continue})
	appendAll(t, l, "b", "c")
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
	if r := verified(t, dir, nil); r.Missed != 2 || r.Log == "" {
		t.Errorf("report %+v", r)
	}
}
