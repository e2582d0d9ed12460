package refresh_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"mcp-valet/keyring"
	"mcp-valet/refresh"
)

// The test binary runs itself as another process of mcp-valet when this variable names a role.
const roleVariable = "REFRESH_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// process starts this binary in a role against the same state folder and issuer.
func (v *valet) process(t *testing.T, role string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), roleVariable+"="+role, "REFRESH_TEST_DIR="+v.dir, "REFRESH_TEST_ISSUER="+v.account.Issuer)
	cmd.Stderr = os.Stderr
	return cmd
}

func play(role string) error {
	dir := os.Getenv("REFRESH_TEST_DIR")
	store, err := keyring.Open(keyring.Options{Kind: "file", StateDir: dir, KeyFile: dir + ".key"})
	if err != nil {
		return err
	}
	v := &valet{dir: dir, store: store, account: refresh.Account{
		Name: "work", Issuer: os.Getenv("REFRESH_TEST_ISSUER"), ClientID: "valet", Scopes: []string{"openid"},
	}}
	switch role {
	case "launchers":
		return v.launchers(10)
	case "agent":
		return v.renew(context.Background())
	}
	return refresh.Renew(context.Background(), &dyingStore{Store: store, at: role}, v.account, v.dir)
}

// launchers is so many ladders at once, each with a store of its own; all must get the same token.
func (v *valet) launchers(n int) error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for at := range n {
		all.Go(func() {
			store, err := keyring.Open(keyring.Options{Kind: "file", StateDir: v.dir, KeyFile: v.dir + ".key"})
			if err != nil {
				errs[at] = err
				return
			}
			own := valet{dir: v.dir, store: store, account: v.account}
			l := own.ladder()
			l.Wait = 20 * time.Second
			token, err := l.Token(context.Background())
			if err == nil && !token.Equal(keyring.NewSecret("access-1")) {
				err = errors.New("another token than the renewed one")
			}
			errs[at] = err
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// Fifty launchers find the token ended at the same moment: one refresh grant, and a token for everyone.
func TestOneGrantForAll(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	v.save(t, i.longExpired("ada"))
	var others []*exec.Cmd
	for range 2 {
		cmd := v.process(t, "launchers")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		others = append(others, cmd)
	}
	if err := v.launchers(30); err != nil {
		t.Error(err)
	}
	for _, cmd := range others {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	if n, asked := i.granted(), i.asked("/token"); n != 1 || asked != 1 {
		t.Errorf("%d grants of %d asked for, want 1", n, asked)
	}
	if got := v.stored(t); got.Serial != 2 || !got.RefreshToken.Equal(keyring.NewSecret("ada 1")) {
		t.Errorf("serial %d is stored, want 2", got.Serial)
	}
}

// dyingStore ends its process, without a word to anybody, at one point of a renewal.
type dyingStore struct {
	*keyring.Store
	at string
}

func (s *dyingStore) die(at string) {
	if s.at == at {
		os.Exit(99) // no deferred call runs
	}
}

func (s *dyingStore) Lock(ctx context.Context, kind keyring.LockKind, account string) (*keyring.Lock, error) {
	s.die("before the lock")
	lock, err := s.Store.Lock(ctx, kind, account)
	s.die("with the lock")
	return lock, err
}

func (s *dyingStore) Credential(ctx context.Context, account string) (*keyring.Credential, error) {
	c, err := s.Store.Credential(ctx, account)
	s.die("before the grant")
	return c, err
}

func (s *dyingStore) SaveCredential(ctx context.Context, c *keyring.Credential) error {
	s.die("after the grant")
	err := s.Store.SaveCredential(ctx, c)
	s.die("after the save")
	return err
}

// A renewal dies at each of its points. What comes after is a sign-in that works, or one that is over and said so once:
// never a lost newer credential, never a loop.
func TestKilledRenewal(t *testing.T) {
	for _, tt := range []struct {
		at      string
		grants  int    // at the end
		token   string // given afterwards; "" is a person's turn
		granted string // refresh token stored at the end
	}{
		{"before the lock", 1, "access-1", "ada 1"},
		{"with the lock", 1, "access-1", "ada 1"},
		{"before the grant", 1, "access-1", "ada 1"},
		{"after the grant", 1, "", "ada 0"},
		{"after the save", 1, "access-1", "ada 1"},
	} {
		t.Run(tt.at, func(t *testing.T) {
			i := newRotatingIssuer(t)
			v := newValet(t, i)
			v.save(t, i.longExpired("ada"))
			if err := v.process(t, tt.at).Run(); !exitedWith(err, 99) {
				t.Fatalf("the process ended with %v", err)
			}
			v.checkAfterwards(t, i, tt.token, tt.granted)
			if n := i.granted(); n != tt.grants {
				t.Errorf("%d grants, want %d", n, tt.grants)
			}
		})
	}
}

// checkAfterwards lets launchers come, again and again, after a renewal that died.
func (v *valet) checkAfterwards(t *testing.T, i *rotatingIssuer, token, granted string) {
	t.Helper()
	before := i.asked("/token")
	for range 3 {
		got, err := v.ladder().Token(t.Context())
		if token == "" {
			wantError(t, err, refresh.ErrSignedOut)
			continue
		}
		wantError(t, err, nil)
		if !got.Equal(keyring.NewSecret(token)) {
			t.Fatalf("another token than %q", token)
		}
	}
	if n := i.asked("/token") - before; n > 1 {
		t.Errorf("the issuer was asked %d times afterwards", n)
	}
	if !v.stored(t).RefreshToken.Equal(keyring.NewSecret(granted)) {
		t.Errorf("another refresh token than %q is stored", granted)
	}
}

func exitedWith(err error, code int) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.ExitCode() == code
}

// The agent is killed from outside while the issuer has rotated and not answered yet. The old refresh token is spent.
func TestKilledDuringGrant(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	v.save(t, i.longExpired("ada"))
	cmd := v.process(t, "agent")
	cmd.Stderr = nil
	rotated, goOn := make(chan struct{}), make(chan struct{})
	i.set(func(i *rotatingIssuer) {
		i.afterward = func() { close(rotated); <-goOn }
	})
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-rotated
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the process was not killed")
	}
	close(goOn)
	i.set(func(i *rotatingIssuer) { i.afterward = nil })
	v.checkAfterwards(t, i, "", "ada 0")
	// That cost one sign-in, and after it all is well.
	v.save(t, i.longExpired("bob"))
	v.checkAfterwards(t, i, "access-1", "bob 1")
}

// The launcher is killed while its agent works: the agent, a process of its own, finishes.
func TestAgentOutlivesLauncher(t *testing.T) {
	i := newRotatingIssuer(t)
	v := newValet(t, i)
	v.save(t, i.longExpired("ada"))
	asked, goOn := make(chan struct{}), make(chan struct{})
	i.set(func(i *rotatingIssuer) {
		i.afterward = func() { close(asked); <-goOn }
	})
	agent := v.process(t, "agent")
	l := v.ladder()
	l.Agent = func(ctx context.Context, _ string) error {
		if err := agent.Start(); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}
	l.Wait = 50 * time.Millisecond
	_, err := l.Token(t.Context())
	wantError(t, err, refresh.ErrUnreachable)
	<-asked
	close(goOn)
	if err := agent.Wait(); err != nil {
		t.Fatal(err)
	}
	wantToken(t, v.ladder(), "access-1")
	if n := i.granted(); n != 1 {
		t.Errorf("%d grants, want 1", n)
	}
}
