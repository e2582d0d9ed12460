package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"mcp-valet/internal/issuer"
	"mcp-valet/keyring"
)

var issuerInitCommand = command{
	name: "issuer init", max: 0,
	short: "make a key for tokens of our own, where there is no identity provider",
	long: `The key goes to the keychain and signs what "issuer token issue" makes. It is no boundary against the person at this
machine, who can use it as well: it tells people apart who are handed their tokens by somebody else.`,
	example: `mcp-valet issuer init
mcp-valet issuer init --alg ES256`,
	flags: func(a *app, fs *pflag.FlagSet) action {
		alg := fs.String("alg", issuer.EdDSA, "`algorithm` of the key: EdDSA or ES256")
		replace := fs.Bool("replace", false, "put a new key in the place of the old one: all tokens of that one end")
		return func(ctx context.Context, _ []string) error { return a.issuerInit(ctx, *alg, *replace) }
	},
}

var issuerJWKSCommand = command{
	name: "issuer jwks", max: 0,
	short:   "print the public key of the local issuer (JWK Set), for servers that check tokens themselves",
	example: "mcp-valet issuer jwks > jwks.json",
	flags: func(a *app, _ *pflag.FlagSet) action {
		return func(ctx context.Context, _ []string) error { return a.issuerJWKS(ctx) }
	},
}

func (a *app) issuerInit(ctx context.Context, alg string, replace bool) error {
	switch alg {
	case issuer.EdDSA, issuer.ES256:
	case issuer.HS256:
		return &usageError{msg: "HS256 has no key to make: set MCP_JWT_SECRET where tokens are issued and checked", command: "issuer init"}
	default:
		return &usageError{msg: "--alg is EdDSA or ES256", command: "issuer init"}
	}
	cfg, err := a.loadConfig(false)
	if err != nil {
		return err
	}
	state, err := a.stateDir()
	if err != nil {
		return err
	}
	store, err := a.openStoreForLogin(cfg)
	if err != nil {
		return err
	}
	lock, err := lockFor(ctx, store, keyring.IssuerLock, "local")
	if err != nil {
		return err
	}
	defer lock.Unlock()
	if err := a.mayMakeKey(ctx, store, replace); err != nil {
		return err
	}
	s, err := newKey(ctx, store, state, alg)
	if err != nil {
		return err
	}
	a.sayf("The local issuer has a key (%s, id %s). Its tokens are by %q.", s.Alg(), s.ID(), issuer.LocalName)
	a.sayf("Next: mcp-valet issuer token issue --user U --roles R")
	return nil
}

// mayMakeKey keeps a key that is there, unless it is to be replaced.
func (a *app) mayMakeKey(ctx context.Context, store *keyring.Store, replace bool) error {
	_, err := store.Get(ctx, issuerKey)
	switch {
	case errors.Is(err, keyring.ErrNotFound), replace && (err == nil || errors.Is(err, keyring.ErrCorrupt)):
		return nil
	case err != nil:
		return err
	}
	return &refusal{"the local issuer has a key already", "to put a new one in its place, which ends all tokens: mcp-valet issuer init --replace"}
}

// newKey makes a key and keeps it, and the public part of it.
func newKey(ctx context.Context, store *keyring.Store, state, alg string) (*issuer.Signer, error) {
	s, err := issuer.NewSigner(alg)
	if err != nil {
		return nil, err
	}
	stored, err := s.Stored()
	if err != nil {
		return nil, err
	}
	public, err := readPublic(ctx, store)
	if err != nil && !errors.Is(err, issuer.ErrKey) { // a damaged one is about to be replaced
		return nil, err
	}
	forgetLedger(state, public)
	public.Set = s.JWKS()
	if err := store.Set(ctx, issuerKey, stored); err != nil {
		return nil, err
	}
	return s, savePublic(ctx, store, public)
}

// forgetLedger removes the list of a key that is about to go. One that stays does no harm.
func forgetLedger(state string, public publicPart) {
	if check, err := issuer.CheckerFor(public.Set); err == nil {
		_ = os.Remove(ledgerPath(state, check.ID()))
		delete(public.Serials, check.ID())
	}
}

func (a *app) issuerJWKS(ctx context.Context) error {
	cfg, err := a.loadConfig(false)
	if err != nil {
		return err
	}
	store, err := a.openStore(cfg, personLimit)
	if err != nil {
		return err
	}
	s, err := signerOf(ctx, store, keyring.Secret{})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s\n", s.JWKS())
	return err
}
