package keyring_test

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mcp-valet/keyring"
)

func sameCredential(a, b *keyring.Credential) bool { return reflect.DeepEqual(a, b) }

func someCredential() *keyring.Credential {
	return &keyring.Credential{
		Account: "work", Issuer: "https://id.example", TokenEndpoint: "https://id.example/token",
		RevocationEndpoint: "https://id.example/revoke", ClientID: "valet", Scopes: []string{"openid", "a<b>&c"},
		Audience: "aud", Resource: "https://api.example/", Subject: "alice",
		AccessToken: keyring.NewSecret(sample), RefreshToken: keyring.NewSecret("r-" + sample), TokenType: "Bearer",
		ObtainedAt: time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC), Expiry: time.Date(2030, 1, 2, 4, 4, 5, 0, time.UTC), Export: true, Browser: true,
		VerificationOrigin: "https://login.example",
	}
}

func TestCredentialRoundTrip(t *testing.T) {
	s := openFile(t, stateDir(t), newKey(t))
	for _, c := range []*keyring.Credential{
		someCredential(),
		{Account: "work"},
		{Account: "work", AccessToken: keyring.NewSecret(large), ObtainedAt: time.Now().UTC().Round(0)},
	} {
		if err := s.SaveCredential(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		got, err := s.Credential(t.Context(), "work")
		if err != nil || !sameCredential(got, c) {
			t.Errorf("got %+v (%v), want %+v", got, err, c)
		}
	}
}

func TestCredentialTimesAreUTC(t *testing.T) {
	s := openFile(t, stateDir(t), newKey(t))
	c := someCredential()
	c.Expiry = time.Date(2030, 6, 1, 12, 0, 0, 0, time.FixedZone("", 2*3600))
	if err := s.SaveCredential(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	v, err := s.Get(t.Context(), work)
	if err != nil || !strings.Contains(v.Reveal(), `"expiry":"2030-06-01T10:00:00Z"`) {
		t.Errorf("stored as %s (%v)", v.Reveal(), err)
	}
}

func TestSerialOnlyGrows(t *testing.T) {
	dir, key := stateDir(t), newKey(t)
	s := openFile(t, dir, key)
	c := someCredential()
	for want := int64(1); want <= 3; want++ {
		c.Serial = 0 // as after a fresh sign-in; what is stored counts
		if err := s.SaveCredential(t.Context(), c); err != nil || c.Serial != want {
			t.Fatalf("serial %d (%v), want %d", c.Serial, err, want)
		}
	}
	var wg sync.WaitGroup
	serials := make([]int64, 8)
	for i := range serials {
		wg.Go(func() {
			c := someCredential()
			if err := openFile(t, dir, key).SaveCredential(context.Background(), c); err != nil {
				t.Error(err)
			}
			serials[i] = c.Serial
		})
	}
	wg.Wait()
	slices.Sort(serials)
	if !slices.Equal(serials, []int64{4, 5, 6, 7, 8, 9, 10, 11}) {
		t.Errorf("serials %v", serials)
	}
}

func TestUnknownSaveTellsItsSerial(t *testing.T) {
	chain := newKeychain()
	s := openFake(t, stateDir(t), chain)
	chain.after = func(op string) error {
		if op == "set" {
			return keyring.ErrUnknown
		}
		return nil
	}
	c := someCredential()
	wantErr(t, s.SaveCredential(t.Context(), c), keyring.ErrUnknown)
	if got, err := s.Credential(t.Context(), "work"); err != nil || got.Serial != c.Serial || c.Serial != 1 {
		t.Errorf("got %v (%v), want serial %d", got, err, c.Serial)
	}
	chain.after, chain.fail = nil, func(op string) error {
		if op == "set" {
			return keyring.ErrLocked
		}
		return nil
	}
	wantErr(t, s.SaveCredential(t.Context(), c), keyring.ErrLocked)
	if c.Serial != 1 {
		t.Errorf("serial %d after a save that failed", c.Serial)
	}
}

func TestCredentialRefusals(t *testing.T) {
	s := openFile(t, stateDir(t), newKey(t))
	for text, want := range map[string]error{
		``:                               keyring.ErrCorrupt,
		`garbage`:                        keyring.ErrCorrupt,
		`[]`:                             keyring.ErrCorrupt,
		`null`:                           keyring.ErrCorrupt,
		`{}`:                             keyring.ErrCorrupt,
		`{"version":1`:                   keyring.ErrCorrupt,
		`{"version":1,"account":"home"}`: keyring.ErrCorrupt,
		`{"version":1,"account":"work","serial":-1}`:           keyring.ErrCorrupt,
		`{"version":1,"account":"work","expiry":"soon"}`:       keyring.ErrCorrupt,
		`{"version":1,"account":"work","access_token":{}}`:     keyring.ErrCorrupt,
		`{"version":2,"account":{"changed":"shape"},"new":[]}`: keyring.ErrTooNew,
	} {
		mustSet(t, s, work, text)
		_, err := s.Credential(t.Context(), "work")
		wantErr(t, err, want)
		err = s.SaveCredential(t.Context(), someCredential())
		if want == keyring.ErrTooNew {
			wantErr(t, err, want)
			wantRecord(t, s, work, text)
		} else if err != nil {
			t.Errorf("%s was not replaced: %v", text, err)
		}
	}
}

func TestCredentialThatCannotBeStoredIsRefused(t *testing.T) {
	s := openFile(t, stateDir(t), newKey(t))
	notText, tooLate := someCredential(), someCredential()
	notText.RefreshToken = keyring.NewSecret(sample + "\xff")
	tooLate.Expiry = time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []*keyring.Credential{notText, tooLate, {Account: "a/b"}, {}} {
		if err := s.SaveCredential(t.Context(), c); err == nil || mentions(err.Error()) {
			t.Errorf("got %v", err)
		}
	}
	wantKeys(t, s)
}

func TestTrustRoundTrip(t *testing.T) {
	s := openFile(t, stateDir(t), newKey(t))
	want := &keyring.Trust{
		Server: "kb", Command: "python", Path: "/usr/bin/python3", Args: []string{"s.py", ""}, Env: []string{"A=1", "P=keyring://kb/P"},
		Dir: "/srv", Account: "work", Issuer: "https://id.example", ClientID: "valet", TokenEnv: "MCP_AUTH_TOKEN",
	}
	scoped, none := *want, *want
	scoped.Scopes, none.Scopes = []string{"offline_access", "openid"}, []string{}
	for _, tr := range []*keyring.Trust{want, {Server: "kb"}, &scoped, &none, want} {
		if err := s.SaveTrust(t.Context(), tr); err != nil {
			t.Fatal(err)
		}
		got, err := s.Trust(t.Context(), "kb")
		if err != nil || !reflect.DeepEqual(got, tr) {
			t.Errorf("got %+v (%v), want %+v", got, err, tr)
		}
	}
	wantKeys(t, s, keyring.TrustKey("kb"))
	_, err := s.Trust(t.Context(), "other")
	wantErr(t, err, keyring.ErrNotFound)

	mustSet(t, s, keyring.TrustKey("kb"), `{"version":1,"server":"other"}`)
	_, err = s.Trust(t.Context(), "kb")
	wantErr(t, err, keyring.ErrCorrupt)
	mustSet(t, s, keyring.TrustKey("kb"), `{"version":2}`)
	_, err = s.Trust(t.Context(), "kb")
	wantErr(t, err, keyring.ErrTooNew)
	wantErr(t, s.SaveTrust(t.Context(), want), keyring.ErrTooNew)
}

// Of a record that does not hold the scopes, the credential says what they were, until it is settled.
func TestTrustOfOldRecord(t *testing.T) {
	s := openFile(t, stateDir(t), newKey(t))
	c := someCredential()
	scopes := func() []string {
		tr, err := s.Trust(t.Context(), "kb")
		if err != nil {
			t.Fatal(err)
		}
		return tr.Scopes
	}
	if err := s.SettleTrust(t.Context(), "kb"); err != nil {
		t.Errorf("settling what is not there: %v", err)
	}
	mustSet(t, s, keyring.TrustKey("kb"), `{"version":1,"server":"kb","account":"work"}`)
	if got := scopes(); got != nil {
		t.Errorf("without a credential: %q", got)
	}
	if err := s.SaveCredential(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if got, want := scopes(), []string{"a<b>&c", "offline_access", "openid"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := s.SettleTrust(t.Context(), "kb"); err != nil {
		t.Fatal(err)
	}
	c.Scopes = append(c.Scopes, "more")
	if err := s.SaveCredential(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if got, want := scopes(), []string{"a<b>&c", "offline_access", "openid"}; !reflect.DeepEqual(got, want) {
		t.Errorf("once settled: got %q, want %q", got, want)
	}
	mustSet(t, s, keyring.TrustKey("kb"), `{"version":1,"server":"kb","account":"work","scopes":[]}`)
	if got := scopes(); got == nil || len(got) != 0 {
		t.Errorf("none were asked for: %q", got)
	}
}

// CheckSave leaves nothing behind, changes nothing, and finds what would make a save fail.
func TestCheckSave(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	key := filepath.Join(t.TempDir(), "key")
	if err := keyring.NewKeyFile(key); err != nil {
		t.Fatal(err)
	}
	s, err := keyring.Open(keyring.Options{Kind: keyring.KindFile, StateDir: dir, KeyFile: key})
	if err != nil {
		t.Fatal(err)
	}
	c := &keyring.Credential{Account: "work", RefreshToken: keyring.NewSecret("r")}
	if err := s.SaveCredential(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := s.CheckSave(t.Context(), "work"); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "room*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if got, err := s.Credential(t.Context(), "work"); err != nil || got.Serial != c.Serial {
		t.Errorf("the record has changed: %v", err)
	}
	locks, err := filepath.Glob(filepath.Join(dir, "locks", "*.record.lock"))
	if err != nil || len(locks) != 1 {
		t.Fatalf("locks: %v, %v", locks, err)
	}
	if err := os.Remove(locks[0]); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(locks[0], 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.CheckSave(t.Context(), "work"); err == nil {
		t.Error("a folder in place of the lock was not found")
	}
}
