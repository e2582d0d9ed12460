package cli

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"mcp-valet/keyring"
	"mcp-valet/wrapper/audit"
)

var auditVerifyCommand = command{
	name: "audit verify", max: 0,
	short: "check that the audit log is as it was written",
	long: `It finds every line that was changed, cut, moved, repeated or put in, and names file and line (exit code 5). Whether the
end is missing, or all was written anew, it tells by what the keychain holds and by heads that were exported before.
Whoever can use your keychain can write and sign another log: keep heads, or the records, elsewhere (audit export).`,
	example: "mcp-valet audit verify --heads /mnt/elsewhere/heads.json",
	flags: func(a *app, fs *pflag.FlagSet) action {
		heads := fs.String("heads", "", "`file` that audit export --heads made")
		anew := fs.Bool("accept-new", false, "the log before this one was removed on purpose: hold on to this one")
		return func(ctx context.Context, _ []string) error { return a.auditVerify(ctx, *heads, *anew) }
	},
}

func (a *app) auditVerify(ctx context.Context, file string, anew bool) error {
	r, key, err := a.verifiedAudit(ctx, file, anew)
	if err != nil || r == nil {
		return err
	}
	if len(r.Problems) > 0 {
		return a.tampered(r)
	}
	if key == nil && len(r.Heads) > 0 {
		return &refusal{"the audit log is signed, and the keychain has no key for it", "the key was removed, or this log is of another machine: mcp-valet audit verify --heads FILE takes the key from there"}
	}
	fmt.Fprintf(a.stdout, "%d records in %s, from %d to %d: as they were written\n", r.Records, count(r.Files, "file"), r.First, r.Last)
	switch {
	case r.Signed > 0:
		fmt.Fprintf(a.stdout, "signed up to record %d\n", r.Signed)
	default:
		fmt.Fprintf(a.stdout, "not signed yet\n")
	}
	for _, n := range []struct {
		n    uint64
		what string
	}{
		{r.Missed, "records could not be written, as the log says"},
		{uint64(r.Crashes), "lines were not finished, since their writer ended; that is recorded"},
		{uint64(r.Backward), "times the clock went back"},
	} {
		if n.n > 0 {
			fmt.Fprintf(a.stdout, "note: %d %s\n", n.n, n.what)
		}
	}
	if r.Torn != nil {
		fmt.Fprintf(a.stdout, "note: %s\n", printable(r.Torn.String()))
	}
	return nil
}

// tampered is the error for a log that is not what was written.
func (a *app) tampered(r *audit.Report) error {
	var lines []string
	for _, p := range r.Problems {
		lines = append(lines, printable(p.String()))
	}
	if r.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", r.More))
	}
	return &refusal{strings.Join(lines, "\n"), "the audit log is not as it was written: keep it as it is, and find out who had access to it"}
}

// verifiedAudit verifies the log by all that is known of it. There is no report when there is no log, and none is missing.
func (a *app) verifiedAudit(ctx context.Context, file string, anew bool) (*audit.Report, ed25519.PublicKey, error) {
	dir, cfg, err := a.auditDir()
	if err != nil {
		return nil, nil, err
	}
	store, err := a.openStore(cfg, personLimit)
	if err != nil && !errors.Is(err, os.ErrNotExist) { // no key of the sealed store: nothing in it either
		return nil, nil, err
	}
	key, known, err := auditKnowledge(ctx, store, file)
	if err != nil {
		return nil, nil, err
	}
	if anew {
		known, err = a.acceptNew(ctx, dir, key, store, known)
		if err != nil {
			return nil, nil, err
		}
	}
	r, err := audit.Verify(dir, key, known...)
	if errors.Is(err, fs.ErrNotExist) {
		if len(known) > 0 {
			return nil, nil, &refusal{
				fmt.Sprintf("there is no audit log in %s, and %s knows one with record %d", printable(dir), known[0].From, known[0].Seq),
				"if you removed it yourself: mcp-valet audit verify --accept-new, once there is a new one",
			}
		}
		a.sayf("There is no audit log yet.")
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, auditError(err)
	}
	return r, key, nil
}

// auditKnowledge is the key of the log and what is known of it outside: in the keychain, and in a file of heads.
func auditKnowledge(ctx context.Context, store *keyring.Store, file string) (key ed25519.PublicKey, known []audit.Known, err error) {
	if store != nil {
		keys := &auditKeys{store: store}
		private, err := keys.load(ctx)
		if err != nil && !errors.Is(err, keyring.ErrNotFound) {
			return nil, nil, err
		}
		if err == nil {
			key = private.Public().(ed25519.PublicKey)
		}
		counted, err := keys.counted(ctx)
		if err != nil && !errors.Is(err, keyring.ErrNotFound) {
			return nil, nil, err
		}
		if err == nil {
			known = append(known, audit.Known{Head: counted, From: "the keychain"})
		}
	}
	if file == "" {
		return key, known, nil
	}
	heads, err := readHeads(file)
	if err != nil {
		return nil, nil, err
	}
	if key != nil && !key.Equal(heads.Key) {
		return nil, nil, &refusal{printable(file) + " was signed with another key than the keychain has", "one of the two was replaced, or belongs to another machine"}
	}
	for _, h := range heads.Heads {
		known = append(known, audit.Known{Head: h, From: printable(file)})
	}
	return heads.Key, known, nil
}

// acceptNew has the keychain hold on to the log that is there, when it held on to another.
func (a *app) acceptNew(ctx context.Context, dir string, key ed25519.PublicKey, store *keyring.Store, known []audit.Known) ([]audit.Known, error) {
	r, err := audit.Verify(dir, key)
	if err != nil {
		return nil, auditError(err)
	}
	if len(r.Problems) > 0 {
		return nil, a.tampered(r)
	}
	if len(known) == 0 || known[0].Log == r.Log || store == nil {
		return known, nil
	}
	if len(r.Heads) == 0 {
		return nil, &refusal{"the new log has no signature yet", "use a server once, and try again"}
	}
	h := r.Heads[len(r.Heads)-1]
	if err := (&auditKeys{store: store}).setCount(ctx, h); err != nil {
		return nil, err
	}
	known[0].Head = h
	return known, nil
}

// headsFile is what audit export --heads writes.
type headsFile struct {
	Key   ed25519.PublicKey `json:"key"` // base64
	Heads []audit.Head      `json:"heads"`
}

const maxHeads = 64 << 20 // bytes

func readHeads(path string) (*headsFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading heads: %w", err)
	}
	defer f.Close() // only read
	var h headsFile
	b, err := io.ReadAll(io.LimitReader(f, maxHeads+1))
	if err != nil {
		return nil, fmt.Errorf("reading heads: %w", err)
	}
	if len(b) > maxHeads || json.Unmarshal(b, &h) != nil || len(h.Key) != ed25519.PublicKeySize || len(h.Heads) == 0 {
		return nil, fmt.Errorf("reading heads: %s is not what audit export --heads writes", printable(path))
	}
	return &h, nil
}
