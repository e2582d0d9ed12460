package cli

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"mcp-valet/internal/config"
	"mcp-valet/keyring"
	"mcp-valet/wrapper/audit"
)

// auditTrail is the log as a command writes it: signed with the key in the keychain, counted there, and exported where the
// config says so.
type auditTrail struct {
	*audit.Log
	shown    []string // arguments whose values may be recorded
	exporter *audit.Exporter
}

// exportLimit is how long the end of a command waits for the collector: clients kill us soon after.
const exportLimit = 500 * time.Millisecond

// openAudit opens the log. The keychain is not touched before something is to be signed; without a store nothing is.
func (a *app) openAudit(cfg *config.Config, store *keyring.Store) (*auditTrail, error) {
	state, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	o := audit.Options{Dir: cfg.AuditDir(state)}
	trail := &auditTrail{}
	if c := cfg.Audit; c != nil {
		o.MaxSize, o.MaxAge, o.Retention, o.OnFull = c.MaxSize, c.MaxAge, c.Retention, c.OnFull
		trail.shown = c.Arguments
		if c.OTLP != "" {
			if trail.exporter, err = audit.NewExporter(c.OTLP, version()); err != nil {
				return nil, &config.Error{Path: cfg.Path, Key: "audit.otlp", Msg: err.Error()}
			}
			o.Written = trail.exporter.Export
		}
	}
	if store != nil {
		keys := &auditKeys{store: store}
		o.Sign, o.Count = keys.sign, keys.count
	}
	if trail.Log, err = audit.Open(o); err != nil {
		if trail.exporter != nil {
			err = errors.Join(err, trail.exporter.Close(context.Background()))
		}
		return nil, auditError(err)
	}
	return trail, nil
}

// shape is what may be recorded of a call's arguments.
func (t *auditTrail) shape(arguments []byte) json.RawMessage { return audit.Shape(arguments, t.shown) }

// Close signs what was written, and sends what waits.
func (t *auditTrail) Close() error {
	err := t.Log.Close()
	if t.exporter != nil {
		ctx, cancel := context.WithTimeout(context.Background(), exportLimit)
		defer cancel()
		err = errors.Join(err, t.exporter.Close(ctx))
	}
	return err
}

// auditKeys is what the keychain holds of the log.
type auditKeys struct {
	store *keyring.Store
	mu    sync.Mutex
	key   ed25519.PrivateKey
}

// auditLock is the name that the locks of key and count go by.
const auditLock = "audit"

// sign signs with the key in the keychain, which is made when first needed.
func (k *auditKeys) sign(head []byte) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.key == nil {
		ctx, cancel := context.WithTimeout(context.Background(), startLimit)
		defer cancel()
		key, err := k.loadOrMake(ctx)
		if err != nil {
			return nil, err
		}
		k.key = key
	}
	return ed25519.Sign(k.key, head), nil
}

func (k *auditKeys) loadOrMake(ctx context.Context) (ed25519.PrivateKey, error) {
	key, err := k.load(ctx)
	if !errors.Is(err, keyring.ErrNotFound) {
		return key, err
	}
	lock, err := k.store.Lock(ctx, keyring.AuditLock, auditLock)
	if err != nil {
		return nil, err
	}
	defer lock.Unlock() // closing a lock file loses nothing
	if key, err = k.load(ctx); !errors.Is(err, keyring.ErrNotFound) {
		return key, err // another process was first
	}
	seed := make([]byte, ed25519.SeedSize)
	if _, err := rand.Read(seed); err != nil {
		return nil, err
	}
	if err := k.store.Set(ctx, keyring.AuditKey(), keyring.NewSecret(base64.StdEncoding.EncodeToString(seed))); err != nil {
		return nil, err
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

func (k *auditKeys) load(ctx context.Context) (ed25519.PrivateKey, error) {
	text, err := k.store.Get(ctx, keyring.AuditKey())
	if err != nil {
		return nil, err
	}
	seed, err := base64.StdEncoding.DecodeString(text.Reveal())
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("key of the audit log: %w", keyring.ErrCorrupt)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// count remembers how long the log was. It never goes back, and a log that it does not know takes the place of none: that
// the old one is gone is for audit verify to tell.
func (k *auditKeys) count(h audit.Head) error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	lock, err := k.store.Lock(ctx, keyring.AuditLock, auditLock)
	if err != nil {
		return err
	}
	defer lock.Unlock() // closing a lock file loses nothing
	switch before, err := k.counted(ctx); {
	case errors.Is(err, keyring.ErrNotFound):
	case err != nil:
		return err
	case before.Log != h.Log || before.Seq >= h.Seq:
		return nil
	}
	return k.setCount(ctx, h)
}

func (k *auditKeys) setCount(ctx context.Context, h audit.Head) error {
	b, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return k.store.Set(ctx, keyring.AuditCountKey(), keyring.NewSecret(string(b)))
}

func (k *auditKeys) counted(ctx context.Context) (h audit.Head, err error) {
	text, err := k.store.Get(ctx, keyring.AuditCountKey())
	if err != nil {
		return h, err
	}
	if json.Unmarshal([]byte(text.Reveal()), &h) != nil || h.Seq == 0 {
		return h, fmt.Errorf("length of the audit log: %w", keyring.ErrCorrupt)
	}
	return h, nil
}
