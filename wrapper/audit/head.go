package audit

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"
)

// Head is what the log was at one record: since each record commits to the one before, it stands for all up to there.
type Head struct {
	Log  string    `json:"log"` // identity of the log
	Seq  uint64    `json:"seq"`
	Hash string    `json:"hash"` // of record Seq
	Time time.Time `json:"time"`
	Sig  string    `json:"sig,omitempty"` // Ed25519, base64
}

// text is what is signed.
func (h Head) text() []byte {
	return []byte("mcp-valet audit head 1\n" + h.Log + "\n" + strconv.FormatUint(h.Seq, 10) + "\n" + h.Hash + "\n" + h.Time.UTC().Format(timeForm) + "\n")
}

// SignedBy tells whether the head carries a signature by key.
func (h Head) SignedBy(key ed25519.PublicKey) bool {
	sig, err := base64.StdEncoding.Strict().DecodeString(h.Sig)
	return err == nil && len(key) == ed25519.PublicKeySize && ed25519.Verify(key, h.text(), sig)
}

// head is the head that an entry holds.
func (e *Entry) head() Head {
	return Head{Log: e.Log, Seq: e.At, Hash: e.AtHash, Time: e.Time, Sig: e.Sig}
}

// notary signs heads beside the writers: the key may lie in a keychain that takes its time.
type notary struct {
	log    *Log
	asked  chan struct{}
	stop   chan struct{}
	joined sync.WaitGroup
}

func (n *notary) start(l *Log) {
	n.log, n.asked, n.stop = l, make(chan struct{}, 1), make(chan struct{})
	if l.o.Sign == nil {
		return
	}
	n.joined.Go(func() {
		for {
			select {
			case <-n.asked:
				// An error is not lost: the next head covers the same records, and that of Close reports it.
				_ = l.writeHead(false)
			case <-n.stop:
				return
			}
		}
	})
}

func (n *notary) wake() {
	select {
	case n.asked <- struct{}{}:
	default: // is asked already
	}
}

// end writes the last head.
func (n *notary) end() error {
	close(n.stop)
	n.joined.Wait()
	if n.log.o.Sign == nil {
		return nil
	}
	return n.log.writeHead(true)
}

// writeHead signs the last record that is known, and writes the signature as a record.
func (l *Log) writeHead(last bool) error {
	l.mu.Lock()
	h := Head{Log: l.tail.log, Seq: l.tail.seq, Hash: l.tail.hash, Time: l.now().Truncate(time.Microsecond)}
	covered := l.fresh
	idle := covered == 0 || l.tail.seq == 0
	l.mu.Unlock()
	if idle {
		return nil
	}
	sig, err := l.o.Sign(h.text())
	if err != nil {
		return fmt.Errorf("signing the audit log: %w", err)
	}
	h.Sig = base64.StdEncoding.EncodeToString(sig)
	l.mu.Lock()
	e := &Entry{Log: h.Log, At: h.Seq, AtHash: h.Hash, Sig: h.Sig, Record: Record{Time: h.Time, Event: EventHead}}
	if err = l.append(e); err == nil {
		l.fresh -= covered
		l.headed = l.now()
	}
	l.mu.Unlock()
	if err == nil && l.o.Count != nil {
		err = l.o.Count(h)
	}
	if last && errors.Is(err, ErrFull) && l.o.OnFull == Continue {
		return nil // sayMissed says it
	}
	return err
}
