package refresh_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"mcp-valet/keyring"
	"mcp-valet/refresh"
)

// compact joins a header and claims as they are written to a token without a real signature.
func compact(header, claims string) string {
	return base64url([]byte(header)) + "." + base64url([]byte(claims)) + "." + base64url([]byte("signature"))
}

func TestInspect(t *testing.T) {
	claims, isJWT, err := refresh.Inspect(keyring.NewSecret(compact(`{"alg":"HS256","typ":"JWT"}`,
		`{"iss":"https://login.example.com","sub":"ada","aud":["kb","mail"],"exp":1800000000,"nbf":1700000000.5,"iat":1.7e9,"scp":["read","write"],"roles":["viewer"],"n":12345678901234567890}`)))
	if err != nil || !isJWT {
		t.Fatalf("a JWT: %v, %v", isJWT, err)
	}
	if claims.Issuer != "https://login.example.com" || claims.Subject != "ada" || !slices.Equal(claims.Audience, []string{"kb", "mail"}) ||
		claims.Scope != "read write" {
		t.Errorf("read %+v", claims)
	}
	if !claims.Expiry.Equal(time.Unix(1800000000, 0)) || !claims.NotBefore.Equal(time.Unix(1700000000, 0)) || !claims.IssuedAt.Equal(time.Unix(1700000000, 0)) {
		t.Errorf("read the times %v, %v, %v", claims.Expiry, claims.NotBefore, claims.IssuedAt)
	}
	if n, _ := claims.Raw["n"].(json.Number); n != "12345678901234567890" {
		t.Errorf("a large number became %v", claims.Raw["n"])
	}
}

func TestInspectTellsTokensApart(t *testing.T) {
	const header, claims = `{"alg":"RS256"}`, `{"exp":1800000000}`
	good := compact(header, claims)
	head, rest, _ := strings.Cut(good, ".")
	for _, tt := range []struct {
		name, token string
		isJWT       bool
		want        error
	}{
		{"a JWT", good, true, nil},
		{"a JWT with an algorithm that we cannot check", compact(`{"alg":"HS512"}`, claims), true, nil},
		{"a JWT with an algorithm that nobody knows", compact(`{"alg":"XY1"}`, claims), true, nil},
		{"nothing", "", false, nil},
		{"GitHub", "gho_16C7e42F292c6912E7710c838347Ae178B4a", false, nil},
		{"Google", "ya29.a0AfH6SMBx.Q", false, nil},
		{"three opaque parts", "xoxe.xoxp-1.abc", false, nil},
		{"dots", "..", false, nil},
		{"encrypted, five parts", compact(`{"alg":"dir","enc":"A256GCM"}`, claims) + ".a.b", false, nil},
		{"PASETO", "v4.public.eyJkYXRhIjoidGhpcyJ9", false, nil},
		{"two parts", head + "." + head, false, nil},

		{"none", compact(`{"alg":"none"}`, claims), true, refresh.ErrToken},
		{"None", compact(`{"alg":"None"}`, claims), true, refresh.ErrToken},
		{"NONE", compact(`{"alg":"NONE"}`, claims), true, refresh.ErrToken},
		{"nOnE", compact(`{"alg":"nOnE"}`, claims), true, refresh.ErrToken},
		{"none in blanks", compact(`{"alg":" none\t"}`, claims), true, refresh.ErrToken},
		{"none escaped", compact(`{"alg":"\u006eone"}`, claims), true, refresh.ErrToken},
		{"none without a signature", strings.TrimSuffix(compact(`{"alg":"none"}`, claims), base64url([]byte("signature"))), true, refresh.ErrToken},
		{"none after another", compact(`{"alg":"RS256","alg":"none"}`, claims), true, refresh.ErrToken},
		{"none before another", compact(`{"alg":"none","alg":"RS256"}`, claims), true, refresh.ErrToken},
		{"an empty algorithm", compact(`{"alg":""}`, claims), true, refresh.ErrToken},
		{"an algorithm that is a list", compact(`{"alg":["none"]}`, claims), true, refresh.ErrToken},
		{"no algorithm", compact(`{"typ":"JWT"}`, claims), true, refresh.ErrToken},
		{"none, padded", head + "=." + rest, true, refresh.ErrToken},
		{"a line end in the header", head[:4] + "\n" + head[4:] + "." + rest, true, refresh.ErrToken},
		{"a blank in the header", head[:4] + " " + head[4:] + "." + rest, true, refresh.ErrToken},
		{"claims repeated", compact(header, `{"exp":1,"exp":1800000000}`), true, refresh.ErrToken},
		{"claims that are no object", compact(header, `["exp"]`), true, refresh.ErrToken},
		{"claims that are no JSON", compact(header, `exp`), true, refresh.ErrToken},
		{"claims and more", compact(header, claims+claims), true, refresh.ErrToken},
		{"a header and more", compact(header+header, claims), true, refresh.ErrToken},
		{"a header cut short", compact(`{"alg":"RS256"`, claims), true, refresh.ErrToken},
		{"too large", compact(header, `{"x":"`+strings.Repeat("x", 64<<10)+`"}`), true, refresh.ErrToken},
		{"too large and opaque", strings.Repeat("x", 64<<10+1), true, refresh.ErrToken},
	} {
		_, isJWT, err := refresh.Inspect(keyring.NewSecret(tt.token))
		if isJWT != tt.isJWT {
			t.Errorf("%s: a JWT: %v, want %v", tt.name, isJWT, tt.isJWT)
		}
		wantErrorNamed(t, tt.name, err, tt.want)
	}
}

