package keyring

import (
	"context"
	"os"
	"time"
)

const (
	MaxItem    = maxItem
	MaxRecord  = maxRecord
	StaleAfter = staleAfter
	HangUpWait = hangUpWait
)

var (
	Classify          = classify
	CutShort          = cutShort
	SentinelOfWindows = sentinelOfWindows
	DecodeCredential  = decodeCredential
	EncodeCredential  = encodeCredential
	DecodeTrust       = decodeTrust
	EncodeTrust       = encodeTrust
	ErrBroken         = errBroken
	WriteTemp         = writeTemp
	ReadPrivate       = readPrivate
)

func Unsent(err error) error { return unsent{err} }

func (k Key) ItemName(ignoresCase bool) string { return k.itemName(ignoresCase) }
func (k Key) FileName() string                 { return k.fileName() }

// An Item is what ParseItem found.
type Item struct {
	Gen              uint64
	Inline, Identity Secret
}

func ParseItem(s Secret) (Item, error) {
	it, err := parseItem(s)
	return Item{it.gen, it.inline, it.identity}, err
}

func (it Item) Encode() Secret { return item{it.Gen, it.Inline, it.Identity}.encode() }

// ItemFuncs is a keychain made of functions.
type ItemFuncs struct {
	Get    func(context.Context, Key) (Secret, error)
	Set    func(context.Context, Key, Secret) error
	Delete func(context.Context, Key) error
}

func (f ItemFuncs) get(ctx context.Context, k Key) (Secret, error) { return f.Get(ctx, k) }
func (f ItemFuncs) set(ctx context.Context, k Key, v Secret) error { return f.Set(ctx, k, v) }
func (f ItemFuncs) delete(ctx context.Context, k Key) error        { return f.Delete(ctx, k) }

// FileFuncs stand in for the two ways in which the store changes files.
type FileFuncs struct {
	Write  func(path string, b []byte) error
	Remove func(path string) error
}

// RealFiles are the ones outside tests.
var RealFiles = FileFuncs{WriteFile, os.Remove}

// OpenWithItems opens a keychain store over another keychain.
func OpenWithItems(o Options, items ItemFuncs, files FileFuncs) (*Store, error) {
	o.Kind = KindKeychain
	s, err := Open(o)
	if err != nil {
		return nil, err
	}
	r := s.backend.(*records)
	r.items, r.write, r.remove = items, files.Write, files.Remove
	return s, nil
}

// OpenFiles opens a sealed file store over other file functions.
func OpenFiles(o Options, files FileFuncs) (*Store, error) {
	o.Kind = KindFile
	s, err := Open(o)
	if err != nil {
		return nil, err
	}
	f := s.backend.(*sealedFiles)
	f.write, f.remove = files.Write, files.Remove
	return s, nil
}

// SealedAs is a sealed file of s for a record k, as if written by it.
func (s *Store) SealedAs(k Key, v Secret) ([]byte, error) {
	return seal(s.backend.(*sealedFiles).id.Recipient(), k, v)
}

// SealText seals any text with the store's key.
func (s *Store) SealText(text string) ([]byte, error) {
	return sealText(s.backend.(*sealedFiles).id.Recipient(), text)
}

// UseLine makes the store's keychain calls go through a line of their own.
func (s *Store) UseLine(l *Line) { s.backend.(*records).items.(*keychain).line = l.line }

// SetItem and GetItem go to the keychain itself.
func (s *Store) SetItem(ctx context.Context, k Key, v Secret) error {
	return s.backend.(*records).items.set(ctx, k, v)
}

func (s *Store) GetItem(ctx context.Context, k Key) (Secret, error) {
	return s.backend.(*records).items.get(ctx, k)
}

// A Line is a line with its own way to connect.
type Line struct{ line *line }

func NewLine(connect func() (func(), error)) *Line { return &Line{newLine(connect)} }

func (l *Line) Ask(ctx context.Context, limit time.Duration, op func() (string, error)) (string, error) {
	return ask(ctx, l.line, limit, op)
}
