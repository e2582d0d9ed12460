package audit

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"time"
)

// Problem is a place where the log is not what was written.
type Problem struct {
	File string // "" for the log as a whole
	Line int    // from 1; 0 for the file as a whole
	What string
}

// String gives "FILE:LINE: what".
func (p Problem) String() string {
	switch {
	case p.File == "":
		return p.What
	case p.Line == 0:
		return p.File + ": " + p.What
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.What)
}

// Report is what Verify found. A log is as it was written when it has no problems.
type Report struct {
	Log         string // identity; "" in a log without a record
	Files       int
	Records     uint64
	First, Last uint64 // First is above 1 when files were removed as the retention says
	LastHash    string
	Heads       []Head    // whose signature is right (without a key: all)
	Signed      uint64    // last record that a right signature covers
	Crashes     int       // lines that were not finished, and recorded as that
	Missed      uint64    // records that could not be written, as the log says
	Backward    int       // records before which the clock went back
	Torn        *Problem  // a last line that is not finished: its writer ended, or is a copy of the file's end
	Until       time.Time // of the last record

	Problems []Problem
	More     int // problems beyond those
}

// Known is a head that somebody keeps outside of the log, and where.
type Known struct {
	Head
	From string // "the keychain", "heads.json"
}

const maxProblems = 50

// Verify reads the whole log, whoever is writing to it meanwhile, and finds every change to it: a changed, cut, repeated,
// moved or foreign line. Without more than the log itself it cannot find that all was written anew (the signatures of
// key show that; nil asks for none), or that the end is missing (known heads show that). The error says that it could
// not be read.
func Verify(dir string, key ed25519.PublicKey, known ...Known) (*Report, error) {
	shots, err := snapshot(dir)
	if err != nil {
		return nil, fmt.Errorf("verifying the audit log: %w", err)
	}
	defer closeAll(shots)
	v := &verifier{key: key, known: map[uint64][]Known{}, hash: noHash}
	for _, k := range known {
		v.known[k.Seq] = append(v.known[k.Seq], k)
	}
	for i, s := range shots {
		v.file, v.last, v.begun = filepath.Join(dir, s.name), i == len(shots)-1, false
		v.named = firstOf(s.name)
		if err := s.lines(v.line); err != nil {
			return nil, fmt.Errorf("verifying the audit log: %w", err)
		}
		if !v.begun && !v.last {
			v.problem(0, "holds no record")
		}
	}
	v.report.Files = len(shots)
	v.conclude(dir, known)
	return &v.report, nil
}

// verifier walks along the log.
type verifier struct {
	key    ed25519.PublicKey
	known  map[uint64][]Known
	report Report

	file  string
	named uint64 // first record by the file's name
	last  bool   // of the files
	begun bool   // the file had a record

	seq     uint64 // of the last record that stands where it should
	hash    string
	broken  bool // what stood before the next line could not be read
	skipped bool // the line before was not finished
	hashes  hashes
	through uint64 // what the retention says is removed
}

func (v *verifier) problem(line int, format string, args ...any) {
	if len(v.report.Problems) == maxProblems {
		v.report.More++
		return
	}
	v.report.Problems = append(v.report.Problems, Problem{v.file, line, fmt.Sprintf(format, args...)})
}

func (v *verifier) line(now, after *line) error {
	skipped := v.skipped
	v.skipped = false
	switch {
	case now.tornBy(after):
		v.report.Crashes++
		v.skipped = true
	case after == nil && !now.whole && v.last:
		v.report.Torn = &Problem{v.file, now.n, fmt.Sprintf("%d bytes that are no whole line: whoever wrote it ended", len(now.text))}
	case !now.whole:
		v.problem(now.n, "is not a whole line, and the log goes on in another file")
	case now.err != nil:
		v.problem(now.n, "%v", now.err)
		v.broken = true
	default:
		if now.entry.Torn > 0 && !skipped {
			v.problem(now.n, "speaks of an unfinished line before it, which is not there")
		}
		v.entry(now.n, now.entry)
	}
	return nil
}

