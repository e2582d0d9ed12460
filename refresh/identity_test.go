package refresh_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"mcp-valet/keyring"
	"mcp-valet/refresh"
)

// claimsOf reads claims as a token has them. Roles of an unverified token decide nothing but a test.
func claimsOf(t testing.TB, text string) *refresh.Claims {
	t.Helper()
	c, isJWT, err := refresh.Inspect(keyring.NewSecret(compact(`{"alg":"RS256"}`, text)))
	if err != nil || !isJWT {
		t.Fatalf("%.80s: %v", text, err)
	}
	return &c
}

// What the providers send, as their documentation and consoles show it.
const (
	entraToken = `{"aud":"api://kb","iss":"https://login.microsoftonline.com/3a1b/v2.0","tid":"3a1b","oid":"77","sub":"AAAA","ver":"2.0",
		"roles":["Incident.Write","Incident.Read"],"groups":["6b1f0c1e-0000-4000-8000-000000000001","6b1f0c1e-0000-4000-8000-000000000002"],"scp":"access_as_user Mail.Read"}`
	entraOverage = `{"sub":"AAAA","tid":"3a1b","_claim_names":{"groups":"src1"},"_claim_sources":{"src1":{"endpoint":"https://graph.windows.net/x"}}}`
	keycloak     = `{"iss":"https://kc.example.com/realms/kb","sub":"f:1","realm_access":{"roles":["offline_access","kb-analyst","uma_authorization"]},
		"resource_access":{"my.client/x":{"roles":["writer"]},"account":{"roles":["manage-account"]}},"scope":"openid profile email","groups":["/staff","/staff/security"]}`
	auth0   = `{"iss":"https://t.auth0.com/","sub":"auth0|1","org_id":"org_9","https://example.com/roles":["Editor"],"scope":"read:incidents write:incidents","permissions":["read:incidents"]}`
	okta    = `{"iss":"https://t.okta.com/oauth2/default","sub":"ada@example.com","groups":["Everyone","Security Analysts"],"scp":["openid","incidents"]}`
	cognito = `{"iss":"https://cognito-idp.eu-west-1.amazonaws.com/p","sub":"aa","cognito:groups":["admins"],"scope":"aws.cognito.signin.user.admin","token_use":"access"}`
	zitadel = `{"sub":"1","urn:zitadel:iam:org:project:roles":{"admin":{"9":"x.example.com"},"gone":null,"off":false}}`
)

func TestIdentify(t *testing.T) {
	known := func(roles ...string) func(string) bool {
		return func(role string) bool { return slices.Contains(roles, role) }
	}
	for _, tt := range []struct {
		name, token, path string // path with blanks between its names
		rules             refresh.RoleRules
		want              string
		dropped           int
		tenant            string
	}{
		{"Entra app roles", entraToken, "roles", refresh.RoleRules{Map: map[string]string{"Incident.Write": "analyst"}, Tenant: []string{"tid"}}, "analyst", 1, "3a1b"},
		{"Entra groups", entraToken, "groups", refresh.RoleRules{Map: map[string]string{"6b1f0c1e-0000-4000-8000-000000000002": "admin"}}, "admin", 1, ""},
		{"Entra scopes", entraToken, "scp", refresh.RoleRules{}, "access_as_user Mail.Read", 0, ""},
		{"Keycloak realm", keycloak, "realm_access roles", refresh.RoleRules{Known: known("kb-analyst")}, "kb-analyst", 2, ""},
		{"Keycloak client", keycloak, "resource_access my.client/x roles", refresh.RoleRules{}, "writer", 0, ""},
		{"Keycloak groups", keycloak, "groups", refresh.RoleRules{}, "/staff /staff/security", 0, ""},
		{"Auth0 namespace", auth0, "https://example.com/roles", refresh.RoleRules{Tenant: []string{"org_id"}}, "Editor", 0, "org_9"},
		{"Auth0 scope", auth0, "scope", refresh.RoleRules{Map: map[string]string{"write:incidents": "analyst", "read:incidents": "viewer"}}, "viewer analyst", 0, ""},
		{"Okta groups", okta, "groups", refresh.RoleRules{Map: map[string]string{"Security Analysts": "analyst", "Everyone": "viewer"}}, "viewer analyst", 0, ""},
		{"Okta scopes", okta, "scp", refresh.RoleRules{}, "openid incidents", 0, ""},
		{"Cognito groups", cognito, "cognito:groups", refresh.RoleRules{}, "admins", 0, ""},
		{"Zitadel object", zitadel, "urn:zitadel:iam:org:project:roles", refresh.RoleRules{}, "admin", 0, ""},

		{"one text", `{"roles":"Domain-Admins"}`, "roles", refresh.RoleRules{}, "Domain-Admins", 0, ""},
		{"lists in lists", `{"roles":[["a"],["b",["c"]],"a"]}`, "roles", refresh.RoleRules{}, "a b c", 0, ""},
		{"too deep", `{"roles":[[[[[["a"]]]]],"b"]}`, "roles", refresh.RoleRules{}, "b", 1, ""},
		{"other kinds", `{"roles":[1,true,null,{"name":"admin"},"b"]}`, "roles", refresh.RoleRules{}, "b", 4, ""},
		{"a number", `{"roles":7}`, "roles", refresh.RoleRules{}, "", 1, ""},
		{"empty and long", `{"roles":["","` + strings.Repeat("x", 257) + `"]}`, "roles", refresh.RoleRules{}, "", 2, ""},
		{"two values, one role", `{"roles":["a","b"]}`, "roles", refresh.RoleRules{Map: map[string]string{"a": "x", "b": "x"}}, "x", 0, ""},
		{"case counts", `{"roles":["ADMIN"]}`, "roles", refresh.RoleRules{Known: known("admin")}, "", 1, ""},
		{"mapped to what is not there", `{"roles":["a"]}`, "roles", refresh.RoleRules{Map: map[string]string{"a": "x"}, Known: known("y")}, "", 1, ""},
		{"a tenant that is none", `{"roles":[],"tid":["x"]}`, "roles", refresh.RoleRules{Tenant: []string{"tid"}}, "", 0, ""},
	} {
		tt.rules.Roles = strings.Fields(tt.path)
		id := tt.rules.Identify(claimsOf(t, tt.token))
		if got := strings.Join(id.Roles, " "); got != tt.want || id.Dropped != tt.dropped || id.Tenant != tt.tenant || id.Missing {
			t.Errorf("%s: %q of tenant %q, %d dropped, missing %v; want %q of %q, %d dropped", tt.name, got, id.Tenant, id.Dropped, id.Missing, tt.want, tt.tenant, tt.dropped)
		}
	}
}

