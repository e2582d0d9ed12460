// Package refresh makes a credential valid: it signs a person in at an issuer,
// renews what the keychain holds and says what a token claims.
package refresh
