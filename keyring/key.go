package keyring

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// maxName is the longest name of an account, a server or a server's secret, in
// bytes. With keyNames it bounds how much of a keychain item the key takes.
const maxName = 128

// A Key names one record: what kind it is, and one or two names, with "/"
// between them. It is not secret.
type Key string

// keyNames are the kinds of record and how many names follow each.
var keyNames = map[string]int{"account": 1, "secret": 2, "trust": 1, "issuer": 1, "audit": 1}

// AccountKey is the record that holds an account's [Credential].
func AccountKey(account string) Key { return Key("account/" + account) }

// SecretKey is the record that holds one secret of a server or an account.
func SecretKey(owner, name string) Key { return Key("secret/" + owner + "/" + name) }

// TrustKey is the record that holds what a person agreed to for a server.
func TrustKey(server string) Key { return Key("trust/" + server) }

// IssuerKey is a record of the local issuer: its "key", or what is "public".
func IssuerKey(part string) Key { return Key("issuer/" + part) }

// AuditKey is the record that holds the key which the audit log's heads are
// signed with.
func AuditKey() Key { return "audit/key" }

// AuditCountKey is the record that says how long the audit log was when last
// signed.
func AuditCountKey() Key { return "audit/count" }

// ValidName reports whether s is a name of an account, a server or a secret:
// 1 to 128 of the characters A-Z a-z 0-9 _ . -
func ValidName(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for _, c := range []byte(s) {
		if !nameByte(c) {
			return false
		}
	}
	return true
}

func nameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '.' || c == '-'
}

func (k Key) check() error {
	parts := strings.Split(string(k), "/")
	if want, ok := keyNames[parts[0]]; !ok || len(parts) != 1+want {
		return fmt.Errorf("invalid record key %.80q", string(k))
	}
	for _, name := range parts[1:] {
		if !ValidName(name) {
			return fmt.Errorf("invalid name %.80q in record key", name)
		}
	}
	return nil
}

// fileName is the key as part of a file name: it tells a directory listing
// nothing, and keeps "Work" and "work" apart where file names ignore case.
func (k Key) fileName() string {
	sum := sha256.Sum256([]byte(k))
	return hex.EncodeToString(sum[:16])
}

// itemName is the key as the user name of a keychain item. Where the keychain
// compares names without regard to case (Windows), a key with capitals carries
// a hash, for which "~" leaves room: it is in no key.
func (k Key) itemName(ignoresCase bool) string {
	if !ignoresCase || strings.ToLower(string(k)) == string(k) {
		return string(k)
	}
	return string(k) + "~" + k.fileName()[:16]
}
