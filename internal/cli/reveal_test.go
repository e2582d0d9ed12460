package cli_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mayReveal lists the functions that take a secret out of its wrapping, each at the point where it must be plain:
// on its way to the keychain, to the issuer, into a server's environment, or to a script that was promised it.
var mayReveal = []string{
	"install: Kept.text",              // back into the client's config, where the person wants it there again
	"install: Standing",               // looked for in the rest of its entry
	"install: replacements",           // looked for in backups and on the screen, to take it out
	"internal/cli: app.credentialGet", // to a script, where the account says "export": true
	"internal/cli: revealTo",          // back among the arguments in our config, where it stayed with the person's consent
	"internal/cli: auditKeys.counted", // how long the log was, which nobody is to change
	"internal/cli: auditKeys.load",    // the key of the audit log's signatures
	"internal/cli: app.secretSet",     // its length alone
	"internal/cli: app.token",
	"internal/cli: app.issue",  // to whoever asked for a token of the local issuer
	"internal/cli: findKey",    // hashed, to be compared
	"internal/cli: parseKeys",  // hashed
	"internal/cli: readPublic", // what is public, and kept with the secrets since nobody is to change it
	"internal/issuer: ParseSigner",
	"internal/issuer: SecretSigner",
	"keyring: Secret.Equal",
	"keyring: decodeRecord",
	"keyring: encodeCredential",
	"keyring: item.encode",
	"keyring: keychain.set",
	"keyring: parseIdentity",
	"keyring: parseItem",
	"keyring: seal",
	"refresh: Client.grantForm",  // to the token endpoint that the credential records
	"refresh: Client.postStyled", // the client secret
	"refresh: Client.revoke",
	"refresh: Keys.checkSecret",
	"refresh: decodeJWT",
	"refresh: signedToken.signedBy",
	"wrapper: Options.putFile", // into the file that a server reads, where that is how it gets its token
	"wrapper: childEnv.apply",  // into the server's environment
	"wrapper: newMasker",
	"wrapper: relay.setMeta", // into each request, where that is how
}

// TestRevealCallers keeps the list of places where a secret is plain text.
func TestRevealCallers(t *testing.T) {
	found := map[string]bool{}
	for _, goos := range []string{"linux", "darwin", "windows"} {
		for _, p := range listPackages(t, goos) {
			for _, f := range p.GoFiles {
				revealersIn(t, strings.TrimPrefix(p.ImportPath, module+"/"), filepath.Join(p.Dir, f), found)
			}
		}
	}
	got := slices.Sorted(maps.Keys(found))
	want := slices.Sorted(slices.Values(mayReveal))
	if !slices.Equal(got, want) {
		t.Errorf("functions that call Reveal:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func revealersIn(t *testing.T, pkg, file string, found map[string]bool) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range f.Decls {
		ast.Inspect(d, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Reveal" {
				found[pkg+": "+declName(d)] = true
			}
			return true
		})
	}
}

func declName(d ast.Decl) string {
	fn, ok := d.(*ast.FuncDecl)
	if !ok {
		return "(package level)"
	}
	if fn.Recv == nil {
		return fn.Name.Name
	}
	recv := fn.Recv.List[0].Type
	if star, ok := recv.(*ast.StarExpr); ok {
		recv = star.X
	}
	return fmt.Sprintf("%s.%s", recv, fn.Name.Name)
}
