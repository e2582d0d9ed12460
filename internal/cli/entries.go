package cli

import (
	"fmt"
	"os"
	"strings"

	"mcp-valet/install"
	"mcp-valet/internal/config"
)

// sayEntries prints what goes into the client's config.
func (a *app) sayEntries(cfg *config.Config, names []string) error {
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	if err := install.StableExe(exe); err != nil {
		a.sayf("\n(%v)", err)
	}
	places, err := a.places(cfg)
	if err != nil {
		return err
	}
	a.sayf("\nPut this into \"mcpServers\" of your client's config in place of what is there:\n")
	var entries []string
	for _, name := range names {
		entries = append(entries, string(install.EntryFor(exe, name, places).JSON(name)))
	}
	a.sayf("%s", strings.Join(entries, ",\n"))
	return nil
}

// places says what a launcher must be told, since clients hand on next to nothing of the environment. The sealed file
// store is named although the config names it too: the config alone does not decide that.
func (a *app) places(cfg *config.Config) (p install.Places, err error) {
	state, err := a.stateDir()
	if err != nil {
		return p, err
	}
	if p.Config, err = unlessUsual(cfg.Path, config.PlainPath); err != nil {
		return p, err
	}
	if p.State, err = unlessUsual(state, config.PlainStateDir); err != nil {
		return p, err
	}
	if kind := a.storeKind(cfg); kind != "keychain" {
		p.Store = kind
	}
	return p, nil
}

// unlessUsual is "" for a path that a process which was handed nothing but a home folder finds by itself.
func unlessUsual(path string, usual func() (string, error)) (string, error) {
	plain, err := usual()
	if err != nil || path == plain {
		return "", err
	}
	return path, nil
}
