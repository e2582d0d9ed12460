package issuer

import (
	"encoding/json"
	"net/http"
	"time"
)

// maxBody bounds what a request may carry, in bytes.
const maxBody = 64 << 10

// The paths of the endpoints, relative to the issuer's URL.
const (
	pathDiscovery     = "/.well-known/openid-configuration"       // OpenID Connect Discovery section 4
	pathMetadata      = "/.well-known/oauth-authorization-server" // RFC 8414 section 3
	pathKeys          = "/jwks"
	pathAuthorize     = "/authorize"
	pathDeviceRequest = "/device_authorization"
	pathDevice        = "/device"
	pathToken         = "/token"
	pathRevoke        = "/revoke"
)

// Handler returns the issuer's endpoints for a server of the caller's own. It
// answers only requests whose Host is that of URL, thus none while there is no URL.
func (i *Issuer) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathDiscovery, i.serveMetadata)
	mux.HandleFunc("GET "+pathMetadata, i.serveMetadata)
	mux.HandleFunc("GET "+pathKeys, i.serveKeys)
	mux.HandleFunc("POST "+pathDeviceRequest, i.oauth(i.authorizeDevice))
	mux.HandleFunc("POST "+pathToken, i.oauth(i.token))
	mux.HandleFunc("POST "+pathRevoke, i.oauth(i.revokeToken))
	mux.HandleFunc("GET "+pathDevice, i.showDevice)
	mux.HandleFunc("POST "+pathDevice, i.decideDevice)
	mux.HandleFunc("GET "+pathAuthorize, i.showAuthorize)
	mux.HandleFunc("POST "+pathAuthorize, i.decideAuthorize)
	return i.guard(mux)
}

// guard stands before every endpoint. A web page anywhere can make its visitor's
// browser talk to a port on loopback; what it may not do is turned away here.
func (i *Issuer) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		// Not no-referrer: under it browsers send "Origin: null" with a form
		// (Fetch, "append a request Origin header"), and the check below would be
		// blind. Nothing leaves for another origin under this value either.
		h.Set("Referrer-Policy", "same-origin")

		own := i.URL()
		switch {
		case "http://"+r.Host != own && "https://"+r.Host != own: // DNS rebinding
			http.Error(w, "this issuer has another name", http.StatusMisdirectedRequest)
		case foreign(r, own):
			http.Error(w, "requests from other web pages are refused", http.StatusForbidden)
		default:
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			next.ServeHTTP(w, r)
		}
	})
}

// foreign reports whether a browser says that the request is not of our own pages'
// making. Programs other than browsers send none of these headers. A link from
// anywhere may open a page of ours, though not in a frame.
func foreign(r *http.Request, own string) bool {
	if origin := r.Header.Values("Origin"); len(origin) > 1 || len(origin) == 1 && origin[0] != own {
		return true
	}
	site := r.Header.Get("Sec-Fetch-Site")
	switch {
	case site == "" || site == "same-origin":
		return false
	case r.Method == http.MethodGet:
		return r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Header.Get("Sec-Fetch-Dest") != "document"
	}
	return true
}

// metadata is the part of RFC 8414 and OpenID Connect Discovery that applies here.
type metadata struct {
	Issuer                string   `json:"issuer"`
	Authorization         string   `json:"authorization_endpoint"`
	DeviceAuthorization   string   `json:"device_authorization_endpoint"`
	Token                 string   `json:"token_endpoint"`
	Revocation            string   `json:"revocation_endpoint"`
	JWKS                  string   `json:"jwks_uri"`
	Scopes                []string `json:"scopes_supported"`
	ResponseTypes         []string `json:"response_types_supported"`
	ResponseModes         []string `json:"response_modes_supported"`
	GrantTypes            []string `json:"grant_types_supported"`
	SubjectTypes          []string `json:"subject_types_supported"`
	IDTokenAlgs           []string `json:"id_token_signing_alg_values_supported"`
	TokenAuthMethods      []string `json:"token_endpoint_auth_methods_supported"`
	RevocationAuthMethods []string `json:"revocation_endpoint_auth_methods_supported"`
	ChallengeMethods      []string `json:"code_challenge_methods_supported"`
	IssParameter          bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207
}

func (i *Issuer) serveMetadata(w http.ResponseWriter, _ *http.Request) {
	own := i.URL()
	authMethods := []string{"none", "client_secret_basic", "client_secret_post"}
	writeJSON(w, http.StatusOK, metadata{
		Issuer:                own,
		Authorization:         own + pathAuthorize,
		DeviceAuthorization:   own + pathDeviceRequest,
		Token:                 own + pathToken,
		Revocation:            own + pathRevoke,
		JWKS:                  own + pathKeys,
		Scopes:                i.options.scopesSupported(),
		ResponseTypes:         []string{"code"},
		ResponseModes:         []string{"query"},
		GrantTypes:            []string{grantCode, grantDevice, grantRefresh},
		SubjectTypes:          []string{"public"},
		IDTokenAlgs:           []string{"ES256"},
		TokenAuthMethods:      authMethods,
		RevocationAuthMethods: authMethods,
		ChallengeMethods:      []string{"S256"},
		IssParameter:          true,
	})
}

func (i *Issuer) serveKeys(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{"keys": i.keys.published(time.Now())})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // what fails here is the connection: nobody is left to tell
}
