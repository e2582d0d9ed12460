//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"mcp-valet/keyring"
)

// config is the launcher's config for one kind of store; a server without account needs none.
const config = `{
  "accounts": { "work": { "issuer": "https://login.example.com", "clientId": "bench", "scopes": ["openid"] } },
  %s
  "mcpServers": { "echo-%s": { "command": %q%s } }
}
`

// valet gives the command of a launcher whose token lies, valid for hours, in a store of one kind.
func (s *stage) valet(kind, echo string) ([]string, error) {
	dir := filepath.Join(s.dir, "valet-"+kind)
	state, file, key := filepath.Join(dir, "state"), filepath.Join(dir, "config.json"), filepath.Join(dir, "key")
	o := keyring.Options{StateDir: state}
	store, auth := "", `, "auth": { "account": "work" }`
	command := []string{s.program("mcp-valet"), "run", "echo-" + kind, "--config", file, "--state", state}
	switch kind {
	case "none":
		auth = ""
	case "sealed":
		store = fmt.Sprintf(`"store": { "kind": "file", "keyFile": %q },`, key)
		command = append(command, "--store", "file")
		o.Kind, o.KeyFile = "file", key
	case "keyring":
		if err := s.keychain(); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if kind == "sealed" {
		if err := keyring.NewKeyFile(key); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(file, fmt.Appendf(nil, config, store, kind, echo, auth), 0o600); err != nil {
		return nil, err
	}
	if auth == "" {
		return command, nil
	}
	return command, signIn(o, "echo-"+kind, echo)
}

// signIn stores what a login and a person's agreement would have.
func signIn(o keyring.Options, server, echo string) error {
	store, err := keyring.Open(o)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	now := time.Now()
	err = store.SaveCredential(ctx, &keyring.Credential{
		Account: "work", Issuer: "https://login.example.com", TokenEndpoint: "https://login.example.com/token", ClientID: "bench",
		Scopes: []string{"openid"}, Subject: "ana", TokenType: "Bearer", ObtainedAt: now, Expiry: now.Add(24 * time.Hour),
		AccessToken: keyring.NewSecret("bench-access-token-of-the-usual-length-for-an-opaque-one"), RefreshToken: keyring.NewSecret("bench-refresh-token"),
	})
	if err != nil {
		return err
	}
	return store.SaveTrust(ctx, &keyring.Trust{
		Server: server, Command: echo, Path: echo, Account: "work", Issuer: "https://login.example.com", ClientID: "bench",
		Scopes: []string{"openid"}, TokenEnv: "MCP_AUTH_TOKEN",
	})
}

// keychain starts gnome-keyring on a session bus of its own, for this process and all rows.
func (s *stage) keychain() error {
	for _, program := range []string{"dbus-daemon", "dbus-send", "gnome-keyring-daemon"} {
		if _, err := exec.LookPath(program); err != nil {
			return errors.New("to have it: apt-get install gnome-keyring dbus")
		}
	}
	socket := "unix:path=" + filepath.Join(s.dir, "bus")
	if err := s.daemon(nil, "", "dbus-daemon", "--session", "--nofork", "--nopidfile", "--address="+socket); err != nil {
		return err
	}
	bus := "DBUS_SESSION_BUS_ADDRESS=" + socket
	err := s.daemon([]string{bus, "XDG_DATA_HOME=" + s.dir, "XDG_RUNTIME_DIR=" + s.dir}, "pw", "gnome-keyring-daemon",
		"--unlock", "--foreground", "--components=secrets")
	if err != nil {
		return err
	}
	os.Setenv("DBUS_SESSION_BUS_ADDRESS", socket)
	s.env = append(s.env, bus)
	return s.awaitKeychain()
}

// awaitKeychain waits until the daemon has its name on the bus: who asks before has the bus start another, locked one.
func (s *stage) awaitKeychain() error {
	for range 100 {
		cmd := exec.Command("dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.DBus", "/",
			"org.freedesktop.DBus.GetNameOwner", "string:org.freedesktop.secrets")
		cmd.Env = s.env
		if cmd.Run() == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.New("the keychain does not start")
}
