package refresh

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
)

// Keys of RFC 7517 appendix A.1 and RFC 8037 appendix A.2.
const (
	rfcN  = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
	rfcX  = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"
	rfcY  = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
	rfcEd = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
)

func TestParseKeys(t *testing.T) {
	bits := func(n uint) string {
		b := new(big.Int).Lsh(big.NewInt(1), n-1)
		return base64.RawURLEncoding.EncodeToString(b.SetBit(b, 0, 1).Bytes())
	}
	key := func(members string) string { return `{"keys":[{` + members + `}]}` }
	for _, tt := range []struct {
		name, set string
		want      int // usable keys; -1: an error
	}{
		{"RSA", key(`"kty":"RSA","n":"` + rfcN + `","e":"AQAB"`), 1},
		{"EC", key(`"kty":"EC","crv":"P-256","x":"` + rfcX + `","y":"` + rfcY + `"`), 1},
		{"Ed25519", key(`"kty":"OKP","crv":"Ed25519","x":"` + rfcEd + `"`), 1},
		{"padded", key(`"kty":"OKP","crv":"Ed25519","x":"` + rfcEd + `="`), 1},
		{"no keys", `{"keys":[]}`, 0},
		{"a hundred", `{"keys":[` + strings.Repeat(`{},`, 99) + `{}]}`, 0},

		{"more than a hundred", `{"keys":[` + strings.Repeat(`{},`, 100) + `{}]}`, -1},
		{"no list", `{"keys":{}}`, -1},
		{"null", `{"keys":null}`, -1},
		{"another name", `{"Keys":[]}`, -1},
		{"a list", `[]`, -1},
		{"nothing", ``, -1},
		{"two", `{"keys":[]}{"keys":[]}`, -1},

		{"no objects", `{"keys":[1,"x",null,[]]}`, 0},
		{"a symmetric key", key(`"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMko"`), 0},
		{"unknown type", key(`"kty":"AKP","alg":"ML-DSA-44","pub":"AAAA"`), 0},
		{"type in small letters", key(`"kty":"rsa","n":"` + rfcN + `","e":"AQAB"`), 0},
		{"RSA of 2048 bits", key(`"kty":"RSA","n":"` + bits(2048) + `","e":"AQAB"`), 1},
		{"RSA of 2047 bits", key(`"kty":"RSA","n":"` + bits(2047) + `","e":"AQAB"`), 0},
		{"RSA of 8192 bits", key(`"kty":"RSA","n":"` + bits(8192) + `","e":"AQAB"`), 1},
		{"RSA of 8193 bits", key(`"kty":"RSA","n":"` + bits(8193) + `","e":"AQAB"`), 0},
		{"RSA, even modulus", key(`"kty":"RSA","n":"` + strings.TrimSuffix(rfcN, "w") + `g","e":"AQAB"`), 0},
		{"RSA, exponent 3", key(`"kty":"RSA","n":"` + rfcN + `","e":"Aw"`), 1},
		{"RSA, exponent 1", key(`"kty":"RSA","n":"` + rfcN + `","e":"AQ"`), 0},
		{"RSA, exponent 2", key(`"kty":"RSA","n":"` + rfcN + `","e":"Ag"`), 0},
		{"RSA, exponent too large", key(`"kty":"RSA","n":"` + rfcN + `","e":"gAAAAQ"`), 0},
		{"RSA, exponent far too large", key(`"kty":"RSA","n":"` + rfcN + `","e":"AQAAAAAB"`), 0},
		{"RSA, no exponent", key(`"kty":"RSA","n":"` + rfcN + `"`), 0},
		{"RSA, exponent a number", key(`"kty":"RSA","n":"` + rfcN + `","e":65537`), 0},
		{"EC, not on its curve", key(`"kty":"EC","crv":"P-256","x":"` + rfcX + `","y":"` + rfcX + `"`), 0},
		{"EC, another curve", key(`"kty":"EC","crv":"P-384","x":"` + rfcX + `","y":"` + rfcY + `"`), 0},
		{"EC, unknown curve", key(`"kty":"EC","crv":"secp256k1","x":"` + rfcX + `","y":"` + rfcY + `"`), 0},
		{"EC, Ed25519", key(`"kty":"EC","crv":"Ed25519","x":"` + rfcEd + `","y":"` + rfcEd + `"`), 0},
		{"EC, one half missing", key(`"kty":"EC","crv":"P-256","x":"` + rfcX + `"`), 0},
		{"EC, at infinity", key(`"kty":"EC","crv":"P-256","x":"` + zeros(32) + `","y":"` + zeros(32) + `"`), 0},
		{"OKP, X25519", key(`"kty":"OKP","crv":"X25519","x":"` + rfcEd + `"`), 0},
		{"OKP, P-256", key(`"kty":"OKP","crv":"P-256","x":"` + rfcX + `"`), 0},
		{"OKP, too short", key(`"kty":"OKP","crv":"Ed25519","x":"AAAA"`), 0},
		{"for encryption", key(`"kty":"OKP","crv":"Ed25519","use":"enc","x":"` + rfcEd + `"`), 0},
		{"kid a number", key(`"kty":"OKP","crv":"Ed25519","kid":1,"x":"` + rfcEd + `"`), 0},
		{"alg a number", key(`"kty":"OKP","crv":"Ed25519","alg":1,"x":"` + rfcEd + `"`), 0},
	} {
		keys, err := parseKeys([]byte(tt.set))
		got := len(keys)
		if err != nil {
			got = -1
		}
		if got != tt.want {
			t.Errorf("%s: %d keys (%v), want %d", tt.name, got, err, tt.want)
		}
	}
}

func zeros(n int) string { return base64.RawURLEncoding.EncodeToString(make([]byte, n)) }

// Whatever an issuer publishes: no panic, no more keys than allowed, each of the kind that it says and none too weak.
func FuzzParseKeys(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"RSA","kid":"a","use":"sig","n":"` + rfcN + `","e":"AQAB"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","x":"` + rfcX + `","y":"` + rfcY + `"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","key_ops":["verify"],"x":"` + rfcEd + `"},1,null,{}]}`))
	f.Add([]byte(`{"keys":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, err := parseKeys(b)
		if err != nil && keys != nil || len(keys) > maxKeys {
			t.Fatalf("%d keys and error %v", len(keys), err)
		}
		for _, k := range keys {
			if err := checkKind(k); err != nil {
				t.Error(err)
			}
		}
		// What is cached is what was fetched: reading it back gives the same keys.
		document, err := parseObject(b)
		if err != nil {
			return
		}
		again, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		if same, _ := parseKeys(again); len(same) != len(keys) {
			t.Errorf("%d keys, and %d after writing and reading", len(keys), len(same))
		}
	})
}

func checkKind(k publicKey) error {
	ok := false
	switch key := k.key.(type) {
	case *rsa.PublicKey:
		ok = k.kind == "RSA" && key.N.BitLen() >= 2048 && key.E >= 3 && key.E%2 == 1
	case *ecdsa.PublicKey:
		ok = k.kind == key.Params().Name
	case ed25519.PublicKey:
		ok = k.kind == "Ed25519" && len(key) == ed25519.PublicKeySize
	}
	if !ok {
		return fmt.Errorf("a key of kind %q is %T", k.kind, k.key)
	}
	return nil
}
