package keyring_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"mcp-valet/keyring"
)

func TestParseItem(t *testing.T) {
	tests := []struct {
		name, text string
		want       error
	}{
		{"inline", "mcp-valet/1 inline\nabc", nil},
		{"inline, empty", "mcp-valet/1 inline\n", nil},
		{"sealed", "mcp-valet/1 sealed 7 AGE-SECRET-KEY-1X\n", nil},
		{"next version", "mcp-valet/2 whatever", keyring.ErrTooNew},
		{"far version, nothing else", "mcp-valet/99999999999999999999", keyring.ErrTooNew},
		{"empty", "", keyring.ErrCorrupt},
		{"foreign", "hello", keyring.ErrCorrupt},
		{"no version", "mcp-valet/ inline\n", keyring.ErrCorrupt},
		{"version 0", "mcp-valet/0 inline\n", keyring.ErrCorrupt},
		{"version with zero", "mcp-valet/02 inline\n", keyring.ErrCorrupt},
		{"no line end", "mcp-valet/1 inline", keyring.ErrCorrupt},
		{"no space", "mcp-valet/1inline\n", keyring.ErrCorrupt},
		{"unknown form", "mcp-valet/1 other\n", keyring.ErrCorrupt},
		{"word too many", "mcp-valet/1 inline x\nabc", keyring.ErrCorrupt},
		{"generation 0", "mcp-valet/1 sealed 0 K\n", keyring.ErrCorrupt},
		{"generation padded", "mcp-valet/1 sealed 07 K\n", keyring.ErrCorrupt},
		{"generation signed", "mcp-valet/1 sealed +7 K\n", keyring.ErrCorrupt},
		{"generation too large", "mcp-valet/1 sealed 18446744073709551616 K\n", keyring.ErrCorrupt},
		{"sealed with a tail", "mcp-valet/1 sealed 7 K\ntail", keyring.ErrCorrupt},
		{"sealed without key", "mcp-valet/1 sealed 7\n", keyring.ErrCorrupt},
	}
	for _, tt := range tests {
		it, err := keyring.ParseItem(keyring.NewSecret(tt.text))
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
		if err == nil && it.Encode().Reveal() != tt.text {
			t.Errorf("%s: encodes as %q", tt.name, it.Encode().Reveal())
		}
	}
}

// Item limits of the systems: see the comment at maxItem.
func TestLargestItemFitsEverySystem(t *testing.T) {
	name := strings.Repeat("W", 128)
	key := keyring.SecretKey(name, name)
	user := key.ItemName(true)
	value := "go-keyring-base64:" + base64.StdEncoding.EncodeToString(make([]byte, keyring.MaxItem))
	command := fmt.Sprintf("add-generic-password -U -s %s -a '%s' -w %s\n", name, user, value)
	if len(command) > 4096 {
		t.Errorf("macOS: the command line is %d bytes, at most 4096 fit", len(command))
	}
	if keyring.MaxItem > 2560 {
		t.Errorf("Windows: %d bytes, at most 2560 fit", keyring.MaxItem)
	}
	if len(user) > 513 { // CRED_MAX_USERNAME_LENGTH
		t.Errorf("Windows: a user name of %d, at most 513 fit", len(user))
	}
}

func TestKeys(t *testing.T) {
	if keyring.AccountKey("work") != "account/work" || keyring.SecretKey("kb", "DB") != "secret/kb/DB" || keyring.TrustKey("kb") != "trust/kb" {
		t.Error("wrong key")
	}
	for name, want := range map[string]bool{
		"a": true, "A-b_c.9": true, strings.Repeat("x", 128): true, "..": true,
		"": false, strings.Repeat("x", 129): false, "a/b": false, "a b": false, "é": false, "a\x00": false, "a~b": false, "a\n": false,
	} {
		if keyring.ValidName(name) != want {
			t.Errorf("ValidName(%q) = %v", name, !want)
		}
	}
}

func TestAuditKeys(t *testing.T) {
	s := openFile(t, stateDir(t), newKey(t))
	mustSet(t, s, keyring.AuditKey(), "seed")
	mustSet(t, s, keyring.AuditCountKey(), "7")
	wantRecord(t, s, keyring.AuditKey(), "seed")
	wantRecord(t, s, keyring.AuditCountKey(), "7")
	wantKeys(t, s, keyring.AuditCountKey(), keyring.AuditKey())
}

func TestNamesKeepCaseApart(t *testing.T) {
	upper, lower := keyring.AccountKey("Work"), keyring.AccountKey("work")
	if a, b := upper.ItemName(true), lower.ItemName(true); strings.EqualFold(a, b) || b != "account/work" {
		t.Errorf("item names %q and %q", a, b)
	}
	if upper.ItemName(false) != "account/Work" {
		t.Errorf("item name %q", upper.ItemName(false))
	}
	if strings.EqualFold(upper.FileName(), lower.FileName()) {
		t.Error("the same file name")
	}
}

func FuzzParseItem(f *testing.F) {
	f.Add("mcp-valet/1 inline\nabc")
	f.Add("mcp-valet/1 sealed 7 AGE-SECRET-KEY-1X\n")
	f.Add("mcp-valet/2 x")
	f.Fuzz(func(t *testing.T, text string) {
		it, err := keyring.ParseItem(keyring.NewSecret(text))
		if err != nil {
			if !errors.Is(err, keyring.ErrCorrupt) && !errors.Is(err, keyring.ErrTooNew) {
				t.Fatalf("error without a sentinel: %v", err)
			}
			it = keyring.Item{Inline: keyring.NewSecret(text)}
		} else if it.Encode().Reveal() != text {
			t.Fatalf("%q encodes as %q", text, it.Encode().Reveal())
		}
		back, err := keyring.ParseItem(it.Encode())
		if err != nil || back.Gen != it.Gen || !back.Inline.Equal(it.Inline) || !back.Identity.Equal(it.Identity) {
			t.Fatalf("does not come back: %v", err)
		}
	})
}

func FuzzCredential(f *testing.F) {
	f.Add([]byte(`{"version":1,"serial":3,"account":"work","access_token":"a","expiry":"2030-01-02T03:04:05Z","scopes":["a","b"]}`))
	f.Add([]byte(`{"version":2}`))
	f.Add([]byte(`{"version":1,"account":"work","expiry":"2030-01-02T03:04:05.000000001+05:30"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := keyring.DecodeCredential(keyring.NewSecret(string(text)), "work")
		if err != nil {
			if !errors.Is(err, keyring.ErrCorrupt) && !errors.Is(err, keyring.ErrTooNew) {
				t.Fatalf("error without a sentinel: %v", err)
			}
			if mentionsInput(err, text) {
				t.Fatalf("error quotes the record: %v", err)
			}
			return
		}
		v, err := keyring.EncodeCredential(c)
		if err != nil {
			t.Fatalf("what was decoded does not encode: %v", err)
		}
		back, err := keyring.DecodeCredential(v, "work")
		if err != nil || !sameCredential(back, c) {
			t.Fatalf("got %#v, want %#v (%v)", back, c, err)
		}
	})
}

// mentionsInput looks for a word of the input that cannot be the error's own.
func mentionsInput(err error, text []byte) bool {
	return utf8.Valid(text) && len(text) > 40 && strings.Contains(err.Error(), string(text[10:40]))
}
