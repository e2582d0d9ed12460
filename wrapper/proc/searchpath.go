package proc

import (
	"slices"
	"strings"
)

// startable are the extensions of files that CreateProcess can start (batch files by cmd.exe).
var startable = []string{".COM", ".EXE", ".BAT", ".CMD"}

// guiPath holds the folders that a program started by the Finder or the Dock lacks: launchd's PATH is
// /usr/bin:/bin:/usr/sbin:/sbin. The first is Homebrew's on Apple silicon.
var guiPath = map[string][]string{"darwin": {"/opt/homebrew/bin", "/usr/local/bin"}}

// MendPath adds to a PATH the folders that a program started from a desktop lacks, and extra, each
// only when missing and at the end, so that nothing is shadowed. A folder that PATH cannot hold, as its
// name has the separator in it, is left out.
func MendPath(goos, path string, extra ...string) string {
	sep := string(listSeparator(goos))
	var entries []string
	if path != "" {
		entries = strings.Split(path, sep)
	}
	for _, dir := range slices.Concat(guiPath[goos], extra) {
		if dir != "" && !strings.Contains(dir, sep) && !slices.ContainsFunc(entries, func(e string) bool { return sameEntry(goos, e, dir) }) {
			entries = append(entries, dir)
		}
	}
	return strings.Join(entries, sep)
}

// MendPathext adds the extensions of programs to a Windows PATHEXT that lacks them: some clients give
// none, or ".CPL" alone, and then no shell finds an .exe.
func MendPathext(pathext string) string {
	var entries []string
	if pathext != "" {
		entries = strings.Split(pathext, ";")
	}
	for _, ext := range startable {
		if !slices.ContainsFunc(entries, func(e string) bool { return strings.EqualFold(e, ext) }) {
			entries = append(entries, ext)
		}
	}
	return strings.Join(entries, ";")
}

// extensions are the suffixes to try for a program's name, in the order of PATHEXT.
func extensions(pathext string) []string {
	var exts []string
	for e := range strings.SplitSeq(MendPathext(pathext), ";") {
		if slices.ContainsFunc(startable, func(s string) bool { return strings.EqualFold(s, e) }) {
			exts = append(exts, strings.ToLower(e))
		}
	}
	return exts
}

func sameEntry(goos, a, b string) bool {
	if goos == "windows" {
		trim := func(s string) string { return strings.TrimRight(strings.Trim(s, `"`), `\/`) }
		return strings.EqualFold(trim(a), trim(b))
	}
	return strings.TrimRight(a, "/") == strings.TrimRight(b, "/")
}

func listSeparator(goos string) byte {
	if goos == "windows" {
		return ';'
	}
	return ':'
}

// lookup gives a variable of an environment; as everywhere, the last of several counts.
func lookup(goos string, env []string, name string) string {
	for _, e := range slices.Backward(env) {
		k, v, ok := strings.Cut(e, "=")
		if ok && (k == name || goos == "windows" && strings.EqualFold(k, name)) {
			return v
		}
	}
	return ""
}
