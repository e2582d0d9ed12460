package cli

import (
	"slices"
	"strings"

	"mcp-valet/install"
	"mcp-valet/internal/config"
)

// sayEntries prints what goes into the client's config, for the servers that install has not put there.
func (a *app) sayEntries(cfg *config.Config, names []string) error {
	exe, err := thisProgram()
	if err != nil {
		return err
	}
	names, err = a.notInstalled(names)
	if err != nil || len(names) == 0 {
		return err
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

// notInstalled leaves out the servers that are in a client's config already.
func (a *app) notInstalled(names []string) ([]string, error) {
	state, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	all, err := install.AllRecords(state)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.ContainsFunc(all, func(r install.Record) bool { return !r.Out && r.Server == name })
	}), nil
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
