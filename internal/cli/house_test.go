package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "mcp-valet"

// mayImport says which packages of this module a package may import: the arrows of the map in README.md.
var mayImport = map[string][]string{
	"":                   {"internal/cli"},
	"internal/cli":       {"install", "wrapper", "refresh", "keyring", "internal/config", "internal/person", "internal/demo", "internal/issuer", "wrapper/proc", "wrapper/policy", "wrapper/audit"},
	"internal/config":    {"keyring", "internal/overwrite"},
	"internal/person":    {},
	"internal/issuer":    {"keyring"},
	"internal/demo":      {"internal/issuer"},
	"internal/soak":      {},
	"install":            {"keyring", "internal/overwrite"},
	"internal/overwrite": {},
	"wrapper":            {"refresh", "keyring", "wrapper/frame", "wrapper/policy", "wrapper/audit", "wrapper/proc"},
	"wrapper/frame":      {},
	"wrapper/policy":     {},
	"wrapper/audit":      {},
	"wrapper/proc":       {},
	"refresh":            {"keyring"},
	"keyring":            {},
}

// homes says which packages may import an outside library (by the beginning of its path); each has one home.
var homes = map[string][]string{
	"github.com/zalando/go-keyring":    {"keyring"},
	"github.com/godbus/dbus":           {"keyring", "internal/person"},
	"github.com/esiqveland/notify":     {"internal/person"},
	"filippo.io/age":                   {"keyring"},
	"golang.org/x/oauth2":              {"refresh"},
	"github.com/golang-jwt/jwt":        {"refresh", "internal/issuer"},
	"github.com/spf13/pflag":           {"internal/cli"},
	"github.com/tailscale/hujson":      {"internal/config", "install"},
	"github.com/cedar-policy/cedar-go": {"wrapper/policy"},
	"golang.org/x/term":                {"internal/person"},
	"rsc.io/qr":                        {"internal/person"},
	"golang.org/x/sys":                 {"keyring", "wrapper/proc", "wrapper/frame", "wrapper/audit", "wrapper", "internal/cli", "internal/person", "internal/config", "install"},
}

// goPackage is the part of `go list -json` that the test reads.
type goPackage struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

func listPackages(t *testing.T, goos string) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports", module+"/...")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list for %s: %v", goos, err)
	}
	var all []goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// TestHouse holds the packages to the map: arrows point one way, and each outside library has one home.
func TestHouse(t *testing.T) {
	for _, goos := range []string{"linux", "darwin", "windows"} {
		t.Run(goos, func(t *testing.T) {
			packages := listPackages(t, goos)
			if len(packages) < len(mayImport) {
				t.Errorf("go list shows %d packages, the map has %d", len(packages), len(mayImport))
			}
			for _, p := range packages {
				checkImports(t, p)
			}
		})
	}
}

func checkImports(t *testing.T, p goPackage) {
	t.Helper()
	name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
	allowed, known := mayImport[name]
	if !known {
		t.Errorf("package %q is not on the map: add it to README.md and here, with its arrows", name)
	}
	for _, i := range p.Imports {
		if ours, ok := strings.CutPrefix(i, module+"/"); ok && !slices.Contains(allowed, ours) {
			t.Errorf("%q imports %q: no such arrow on the map", name, ours)
		}
		if strings.Contains(strings.Split(i, "/")[0], ".") {
			checkHome(t, name, i)
		}
	}
}

func checkHome(t *testing.T, name, path string) {
	t.Helper()
	for prefix, at := range homes {
		if strings.HasPrefix(path, prefix) {
			if !slices.Contains(at, name) {
				t.Errorf("%q imports %s, whose home is %v", name, path, at)
			}
			return
		}
	}
	t.Errorf("%q imports %s, which has no home: a dependency of a credential tool is chosen with care", name, path)
}
