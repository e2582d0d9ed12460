package config

import (
	"maps"
	"slices"
)

// object is a JSON object to be written. A member whose value is nil is not to be there; other values are string, bool,
// int, []string, object and implied.
type object []member

type member struct {
	name  string
	value any
}

// implied is a value that goes without saying: where the key is missing, it is as if it were there.
type implied struct{ value any }

func textValue(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func listValue(list []string) any {
	if list == nil {
		return nil
	}
	return list
}

func accountValue(a Account) any {
	v := object{
		{"issuer", textValue(a.Issuer)},
		{"preset", textValue(a.Preset)},
		{"host", textValue(a.Host)},
		{"clientId", textValue(a.ClientID)},
		{"clientSecret", textValue(a.ClientSecret)},
		{"scopes", listValue(a.Scopes)},
		{"audience", textValue(a.Audience)},
		{"resource", textValue(a.Resource)},
		{"endpoints", endpointsValue(a.Endpoints)},
		{"caFile", textValue(a.CAFile)},
		{"proxy", textValue(a.Proxy)},
		{"roles", rolesValue(a.Roles)},
		{"tenants", tenantsValue(a.Tenants)},
		{"export", implied{false}},
	}
	if a.Export {
		v[len(v)-1].value = true
	}
	return v
}

func endpointsValue(e Endpoints) any {
	if e == (Endpoints{}) {
		return nil
	}
	return object{
		{"authorization", textValue(e.Authorization)},
		{"deviceAuthorization", textValue(e.DeviceAuthorization)},
		{"token", textValue(e.Token)},
		{"revocation", textValue(e.Revocation)},
		{"jwks", textValue(e.JWKS)},
	}
}

func serverValue(s Server) any {
	v := object{
		{"command", textValue(s.Command)},
		{"args", listValue(s.Args)},
		{"env", envValue(s.Env)},
		{"cwd", textValue(s.Cwd)},
		{"auth", authValue(s.Auth)},
		{"maxMessage", nil},
	}
	if s.MaxMessage != 0 {
		v[len(v)-1].value = s.MaxMessage
	}
	if s.Policy != nil { // without one, what stands there stays: no edit takes a policy away by leaving it out
		v = append(v, member{"policy", policyValue(s.Policy)})
	}
	return v
}

// exactly is an object that has no other members than these.
type exactly object

func envValue(env map[string]string) any {
	if env == nil {
		return nil
	}
	v := exactly{}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		v = append(v, member{name, env[name]})
	}
	return v
}

func authValue(a *Auth) any {
	if a == nil {
		return nil
	}
	v := object{
		{"kind", textValue(a.Kind)},
		{"account", textValue(a.Account)},
		{"tokenEnv", textValue(a.TokenEnv)},
		{"renew", textValue(a.Renew)},
		{"onUnauthorized", listValue(a.OnUnauthorized)},
		{"user", textValue(a.User)},
		{"audience", textValue(a.Audience)},
		{"jwtSecret", textValue(a.JWTSecret)},
		{"apiKeys", textValue(a.APIKeys)},
		{"roles", rolesValue(a.Roles)},
		{"tenants", tenantsValue(a.Tenants)},
	}
	if a.Kind == "account" && a.Account != "" {
		v[0].value = implied{a.Kind}
	}
	if a.TokenEnv == DefaultTokenEnv {
		v[2].value = implied{a.TokenEnv}
	}
	return v
}

func membersOf(v any) ([]member, bool) {
	switch v := v.(type) {
	case object:
		return v, true
	case exactly:
		return v, true
	}
	return nil, false
}