func (v *verifier) entry(n int, e *Entry) {
	first := v.report.Records == 0 && !v.broken
	switch {
	case first && e.Seq > 1 && e.Seq == v.named:
		v.report.First = e.Seq // conclude asks why
	case first && e.Seq == 1 && e.Prev == noHash:
		v.report.First = 1
	case e.Seq <= v.seq:
		v.problem(n, "record %d stands behind record %d: repeated or moved", e.Seq, v.seq)
		return
	case v.broken: // told already
	case e.Seq > v.seq+1:
		v.problem(n, "records %d to %d are missing before this line", v.seq+1, e.Seq-1)
	case e.Prev != v.hash:
		v.problem(n, "record %d does not follow from the record before it: one of the two is not the one that was written", e.Seq)
	}
	if !v.begun && !v.broken && e.Seq != v.named {
		v.problem(n, "begins with record %d, where its name says %d", e.Seq, v.named)
	}
	v.begun, v.broken = true, false
	v.take(n, e)
}

// take makes e the last record.
func (v *verifier) take(n int, e *Entry) {
	v.seq, v.hash = e.Seq, e.Hash
	r := &v.report
	if r.First == 0 {
		r.First = e.Seq
	}
	v.hashes.add(e.Seq, e.Hash)
	r.Records++
	r.Last, r.LastHash, r.Until = e.Seq, e.Hash, e.Time
	r.Missed += e.Missed
	v.through = max(v.through, e.Through)
	if e.Back > 0 {
		r.Backward++
	}
	if e.Log != "" {
		if r.Log == "" {
			r.Log = e.Log
		}
		if e.Log != r.Log {
			v.problem(n, "belongs to another log")
		}
	}
	if e.Event == EventHead {
		v.head(n, e)
	}
	for _, k := range v.known[e.Seq] {
		if k.Hash != e.Hash {
			v.problem(n, "record %d is not the one that %s knows", e.Seq, k.From)
		}
	}
}

func (v *verifier) head(n int, e *Entry) {
	h := e.head()
	if h.Seq >= e.Seq || h.Seq >= v.report.First && v.hashes.of(h.Seq) != h.Hash {
		v.problem(n, "the signed record %d is not the one that stands in the log", h.Seq)
		return
	}
	if v.key != nil && !h.SignedBy(v.key) {
		v.problem(n, "the signature is not by the key of this log")
		return
	}
	v.report.Heads = append(v.report.Heads, h)
	v.report.Signed = max(v.report.Signed, h.Seq)
}

// conclude asks what no single line tells.
func (v *verifier) conclude(dir string, known []Known) {
	r := &v.report
	v.file = dir
	switch {
	case r.First <= 1:
	case v.through < r.First-1:
		v.problem(0, "the log begins with record %d, and nothing in it says that those before were removed", r.First)
	case v.key != nil && r.Signed < r.First:
		v.problem(0, "the log begins with record %d, and no signature vouches for that", r.First)
	}
	for _, k := range known {
		switch {
		case v.key != nil && k.Sig != "" && !k.SignedBy(v.key):
			v.problem(0, "the head of record %d in %s is not signed by the key of this log", k.Seq, k.From)
		case r.Log != "" && k.Log != r.Log:
			v.problem(0, "%s knows another log (%s, up to record %d) than this one (%s)", k.From, k.Log, k.Seq, r.Log)
		case k.Seq > r.Last:
			v.problem(0, "the log ends with record %d, and %s knows record %d: the end is missing", r.Last, k.From, k.Seq)
		}
	}
}

// hashes are those of records in runs without a gap, 32 bytes each: a log may have millions.
type hashes []run

type run struct {
	first uint64
	sums  [][32]byte
}

func (h *hashes) add(seq uint64, hash string) {
	var sum [32]byte
	hex.Decode(sum[:], []byte(hash)) // what parseLine made
	if n := len(*h) - 1; n >= 0 && (*h)[n].first+uint64(len((*h)[n].sums)) == seq {
		(*h)[n].sums = append((*h)[n].sums, sum)
		return
	}
	*h = append(*h, run{seq, [][32]byte{sum}})
}

// of gives a record's hash, or "" for one that is not there.
func (h hashes) of(seq uint64) string {
	for _, r := range h {
		if seq >= r.first && seq-r.first < uint64(len(r.sums)) {
			return hex.EncodeToString(r.sums[seq-r.first][:])
		}
	}
	return ""
}
