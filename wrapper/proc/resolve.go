package proc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strings"
)

// Resolve finds the program that command names and gives its absolute path; symbolic links stay, as
// programs act on the name they were called by (a Python of a virtual environment does).
//
// A command with a separator is taken relative to dir. A bare name is looked for in the PATH of env
// alone, mended as MendPath says: never in the working directory, nor in entries of PATH that are empty
// or relative (see exec.ErrDot). On Windows a name without extension gets one of PATHEXT, mended as
// MendPathext says; what CreateProcess cannot start is not looked for.
//
// Errors wrap ErrNotFound, or ErrNotExecutable when something was found that is not a program.
func Resolve(command, dir string, env []string) (string, error) {
	return resolver{goos: runtime.GOOS, stat: os.Stat, env: env}.resolve(command, dir)
}

// resolver has the operating system as a parameter, so that all rules are tested on each.
type resolver struct {
	goos string
	stat func(string) (fs.FileInfo, error)
	env  []string
}

func (r resolver) resolve(command, dir string) (string, error) {
	if command == "" || strings.ContainsRune(command, 0) {
		return "", fmt.Errorf("command %q: %w", command, ErrNotFound)
	}
	file, err := r.candidate(command, dir)
	if err != nil {
		return "", fmt.Errorf("command %q: %w", command, err)
	}
	return file, nil
}

func (r resolver) candidate(command, dir string) (string, error) {
	switch {
	case !r.hasSeparator(command):
		return r.inPath(command)
	case r.isAbs(command):
		return r.program(r.native(command))
	case r.goos == "windows" && dependsOnDrive(command):
		return "", fmt.Errorf("%w: it depends on the current drive", ErrNotFound)
	case !r.isAbs(dir):
		return "", fmt.Errorf("%w: it is relative, and no working directory is given", ErrNotFound)
	}
	return r.program(r.join(dir, command))
}

// inPath looks through PATH. Like a shell it goes on after a file that is no program, and
// tells of it only when nothing better comes.
func (r resolver) inPath(name string) (string, error) {
	result := ErrNotFound
	dirs := MendPath(r.goos, lookup(r.goos, r.env, "PATH"))
	for dir := range strings.SplitSeq(dirs, string(listSeparator(r.goos))) {
		if r.goos == "windows" {
			dir = strings.Trim(dir, `"`)
		}
		if !r.isAbs(dir) {
			continue
		}
		file, err := r.program(r.join(dir, name))
		if err == nil {
			return file, nil
		}
		if result == ErrNotFound && err != ErrNotFound {
			result = err
		}
	}
	return "", result
}

// program is file if it can be started, on Windows also with an extension added.
func (r resolver) program(file string) (string, error) {
	if r.goos != "windows" {
		return file, r.check(file)
	}
	result := ErrNotFound
	exts := extensions(lookup(r.goos, r.env, "PATHEXT"))
	for _, candidate := range withExtensions(file, exts) {
		err := r.check(candidate)
		if err == nil {
			return candidate, nil
		}
		if err != ErrNotFound {
			result = err
		}
	}
	if result == ErrNotFound && r.check(file) == nil {
		return "", fmt.Errorf("%w: Windows starts only files that end in %s", ErrNotExecutable, strings.Join(exts, " "))
	}
	return "", result
}

// withExtensions leaves a name that has an extension as it is first: "foo.bat.exe" may exist, too.
func withExtensions(file string, exts []string) []string {
	var all []string
	for _, ext := range exts {
		if strings.HasSuffix(strings.ToLower(file), ext) {
			all = append(all, file)
		}
	}
	for _, ext := range exts {
		all = append(all, file+ext)
	}
	return all
}

// check says whether file is a program, as far as its mode tells. A Windows file has none, and may be
// irregular: the python.exe of the Microsoft Store is a reparse point.
func (r resolver) check(file string) error {
	info, err := r.stat(file)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%q: %w: %w", file, ErrNotExecutable, bare(err))
	case err != nil:
		return ErrNotFound
	case info.IsDir():
		return fmt.Errorf("%q: %w: it is a directory", file, ErrNotExecutable)
	case r.goos == "windows":
		return nil
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return fmt.Errorf("%q: %w: its mode does not allow it", file, ErrNotExecutable)
	}
	return nil
}

// dependsOnDrive is for Windows paths that look absolute and are not: "\tool" and "C:tool".
func dependsOnDrive(p string) bool {
	return strings.HasPrefix(p, `\`) || strings.HasPrefix(p, "/") || len(p) > 1 && p[1] == ':'
}

func (r resolver) hasSeparator(s string) bool {
	if r.goos == "windows" {
		return strings.ContainsAny(s, `\/:`)
	}
	return strings.Contains(s, "/")
}

func (r resolver) isAbs(p string) bool {
	if r.goos != "windows" {
		return strings.HasPrefix(p, "/")
	}
	p = r.native(p)
	return strings.HasPrefix(p, `\\`) || len(p) > 2 && p[1] == ':' && p[2] == '\\'
}

// native has the separators that cmd.exe insists on.
func (r resolver) native(p string) string {
	if r.goos != "windows" {
		return p
	}
	return strings.ReplaceAll(p, "/", `\`)
}

// join puts a relative name into an absolute dir.
func (r resolver) join(dir, name string) string {
	if r.goos != "windows" {
		return path.Join(dir, name)
	}
	slash := func(s string) string { return strings.ReplaceAll(s, `\`, "/") }
	joined := r.native(path.Join(slash(dir), slash(name)))
	if strings.HasPrefix(slash(dir), "//") {
		joined = `\` + joined // a share: \\server\share; path.Join made one of the two
	}
	return joined
}
