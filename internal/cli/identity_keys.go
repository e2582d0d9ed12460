package cli

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"mcp-valet/keyring"
)

// maxAPIKeys bounds how many keys one server accepts.
const maxAPIKeys = 1000

// apiKey is an entry of MCP_API_KEYS: the hash of a key, and who shows it.
type apiKey struct {
	sum   [sha256.Size]byte
	user  string
	roles []string
}

// parseKeys reads MCP_API_KEYS: entries with commas between them, each KEY, KEY=USER:ROLE|ROLE, or the same with
// sha256:HEX in place of KEY, which does not give the key away. One entry that is malformed makes all unfit: whoever wrote
// it meant something by it. No error repeats what was written.
func parseKeys(list keyring.Secret) ([]apiKey, error) {
	var keys []apiKey
	for n, entry := range splitList(list.Reveal()) {
		k, err := parseKey(entry)
		if err != nil {
			return nil, badKeys(fmt.Sprintf("entry %d of MCP_API_KEYS %v", n+1, err))
		}
		for _, other := range keys {
			if other.sum == k.sum {
				return nil, badKeys(fmt.Sprintf("entry %d of MCP_API_KEYS is there twice", n+1))
			}
		}
		if keys = append(keys, k); len(keys) > maxAPIKeys {
			return nil, badKeys(fmt.Sprintf("MCP_API_KEYS has more than %d entries", maxAPIKeys))
		}
	}
	return keys, nil
}

func badKeys(msg string) error {
	return &refusal{msg, "an entry is KEY, or KEY=USER:ROLE|ROLE, or sha256:HEX=USER:ROLE|ROLE; commas stand between entries"}
}

func parseKey(entry string) (apiKey, error) {
	key, user, roles := cutOwner(entry)
	k := apiKey{user: user, roles: roles}
	if hash, is := strings.CutPrefix(key, "sha256:"); is {
		sum, err := hex.DecodeString(hash)
		if err != nil || len(sum) != sha256.Size {
			return k, fmt.Errorf("has no SHA-256 sum of 64 hexadecimal digits")
		}
		k.sum = [sha256.Size]byte(sum)
	} else if key == "" {
		return k, fmt.Errorf("has no key")
	} else {
		k.sum = sha256.Sum256([]byte(key))
	}
	if err := checkUser(user); user != "" && err != nil {
		return k, err
	}
	for _, role := range roles {
		if err := checkRole(role); err != nil {
			return k, err
		}
	}
	if k.user == "" {
		// What is shown of it: enough to tell keys apart, of a hash of the hash that we compare.
		again := sha256.Sum256(k.sum[:])
		k.user = "api-key-" + hex.EncodeToString(again[:4])
	}
	return k, nil
}

// cutOwner takes "=USER:ROLES" off an entry. A key may end with "=" (base64), and has no owner without a colon.
func cutOwner(entry string) (key, user string, roles []string) {
	at := strings.LastIndexByte(entry, '=')
	if at < 0 {
		return entry, "", nil
	}
	user, list, found := strings.Cut(entry[at+1:], ":")
	if !found {
		return entry, "", nil
	}
	for role := range strings.SplitSeq(list, "|") {
		if role = strings.TrimSpace(role); role != "" {
			roles = append(roles, role)
		}
	}
	return entry[:at], strings.TrimSpace(user), roles
}

// findKey looks at every key, and as long at the right one as at a wrong one.
func findKey(keys []apiKey, shown keyring.Secret) *apiKey {
	if shown.IsZero() {
		return nil
	}
	sum := sha256.Sum256([]byte(shown.Reveal()))
	found := -1
	for n := range keys {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], keys[n].sum[:]), n, found)
	}
	if found < 0 {
		return nil
	}
	return &keys[found]
}

const maxNameOf = 256 // bytes of a user or a role

// checkUser takes any one-line text: users are named as their organisation names them.
func checkUser(s string) error {
	if s == "" || len(s) > maxNameOf || strings.TrimSpace(s) != s || !plainLine(s) {
		return fmt.Errorf("has a user that is not 1 to %d printable characters", maxNameOf)
	}
	return nil
}

// checkRole takes the same, without what stands between roles in lists.
func checkRole(s string) error {
	if s == "" || len(s) > maxNameOf || strings.TrimSpace(s) != s || !plainLine(s) || strings.ContainsAny(s, ",|") {
		return fmt.Errorf("has a role that is not 1 to %d printable characters without comma and bar", maxNameOf)
	}
	return nil
}

func plainLine(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
