package keyring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
	"unicode/utf8"
)

const credentialVersion = 1

// A Credential is what one sign-in at one issuer gave, and what renewing it
// takes. Times are kept to the nanosecond, in UTC.
type Credential struct {
	Account            string
	Issuer             string
	TokenEndpoint      string // the only place the refresh token is ever sent to
	RevocationEndpoint string
	ClientID           string
	Route              string   // digest of the proxy, certificate authorities and endpoints that the issuer was reached by; "": none were named
	Scopes             []string // as granted
	Audience           string
	Resource           string // RFC 8707
	Subject            string
	AccessToken        Secret
	RefreshToken       Secret
	TokenType          string
	ObtainedAt         time.Time
	Expiry             time.Time // of the access token; zero: the issuer gave none
	Export             bool      // a person agreed that scripts may have the access token
	Browser            bool      // the sign-in was in a browser on this machine (RFC 8252), not by code
	VerificationOrigin string    // of the page on which the person signed in, "https://login.example.com"; "": not known
	Serial             int64     // grows by one with each save
}

// credentialRecord is the stored form, version 1. Plain strings, because a
// Secret refuses JSON.
type credentialRecord struct {
	Version            int        `json:"version"`
	Serial             int64      `json:"serial"`
	Account            string     `json:"account"`
	Issuer             string     `json:"issuer,omitempty"`
	TokenEndpoint      string     `json:"token_endpoint,omitempty"`
	RevocationEndpoint string     `json:"revocation_endpoint,omitempty"`
	ClientID           string     `json:"client_id,omitempty"`
	Route              string     `json:"route,omitempty"`
	Scopes             []string   `json:"scopes,omitempty"`
	Audience           string     `json:"audience,omitempty"`
	Resource           string     `json:"resource,omitempty"`
	Subject            string     `json:"subject,omitempty"`
	AccessToken        string     `json:"access_token,omitempty"`
	RefreshToken       string     `json:"refresh_token,omitempty"`
	TokenType          string     `json:"token_type,omitempty"`
	ObtainedAt         *time.Time `json:"obtained_at,omitempty"` // RFC 3339, UTC
	Expiry             *time.Time `json:"expiry,omitempty"`
	Export             bool       `json:"export,omitempty"`
	Browser            bool       `json:"browser,omitempty"`
	VerificationOrigin string     `json:"verification_origin,omitempty"`
}

// Credential reads the credential of an account. A record that is not one, or
// is another account's, is [ErrCorrupt].
func (s *Store) Credential(ctx context.Context, account string) (*Credential, error) {
	k := AccountKey(account)
	v, err := s.Get(ctx, k)
	if err != nil {
		return nil, err
	}
	c, err := decodeCredential(v, account)
	return c, during("reading", k, err)
}

// SaveCredential saves c as the account's credential, with the serial number
// after the stored one, which it also puts in c.Serial. Look and save are one
// step to other processes, so a lower serial never replaces a higher one.
// Whoever renews holds the account's [RefreshLock] as well.
//
// After [ErrUnknown], c.Serial is what will be read if the save went through.
// A damaged record is replaced; for others see [Store.Set].
func (s *Store) SaveCredential(ctx context.Context, c *Credential) error {
	k := AccountKey(c.Account)
	return s.change(ctx, "saving", k, func(ctx context.Context) error {
		stored, err := s.storedSerial(ctx, k, c.Account)
		if err != nil {
			return err
		}
		next := *c
		next.Serial = stored + 1
		v, err := encodeCredential(&next)
		if err != nil {
			return err
		}
		err = s.put(ctx, k, v)
		if err == nil || errors.Is(err, ErrUnknown) {
			c.Serial = next.Serial
		}
		return err
	})
}

// saveRoom is what a save may need on the disk, in bytes: a sealed record and what is written beside it.
const saveRoom = 16 << 10

// CheckSave finds out whether [Store.SaveCredential] could save now, as far as
// that can be told without touching the keychain: that the record's lock can
// be taken, and that the state folder takes a file. It is for whoever is about
// to do what cannot be done again.
func (s *Store) CheckSave(ctx context.Context, account string) error {
	k := AccountKey(account)
	return s.change(ctx, "preparing to save", k, func(context.Context) error {
		path := filepath.Join(s.dir, "room."+k.fileName())
		if err := WriteFile(path, make([]byte, saveRoom)); err != nil {
			return err
		}
		return os.Remove(path)
	})
}

