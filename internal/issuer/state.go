package issuer

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// A pool is a bounded map whose entries end at a time of their own. The Issuer's
// mutex guards it.
type pool[K comparable, V any] struct {
	max     int
	entries map[K]entry[V]
	swept   time.Time
}

type entry[V any] struct {
	value V
	until time.Time
}

// sweepEvery is how often expired entries are looked for when the pool is not full.
const sweepEvery = time.Minute

func newPool[K comparable, V any](max int) pool[K, V] {
	return pool[K, V]{max: max, entries: map[K]entry[V]{}}
}

// put keeps v until a time, or reports that there is no room for a new key.
func (p *pool[K, V]) put(now time.Time, k K, v V, until time.Time) bool {
	_, known := p.entries[k]
	full := !known && len(p.entries) >= p.max
	if full || now.Sub(p.swept) >= sweepEvery {
		p.sweep(now)
		full = !known && len(p.entries) >= p.max
	}
	if full {
		return false
	}
	p.entries[k] = entry[V]{v, until}
	return true
}

func (p *pool[K, V]) sweep(now time.Time) {
	p.swept = now
	for k, e := range p.entries {
		if !now.Before(e.until) {
			delete(p.entries, k)
		}
	}
}

func (p *pool[K, V]) get(now time.Time, k K) (v V, ok bool) {
	e, ok := p.entries[k]
	if !ok || !now.Before(e.until) {
		return v, false
	}
	return e.value, true
}

// find goes through all living entries: they are few, and so is the need.
func (p *pool[K, V]) find(now time.Time, is func(V) bool) (v V, ok bool) {
	for _, e := range p.entries {
		if now.Before(e.until) && is(e.value) {
			return e.value, true
		}
	}
	return v, false
}

func (p *pool[K, V]) drop(k K) { delete(p.entries, k) }

// dropAll drops what is chosen and returns how many of it were alive.
func (p *pool[K, V]) dropAll(now time.Time, which func(V) bool) (n int) {
	for k, e := range p.entries {
		if which(e.value) {
			delete(p.entries, k)
			if now.Before(e.until) {
				n++
			}
		}
	}
	return n
}

// A digest stands for a code that is not kept itself.
type digest [sha256.Size]byte

func digestOf(code string) digest { return sha256.Sum256([]byte(code)) }

// A request is what a client asked for and a person was or will be shown.
type request struct {
	client    *Client
	scopes    []string
	audience  []string
	challenge string // PKCE, S256; "" = none
	nonce     string // OpenID Connect, authorization code flow only
}

// answer is what a person said.
type answer int

const (
	pending answer = iota
	approved
	denied
)

// A deviceRequest is a device authorization under way (RFC 8628).
type deviceRequest struct {
	request
	userCode string
	expires  time.Time
	answer   answer
	subject  string // who approved
	answered time.Time
	interval time.Duration
	polled   time.Time
}

// A codeRequest is an approved authorization code (RFC 6749 section 4.1). A spent
// one is remembered for a while: seen again, it was stolen.
type codeRequest struct {
	request
	redirect string
	subject  string
	answered time.Time
	expires  time.Time
	spent    bool
	family   familyID // what it was turned into; zero = nothing
}

type familyID [16]byte

// A family is one sign-in: the refresh tokens that came from one approval. Only
// the newest of them, the one with the family's serial, is good.
type family struct {
	request
	subject  string
	signedIn time.Time
	serial   uint64
}

// A refresh token is a family's id, a serial and a MAC, so that nothing has to be
// kept of old ones to know them again: a genuine token with an old serial is a reuse.
const refreshPayload = len(familyID{}) + 8

func (i *Issuer) refreshToken(id familyID, serial uint64) string {
	payload := binary.BigEndian.AppendUint64(id[:], serial)
	return encode(append(payload, i.mac("refresh token", payload)...))
}

func (i *Issuer) parseRefreshToken(token string) (id familyID, serial uint64, ok bool) {
	b, err := decode(token)
	if err != nil || len(b) != refreshPayload+sha256.Size {
		return id, 0, false
	}
	payload, mac := b[:refreshPayload], b[refreshPayload:]
	if !hmac.Equal(mac, i.mac("refresh token", payload)) {
		return id, 0, false
	}
	return familyID(payload[:len(id)]), binary.BigEndian.Uint64(payload[len(id):]), true
}

// mac authenticates data for one purpose.
func (i *Issuer) mac(purpose string, data []byte) []byte {
	h := hmac.New(sha256.New, i.macKey[:])
	h.Write([]byte(purpose))
	h.Write([]byte{0})
	h.Write(data)
	return h.Sum(nil)
}
