package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// Client is one MCP client: where its config lies, and how to see that it runs.
type Client struct {
	Name  string // as commands take it: "claude-desktop"
	Title string // as people call it
	Key   string // top-level key of the object that holds the servers
	// Rewrites says that the client keeps its config in memory and writes it back whole: an edit made while it runs is lost.
	Rewrites bool
	// Files says, for each operating system, where the config may be, the likeliest place first. A path begins with {home},
	// {config} (XDG_CONFIG_HOME, ~/.config), {appdata} or {localappdata}; * stands for any part of one name.
	Files map[string][]string
	// Programs says, for each operating system, what its process is.
	Programs map[string]program
}

// Clients is the table of the clients that install knows. One more is one more row.
func Clients() []Client {
	return []Client{
		{
			Name: "claude-desktop", Title: "Claude Desktop", Key: "mcpServers", Rewrites: true,
			Files: map[string][]string{
				"darwin": {"{home}/Library/Application Support/Claude/claude_desktop_config.json"},
				"linux":  {"{config}/Claude/claude_desktop_config.json"},
				"windows": {
					// The packaged app, which is what the installer brings; its writes below AppData are led here.
					`{localappdata}\Packages\Claude_*\LocalCache\Roaming\Claude\claude_desktop_config.json`,
					`{appdata}\Claude\claude_desktop_config.json`,
				},
			},
			// Claude Code is another program, whose process is "claude" on every system.
			Programs: map[string]program{
				"darwin":  {name: regexp.MustCompile(`^Claude$`)},
				"linux":   {name: regexp.MustCompile(`^claude-desktop$`), path: regexp.MustCompile(`/[^/]*claude-desktop[^/]*/(.*/)?(electron|claude-desktop|claude)$`)},
				"windows": {path: regexp.MustCompile(`(?i)\\(WindowsApps\\Claude_[^\\]*|AnthropicClaude)\\(.*\\)?claude\.exe$`)},
			},
		},
	}
}

// ClientNamed finds a row of the table.
func ClientNamed(name string) (Client, bool) {
	all := Clients()
	i := slices.IndexFunc(all, func(c Client) bool { return c.Name == name })
	if i < 0 {
		return Client{}, false
	}
	return all[i], true
}

// System is what the places of files depend on.
type System struct {
	GOOS   string
	Home   string // "" where it is not known
	Getenv func(string) string
	Glob   func(pattern string) ([]string, error) // as filepath.Glob
	Stat   func(path string) (fs.FileInfo, error) // as os.Stat
}

// ThisSystem is the machine that we run on.
func ThisSystem() System {
	home, _ := os.UserHomeDir() // unknown, it is "", and places below it are none
	return System{runtime.GOOS, home, os.Getenv, filepath.Glob, os.Stat}
}

// ErrNoFile says that a client has no config file in any place that we know of.
var ErrNoFile = errors.New("there is no config file")

// ErrSeveralFiles says that a client may have more than one config, and nothing tells which one it reads.
var ErrSeveralFiles = errors.New("there is more than one config file")

// File gives the path of the client's config on a system. Where there are several, it is [ErrSeveralFiles] and names
// them; where there is none, [ErrNoFile] and the places.
func (c Client) File(s System) (string, error) {
	var found, places []string
	for _, place := range c.Files[s.GOOS] {
		path := s.expand(place)
		if path == "" {
			continue
		}
		places = append(places, path)
		for _, file := range s.matches(path) {
			if _, err := s.Stat(file); err == nil {
				found = append(found, file)
			}
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return "", fmt.Errorf("%s: %w: %s", c.Title, ErrSeveralFiles, strings.Join(found, ", "))
	case len(places) == 0:
		return "", fmt.Errorf("%s: %w that we know of on %s", c.Title, ErrNoFile, s.GOOS)
	}
	return "", fmt.Errorf("%s: %w; looked for: %s", c.Title, ErrNoFile, strings.Join(places, ", "))
}

// Found lists every config of the client that there is on a system.
func (c Client) Found(s System) (files []string) {
	for _, place := range c.Files[s.GOOS] {
		for _, file := range s.matches(s.expand(place)) {
			if _, err := s.Stat(file); err == nil && file != "" {
				files = append(files, file)
			}
		}
	}
	return files
}

// matches lists the files that a path with * in it may mean.
func (s System) matches(path string) []string {
	if !strings.Contains(path, "*") {
		return []string{path}
	}
	files, err := s.Glob(path)
	if err != nil {
		return nil // the pattern is ours; a folder that cannot be read holds nothing for us
	}
	return files
}

// expand puts the folder in place of the word that a path begins with; "" where the system does not say it. What the
// system says is no pattern: a folder with * or [ in its name is not ours to search.
func (s System) expand(path string) string {
	word, rest, _ := strings.Cut(strings.TrimPrefix(path, "{"), "}")
	dir := s.folder(word)
	if dir == "" || strings.Contains(rest, "*") && strings.ContainsAny(dir, "*?[") {
		return ""
	}
	return dir + rest
}

func (s System) folder(word string) string {
	switch word {
	case "home":
		return s.absolute(s.Home)
	case "appdata":
		return s.absolute(s.Getenv("APPDATA"))
	case "localappdata":
		return s.absolute(s.Getenv("LOCALAPPDATA"))
	case "config":
		// XDG Base Directory Specification: a relative path in the variable is to be ignored.
		if dir := s.absolute(s.Getenv("XDG_CONFIG_HOME")); dir != "" {
			return dir
		}
		if home := s.absolute(s.Home); home != "" {
			return home + "/.config"
		}
	}
	return ""
}

// absolute gives dir without a separator at its end, or "" when it is not an absolute path.
func (s System) absolute(dir string) string {
	if s.GOOS != "windows" {
		if !strings.HasPrefix(dir, "/") {
			return ""
		}
		return strings.TrimRight(dir, "/")
	}
	dir = strings.ReplaceAll(dir, "/", `\`)
	drive := len(dir) >= 3 && dir[1:3] == `:\`
	if !drive && !strings.HasPrefix(dir, `\\`) {
		return ""
	}
	return strings.TrimRight(dir, `\`)
}