func (s *Store) storedSerial(ctx context.Context, k Key, account string) (int64, error) {
	v, err := s.backend.get(ctx, k)
	if err == nil {
		var c *Credential
		if c, err = decodeCredential(v, account); err == nil {
			return c.Serial, nil
		}
	}
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt) {
		return 0, nil
	}
	return 0, err
}

func encodeCredential(c *Credential) (Secret, error) {
	return encodeRecord(&credentialRecord{
		Version:            credentialVersion,
		Serial:             c.Serial,
		Account:            c.Account,
		Issuer:             c.Issuer,
		TokenEndpoint:      c.TokenEndpoint,
		RevocationEndpoint: c.RevocationEndpoint,
		ClientID:           c.ClientID,
		Route:              c.Route,
		Scopes:             c.Scopes,
		Audience:           c.Audience,
		Resource:           c.Resource,
		Subject:            c.Subject,
		AccessToken:        c.AccessToken.Reveal(),
		RefreshToken:       c.RefreshToken.Reveal(),
		TokenType:          c.TokenType,
		ObtainedAt:         storedTime(c.ObtainedAt),
		Expiry:             storedTime(c.Expiry),
		Export:             c.Export,
		Browser:            c.Browser,
		VerificationOrigin: c.VerificationOrigin,
	}, append([]string{
		c.Account, c.Issuer, c.TokenEndpoint, c.RevocationEndpoint, c.ClientID, c.Route, c.Audience, c.Resource,
		c.Subject, c.AccessToken.Reveal(), c.RefreshToken.Reveal(), c.TokenType, c.VerificationOrigin,
	}, c.Scopes...))
}

func decodeCredential(v Secret, account string) (*Credential, error) {
	var r credentialRecord
	if err := decodeRecord(v, credentialVersion, &r); err != nil {
		return nil, err
	}
	if r.Account != account || r.Serial < 0 {
		return nil, fail(ErrCorrupt, errors.New("not a credential of this account"))
	}
	return &Credential{
		Account:            r.Account,
		Issuer:             r.Issuer,
		TokenEndpoint:      r.TokenEndpoint,
		RevocationEndpoint: r.RevocationEndpoint,
		ClientID:           r.ClientID,
		Route:              r.Route,
		Scopes:             unlessEmpty(r.Scopes),
		Audience:           r.Audience,
		Resource:           r.Resource,
		Subject:            r.Subject,
		AccessToken:        NewSecret(r.AccessToken),
		RefreshToken:       NewSecret(r.RefreshToken),
		TokenType:          r.TokenType,
		ObtainedAt:         readTime(r.ObtainedAt),
		Expiry:             readTime(r.Expiry),
		Export:             r.Export,
		Browser:            r.Browser,
		VerificationOrigin: r.VerificationOrigin,
		Serial:             r.Serial,
	}, nil
}

// encodeRecord turns a record into JSON. JSON holds UTF-8 only, and would
// alter any other text in silence.
func encodeRecord(record any, texts []string) (Secret, error) {
	for _, t := range texts {
		if !utf8.ValidString(t) {
			return Secret{}, errors.New("a field is not valid UTF-8")
		}
	}
	b, err := json.Marshal(record)
	if err != nil {
		return Secret{}, errors.New("a time is out of range") // the only thing here that JSON refuses
	}
	return NewSecret(string(b)), nil
}

// decodeRecord looks at the version before anything else. The errors of the
// JSON package are not passed on: they quote what they could not read.
func decodeRecord(v Secret, version int, record any) error {
	b := []byte(v.Reveal())
	var head struct {
		Version int `json:"version"`
	}
	if json.Unmarshal(b, &head) != nil || head.Version < 1 {
		return fail(ErrCorrupt, errors.New("not a record"))
	}
	if head.Version > version {
		return fail(ErrTooNew, fmt.Errorf("record version %d, this program knows %d", head.Version, version))
	}
	if json.Unmarshal(b, record) != nil {
		return fail(ErrCorrupt, errors.New("not a record"))
	}
	return nil
}

func storedTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Round(0) // without the monotonic clock
	return &t
}

func readTime(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func unlessEmpty(s []string) []string {
	if len(s) == 0 {
		return nil
	}
	return s
}
