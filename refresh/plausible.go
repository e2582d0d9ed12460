package refresh

// PlausibleAddress tells whether address, out of a sign-in's note, can be one at which a person signs in to the account.
// The note is a file that any program of the user can write to, so the origin must be the issuer's, that of an endpoint
// which the configuration names, or origin: the VerificationOrigin of the account's credential, which is where the person
// signed in the last time. Where that is not known ("", of a sign-in by an older program) every checked address is.
func PlausibleAddress(a Account, origin, address string) bool {
	if _, err := checkURL(address); err != nil {
		return false
	}
	if origin == "" {
		return true
	}
	known := []string{origin, a.Issuer}
	for _, e := range a.Endpoints.named() {
		known = append(known, e.url)
	}
	for _, k := range known {
		if sameOrigins(k, address) {
			return true
		}
	}
	return false
}

// Plausible is s less the addresses that are not plausible, see [PlausibleAddress], and less its code if then no address
// is left to enter it at.
func (s SignIn) Plausible(a Account, origin string) SignIn {
	for _, address := range []*string{&s.URI, &s.URIComplete} {
		if !PlausibleAddress(a, origin, *address) {
			*address = ""
		}
	}
	if s.URI == "" && s.URIComplete == "" {
		s.UserCode = ""
	}
	return s
}
