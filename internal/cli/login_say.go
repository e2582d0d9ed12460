package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"mcp-valet/internal/person"
	"mcp-valet/keyring"
	"mcp-valet/refresh"
)

// sayAlready tells a person who is signed in that they are.
func (a *app) sayAlready(cred *keyring.Credential) {
	last := refresh.State{} // as good as none where it cannot be read
	if state, err := a.stateDir(); err == nil {
		last, _ = refresh.ReadState(state, cred.Account)
	}
	if accountState(cred, last, time.Now()) != stateSignIn {
		a.sayf("%s: already signed in%s; signing in anew.", cred.Account, asWhom(cred))
	}
}

// sayAccount shows where a sign-in goes.
func (a *app) sayAccount(account refresh.Account) {
	for _, l := range accountLines(account) {
		a.sayf("    %-22s %s", l.label, printable(l.value))
	}
}

// accountLines are the parts of an account that say where a sign-in goes.
func accountLines(account refresh.Account) []trustLine {
	e := account.Endpoints
	var lines []trustLine
	for _, l := range []trustLine{
		{"issuer", account.Issuer}, {"client", account.ClientID}, {"proxy", account.Proxy}, {"CA file", account.CAFile},
		{"authorization endpoint", e.Authorization}, {"device endpoint", e.DeviceAuthorization}, {"token endpoint", e.Token},
		{"revocation endpoint", e.Revocation}, {"keys", e.JWKS},
		{"scopes", strings.Join(account.Scopes, " ")}, {"audience", account.Audience}, {"resource", account.Resource},
	} {
		if l.value != "" {
			lines = append(lines, l)
		}
	}
	return lines
}

// sayIssuerWords shows what the issuer says of its refusal: to the person at the terminal, who is signing in there, and
// nowhere else, since it is not our text.
func (a *app) sayIssuerWords(err error) {
	var refusal *refresh.OAuthError
	if errors.As(err, &refusal) && refusal.Code+refusal.Description != "" {
		a.sayf("The issuer says: %q", person.Sanitize(refusal.Code+" "+refusal.Description, 300))
	}
}

func (a *app) saySignedIn(cred *keyring.Credential) {
	a.sayf("Signed in to %s%s.", cred.Account, asWhom(cred))
	switch {
	case cred.RefreshToken.IsZero() && cred.Expiry.IsZero():
		a.sayf("The token has no expiry that we know of; it is used until the server refuses it.")
	case cred.RefreshToken.IsZero():
		a.sayf("The provider gave no refresh token: you will be asked again after %s. Scope offline_access often helps.", cred.Expiry.Local().Format(time.DateTime))
	}
}

// asWhom is " as NAME", or "" where it is not known.
func asWhom(cred *keyring.Credential) string {
	if cred.Subject == "" {
		return ""
	}
	return fmt.Sprintf(" as %q", person.Sanitize(cred.Subject, 80))
}
