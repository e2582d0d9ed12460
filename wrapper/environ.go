package wrapper

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"mcp-valet/keyring"
	"mcp-valet/wrapper/proc"
)

// ownPrefix marks the variables that are meant for us: one of them unlocks the sealed store.
const ownPrefix = "MCP_VALET_"

// environ is the environment of a server on the system goos: base, without our own variables and any
// copy of those set here, then the server's own variables, its secrets, and the token in TokenEnv. A
// secret or token that is zero leaves its variable unset. What a client started from a desktop lacks
// is mended. The result is sorted and names no variable twice; of several in base the last counts.
//
// Errors name a variable, never its value.
func environ(base []string, goos string, s Server, token keyring.Secret) ([]string, error) {
	e := childEnv{goos: goos, vars: map[string]variable{}}
	e.inherit(base)
	if err := e.apply(s, token); err != nil {
		return nil, err
	}
	e.mend(s.Path)
	return e.list()
}

// childEnv is an environment being made; vars is keyed by the name as the system compares it.
type childEnv struct {
	goos string
	vars map[string]variable
}

type variable struct{ name, value string }

func (e *childEnv) key(name string) string {
	if e.goos == "windows" {
		return strings.ToUpper(name)
	}
	return name
}

func (e *childEnv) put(name, value string) { e.vars[e.key(name)] = variable{name, value} }

func (e *childEnv) get(name string) string { return e.vars[e.key(name)].value }

// inherit takes over base, without our variables and without entries that are none.
func (e *childEnv) inherit(base []string) {
	for _, entry := range base {
		name, value, ok := e.split(entry)
		if ok && !strings.HasPrefix(e.key(name), ownPrefix) {
			e.put(name, value)
		}
	}
}

// split keeps the names like "=C:" in which Windows remembers the working directory of a drive.
func (e *childEnv) split(entry string) (name, value string, ok bool) {
	from := 0
	if e.goos == "windows" && strings.HasPrefix(entry, "=") {
		from = 1
	}
	eq := strings.Index(entry[from:], "=")
	if eq < 1 {
		return "", "", false
	}
	eq += from
	return entry[:eq], entry[eq+1:], true
}

// apply sets what the server asks for. Nothing inherited under such a name stays.
func (e *childEnv) apply(s Server, token keyring.Secret) error {
	if err := e.claim(s); err != nil {
		return err
	}
	for name, value := range s.Env {
		e.put(name, value)
	}
	secrets := map[string]keyring.Secret{}
	maps.Copy(secrets, s.Secrets)
	if s.TokenEnv != "" {
		secrets[s.TokenEnv] = token
	}
	for name, secret := range secrets {
		if !secret.IsZero() {
			e.put(name, secret.Reveal())
		}
	}
	return nil
}

// claim checks the names that are to be set, and removes what was inherited under them.
func (e *childEnv) claim(s Server) error {
	names := slices.Concat(slices.Collect(maps.Keys(s.Env)), slices.Collect(maps.Keys(s.Secrets)))
	if s.TokenEnv != "" {
		names = append(names, s.TokenEnv)
	}
	slices.Sort(names) // the same error each time
	seen := map[string]bool{}
	for _, name := range names {
		switch {
		case name == "":
			return errors.New("environment variable without a name")
		case strings.ContainsAny(name, "=\x00"):
			return fmt.Errorf("environment variable %q: a name cannot hold = or NUL", name)
		case seen[e.key(name)]:
			return fmt.Errorf("environment variable %s is set twice", name)
		}
		seen[e.key(name)] = true
		delete(e.vars, e.key(name))
	}
	return nil
}

// list gives the finished environment.
func (e *childEnv) list() ([]string, error) {
	list := make([]string, 0, len(e.vars))
	for _, key := range slices.Sorted(maps.Keys(e.vars)) {
		v := e.vars[key]
		if strings.ContainsRune(v.name+v.value, 0) {
			return nil, fmt.Errorf("environment variable %q: a value cannot hold NUL", v.name)
		}
		list = append(list, v.name+"="+v.value)
	}
	return list, nil
}

// mend adds what a client started from a desktop does not hand on. program's own folder is in PATH
// for what it starts itself: npx runs the node beside it.
func (e *childEnv) mend(program string) {
	e.fix("PATH", proc.MendPath(e.goos, e.get("PATH"), folder(e.goos, program)))
	if e.goos == "windows" {
		e.mendWindows()
	}
}

// mendWindows: the TypeScript SDK hands on none of these but SystemRoot (typescript-sdk#2037), and
// without them cmd.exe and ssh fail, often in silence.
func (e *childEnv) mendWindows() {
	root := firstAbsolute(e.get("SystemRoot"), e.get("WINDIR"), e.get("SystemDrive")+`\Windows`, `C:\Windows`)
	drive := root[:2]
	for _, need := range []variable{
		{"SystemRoot", root},
		{"WINDIR", root},
		{"SystemDrive", drive},
		{"COMSPEC", root + `\System32\cmd.exe`},
		{"ProgramData", drive + `\ProgramData`},
	} {
		if !isWindowsPath(e.get(need.name)) {
			e.fix(need.name, need.value)
		}
	}
	e.fix("PATHEXT", proc.MendPathext(e.get("PATHEXT")))
}

// fix replaces a value and keeps the name as it is spelt: Windows has "Path".
func (e *childEnv) fix(name, value string) {
	if v, ok := e.vars[e.key(name)]; ok {
		name = v.name
	}
	if value != "" {
		e.put(name, value)
	}
}

func firstAbsolute(paths ...string) string {
	i := slices.IndexFunc(paths, isWindowsPath)
	return strings.TrimRight(paths[i], `\`)
}

// isWindowsPath says whether p begins with a drive.
func isWindowsPath(p string) bool { return len(p) > 1 && p[1] == ':' }

// folder is where an absolute program lies; "" for any other, as PATH must not depend on the working directory.
func folder(goos, program string) string {
	if goos != "windows" {
		if !strings.HasPrefix(program, "/") {
			return ""
		}
		return path.Dir(program)
	}
	i := strings.LastIndexAny(program, `\/`)
	switch {
	case !isWindowsPath(program) && !strings.HasPrefix(program, `\\`) || i < 2:
		return ""
	case i == 2:
		return program[:i+1] // the root of a drive
	}
	return program[:i]
}
