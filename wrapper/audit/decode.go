package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"
)

// wire is a line as encoding/json reads it.
type wire struct {
	Seq       uint64          `json:"seq"`
	Prev      string          `json:"prev"`
	Time      time.Time       `json:"time"`
	Event     string          `json:"event"`
	Server    string          `json:"server"`
	Account   string          `json:"account"`
	Subject   string          `json:"sub"`
	Tenant    string          `json:"tenant"`
	Roles     []string        `json:"roles"`
	Method    string          `json:"method"`
	Tool      string          `json:"tool"`
	Verdict   string          `json:"verdict"`
	Rule      string          `json:"rule"`
	Outcome   string          `json:"outcome"`
	Micros    int64           `json:"us"`
	In        int             `json:"in"`
	Out       int             `json:"out"`
	Arguments json.RawMessage `json:"arguments"`
	Detail    string          `json:"detail"`
	Back      int64           `json:"back_us"`
	Missed    uint64          `json:"missed"`
	Torn      int             `json:"torn"`
	TornHash  string          `json:"torn_hash"`
	Through   uint64          `json:"through"`
	Log       string          `json:"log"`
	At        uint64          `json:"at"`
	AtHash    string          `json:"at_hash"`
	Sig       string          `json:"sig"`
	Hash      string          `json:"hash"`
}

var (
	errForm = errors.New("is not a record of this log")
	errHash = errors.New("was changed: its hash is another")
)

// parseLine reads a line without its line end, and checks it against its own hash.
func parseLine(line []byte) (*Entry, error) {
	if len(line) > maxLine || len(line) < lineTail || !bytes.HasPrefix(line, []byte(`{"seq":`)) {
		return nil, errForm
	}
	body, tail := line[:len(line)-lineTail], line[len(line)-lineTail:]
	if !bytes.HasPrefix(tail, []byte(hashMark)) || !bytes.HasSuffix(tail, []byte(`"}`)) {
		return nil, errForm
	}
	sum := sha256.Sum256(body)
	if string(tail[len(hashMark):len(tail)-len(`"}`)]) != hex.EncodeToString(sum[:]) {
		return nil, errHash
	}
	var w wire
	if err := json.Unmarshal(line, &w); err != nil || w.Seq == 0 || w.Event == "" || len(w.Prev) != len(noHash) {
		return nil, errForm
	}
	e := w.entry()
	e.raw = line
	return e, nil
}

func (w *wire) entry() *Entry {
	return &Entry{
		Record: Record{
			Time: w.Time, Event: w.Event, Server: w.Server, Account: w.Account, Subject: w.Subject, Tenant: w.Tenant,
			Roles: w.Roles, Method: w.Method, Tool: w.Tool, Verdict: w.Verdict, Rule: w.Rule, Outcome: w.Outcome,
			Duration: time.Duration(w.Micros) * time.Microsecond, SizeIn: w.In, SizeOut: w.Out,
			Arguments: w.Arguments, Detail: w.Detail,
		},
		Seq: w.Seq, Prev: w.Prev, Hash: w.Hash, Back: time.Duration(w.Back) * time.Microsecond,
		Missed: w.Missed, Torn: w.Torn, TornHash: w.TornHash, Through: w.Through,
		Log: w.Log, At: w.At, AtHash: w.AtHash, Sig: w.Sig,
	}
}

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
