package keyring

import (
	"context"
	"errors"
	"slices"
)

const trustVersion = 1

// A Trust is what a person agreed to for one server: what is started, with
// what, and whose credential it is given.
type Trust struct {
	Server   string
	Command  string // as configured
	Path     string // what it resolved to
	Args     []string
	Env      []string // "NAME=value", sorted; keyring:// references as written
	Dir      string
	Account  string
	Issuer   string
	ClientID string
	Audience string
	Resource string
	// Scopes are those that the account asks for, sorted. Nil: there is no account, or the record is an old one and it is
	// not known what was asked for.
	Scopes   []string
	TokenEnv string
	// Caller is how the config tells who is calling, in words of its own; "" where nobody asks.
	Caller string `json:",omitempty"`
}

// trustRecord is the stored form, version 1.
type trustRecord struct {
	Version  int      `json:"version"`
	Server   string   `json:"server"`
	Command  string   `json:"command,omitempty"`
	Path     string   `json:"path,omitempty"`
	Args     []string `json:"args,omitempty"`
	Env      []string `json:"env,omitempty"`
	Dir      string   `json:"dir,omitempty"`
	Account  string   `json:"account,omitempty"`
	Issuer   string   `json:"issuer,omitempty"`
	ClientID string   `json:"client_id,omitempty"`
	Audience string   `json:"audience,omitempty"`
	Resource string   `json:"resource,omitempty"`
	Scopes   []string `json:"scopes,omitzero"` // absent from old records; none is []
	TokenEnv string   `json:"token_env,omitempty"`
	Caller   string   `json:"caller,omitempty"`
}

// Trust reads what was agreed to for a server. A record that is not one, or is
// another server's, is [ErrCorrupt]. Where it is so old that it does not hold
// the scopes, they are taken from the account's credential as it is now; see
// [Store.SettleTrust].
func (s *Store) Trust(ctx context.Context, server string) (*Trust, error) {
	k := TrustKey(server)
	v, err := s.Get(ctx, k)
	if err != nil {
		return nil, err
	}
	t, err := decodeTrust(v, server)
	if err != nil {
		return nil, during("reading", k, err)
	}
	return t, s.knowScopes(ctx, t)
}

// knowScopes fills in what an old record does not hold.
func (s *Store) knowScopes(ctx context.Context, t *Trust) error {
	if t.Account == "" || t.Scopes != nil {
		return nil
	}
	c, err := s.Credential(ctx, t.Account)
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt) {
		return nil
	}
	if err == nil {
		t.Scopes = askedFor(c)
	}
	return err
}

// askedFor is what c shows of the scopes that were asked for. Some issuers do
// not tell of offline_access, which is what a refresh token comes of.
func askedFor(c *Credential) []string {
	scopes := append([]string{}, c.Scopes...)
	if !c.RefreshToken.IsZero() {
		scopes = append(scopes, "offline_access")
	}
	slices.Sort(scopes)
	return slices.Compact(scopes)
}

// SettleTrust writes the scopes into an old record of a server that does not
// hold them. It is for whoever is about to replace the credential that shows
// them, which may get others. No record is no error.
func (s *Store) SettleTrust(ctx context.Context, server string) error {
	k := TrustKey(server)
	v, err := s.Get(ctx, k)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	t, err := decodeTrust(v, server)
	if err != nil {
		return during("reading", k, err)
	}
	if t.Account == "" || t.Scopes != nil {
		return nil
	}
	if err := s.knowScopes(ctx, t); err != nil || t.Scopes == nil {
		return err
	}
	return s.SaveTrust(ctx, t)
}

// SaveTrust saves t as what was agreed to for its server. A record of a newer
// version is left alone ([ErrTooNew]).
func (s *Store) SaveTrust(ctx context.Context, t *Trust) error {
	k := TrustKey(t.Server)
	return s.change(ctx, "saving", k, func(ctx context.Context) error {
		if stored, err := s.backend.get(ctx, k); err == nil {
			if _, err := decodeTrust(stored, t.Server); errors.Is(err, ErrTooNew) {
				return err
			}
		}
		v, err := encodeTrust(t)
		if err != nil {
			return err
		}
		return s.put(ctx, k, v)
	})
}

func encodeTrust(t *Trust) (Secret, error) {
	return encodeRecord(&trustRecord{
		Version:  trustVersion,
		Server:   t.Server,
		Command:  t.Command,
		Path:     t.Path,
		Args:     t.Args,
		Env:      t.Env,
		Dir:      t.Dir,
		Account:  t.Account,
		Issuer:   t.Issuer,
		ClientID: t.ClientID,
		Audience: t.Audience,
		Resource: t.Resource,
		Scopes:   t.Scopes,
		TokenEnv: t.TokenEnv,
		Caller:   t.Caller,
	}, slices.Concat(t.Args, t.Env, t.Scopes, []string{
		t.Server, t.Command, t.Path, t.Dir, t.Account, t.Issuer, t.ClientID, t.Audience, t.Resource, t.TokenEnv, t.Caller,
	}))
}

func decodeTrust(v Secret, server string) (*Trust, error) {
	var r trustRecord
	if err := decodeRecord(v, trustVersion, &r); err != nil {
		return nil, err
	}
	if r.Server != server {
		return nil, fail(ErrCorrupt, errors.New("not a trust record of this server"))
	}
	return &Trust{
		Server:   r.Server,
		Command:  r.Command,
		Path:     r.Path,
		Args:     unlessEmpty(r.Args),
		Env:      unlessEmpty(r.Env),
		Dir:      r.Dir,
		Account:  r.Account,
		Issuer:   r.Issuer,
		ClientID: r.ClientID,
		Audience: r.Audience,
		Resource: r.Resource,
		Scopes:   r.Scopes,
		TokenEnv: r.TokenEnv,
		Caller:   r.Caller,
	}, nil
}