// Claims of the wrong type are left out: Inspect decides nothing.
func TestInspectLeavesOddClaimsOut(t *testing.T) {
	for _, claims := range []string{
		`{"exp":"1800000000"}`, `{"exp":-1}`, `{"exp":1e300}`, `{"exp":1e999}`, `{"exp":253402300800}`, `{"exp":null}`, `{"exp":{}}`,
		`{"iss":1,"sub":[],"aud":1,"exp":true,"nbf":"x","iat":[],"scope":1}`, `{"aud":["a",1]}`, `{}`,
	} {
		got, isJWT, err := refresh.Inspect(keyring.NewSecret(compact(`{"alg":"RS256"}`, claims)))
		if err != nil || !isJWT {
			t.Errorf("%s: %v, %v", claims, isJWT, err)
		}
		got.Raw = nil
		if got.Issuer != "" || got.Subject != "" || len(got.Audience) != 0 || got.Scope != "" ||
			!got.Expiry.IsZero() || !got.NotBefore.IsZero() || !got.IssuedAt.IsZero() {
			t.Errorf("%s: read %+v", claims, got)
		}
	}
}

// Whatever a token is: no panic, no error but ErrToken, no part of the token in it, and an unsigned one never passes.
func FuzzInspect(f *testing.F) {
	for _, seed := range []string{
		"", "..", "opaque", compact(`{"alg":"RS256"}`, `{"exp":1800000000}`), compact(`{"alg":"none"}`, `{}`),
		compact(`{"alg":"RS256","alg":"none"}`, `{"exp":1e999,"aud":["a"]}`), compact(`{"alg":"\u006eone"}`, `{"scp":["a"]}`),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		claims, isJWT, err := refresh.Inspect(keyring.NewSecret(token))
		if err != nil {
			wantError(t, err, refresh.ErrToken)
			if len(err.Error()) > 100 {
				t.Errorf("a long error: %v", err)
			}
			return
		}
		for _, date := range []time.Time{claims.Expiry, claims.NotBefore, claims.IssuedAt} {
			if !date.IsZero() && (date.Unix() < 0 || date.Year() > 9999) {
				t.Errorf("a date of %v", date)
			}
		}
		if !isJWT {
			return
		}
		// The law: what passes as a JWT names an algorithm that is not "none" to every reader of JSON.
		header, _, _ := strings.Cut(token, ".")
		var read struct {
			Alg string `json:"alg"`
		}
		if err := json.Unmarshal(unbase64url(t, header), &read); err == nil && strings.EqualFold(read.Alg, "none") {
			t.Errorf("an unsigned token passed: %q", token)
		}
	})
}
