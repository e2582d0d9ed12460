package refresh

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"mcp-valet/keyring"
)

const (
	keysFresh = 24 * time.Hour     // an issuer that withdraws a key is believed within this time
	keysLast  = 7 * 24 * time.Hour // older keys are not used even while the issuer is unreachable
	keysPause = 10 * time.Second   // between two fetches, whatever they brought
	keysTime  = 5 * time.Second    // for one fetch, the issuer's description included
	// maxKeyFile bounds the file, in bytes: an answer of 1 MiB in JSON's longest way of writing it, and the times.
	maxKeyFile = 6*maxBody + 4096
)

// keyCache holds an issuer's public keys on disk for all processes of the user, so that starting a server fetches
// nothing. Two processes may fetch at the same moment; the result is the same.
type keyCache struct {
	client *Client
	path   string
}

// keyFile is the file of a keyCache.
type keyFile struct {
	Issuer  string          `json:"issuer"`
	URI     string          `json:"uri,omitempty"` // the configured one; "" when the issuer's description names it
	Tried   time.Time       `json:"tried"`         // the last fetch that ended
	Fetched time.Time       `json:"fetched,omitzero"`
	Set     json.RawMessage `json:"set,omitempty"` // JWK Set

	keys []publicKey
}

func (c *Client) keyCache(dir string) keyCache {
	sum := sha256.Sum256([]byte(c.account.Issuer + "\n" + c.account.Endpoints.JWKS))
	return keyCache{client: c, path: filepath.Join(dir, hex.EncodeToString(sum[:16])+".json")}
}

// load reads the file. One that is missing, damaged or another issuer's counts as empty: it can be fetched again.
func (c keyCache) load() keyFile {
	empty := keyFile{Issuer: c.client.account.Issuer, URI: c.client.account.Endpoints.JWKS}
	b, err := readBounded(c.path, maxKeyFile)
	if err != nil {
		return empty
	}
	var f keyFile
	if err := json.Unmarshal(b, &f); err != nil || f.Issuer != empty.Issuer || f.URI != empty.URI {
		return empty
	}
	if len(f.Set) == 0 {
		return f
	}
	if f.keys, err = parseKeys(f.Set); err != nil {
		return empty
	}
	return f
}

func (c keyCache) store(f keyFile) {
	b, err := json.Marshal(f)
	if err == nil {
		// An error costs a fetch the next time, no more.
		_ = keyring.WriteFile(c.path, append(b, '\n'))
	}
}

func (f keyFile) empty() bool { return f.Fetched.IsZero() }

// age is how old the keys are. Keys from the future, fetched before the clock was put back, are as old as may be used.
func (f keyFile) age() time.Duration {
	if age := now().Sub(f.Fetched); age >= -clockLeeway {
		return age
	}
	return keysLast
}

func (f keyFile) fresh() bool  { return !f.empty() && f.age() < keysFresh }
func (f keyFile) usable() bool { return !f.empty() && f.age() <= keysLast }

// mayFetch tells whether the last fetch lies long enough back.
func (f keyFile) mayFetch() bool {
	since := now().Sub(f.Tried)
	return since >= keysPause || since < -clockLeeway
}

// lastFailed tells whether the last fetch brought nothing.
func (f keyFile) lastFailed() bool { return f.Tried.After(f.Fetched) }

var errNoKeys = fmt.Errorf("%w: its keys could not be fetched a moment ago", ErrUnreachable)

// current returns keys to begin with: cached ones if they are fresh, else fetched ones, else cached ones after all.
func (c keyCache) current(ctx context.Context) (keyFile, error) {
	f := c.load()
	if f.fresh() {
		return f, nil
	}
	newer, err := c.fetch(ctx, f)
	if err != nil && f.usable() {
		return c.load(), nil // with the failure noted
	}
	return newer, err
}

// fetch asks the issuer for its keys, unless it was asked a moment ago: then the error is errNoKeys, which is the truth
// only if that fetch failed.
func (c keyCache) fetch(ctx context.Context, f keyFile) (keyFile, error) {
	if !f.mayFetch() {
		return f, errNoKeys
	}
	ctx, cancel := context.WithTimeout(ctx, keysTime)
	defer cancel()
	defer c.client.closeIdle()
	set, keys, err := c.download(ctx)
	if errors.Is(err, context.Canceled) {
		return f, err
	}
	if err != nil {
		f = c.load() // another process may have been luckier meanwhile
		f.Tried = now()
		c.store(f)
		return f, err
	}
	f.Tried = now()
	f.Fetched, f.Set, f.keys = f.Tried, set, keys
	c.store(f)
	return f, nil
}

// download fetches the key set from the place that configuration or issuer name. No token has a say in it.
func (c keyCache) download(ctx context.Context) (set []byte, keys []publicKey, err error) {
	uri, err := c.uri(ctx)
	if err != nil {
		return nil, nil, err
	}
	document, err := c.client.getJSON(ctx, uri)
	if err != nil {
		return nil, nil, keysError(err)
	}
	if set, err = json.Marshal(document); err != nil {
		return nil, nil, keysError(err)
	}
	if keys, err = parseKeys(set); err != nil {
		return nil, nil, keysError(err)
	}
	return set, keys, nil
}

func (c keyCache) uri(ctx context.Context) (string, error) {
	if uri := c.client.account.Endpoints.JWKS; uri != "" {
		return uri, nil
	}
	m, err := c.client.metadata(ctx)
	if err != nil {
		return "", err
	}
	if m.endpoints.JWKS == "" {
		return "", refuse("its issuer names no keys to check it with")
	}
	return m.endpoints.JWKS, nil
}

// keysError: whatever keeps us from the keys is the issuer out of reach, except what is wrong for good.
func keysError(err error) error {
	if errors.Is(err, ErrUnreachable) || errors.Is(err, ErrInsecureURL) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("fetching the issuer's keys: %w", err)
	}
	return fmt.Errorf("%w: fetching the issuer's keys: %w", ErrUnreachable, err)
}