func TestIdentifyWithoutClaim(t *testing.T) {
	for _, tt := range []struct {
		token   string
		path    []string
		overage bool
	}{
		{`{"sub":"ada"}`, []string{"roles"}, false},
		{`{"sub":"ada","realm_access":"x"}`, []string{"realm_access", "roles"}, false},
		{`{"sub":"ada","roles":null}`, []string{"roles"}, false},
		{entraOverage, []string{"groups"}, true},
		{`{"hasgroups":true}`, []string{"groups"}, true},
	} {
		id := refresh.RoleRules{Roles: tt.path}.Identify(claimsOf(t, tt.token))
		if !id.Missing || id.Overage != tt.overage || len(id.Roles) > 0 {
			t.Errorf("%s: %+v", tt.token, id)
		}
	}
	if id := (refresh.RoleRules{}).Identify(claimsOf(t, entraToken)); id.Missing || len(id.Roles) > 0 {
		t.Errorf("nobody asked for roles, and got %+v", id)
	}
}

// Groups beyond any reason: 10,000 are looked at.
func TestIdentifyCrowd(t *testing.T) {
	groups := make([]any, 12_000)
	for n := range groups {
		groups[n] = fmt.Sprintf("g%d", n)
	}
	c := &refresh.Claims{Raw: map[string]any{"groups": groups}}
	rules := refresh.RoleRules{Roles: []string{"groups"}, Map: map[string]string{"g9999": "in", "g10000": "out"}}
	id := rules.Identify(c)
	if !slices.Equal(id.Roles, []string{"in"}) || id.Dropped != 11_999 {
		t.Errorf("roles %q, %d dropped", id.Roles, id.Dropped)
	}
	c.Raw["groups"] = strings.Repeat("x", 1<<20)
	if id := rules.Identify(c); len(id.Roles) != 0 || id.Dropped != 1 {
		t.Errorf("roles %d, %d dropped", len(id.Roles), id.Dropped)
	}
}

func TestVerifyOffline(t *testing.T) {
	i := newRotatingIssuer(t)
	key := newSigner(t, "k1", "ES256")
	publish(i, key.jwk(nil))
	v := kbVerifier(t, i, cacheIn(t))
	token := keyring.NewSecret(key.sign(t, nil, kbClaims(i, nil)))
	_, err := v.VerifyOffline(token)
	wantError(t, err, refresh.ErrUnreachable)
	if n := i.asked("/jwks"); n != 0 {
		t.Errorf("the issuer was asked %d times", n)
	}
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	if c, err := v.VerifyOffline(token); err != nil || c.Subject != "ada" {
		t.Errorf("with the keys at hand: %v", err)
	}
}
