package config

import (
	"fmt"
	"os"
	"os/user"
	"runtime"
	"strings"
)

// Path is where the config file is: what MCP_VALET_CONFIG says, else config.json in $XDG_CONFIG_HOME/mcp-valet or
// ~/.config/mcp-valet, on Windows in %USERPROFILE%\.mcp-valet. On Windows that is not AppData, since the programs that a
// packaged client starts see another AppData than a terminal does. The file need not exist.
func Path() (string, error) { return here().config() }

// PlainPath is where Path would look in a process that was handed nothing but a home folder: some clients pass neither
// XDG_CONFIG_HOME nor our own variables on. A config elsewhere must be named to them.
func PlainPath() (string, error) {
	s := here()
	s.getenv = func(string) string { return "" }
	return s.config()
}

// StateDir is the folder for locks, records and caches: what MCP_VALET_STATE_DIR says, else $XDG_STATE_HOME/mcp-valet or
// ~/.local/state/mcp-valet, on Windows %USERPROFILE%\.mcp-valet\state. It need not exist.
func StateDir() (string, error) { return here().state() }

// PlainStateDir is to StateDir what PlainPath is to Path.
func PlainStateDir() (string, error) {
	s := here()
	s.getenv = func(string) string { return "" }
	return s.state()
}

// system is what the places depend on.
type system struct {
	goos   string
	getenv func(string) string
	home   string // "" where it is not known
}

func here() system { return system{runtime.GOOS, os.Getenv, homeDir()} }

// homeDir is the environment's home folder, else the one that the system has on file for this user.
func homeDir() string {
	if home, err := os.UserHomeDir(); err == nil {
		return home
	}
	if u, err := user.Current(); err == nil {
		return u.HomeDir
	}
	return ""
}

func (s system) config() (string, error) {
	if path := s.getenv("MCP_VALET_CONFIG"); path != "" {
		return path, s.mustBeAbsolute("MCP_VALET_CONFIG", path)
	}
	dir, err := s.below("XDG_CONFIG_HOME", ".config")
	return s.join(dir, "config.json"), err
}

func (s system) state() (string, error) {
	if path := s.getenv("MCP_VALET_STATE_DIR"); path != "" {
		return path, s.mustBeAbsolute("MCP_VALET_STATE_DIR", path)
	}
	dir, err := s.below("XDG_STATE_HOME", ".local/state")
	if s.goos == "windows" {
		dir = s.join(dir, "state")
	}
	return dir, err
}

// below is our folder below the one that the variable names, or below the usual one. XDG Base Directory Specification:
// "If an implementation encounters a relative path in any of these variables it should consider the path invalid and
// ignore it."
func (s system) below(variable, usual string) (string, error) {
	if dir := s.getenv(variable); s.goos != "windows" && s.absolute(dir) {
		return s.join(dir, "mcp-valet"), nil
	}
	if !s.absolute(s.home) {
		return "", fmt.Errorf("finding the home folder: the environment has none (%s)", s.homeVariable())
	}
	if s.goos == "windows" {
		return s.join(s.home, ".mcp-valet"), nil
	}
	return s.join(s.home, usual, "mcp-valet"), nil
}

func (s system) homeVariable() string {
	if s.goos == "windows" {
		return "USERPROFILE"
	}
	return "HOME"
}

// mustBeAbsolute: clients start us in any folder, so that a relative path would name a different file each time.
func (s system) mustBeAbsolute(variable, path string) error {
	if !s.absolute(path) {
		return &Error{Msg: variable + " must be an absolute path"}
	}
	return nil
}

func (s system) absolute(path string) bool {
	if s.goos != "windows" {
		return strings.HasPrefix(path, "/")
	}
	path = strings.ReplaceAll(path, "/", `\`)
	drive := len(path) >= 3 && path[1:3] == `:\`
	return drive || strings.HasPrefix(path, `\\`)
}

func (s system) join(parts ...string) string {
	separator := "/"
	if s.goos == "windows" {
		separator = `\`
	}
	for i := range parts[:len(parts)-1] {
		parts[i] = strings.TrimRight(parts[i], separator)
	}
	return strings.Join(parts, separator)
}
