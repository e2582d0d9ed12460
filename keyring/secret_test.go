package keyring_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"strings"
	"testing"
	"text/template"

	"mcp-valet/keyring"
)

const sample = "hunter2-swordfish"

// mentions finds the sample in the ways fmt could have spelt it.
func mentions(out string) bool {
	out = strings.ToLower(out)
	for _, spelling := range []string{
		"hunter2", "swordfish",
		hex.EncodeToString([]byte("hunter")),
		strings.ReplaceAll(strings.Trim(fmt.Sprint([]byte("hunter")), "[]"), " ", ""),
		strings.Trim(fmt.Sprint([]byte("hunter")), "[]"),
		strings.ToLower(base64.StdEncoding.EncodeToString([]byte("hunter"))),
		"0x68, 0x75", "68 75 6e",
	} {
		if strings.Contains(out, spelling) {
			return true
		}
	}
	return false
}

type exported struct {
	Name string
	Key  keyring.Secret
}

type unexported struct {
	name  string
	key   keyring.Secret
	inner struct{ deep *keyring.Secret }
}

func TestSecretIsRedactedInEveryVerb(t *testing.T) {
	s := keyring.NewSecret(sample)
	hidden := unexported{name: "n", key: s}
	hidden.inner.deep = &s
	values := map[string]any{
		"secret":            s,
		"pointer":           &s,
		"struct":            exported{"n", s},
		"struct pointer":    &exported{"n", s},
		"unexported":        hidden,
		"unexported behind": &hidden,
		"slice":             []keyring.Secret{s},
		"map":               map[string]keyring.Secret{"k": s},
		"map of structs":    map[string]exported{"k": {"n", s}},
		"array":             [1]keyring.Secret{s},
		"interface":         []any{s, &s},
		"credential":        &keyring.Credential{Account: "work", AccessToken: s, RefreshToken: s},
		"options":           keyring.Options{Key: s},
	}
	shown := []string{"secret", "struct", "struct pointer", "slice", "map", "array", "credential", "options"}
	for name, v := range values {
		for _, verb := range "vsqxXdboOcUeEfFgGtTpwzy!" {
			for _, flags := range []string{"", "+", "#", "-20", "020", "20.3", " "} {
				format := "%" + flags + string(verb)
				if out := fmt.Sprintf(format, v); mentions(out) {
					t.Errorf("%s of %s prints %q", format, name, out)
				}
			}
		}
		tooMany, wrapped := "none", "%w" // variables, so that vet lets them pass
		//lint:ignore SA5009 an argument too many is the point
		if out := fmt.Sprint(v) + fmt.Sprintln(v) + fmt.Sprintf(tooMany, v) + fmt.Errorf(wrapped, v).Error(); mentions(out) {
			t.Errorf("%s prints %q", name, out)
		}
	}
	for _, name := range shown {
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			if out := fmt.Sprintf(format, values[name]); !strings.Contains(out, "[redacted]") {
				t.Errorf("%s of %s prints %q, want [redacted] in it", format, name, out)
			}
		}
	}
}

func TestSecretIsRedactedInEncodings(t *testing.T) {
	s := keyring.NewSecret(sample)
	v := exported{"n", s}
	var buf bytes.Buffer
	text := slog.New(slog.NewTextHandler(&buf, nil))
	js := slog.New(slog.NewJSONHandler(&buf, nil))
	for _, l := range []*slog.Logger{text, js} {
		l.Info("m", "s", s, "p", &s, "v", v, "g", slog.GroupValue(slog.Any("s", s)))
	}
	log.New(&buf, "", 0).Println(s, v)
	json.NewEncoder(&buf).Encode([]any{s, &s, v, map[string]any{"s": s}})
	xml.NewEncoder(&buf).Encode(v)
	template.Must(template.New("").Parse("{{.}} {{.Key}}\n")).Execute(&buf, v)
	out := buf.String()
	if mentions(out) || strings.Count(out, "[redacted]") < 12 {
		t.Errorf("printed %s", out)
	}
}

func TestSecretTakesNoJSON(t *testing.T) {
	var v exported
	if err := json.Unmarshal([]byte(`{"Key":"x"}`), &v); err == nil {
		t.Error("a secret was read from JSON")
	}
	if err := v.Key.UnmarshalText([]byte("x")); err == nil || !v.Key.IsZero() {
		t.Error("a secret was read from text")
	}
}

func TestSecretValue(t *testing.T) {
	s, zero := keyring.NewSecret(sample), keyring.Secret{}
	if s.Reveal() != sample || s.IsZero() || zero.Reveal() != "" || !zero.IsZero() || !keyring.NewSecret("").IsZero() {
		t.Error("wrong value")
	}
	if !s.Equal(keyring.NewSecret(sample)) || s.Equal(keyring.NewSecret(sample+"x")) || s.Equal(zero) || !zero.Equal(keyring.NewSecret("")) {
		t.Error("wrong comparison")
	}
	if s.String() != "[redacted]" || s.GoString() != "[redacted]" || zero.String() != "[redacted]" {
		t.Error("String shows something else")
	}
}

func TestErrorNamesItsPartsAndWrapsBoth(t *testing.T) {
	cause := errors.New("bus on fire")
	err := error(&keyring.Error{Op: "saving", Key: "account/work", Err: keyring.ErrLocked, Cause: cause})
	if got, want := err.Error(), `saving record "account/work": the keychain is locked: bus on fire`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(err, keyring.ErrLocked) || !errors.Is(err, cause) || errors.Is(err, keyring.ErrTimeout) {
		t.Error("wraps the wrong errors")
	}
	if got := (&keyring.Error{Err: keyring.ErrBusy}).Error(); got != keyring.ErrBusy.Error() {
		t.Errorf("got %q", got)
	}
}
